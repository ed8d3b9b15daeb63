public import ApusModel
public import ApusStorage

/// A place in a log: what was appended before it is at lower positions.
public struct LogPosition: Hashable, Comparable, Sendable {
    public let segment: Int
    /// Within the segment; bytes for a log on disk, entries for one in memory.
    public let offset: Int
    public init(segment: Int, offset: Int) {
        self.segment = segment
        self.offset = offset
    }
    public static func < (left: LogPosition, right: LogPosition) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// A series and its labels, as a log remembers them.
public struct SeriesRecord: Sendable, Equatable {
    public let ref: SeriesRef
    public let labels: LabelSet
    public init(ref: SeriesRef, labels: LabelSet) {
        self.ref = ref
        self.labels = labels
    }
}

/// What makes a head durable: it is told of everything before the head applies it, and by refusing stops the head.
///
/// Called under the head's lock, in the order in which the head changes: it must not call back, and it should return
/// when the record has reached the kernel.
public protocol CommitLog: AnyObject, Sendable {
    /// New series; called before their first sample.
    func append(series: [SeriesRecord]) throws(AppendError) -> LogPosition
    /// What of one batch the head will store: samples, histograms, exemplars, metadata. A batch may repeat a series and
    /// timestamp: the first wins.
    func append(samples: borrowing SampleBatch) throws(AppendError) -> LogPosition
    /// Deletes; called before samples go.
    func append(tombstones: [TombstoneRecord]) throws(AppendError) -> LogPosition
    /// The segment that is written now.
    var lastSegment: Int { get }
}

extension CommitLog {
    public var lastSegment: Int { 0 }
}
