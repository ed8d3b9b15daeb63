public import ApusBytes
public import ApusModel

/// Why a read failed: the files or the network, never the query.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What the reader will do with the series, so that a storage can skip work. Ignoring a hint is always right.
public struct SelectHints: Sendable {
    /// The samples wanted lie in `[startMs, endMs]`, both ends included.
    public var startMs: Int64
    public var endMs: Int64
    public var stepMs: Int64 = 0
    /// The range of the selector in ms, 0 for an instant selector.
    public var rangeMs: Int64 = 0
    /// The function or aggregation the selector is an argument of, or "". `"series"`: labels are wanted, samples are not.
    public var function = ""
    public var grouping: [ByteString] = []
    public var by = false
    /// 0 for no limit.
    public var limit = 0
    public init(startMs: Int64, endMs: Int64) {
        self.startMs = startMs
        self.endMs = endMs
    }
}

/// A storage that can be read.
public protocol Queryable: Sendable {
    /// A consistent view of `[minTimeMs, maxTimeMs]`, both ends included. Close it when done: it holds back truncation.
    func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier
}

/// One consistent view of a storage. Safe to use from several threads.
public protocol Querier: AnyObject, Sendable {
    /// The series that match all `matchers` and may have samples in the hinted time.
    /// - Parameter sorted: whether the set must be in order of labels; sorting costs.
    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet
    /// Sorted, unique. `limit` 0 for all; one more than `limit` may be returned, so that the caller sees the truncation.
    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString]
    /// Sorted, unique. `limit` as above.
    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString]
    /// Call once. Sets made by `select` are not to be used afterwards.
    func close()
}

/// Some series of a querier, numbered from 0. Any number of threads may decode, each into columns of its own.
public protocol SeriesSet: AnyObject, Sendable {
    var count: Int { get }
    func labels(at index: Int) -> LabelSet
    /// Reads labels cut to `names`, for a caller that looks at no others: an aggregation by few labels need not have those
    /// of a thousand series put together.
    func labelReader(keeping names: [ByteString]) -> any LabelReader
    /// Appends to `columns` the samples of series `index` in `[minTimeMs, maxTimeMs]`, both ends included, in order of
    /// time, staleness markers included. Duplicated timestamps do not occur.
    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError)
}

/// Gives labels of the series of one set, cut to those asked for. Used by one thread at a time.
///
/// Series with the same labels mostly get one and the same array, so that to compare them is to compare addresses.
public protocol LabelReader: AnyObject {
    func labels(at index: Int) -> LabelSet
}

extension SeriesSet {
    public func labelReader(keeping names: [ByteString]) -> any LabelReader { FilteringLabelReader(self, names) }
}

/// Cuts whole label sets.
private final class FilteringLabelReader: LabelReader {
    private let set: any SeriesSet
    private let names: [ByteString]

    init(_ set: any SeriesSet, _ names: [ByteString]) {
        self.set = set
        self.names = names
    }

    func labels(at index: Int) -> LabelSet { set.labels(at: index).filtered(names, keep: true) }
}
