import ApusBytes
import ApusExposition
public import ApusModel
public import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How often values fell into which range: the time requests took, the size of answers.
///
/// An observation adds to one bucket and to the sum; buckets are made cumulative when a page is written. So that bucket
/// counts and sum of a page are of the same observations there are two sets of cells:
///
///     control │ hot half: bit 63 │ observations begun: bits 0–62
///     half 0  │ sum │ bucket 0 │ … │ +Inf
///     half 1  │ sum │ bucket 0 │ … │ +Inf
///
/// Beginning an observation counts it and says which half to use, in one addition. A scrape turns the halves around,
/// waits until the one now cold holds all observations begun before, reads it, and pours it into the hot one. The
/// scheme is that of Prometheus's Go client, with the bucket counts themselves saying what is finished.
@safe
public final class Histogram: Instrument, @unchecked Sendable {
    // `@unchecked`: `bounds` is constant, cells are atomic, and all of it is freed by deinit only.
    @usableFromInline let bounds: UnsafeMutablePointer<Double>
    @usableFromInline let boundCount: Int
    /// Control word, half 0 and half 1, each from a cache line of its own on.
    @usableFromInline let cells: UnsafeMutablePointer<Atomic<UInt64>>
    /// Cells from half 0 to half 1.
    @usableFromInline let halfStride: Int
    /// One scrape at a time turns the halves.
    private let turning = Locked(())
    private let text: HistogramText
    private let bucketHead: [UInt8]
    private let sumHead: [UInt8]
    private let countHead: [UInt8]

    @usableFromInline static var controlCells: Int { 8 }

    init(series: SeriesText, faults: UpdateFaults, text: HistogramText) {
        self.text = text
        bucketHead = series.openHead(suffix: "_bucket", label: "le")
        sumHead = series.head(suffix: "_sum")
        countHead = series.head(suffix: "_count")
        boundCount = text.bounds.count
        unsafe bounds = .allocate(capacity: max(boundCount, 1))
        for (index, bound) in text.bounds.enumerated() { unsafe (bounds + index).initialize(to: bound) }
        halfStride = (boundCount + 2 + 7) / 8 * 8
        let count = Self.controlCells + 2 * halfStride
        // SAFETY: bound to the only type it is ever used as, all of it initialised here.
        unsafe cells = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 64)
            .bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Atomic(0)) }
        super.init(series: series, faults: faults)
    }

    deinit {
        unsafe cells.deinitialize(count: Self.controlCells + 2 * halfStride)
        unsafe cells.deallocate()
        unsafe bounds.deallocate()
    }

    /// Adds one observation. A value that is infinite or not a number would spoil the sum for good: it is dropped and
    /// counted in the registry's faults. A negative one is fine.
    @inlinable public func observe(_ value: Double) {
        guard value.magnitude < .infinity else { return faults.countBadObservation() }
        // Two dozen bounds are searched faster from the front than by halving.
        var bucket = 0
        // SAFETY: `bucket` stays below `boundCount`; a half has `boundCount + 2` cells.
        while unsafe bucket < boundCount && value > bounds[bucket] { bucket &+= 1 }
        let begun = unsafe cells[0].wrappingAdd(1, ordering: .acquiring).newValue
        let half = unsafe cells + (Self.controlCells &+ (begun >> 63 == 0 ? 0 : halfStride))
        unsafe half[0].addDouble(value)
        // Last, and releasing: whoever sees this count sees the sum.
        unsafe half[1 &+ bucket].wrappingAdd(1, ordering: .releasing)
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

    /// All observations so far. `counts` are not cumulative; the last one is of values above all bounds.
    public struct Snapshot: Sendable, Equatable {
        public var counts: [UInt64]
        public var sum: Double
        public var count: UInt64 { counts.reduce(0, &+) }
    }

    public func snapshot() -> Snapshot {
        turning.withLock { _ in
            let before = unsafe cells[0].wrappingAdd(1 << 63, ordering: .acquiringAndReleasing).oldValue
            let begun = before & ~(1 << 63)
            let cold = unsafe cells + (Self.controlCells + (before >> 63 == 0 ? 0 : halfStride))
            let hot = unsafe cells + (Self.controlCells + (before >> 63 == 0 ? halfStride : 0))
            var counts = [UInt64](repeating: 0, count: boundCount + 1)
            while true {
                var finished: UInt64 = 0
                for index in counts.indices {
                    counts[index] = unsafe cold[1 + index].load(ordering: .acquiring)
                    finished &+= counts[index]
                }
                if finished == begun { break }
                // An observer stands between its two additions, nanoseconds from done unless its thread was put aside.
                sched_yield()
            }
            let sum = unsafe cold[0].loadDouble()
            unsafe cold[0].store(0, ordering: .relaxed)
            unsafe hot[0].addDouble(sum)
            for index in counts.indices {
                unsafe cold[1 + index].store(0, ordering: .relaxed)
                unsafe hot[1 + index].wrappingAdd(counts[index], ordering: .releasing)
            }
            return Snapshot(counts: counts, sum: sum)
        }
    }

    override func write(to page: inout [UInt8]) {
        let snapshot = snapshot()
        var cumulative: UInt64 = 0
        for (index, count) in snapshot.counts.enumerated() {
            cumulative &+= count
            page.append(contentsOf: bucketHead)
            page.append(contentsOf: text.quotedBounds[index])
            page.appendDecimal(cumulative)
            page.append(UInt8(ascii: "\n"))
        }
        page.append(contentsOf: sumHead)
        page.appendValueLine(snapshot.sum)
        page.append(contentsOf: countHead)
        page.appendDecimal(cumulative)
        page.append(UInt8(ascii: "\n"))
    }
}

/// What all histograms of a family share.
final class HistogramText: Sendable {
    let bounds: [Double]
    /// `"0.005"} `, …, `"+Inf"} `.
    let quotedBounds: [[UInt8]]

    init(_ buckets: Buckets) {
        bounds = buckets.upperBounds
        quotedBounds = (bounds + [.infinity]).map { bound in
            var text = [UInt8(ascii: "\"")]
            // Written as Go's clients write it, so that the label, and with it the series, is the same.
            text.appendDouble(bound, style: .general)
            text.append(contentsOf: "\"} ".utf8)
            return text
        }
    }
}
