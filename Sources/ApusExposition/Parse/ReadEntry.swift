import ApusBytes
public import ApusModel

/// Reads a page entry by entry.
protocol EntryReader {
    /// The next entry, or nil at the end of the page.
    mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> ReadEntry?
    /// Sets the labels of a sample that `next` returned, before the next call: `__name__` first.
    func read(_ labels: inout PageLabels, _ page: Span<UInt8>, suffix: String, extra: (name: ByteString, bound: Double)?)
}

/// One entry of a page that is not read line by line against what was expected: of a protobuf page, or of a text page whose
/// lines must be put together first.
enum ReadEntry {
    case help(ByteString, ByteString)
    case type(ByteString, MetricType)
    case unit(ByteString, ByteString)
    case sample(ReadSample)
}

/// What becomes of histograms where a format carries both kinds.
struct HistogramReading {
    /// Native ones are not wanted: the classic buckets beside them are read.
    var ignoresNative = false
    /// Classic buckets are read although there is a native histogram.
    var keepsClassic = false
    /// Classic histograms become native ones with custom bounds.
    var convertsClassic = false
}

/// One sample with what belongs to it.
struct ReadSample {
    enum Value {
        case float(Double)
        case histogram(NativeHistogram)
    }
    /// Names the series from page to page: a keyed hash of the bytes that its labels are made of.
    var identity: UInt64
    var labels: LabelSource
    var value: Value
    /// Where the page gives one.
    var timestampMs: Int64?
    /// When its counting began; 0 for unknown.
    var startTimestampMs: Int64 = 0
    var exemplars: [ReadExemplar] = []

    /// Labels are made only for a series that is met for the first time.
    enum LabelSource {
        case made([Label])
        /// Of the metric that was read last: its name with a suffix, and perhaps a bound.
        case metric(suffix: String, extra: (name: ByteString, bound: Double)?)
    }
}

/// One observation singled out, as a page tells it.
public struct ReadExemplar: Sendable {
    public var labels: [Label]
    public var value: Double
    public var timestampMs: Int64?
}
