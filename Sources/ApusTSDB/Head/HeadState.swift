import ApusBytes
import ApusModel
import ApusStorage

/// All that a head holds, in raw memory. Every method is called under the head's lock, but for those that say otherwise.
///
///     symbols ◀─ pairs (name, value, postings) ◀─ label runs ◀─ series ─▶ open chunk (slab)
///       └──────────── LabelStore ───────────────────┘ slots ─▶  └───────▶ sealed chunks (arena, by period; mapped files)
@safe final class HeadState: @unchecked Sendable {
    // `@unchecked`: the head's lock serialises the calls.
    let options: HeadOptions
    let pool = BlockPool()
    let slab: SizeClassSlab
    /// Replaced by a smaller one when most of it is of collected series.
    var labels: LabelStore
    let series: SeriesTable
    let chunks: ChunkArena
    /// From label runs to slots.
    var bySet = IndexTable()
    let seed: UInt64

    /// The ref that slot 0 has. Chosen with the first series, so that the refs of a log fit around it.
    var baseRef: UInt64 = 0
    /// The ref of the next new series: above every one that was ever seen.
    var nextRef: UInt64
    var log: (any CommitLog)?
    var collectedRefs = CollectedRefs()
    var secondRefs = SecondRefs()
    var fileRefs = FileRefs()
    /// Deleted times of series, by slot; until the samples are dropped.
    var tombstones: [UInt32: TimeRanges] = [:]
    var metadata = SeriesMetadata()
    let outOfOrder: OutOfOrderStore
    let exemplars = ExemplarRing(capacity: 0)

    /// Of the series that have native histograms.
    var histograms = HistogramTable()
    /// The open chunks of floats in XOR2.
    var xor2Chunks = SlotTable<XOR2Chunk>()
    /// What of the newer formats is written from now on.
    var formats: ChunkFormats

    /// Why no new series are taken at the moment; see `Head.refuseNewSeries`.
    var refusalOfNewSeries: String?

    var seriesCount = 0
    /// Series whose newest sample is the staleness marker.
    var staleSeries = 0
    var openChunks = 0
    var openCellBytes = 0
    /// Of the oldest sample that the last truncation left, and of those that came since.
    var settledMinTime = Int64.max
    var recentMinTime = Int64.max
    var minTime: Int64 { min(settledMinTime, recentMinTime) }
    var maxTime = Int64.min
    /// Chunks of earlier periods are dropped.
    var oldestPeriod = Int64.min
    /// Appends before this are refused: their time is that of a finished block.
    var minValidTime = Int64.min
    var counters = Counters()

    /// What was unlinked and may still be read by those who came before.
    struct Limbo {
        let epoch: UInt64
        var chunks = ChunkArena.Remains()
        var slots: [CollectedSeries] = []
        /// The store that the series' runs are in.
        var labels: LabelStore?
        /// Kept alive: files that are mapped.
        var object: (any AnyObject & Sendable)?
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
        var seriesRefused: UInt64 = 0
        var outOfOrder: UInt64 = 0
        var outOfBounds: UInt64 = 0
        var duplicates: UInt64 = 0
        var unknownSeries: UInt64 = 0
        var chunksCreated: UInt64 = 0
        var chunksRemoved: UInt64 = 0
        var truncations: UInt64 = 0
        /// Truncations that dropped something, and how long they took together.
        var collections: UInt64 = 0
        var collectionNs: UInt64 = 0
    }

    /// - Parameter seed: of a head whose tables are taken over.
    init(options: HeadOptions, seed known: UInt64? = nil) {
        self.options = options
        formats = options.formats
        outOfOrder = OutOfOrderStore(files: options.chunkFiles)
        // Targets choose the labels: with a known seed they could make all of them collide.
        seed = known ?? UInt64.random(in: .min ... .max)
        slab = SizeClassSlab(pool: pool)
        labels = LabelStore(slab: slab, seed: seed)
        series = SeriesTable(pool: pool)
        chunks = ChunkArena(pool: pool)
        nextRef = options.firstRef
        log = options.log
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

    // MARK: Series by labels

    func hashOfSeries(_ slot: UInt32) -> UInt64 {
        guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { return 0 }
        return unsafe labels.hash(labels.run(at: entry.pointee.labelOffset))
    }

    private func find(_ run: UnsafeBufferPointer<UInt32>, hash: UInt64) -> UInt32? {
        bySet.find(hash: hash) { slot in
            guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { return false }
            let other = unsafe labels.run(at: entry.pointee.labelOffset)
            guard other.count == run.count else { return false }
            for index in 0..<run.count where unsafe other[index] != run[index] { return false }
            return true
        }
    }

    /// The slot of the series whose pairs are in `labels.pairs`.
    private func findResolved() -> UInt32? {
        unsafe labels.pairs.withUnsafeBufferPointer { unsafe find($0, hash: labels.hash($0)) }
    }

    /// The ref of the series with these labels, nil when there is none.
    func knownRef(of set: LabelSet) -> SeriesRef? {
        guard resolve(set, interning: false) == .known else { return nil }
        return findResolved().map { ref(of: $0) }
    }

    /// The ref of the series with these labels, made when it is new.
    func seriesRef(for set: LabelSet) throws(AppendError) -> SeriesRef {
        let resolution = resolve(set, interning: false)
        if resolution == .known, let known = findResolved() { return ref(of: known) }
        if let refusalOfNewSeries {
            counters.seriesRefused += 1
            throw .limit(refusalOfNewSeries)
        }
        if options.maxSeries > 0 && seriesCount >= options.maxSeries {
            counters.seriesRefused += 1
            throw .limit("the head holds \(options.maxSeries) series, no new ones are taken (--storage.head.max-series)")
        }
        if set.encoded.count > options.maxLabelSetBytes {
            throw .limit("a label set of \(set.encoded.count) bytes is over the limit of \(options.maxLabelSetBytes)")
        }
        if resolution == .unknown && resolve(set, interning: true) == .full { throw Self.symbolsFull }
        if series.nextSlot == 0 { chooseBase(for: nextRef) }
        let ref = SeriesRef(rawValue: nextRef)
        guard nextRef < Self.maximumRef, slot(of: ref) >= 0 else {
            throw .limit("the head has given all the series refs that one run has (2^31 and more): restart to go on")
        }
        guard let offset = labels.allocateRun(labels.pairs) else { throw Self.runsFull }
        if let log {
            do throws(AppendError) { _ = try log.append(series: [SeriesRecord(ref: ref, labels: set)]) } catch {
                labels.freeRun(offset)
                throw error
            }
        }
        try insert(slot(of: ref), run: offset)
        nextRef += 1
        counters.seriesCreated += 1
        return ref
    }

    static let symbolsFull = AppendError.limit("the head's symbol table is full (4 GiB of label names and values)")
    static let runsFull = AppendError.limit("the head's label sets take more than 16 GiB")

    private func resolve(_ set: LabelSet, interning: Bool) -> LabelStore.Resolution {
        // SAFETY: the buffer is used during the closure only.
        unsafe set.encoded.withUnsafeBufferPointer { unsafe labels.resolve($0, interning: interning) }
    }

    /// Makes the series of a slot, whose run of `labels.pairs` is written; frees the run when it cannot.
    private func insert(_ slot: Int, run offset: UInt32) throws(AppendError) {
        if bySet.isFull { growTable() }
        guard let entry = unsafe series.place(slot) else {
            labels.freeRun(offset)
            throw .limit("series slot \(slot) cannot be used")
        }
        unsafe entry.pointee.labelOffset = offset
        let slot = UInt32(slot)
        for pair in labels.pairs { labels.index.addPosting(slot, to: pair) }
        let hash = unsafe labels.hash(labels.run(at: offset))
        bySet.insert(slot, hash: hash) { self.hashOfSeries($0) }
        seriesCount += 1
    }

    /// Fills a larger table in the order of slots, in which also the runs lie: in the order of the table each of them
    /// would have to come from memory by itself.
    private func growTable() {
        var larger = IndexTable(count: seriesCount * 3 / 2)
        unsafe series.forEachLive { slot, entry in
            // SAFETY: `forEachLive` lends the series in use.
            larger.insert(slot, hash: unsafe labels.hash(labels.run(at: entry.pointee.labelOffset))) { _ in 0 }
        }
        swap(&bySet, &larger)
    }

    /// What became of a series that a log names.
    enum Placement {
        /// It is in its slot now.
        case placed(slot: UInt32)
        /// It was there before.
        case known(slot: UInt32)
        /// Its labels are those of another series, which takes its samples.
        case alias(of: UInt32)
    }

    /// Makes the series that a log names, with the ref it has there. Its postings may be out of order afterwards:
    /// `onDisorder` is called for each pair of a series whose slot is below another's.
    func place(_ ref: SeriesRef, _ set: LabelSet, onDisorder: (UInt32) -> Void) throws(AppendError) -> Placement {
        if ref.rawValue >= nextRef { nextRef = ref.rawValue &+ 1 }
        if series.nextSlot == 0 { chooseBase(for: ref.rawValue) }
        let slot = slot(of: ref)
        guard slot >= 0, ref.rawValue < .max else {
            throw .limit(
                "series ref \(ref.rawValue) is more than 2^31 away from ref \(baseRef &+ UInt64(series.firstSlot)): one start cannot hold both")
        }
        if resolve(set, interning: true) == .full { throw Self.symbolsFull }
        if let known = findResolved() { return Int(known) == slot ? .known(slot: known) : .alias(of: known) }
        if let entry = unsafe series.pointer(slot), unsafe entry.pointee.isLive { return .alias(of: UInt32(slot)) }
        if slot < series.nextSlot { for pair in labels.pairs { onDisorder(pair) } }
        guard let offset = labels.allocateRun(labels.pairs) else { throw Self.runsFull }
        try insert(slot, run: offset)
        counters.seriesCreated += 1
        return .placed(slot: UInt32(slot))
    }

    // MARK: Refs and slots

    /// Prometheus packs a ref and the number of a chunk into 64 bits: what is left for refs.
    static let maximumRef: UInt64 = 1 << 40

    /// Puts `ref` into the middle of what the slots span, or at its own number when it is small.
    private func chooseBase(for ref: UInt64) {
        let half = UInt64(SeriesTable.maximumSlots / 2)
        baseRef = ref < half ? 0 : (ref - half) & ~UInt64(SeriesTable.blockSlots - 1)
    }

    @inline(__always)
    func ref(of slot: UInt32) -> SeriesRef { SeriesRef(rawValue: baseRef &+ UInt64(slot)) }

    /// Under which ref chunk files name the series of a slot.
    @inline(__always)
    func fileRef(of slot: UInt32) -> SeriesRef { fileRefs.isEmpty ? ref(of: slot) : fileRefs[slot] ?? ref(of: slot) }

    /// The slot of a ref, whether there is a series or not; -1 when none can be.
    @inline(__always)
    func slot(of ref: SeriesRef) -> Int {
        let slot = ref.rawValue &- baseRef
        return slot < UInt64(SeriesTable.maximumSlots) ? Int(slot) : -1
    }

    func labels(of ref: SeriesRef) -> LabelSet? {
        guard let entry = unsafe series.pointer(slot(of: ref)), unsafe entry.pointee.isLive else { return nil }
        return unsafe labels.labelSet(at: entry.pointee.labelOffset)
    }

    func keepSeries(_ ref: SeriesRef, segment: Int) -> Bool {
        if let entry = unsafe series.pointer(slot(of: ref)), unsafe entry.pointee.isLive { return true }
        return fileRefs.contains(ref) || secondRefs.refs.contains(ref.rawValue) || collectedRefs.isNamed(ref.rawValue, after: segment)
    }
}
