import ApusBytes
import ApusModel
import ApusStorage

/// All that a head holds, in raw memory. Every method is called under the head's lock, but for those that say otherwise.
///
///     symbols ◀─ pairs (name, value, postings) ◀─ label runs ◀─ series ─▶ open chunk (slab)
///                  └─────── slots ─────────────────────────────▶  └───────▶ sealed chunks (arena, by period)
@safe final class HeadState: @unchecked Sendable {
    // `@unchecked`: the head's lock serialises the calls.
    let options: HeadOptions
    let pool = BlockPool()
    let slab: SizeClassSlab
    let symbols: SymbolTable
    let index: LabelIndex
    let series: SeriesTable
    let chunks: ChunkArena
    /// Label runs: a length, then pair numbers in order of name.
    let runs = ReservedArray<UInt32>(maximum: (1 << 32) - 2)
    /// First free run of a length, each holding the index of the next behind its length; by length.
    var freeRuns: [UInt32: UInt32] = [:]
    var bySet = IndexTable()
    let seed: UInt64

    var seriesCount = 0
    var openChunks = 0
    var openCellBytes = 0
    var minTime = Int64.max
    var maxTime = Int64.min
    /// Chunks of earlier periods are dropped.
    var oldestPeriod = Int64.min
    var counters = Counters()

    /// What was unlinked and may still be read by those who came before.
    struct Limbo {
        let epoch: UInt64
        var blocks: [UInt]
        var slots: [(slot: UInt32, labelOffset: UInt32)]
    }
    var limbo: [Limbo] = []
    /// Grows when something is unlinked. A reader keeps the one it began with.
    var epoch: UInt64 = 0
    /// How many readers began in an epoch.
    var readers: [UInt64: Int] = [:]

    struct Counters {
        var samplesAppended: UInt64 = 0
        var seriesCreated: UInt64 = 0
        var seriesRemoved: UInt64 = 0
        var outOfOrder: UInt64 = 0
        var outOfBounds: UInt64 = 0
        var duplicates: UInt64 = 0
        var unknownSeries: UInt64 = 0
        var chunksCreated: UInt64 = 0
        var chunksRemoved: UInt64 = 0
        var truncations: UInt64 = 0
    }

    init(options: HeadOptions) {
        self.options = options
        // Targets choose the labels: with a known seed they could make all of them collide.
        seed = UInt64.random(in: .min ... .max)
        slab = SizeClassSlab(pool: pool)
        symbols = SymbolTable(seed: seed)
        index = LabelIndex(slab: slab, seed: seed)
        series = SeriesTable(pool: pool)
        chunks = ChunkArena(pool: pool)
    }

    // MARK: Periods

    /// The period of a time, rounded towards the past.
    @inline(__always)
    func period(of time: Int64) -> Int64 { HeadState.period(of: time, length: options.chunkRangeMs) }

    @inline(__always)
    static func period(of time: Int64, length: Int64) -> Int64 {
        let quotient = time / length
        return time < 0 && quotient &* length != time ? quotient &- 1 : quotient
    }

    /// First moment of a period, within what 64 bits hold.
    func start(of period: Int64) -> Int64 {
        let (start, overflow) = period.multipliedReportingOverflow(by: options.chunkRangeMs)
        return overflow ? (period < 0 ? .min : .max) : start
    }

    /// Samples before this were dropped.
    var oldestTime: Int64 { start(of: oldestPeriod) }

    // MARK: Label sets

    /// The pair numbers of a run. Also without the lock, by readers whose epoch holds the series.
    @inline(__always)
    func run(at offset: UInt32) -> UnsafeBufferPointer<UInt32> {
        // Not against `count`, which a writer may be changing.
        precondition(Int(offset) < runs.maximum, "unknown label run")
        // SAFETY: offsets come from series only, and are those of complete runs; runs do not move.
        let start = unsafe runs.base + Int(offset)
        return unsafe UnsafeBufferPointer(start: start + 1, count: Int(start.pointee))
    }

    /// Builds a label set from symbols, in one allocation. Also without the lock, as `run`.
    func labelSet(at offset: UInt32) -> LabelSet {
        let run = unsafe run(at: offset)
        var size = 0
        for unsafe pair in unsafe run {
            // SAFETY: a run holds numbers of known pairs, whose symbols never change.
            let (name, value) = unsafe (index.pairs.base[Int(pair)].name, index.pairs.base[Int(pair)].value)
            size &+= unsafe symbols.field(name).count &+ symbols.field(value).count
        }
        let encoded = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            var offset = 0
            for unsafe pair in unsafe run {
                let (name, value) = unsafe (index.pairs.base[Int(pair)].name, index.pairs.base[Int(pair)].value)
                for symbol in [name, value] {
                    let field = unsafe symbols.field(symbol)
                    guard let source = field.baseAddress else { continue }
                    unsafe (base + offset).copyMemory(from: source, byteCount: field.count)
                    offset &+= field.count
                }
            }
            count = offset
        }
        return LabelSet(alreadyEncoded: encoded)
    }

    private func hash(_ run: UnsafeBufferPointer<UInt32>) -> UInt64 {
        let bytes = unsafe UnsafeRawPointer(run.baseAddress)?.assumingMemoryBound(to: UInt8.self)
        return unsafe hashBytes(bytes, count: run.count &* 4, seed: seed)
    }

    func hashOfSeries(_ slot: UInt32) -> UInt64 {
        guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { return 0 }
        return unsafe hash(run(at: entry.pointee.labelOffset))
    }

    private func find(_ run: UnsafeBufferPointer<UInt32>, hash: UInt64) -> UInt32? {
        bySet.find(hash: hash) { slot in
            guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { return false }
            return unsafe self.run(at: entry.pointee.labelOffset).elementsEqual(run)
        }
    }

    /// The ref of the series with these labels, made when it is new.
    func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        let encoded = labels.encoded.span
        var pairs: [UInt32] = []
        pairs.reserveCapacity(16)
        var isKnown = true
        // Looked up first and made afterwards: a series that is refused must not leave its symbols behind.
        for range in labels.ranges {
            guard let name = symbols.find(encoded.extracting(range.name)), let value = symbols.find(encoded.extracting(range.value)),
                let pair = index.find(name: name, value: value)
            else {
                isKnown = false
                break
            }
            pairs.append(pair)
        }
        if isKnown {
            let known: UInt32? = unsafe pairs.withUnsafeBufferPointer { unsafe find($0, hash: hash($0)) }
            if let known { return ref(of: known) }
        }
        if options.maxSeries > 0 && seriesCount >= options.maxSeries {
            throw .limit("the head holds \(options.maxSeries) series, no new ones are taken (--storage.head.max-series)")
        }
        if labels.encoded.count > options.maxLabelSetBytes {
            throw .limit("a label set of \(labels.encoded.count) bytes is over the limit of \(options.maxLabelSetBytes)")
        }
        if !isKnown {
            pairs.removeAll(keepingCapacity: true)
            for range in labels.ranges {
                guard let name = intern(encoded.extracting(range.name)), let value = intern(encoded.extracting(range.value)),
                    let pair = index.intern(name: name, value: value)
                else { throw .limit("the head's symbol table is full (4 GiB of label names and values)") }
                pairs.append(pair)
            }
        }
        return try create(labels, pairs)
    }

    private func intern(_ content: Span<UInt8>) -> UInt32? {
        // SAFETY: the buffer is used during the closure only.
        unsafe content.withUnsafeBufferPointer { unsafe symbols.intern($0) }
    }

    private func create(_ labels: LabelSet, _ pairs: [UInt32]) throws(AppendError) -> SeriesRef {
        guard let offset = allocateRun(pairs) else { throw .limit("the head's label sets take more than 16 GiB") }
        if let log = options.log {
            do throws(AppendError) {
                let record = SeriesRecord(ref: ref(of: UInt32(series.nextSlot)), labels: labels)
                _ = try log.append(series: [record])
            } catch {
                freeRun(offset)
                throw error
            }
        }
        guard let (slot, entry) = unsafe series.allocate() else {
            freeRun(offset)
            throw .limit("the head has given all of its 2^32 series refs")
        }
        unsafe entry.pointee = MemSeries()
        unsafe entry.pointee.labelOffset = offset
        for pair in pairs { index.addPosting(slot, to: pair) }
        let hash = hashOfSeries(slot)
        bySet.insert(slot, hash: hash) { self.hashOfSeries($0) }
        seriesCount += 1
        counters.seriesCreated += 1
        return ref(of: slot)
    }

    private func allocateRun(_ pairs: [UInt32]) -> UInt32? {
        let length = UInt32(pairs.count)
        let offset: UInt32
        if length > 0, let free = freeRuns[length] {
            offset = free
            let next = runs[Int(free) + 1]
            freeRuns[length] = next == .max ? nil : next
        } else {
            guard let start = runs.extend(by: pairs.count + 1) else { return nil }
            offset = UInt32(start)
        }
        runs[Int(offset)] = length
        for (position, pair) in pairs.enumerated() { runs[Int(offset) + 1 + position] = pair }
        return offset
    }

    func freeRun(_ offset: UInt32) {
        let length = runs[Int(offset)]
        if length == 0 { return }
        runs[Int(offset) + 1] = freeRuns[length] ?? .max
        freeRuns[length] = offset
    }

    @inline(__always)
    func ref(of slot: UInt32) -> SeriesRef { SeriesRef(rawValue: options.firstRef &+ UInt64(slot)) }

    /// The slot of a ref, whether there is a series or not; -1 when none can be.
    @inline(__always)
    func slot(of ref: SeriesRef) -> Int {
        let slot = ref.rawValue &- options.firstRef
        return slot < UInt64(UInt32.max) ? Int(slot) : -1
    }

    func labels(of ref: SeriesRef) -> LabelSet? {
        guard let entry = unsafe series.pointer(slot(of: ref)), unsafe entry.pointee.isLive else { return nil }
        return unsafe labelSet(at: entry.pointee.labelOffset)
    }
}
