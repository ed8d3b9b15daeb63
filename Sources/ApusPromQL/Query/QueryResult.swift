public import ApusBytes
public import ApusModel

/// The answer to a query, safe to keep and to pass on.
public struct QueryResult: Sendable {
    public var value: QueryValue
    /// `PromQL warning: … (line:column)`, in order of text, each once: the result may not be what was meant.
    public var warnings: [String]
    /// `PromQL info: …`: a hint that the query may be better written.
    public var infos: [String]
    public var statistics: QueryStatistics
    /// Set when the query asked for one.
    public var explanation: QueryExplanation?

    public init(
        value: QueryValue, warnings: [String] = [], infos: [String] = [], statistics: QueryStatistics = QueryStatistics()
    ) {
        self.value = value
        self.warnings = warnings
        self.infos = infos
        self.statistics = statistics
    }
}

public enum QueryValue: Sendable {
    case scalar(timestampMs: Int64, value: Double)
    case string(timestampMs: Int64, ByteString)
    /// In no order that means something, unless the query ends in `sort`, `topk` and the like.
    case vector([VectorSample])
    /// In order of labels.
    case matrix([MatrixSeries])
}

/// One series at one moment: a float or a native histogram.
public struct VectorSample: Sendable {
    public var labels: LabelSet
    public var timestampMs: Int64
    /// Meaningless when there is a histogram.
    public var value: Double
    public var histogram: FloatHistogram?

    public init(labels: LabelSet, timestampMs: Int64, value: Double, histogram: FloatHistogram? = nil) {
        self.labels = labels
        self.timestampMs = timestampMs
        self.value = value
        self.histogram = histogram
    }
}

/// One series over time: floats in two columns, native histograms in two others, as the HTTP API answers. Of each two,
/// both have the same length and times ascend; no moment is in both.
public struct MatrixSeries: Sendable {
    public var labels: LabelSet
    public var timestampsMs: [Int64]
    public var values: [Double]
    public var histogramTimestampsMs: [Int64] = []
    public var histograms: [FloatHistogram] = []

    public init(labels: LabelSet, timestampsMs: [Int64], values: [Double]) {
        self.labels = labels
        self.timestampsMs = timestampsMs
        self.values = values
    }

    /// Floats and histograms.
    public var count: Int { values.count + histograms.count }
}
