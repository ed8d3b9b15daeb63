import ApusExposition
public import ApusModel
import Synchronization

/// How often values fell into which range: the time requests took, the size of answers.
///
/// Buckets are classic, with bounds that were declared; or native (`NativeBuckets`), which come into being where values
/// fall; or both. Bucket counts and sum of a page are always of the same observations. Classic ones alone are counted
/// without a lock (`HistogramCells`); native ones, and classic ones beside them, under one.
@safe
public final class Histogram: Instrument, @unchecked Sendable {
    private let shape: HistogramShape
    /// Of a histogram without native buckets.
    private let cells: HistogramCells?
    /// The same, not counted again at each observation; nil when an observation has more to do than to be counted.
    private let plainCells: Unmanaged<HistogramCells>?
    private let locked: Locked<Counted>?

    /// What is counted under the lock.
    private struct Counted {
        var counts: [UInt64]
        var sum = 0.0
        var native: NativeCounts
        var nativeExemplars: [Exemplar] = []
        var createdMs: Int64
        var resetNs: UInt64
    }

    init(_ seed: InstrumentSeed, shape: HistogramShape) {
        self.shape = shape
        if let native = shape.native {
            cells = nil
            locked = Locked(
                Counted(
                    counts: [UInt64](repeating: 0, count: shape.bounds.isEmpty ? 0 : shape.bounds.count + 1),
                    native: NativeCounts(native), createdMs: seed.context.time.wallMs(), resetNs: seed.context.time.monotonicNs()))
        } else {
            cells = HistogramCells(shape)
            locked = nil
        }
        let isPlain = !seed.expires && seed.context.exemplarProvider == nil
        unsafe plainCells = isPlain ? cells.map { unsafe Unmanaged.passUnretained($0) } : nil
        super.init(seed)
    }

    // MARK: Updating

    /// Adds one observation. A value that is infinite or not a number would spoil the sum for good: it is dropped and
    /// counted in the registry's faults. A negative one is fine.
    public func observe(_ value: Double) {
        if let record = unsafe ThreadRecord.current, value.magnitude < .infinity, let plainCells = unsafe plainCells {
            // SAFETY: this histogram owns the cells.
            return unsafe plainCells._withUnsafeGuaranteedRef { unsafe $0.observe(value, in: record) }
        }
        observeSlowly(value)
    }

    @inline(never)
    private func observeSlowly(_ value: Double) {
        guard value.magnitude < .infinity else { return context.faults.count(.badObservation) }
        count(value)
        if !duties.isEmpty { doDuties(value: value, slot: shape.bucket(of: value), of: shape.slotCount) }
    }

    /// Adds one observation that leads elsewhere: it stands for its bucket until the next one does.
    public func observe(_ value: Double, exemplar: ExemplarLabels) {
        guard value.magnitude < .infinity else { return context.faults.count(.badObservation) }
        count(value)
        touch()
        if !shape.bounds.isEmpty { keepExemplar(exemplar, value: value, slot: shape.bucket(of: value), of: shape.slotCount) }
        if let native = shape.native, let exemplar = makeExemplar(exemplar, value: value) { keepNative(exemplar, native) }
    }

    /// Observes how many seconds `body` takes.
    @inlinable public func time<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        let start = SystemTime().monotonicNs()
        defer { observe(Double(SystemTime().monotonicNs() &- start) / 1e9) }
        return try body()
    }

    /// Observes how many seconds `body` takes.
    public nonisolated(nonsending) func time<Result, Failure: Error>(
        _ body: nonisolated(nonsending) () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let start = SystemTime().monotonicNs()
        defer { observe(Double(SystemTime().monotonicNs() &- start) / 1e9) }
        return try await body()
    }

    /// Counts a value inside a critical section, if that is all there is to do; false if it is not.
    @inline(__always)
    func observeInside(_ value: Double, in record: ThreadRecord.Pointer) -> Bool {
        guard value.magnitude < .infinity, let plainCells = unsafe plainCells else { return false }
        // SAFETY: this histogram owns the cells.
        unsafe plainCells._withUnsafeGuaranteedRef { unsafe $0.observeInside(value, in: record) }
        return true
    }

    /// Counts a finite value.
    private func count(_ value: Double) {
        if let cells { return unsafe CellStore.withRecord { record in unsafe cells.observe(value, in: record) } }
        let bucket = shape.bucket(of: value)
        locked?.withLock { counted in
            add(value, bucket, to: &counted)
            guard counted.native.hasTooManyBuckets || counted.native.isReduced else { return }
            // Begun anew, the histogram has the resolution again that it was declared with.
            if resetIfOld(&counted) {
                add(value, bucket, to: &counted)
            } else {
                counted.native.reduce()
            }
        }
    }

    private func add(_ value: Double, _ bucket: Int, to counted: inout Counted) {
        if bucket < counted.counts.count { counted.counts[bucket] &+= 1 }
        counted.sum += value
        counted.native.observe(value)
    }

    private func resetIfOld(_ counted: inout Counted) -> Bool {
        guard let options = shape.native, options.minResetMs > 0 else { return false }
        let now = context.time.monotonicNs()
        let age = now >= counted.resetNs ? now - counted.resetNs : 0
        guard age / 1_000_000 >= UInt64(clamping: options.minResetMs) else { return false }
        counted.counts = [UInt64](repeating: 0, count: counted.counts.count)
        counted.sum = 0
        counted.native = NativeCounts(options)
        counted.createdMs = context.time.wallMs()
        counted.resetNs = now
        createdMs.store(counted.createdMs, ordering: .relaxed)
        return true
    }

    /// Of as many as may be kept, an old one makes place, or the one that tells most nearly the same.
    private func keepNative(_ exemplar: Exemplar, _ options: NativeBuckets) {
        guard options.maxExemplars > 0 else { return }
        locked?.withLock { counted in
            let oldest = exemplar.timestampMs.subtractingReportingOverflow(options.exemplarTTLMs).partialValue
            if counted.nativeExemplars.count >= options.maxExemplars {
                if let first = counted.nativeExemplars.first, first.timestampMs < oldest {
                    counted.nativeExemplars.removeFirst()
                } else {
                    let distances = counted.nativeExemplars.map { Self.distance($0.value, exemplar.value) }
                    let nearest = distances.indices.min { distances[$0] < distances[$1] } ?? 0
                    counted.nativeExemplars.remove(at: nearest)
                }
            }
            counted.nativeExemplars.append(exemplar)
        }
    }

    /// How far apart two values are, in buckets of schema 8; of different signs, farther than any two of one.
    private static func distance(_ left: Double, _ right: Double) -> Int64 {
        func place(_ value: Double) -> Int64 {
            value == 0 ? 0 : (1 << 32 + Int64(HistogramBounds.index(of: value.magnitude, schema: 8))) * (value < 0 ? -1 : 1)
        }
        return abs(place(left) - place(right))
    }

    // MARK: Reading

    /// All observations so far. `counts` are not cumulative; the last one is of values above all bounds. Without classic
    /// buckets they are empty, and `count` tells.
    public struct Snapshot: Sendable, Equatable {
        public var counts: [UInt64]
        public var sum: Double
        public var native: NativeHistogram?
        public var count: UInt64 { counts.isEmpty ? native.map(\.countWord) ?? 0 : counts.reduce(0, &+) }
    }

    public func snapshot() -> Snapshot { snapshot(ofPage: false) }

    private func snapshot(ofPage: Bool) -> Snapshot {
        if let cells { return cells.snapshot(ofPage: ofPage) }
        return locked?.withLock { counted in
            Snapshot(counts: counted.counts, sum: counted.sum, native: counted.native.histogram(sum: counted.sum))
        } ?? Snapshot(counts: [], sum: 0)
    }

    override func prepareForPage() -> Bool {
        cells?.turn()
        return cells != nil
    }

    override func currentValue() -> PointValue {
        let snapshot = snapshot(ofPage: true)
        let native = locked?.withLock { $0.nativeExemplars } ?? []
        return .histogram(
            HistogramPoint(
                upperBounds: shape.bounds, counts: snapshot.counts, sum: snapshot.sum, native: snapshot.native,
                exemplars: currentExemplars, nativeExemplars: native))
    }

    override func appendWords(to words: inout [UInt64]) {
        guard let cells else { return currentValue().appendWords(to: &words) }
        cells.appendWords(to: &words)
    }
}

/// What all histograms of a family share: the bounds, ready to be searched.
@safe
final class HistogramShape: @unchecked Sendable {
    // `@unchecked`: the padded bounds are constant and freed with the object.
    let bounds: [Double]
    let native: NativeBuckets?
    /// The bounds, and +Inf until there is a multiple of eight.
    let padded: UnsafeMutablePointer<Double>
    let paddedCount: Int

    init(_ buckets: Buckets, native: NativeBuckets?) {
        bounds = buckets.upperBounds
        self.native = native
        paddedCount = (buckets.upperBounds.count + 7) / 8 * 8
        unsafe padded = UnsafeMutableRawPointer.allocate(byteCount: max(paddedCount, 8) * 8, alignment: 64)
            .bindMemory(to: Double.self, capacity: max(paddedCount, 8))
        for index in 0..<max(paddedCount, 8) {
            unsafe (padded + index).initialize(to: index < bounds.count ? bounds[index] : .infinity)
        }
    }

    deinit { unsafe padded.deallocate() }

    /// Places for exemplars: one a bucket, and one when there are native buckets only.
    var slotCount: Int { bounds.isEmpty ? 1 : bounds.count + 1 }

    /// The bucket of a value: how many bounds it exceeds.
    func bucket(of value: Double) -> Int { unsafe Self.bucket(of: value, padded, paddedCount) }

    /// The same for who holds the padded bounds. Counting them all takes no longer than a search that the processor can't
    /// foresee, up to some dozens.
    @inline(__always)
    static func bucket(of value: Double, _ padded: UnsafeMutablePointer<Double>, _ paddedCount: Int) -> Int {
        if paddedCount > 64 { return unsafe search(value, padded, paddedCount) }
        var counts = SIMD8<Int64>()
        var index = 0
        let needle = SIMD8<Double>(repeating: value)
        while index < paddedCount {
            // SAFETY: `index` is a multiple of eight below `paddedCount`, which is one, and the memory is aligned for it.
            let bounds = unsafe UnsafeRawPointer(padded + index).load(as: SIMD8<Double>.self)
            counts.replace(with: counts &+ 1, where: needle .> bounds)
            index &+= 8
        }
        return Int(truncatingIfNeeded: counts.wrappedSum())
    }

    private static func search(_ value: Double, _ padded: UnsafeMutablePointer<Double>, _ count: Int) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if unsafe value > padded[middle] { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
