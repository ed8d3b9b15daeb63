public import ApusModel

/// The number a store gave a series: grows only, stays below 2⁴⁰, and is never given to another series.
public struct SeriesRef: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (left: SeriesRef, right: SeriesRef) -> Bool { left.rawValue < right.rawValue }
}

/// One scrape's samples in columns: what is appended together, and becomes visible together.
///
/// The three columns have equal length. Reuse a batch from scrape to scrape: `removeAll` keeps its memory.
public struct SampleBatch: Sendable {
    public var refs: [SeriesRef] = []
    public var timestampsMs: [Int64] = []
    public var values: [Double] = []

    public init() {}
    @inlinable public var count: Int { refs.count }
    @inlinable public mutating func append(_ ref: SeriesRef, timestampMs: Int64, value: Double) {
        refs.append(ref)
        timestampsMs.append(timestampMs)
        values.append(value)
    }
    public mutating func removeAll() {
        refs.removeAll(keepingCapacity: true)
        timestampsMs.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
    }
}

/// What became of a batch.
public struct AppendOutcome: Sendable {
    public enum Reason: Sendable, Hashable {
        /// Older than the newest sample of its series.
        case outOfOrder
        /// Same timestamp as the newest sample of its series, another value.
        case duplicateTimestamp
        /// Older than what the store still takes.
        case outOfBounds
        /// The ref is not, or no longer, one of the store's: resolve the labels again and append again.
        case unknownSeries
    }
    public struct Rejection: Sendable, Hashable {
        /// Index into the batch.
        public let index: Int
        public let reason: Reason
        public init(index: Int, reason: Reason) {
            self.index = index
            self.reason = reason
        }
    }
    public var appended: Int
    /// In order of index; empty in the usual case. All other samples of the batch were stored.
    public var rejections: [Rejection]
    public init(appended: Int = 0, rejections: [Rejection] = []) {
        self.appended = appended
        self.rejections = rejections
    }
}

/// Why nothing of a batch, or no series, was stored.
public enum AppendError: Error, Equatable, Sendable {
    /// A limit of the store was reached; the text names it and the flag that moves it.
    case limit(String)
    /// The store is closed or its log cannot be written.
    case unavailable(String)
}

/// The side of a database that takes samples. Calls may come from several threads.
public protocol SampleStore: AnyObject, Sendable {
    /// The ref of the series with these labels, made when it is new. The result is safe to keep; see `unknownSeries`.
    func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef
    /// Stores the batch: all samples that are in order become visible to queries at once.
    func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome
    /// The labels of a series, or nil when the ref is unknown.
    func labels(of ref: SeriesRef) -> LabelSet?
}
