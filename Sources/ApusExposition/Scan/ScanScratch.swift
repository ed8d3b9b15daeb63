public import ApusModel

/// What a scan needs only while it runs, and what it found.
///
/// Each scrape worker owns one and lends it to scan after scan; `trim` gives back what an unusually large page took.
public final class ScanScratch {
    // One owner at a time: not Sendable, and a worker thread keeps it to itself.
    var state = ScanState()

    public init() {}

    /// How many samples the columns hold.
    public var count: Int { state.count }
    /// Empty, or as many as `count`: when the counting of each sample began, ms, 0 for unknown.
    public var startTimestampsMs: [Int64] { state.startTimestampsMs }
    /// Beside the columns, and empty in most pages.
    public var histograms: [ScannedHistogram] { state.histograms }
    public var exemplars: [ScannedExemplar] { state.exemplars }
    /// Floats and histograms.
    public var sampleCount: Int { state.sampleCount }

    /// Lends the samples of the last scan, in order of the page.
    public func withColumns<R>(
        _ body: (_ refs: UnsafeBufferPointer<UInt64>, _ timestampsMs: UnsafeBufferPointer<Int64>, _ values: UnsafeBufferPointer<Double>) throws -> R
    ) rethrows -> R {
        try unsafe body(
            UnsafeBufferPointer(start: state.refs, count: count), UnsafeBufferPointer(start: state.timestamps, count: count),
            UnsafeBufferPointer(start: state.values, count: count))
    }

    /// Gives back what exceeds a usual page.
    public func trim() { state.trim() }
}

/// A native histogram of a page.
public struct ScannedHistogram: Sendable {
    public var ref: UInt64
    public var timestampMs: Int64
    /// 0 for unknown.
    public var startTimestampMs: Int64
    public var histogram: NativeHistogram
}

/// An exemplar of a page.
public struct ScannedExemplar: Sendable {
    public var ref: UInt64
    public var labels: LabelSet
    public var value: Double
    /// Of the sample, when the page gave none.
    public var timestampMs: Int64
    public var hasTimestamp: Bool
}
