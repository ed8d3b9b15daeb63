public import ApusModel

/// The number a store gave a series: grows only, stays below 2⁴⁰, and is never given to another series.
public struct SeriesRef: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public static func < (left: SeriesRef, right: SeriesRef) -> Bool { left.rawValue < right.rawValue }
}

/// One scrape's samples in columns: what is appended together, and becomes visible together.
///
/// The three columns of floats have equal length, and `startTimestampsMs` has it too or is empty. Beside them, and empty in
/// most batches, lie native histograms, exemplars and metadata. Floats are stored first: a writer that has a float and an
/// older histogram of one series sends two batches. Reuse a batch from scrape to scrape: `removeAll` keeps its memory.
public struct SampleBatch: Sendable {
    /// One native histogram of one series.
    public struct HistogramSample: Sendable, Equatable {
        public var ref: SeriesRef
        public var timestampMs: Int64
        /// When its counting began, ms; 0 for unknown.
        public var startTimestampMs: Int64
        public var histogram: NativeHistogram
        public init(ref: SeriesRef, timestampMs: Int64, startTimestampMs: Int64 = 0, histogram: NativeHistogram) {
            self.ref = ref
            self.timestampMs = timestampMs
            self.startTimestampMs = startTimestampMs
            self.histogram = histogram
        }
    }
    public struct ExemplarSample: Sendable, Equatable {
        public var ref: SeriesRef
        public var exemplar: Exemplar
        public init(ref: SeriesRef, exemplar: Exemplar) {
            self.ref = ref
            self.exemplar = exemplar
        }
    }
    /// What a target said of the family that a series belongs to.
    public struct SeriesMetadata: Sendable, Equatable {
        public var ref: SeriesRef
        public var metadata: MetricMetadata
        public init(ref: SeriesRef, metadata: MetricMetadata) {
            self.ref = ref
            self.metadata = metadata
        }
    }

    public var refs: [SeriesRef] = []
    public var timestampsMs: [Int64] = []
    public var values: [Double] = []
    /// When the counting of each float began, ms, 0 for unknown; empty when it is unknown of all.
    public var startTimestampsMs: [Int64] = []
    public var histograms: [HistogramSample] = []
    public var exemplars: [ExemplarSample] = []
    public var metadata: [SeriesMetadata] = []
    /// Whether samples out of order are refused even by a store that has a window for them: staleness markers of a target
    /// that went away, which may have come back under another scrape meanwhile.
    public var refusesOutOfOrder = false

    public init() {}
    /// Floats.
    @inlinable public var count: Int { refs.count }
    /// Whether there is nothing at all in it.
    @inlinable public var isEmpty: Bool { refs.isEmpty && histograms.isEmpty && exemplars.isEmpty && metadata.isEmpty }

    @inlinable public mutating func append(_ ref: SeriesRef, timestampMs: Int64, value: Double) {
        refs.append(ref)
        timestampsMs.append(timestampMs)
        values.append(value)
        if !startTimestampsMs.isEmpty { startTimestampsMs.append(0) }
    }
    public mutating func append(_ ref: SeriesRef, timestampMs: Int64, value: Double, startTimestampMs: Int64) {
        if startTimestampMs != 0 && startTimestampsMs.isEmpty {
            startTimestampsMs.append(contentsOf: repeatElement(0, count: refs.count))
            // `append` below takes a column without elements for a column that is not there.
            refs.append(ref)
            timestampsMs.append(timestampMs)
            values.append(value)
            startTimestampsMs.append(startTimestampMs)
            return
        }
        append(ref, timestampMs: timestampMs, value: value)
        if !startTimestampsMs.isEmpty { startTimestampsMs[startTimestampsMs.count - 1] = startTimestampMs }
    }
    public mutating func append(_ ref: SeriesRef, timestampMs: Int64, histogram: NativeHistogram, startTimestampMs: Int64 = 0) {
        histograms.append(
            HistogramSample(ref: ref, timestampMs: timestampMs, startTimestampMs: startTimestampMs, histogram: histogram))
    }
    /// Whether any sample has a start timestamp.
    public var hasStartTimestamps: Bool { !startTimestampsMs.isEmpty || histograms.contains { $0.startTimestampMs != 0 } }

    public mutating func removeStartTimestamps() {
        startTimestampsMs.removeAll(keepingCapacity: true)
        for index in histograms.indices { histograms[index].startTimestampMs = 0 }
    }

    public mutating func append(_ ref: SeriesRef, exemplar: Exemplar) { exemplars.append(ExemplarSample(ref: ref, exemplar: exemplar)) }
    public mutating func append(_ ref: SeriesRef, metadata: MetricMetadata) {
        self.metadata.append(SeriesMetadata(ref: ref, metadata: metadata))
    }

    public mutating func removeAll() {
        refs.removeAll(keepingCapacity: true)
        timestampsMs.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        startTimestampsMs.removeAll(keepingCapacity: true)
        histograms.removeAll(keepingCapacity: true)
        exemplars.removeAll(keepingCapacity: true)
        metadata.removeAll(keepingCapacity: true)
        refusesOutOfOrder = false
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
        /// Out of order, and older than the out-of-order window.
        case tooOld
        /// The ref is not, or no longer, one of the store's: resolve the labels again and append again.
        case unknownSeries
        /// A native histogram that makes no sense; the text says why.
        case invalidHistogram(String)
        /// An exemplar that is not newer than the newest of its series.
        case outOfOrderExemplar
        /// The newest exemplar of its series once more: dropped, and no error to anyone but statistics.
        case duplicateExemplar
        /// An exemplar whose labels are longer than `Exemplar.maxLabelCharacters`.
        case exemplarLabelsTooLong
    }
    /// The part of a batch that an index counts in.
    public enum Part: UInt8, Sendable, Hashable { case float, histogram, exemplar, metadata }
    public struct Rejection: Sendable, Hashable {
        /// Index into the batch's floats, or into the part named.
        public let index: Int
        public let part: Part
        public let reason: Reason
        public init(index: Int, part: Part = .float, reason: Reason) {
            self.index = index
            self.part = part
            self.reason = reason
        }
    }
    /// Floats and histograms.
    public var appended: Int
    public var exemplarsAppended = 0
    /// In order of part and index; empty in the usual case. All others of the batch were stored.
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
    /// Whether an append may have to wait just now, for the disk or for maintenance. A hint for who has other work.
    var mayStall: Bool { get }
}

extension SampleStore {
    public var mayStall: Bool { false }
}
