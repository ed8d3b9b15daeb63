public import ApusBytes
public import ApusModel

/// A metric family as it stood at one moment: what a registry hands to writers, tests and stores.
public struct FamilySnapshot: Sendable, Equatable {
    /// As it was declared: a counter's with its `_total`.
    public var name: ByteString
    public var help: ByteString
    /// Empty for none; else the name ends with it, before `_total`.
    public var unit: ByteString
    public var type: MetricType
    /// In the order to write them.
    public var points: [MetricPoint]

    public init(name: ByteString, help: ByteString = "", unit: ByteString = "", type: MetricType, points: [MetricPoint] = []) {
        self.name = name
        self.help = help
        self.unit = unit
        self.type = type
        self.points = points
    }
}

/// One metric of a family, and what it said.
public struct MetricPoint: Sendable, Equatable {
    /// In the order to write them; names unique.
    public var labels: [Label]
    public var value: PointValue
    /// Milliseconds since the epoch, for values that were measured elsewhere and earlier; nil for now.
    public var timestampMs: Int64?
    /// When counting began, in milliseconds since the epoch; nil for unknown.
    public var createdMs: Int64?

    public init(labels: [Label] = [], value: PointValue, timestampMs: Int64? = nil, createdMs: Int64? = nil) {
        self.labels = labels
        self.value = value
        self.timestampMs = timestampMs
        self.createdMs = createdMs
    }
}

/// What a metric says, by the kind of its family.
public enum PointValue: Sendable, Equatable {
    /// Of a counter, a gauge, an unknown or an info.
    case number(Double, exemplar: Exemplar? = nil)
    /// Of a state set: each state, and whether it is on.
    case states([State])
    /// Of a histogram or a gauge histogram.
    case histogram(HistogramPoint)
    case summary(SummaryPoint)

    public struct State: Sendable, Equatable {
        public var name: ByteString
        public var isOn: Bool
        public init(name: ByteString, isOn: Bool) {
            self.name = name
            self.isOn = isOn
        }
    }

    /// Values by their bits, so that NaN equals itself.
    public static func == (left: PointValue, right: PointValue) -> Bool {
        switch (left, right) {
        case (.number(let a, let x), .number(let b, let y)): a.bitPattern == b.bitPattern && x == y
        case (.states(let a), .states(let b)): a == b
        case (.histogram(let a), .histogram(let b)): a == b
        case (.summary(let a), .summary(let b)): a == b
        default: false
        }
    }
}

/// The state of one histogram: classic buckets, native ones, or both.
public struct HistogramPoint: Sendable, Equatable {
    /// Upper bounds, included, ascending and finite; the bucket up to +Inf is not listed.
    public var upperBounds: [Double]
    /// One more than bounds, not cumulative; empty when there are no classic buckets.
    public var counts: [UInt64]
    public var count: UInt64
    public var sum: Double
    /// The same observations in exponential buckets.
    public var native: NativeHistogram?
    /// For each of `counts` the observation that stands for it; or empty.
    public var exemplars: [Exemplar?]
    /// Observations that stand for the native buckets, oldest first.
    public var nativeExemplars: [Exemplar]

    public init(
        upperBounds: [Double], counts: [UInt64], sum: Double, native: NativeHistogram? = nil, exemplars: [Exemplar?] = [],
        nativeExemplars: [Exemplar] = []
    ) {
        self.upperBounds = upperBounds
        self.counts = counts
        self.sum = sum
        self.native = native
        self.exemplars = exemplars
        self.nativeExemplars = nativeExemplars
        count = counts.isEmpty ? native.map(\.countWord) ?? 0 : counts.reduce(0, &+)
    }

    public var hasClassicBuckets: Bool { !counts.isEmpty }

    /// What a store that keeps whole histograms takes: the exponential buckets where there are some, else the classic
    /// ones as a histogram of custom bounds.
    public var nativeHistogram: NativeHistogram? {
        if let native { return native }
        guard counts.count == upperBounds.count + 1 else { return nil }
        let span = HistogramSpan(offset: 0, length: UInt32(truncatingIfNeeded: counts.count))
        let layout = HistogramLayout(schema: HistogramLayout.customSchema, positiveSpans: [span], customBounds: upperBounds)
        return try? NativeHistogram(layout: layout, count: count, sum: sum, positive: counts).compacted()
    }
}

/// The state of one summary.
public struct SummaryPoint: Sendable, Equatable {
    public struct Quantile: Sendable {
        /// 0 to 1.
        public var rank: Double
        /// NaN when nothing was observed lately.
        public var value: Double
        public init(rank: Double, value: Double) {
            self.rank = rank
            self.value = value
        }
    }
    public var quantiles: [Quantile]
    public var sum: Double
    public var count: UInt64

    public init(quantiles: [Quantile] = [], sum: Double, count: UInt64) {
        self.quantiles = quantiles
        self.sum = sum
        self.count = count
    }
}

extension SummaryPoint.Quantile: Equatable {
    public static func == (left: Self, right: Self) -> Bool { left.rank == right.rank && left.value.bitPattern == right.value.bitPattern }
}
