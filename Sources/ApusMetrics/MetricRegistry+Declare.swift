import ApusExposition
import ApusModel

// The declarations. Each kind comes twice: without labels it returns the one series, with labels the family.
//
// What the parameters of all of them mean:
//
// - `unit`: what values are in; the name must end with it (before `_total`). OpenMetrics and protobuf pages say it.
// - `constantLabels`: labels of each of its series; prefer the labels that the server gives a target.
// - `seriesLimit`: how many series the family may have; see `MetricFamily`.
// - `expiresAfterMs`: a series that nobody updated or asked for this long is shown no more, as if it had been removed. It is
//   looked for at scrapes, so that it goes at the first one afterwards.
extension MetricRegistry {
    // MARK: Counters

    /// A counter. By custom its name ends in `_total`.
    public func counter(_ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:])
        throws(MetricError) -> Counter
    {
        try labelled(name, help, unit, .counter, constantLabels) { Counter($0) }()
    }

    /// A counter with labels.
    public func counter<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        expiresAfterMs: Int64? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> CounterFamily<repeat each Value> {
        try labelled(
            name, help, unit, .counter, constantLabels, limit: seriesLimit, expiresAfterMs: expiresAfterMs, labels: repeat each labels
        ) { Counter($0) }
    }

    /// A counter whose value is read at every scrape. It must never go down; a negative one is left out and counted in
    /// `faults`.
    public func counter(
        _ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:],
        read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        try callback(name, help, unit, .counter, constantLabels, read)
    }

    // MARK: Gauges

    public func gauge(_ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:])
        throws(MetricError) -> Gauge
    {
        try labelled(name, help, unit, .gauge, constantLabels) { Gauge($0) }()
    }

    /// A gauge with labels.
    public func gauge<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        expiresAfterMs: Int64? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> GaugeFamily<repeat each Value> {
        try labelled(
            name, help, unit, .gauge, constantLabels, limit: seriesLimit, expiresAfterMs: expiresAfterMs, labels: repeat each labels
        ) { Gauge($0) }
    }

    /// A gauge whose value is read at every scrape.
    public func gauge(
        _ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:],
        read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        try callback(name, help, unit, .gauge, constantLabels, read)
    }

    // MARK: Values of unknown type

    /// A value of which nobody says whether it counts or measures, such as one taken from another system.
    public func unknown(_ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:])
        throws(MetricError) -> Gauge
    {
        try labelled(name, help, unit, .unknown, constantLabels) { Gauge($0) }()
    }

    /// Values of unknown type, with labels.
    public func unknown<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        expiresAfterMs: Int64? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> GaugeFamily<repeat each Value> {
        try labelled(
            name, help, unit, .unknown, constantLabels, limit: seriesLimit, expiresAfterMs: expiresAfterMs, labels: repeat each labels
        ) { Gauge($0) }
    }

    // MARK: Infos and states

    /// Facts as labels of a value that is always 1: `build_info{version="1.4"} 1`. Its name ends in `_info` by custom.
    public func info(_ name: String, help: String, _ facts: KeyValuePairs<String, String>) throws(MetricError) {
        try labelled(name, help, "", .info, facts) { Gauge($0) }().set(1)
    }

    /// Facts that become known, or change, while the program runs: `family("1.4").set(1)` shows them, `remove` and `removeAll`
    /// take them back.
    public func info<each Value: LabelValue>(
        _ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> GaugeFamily<repeat each Value> {
        try labelled(name, help, "", .info, constantLabels, limit: seriesLimit, labels: repeat each labels) { Gauge($0) }
    }

    /// Which states are on; see `StateSet`.
    public func stateSet<State: LabelValue & CaseIterable & Hashable>(
        _ name: String, help: String, of states: State.Type = State.self, constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> StateSet<State> {
        let shape = StateSetShape<State>()
        return try labelled(name, help, "", .stateset, constantLabels, .states(shape.names)) { StateSet($0, shape: shape) }()
    }

    /// Which states are on, with labels.
    public func stateSet<State: LabelValue & CaseIterable & Hashable, each Value: LabelValue>(
        _ name: String, help: String, of states: State.Type = State.self, constantLabels: KeyValuePairs<String, String> = [:],
        seriesLimit: Int? = nil, expiresAfterMs: Int64? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> MetricFamily<StateSet<State>, repeat each Value> {
        let shape = StateSetShape<State>()
        return try labelled(
            name, help, "", .stateset, constantLabels, .states(shape.names), limit: seriesLimit, expiresAfterMs: expiresAfterMs,
            labels: repeat each labels
        ) { StateSet($0, shape: shape) }
    }

    // MARK: Histograms

    /// A histogram; the buckets suit seconds of request time unless given. With `native` it has exponential buckets beside
    /// them, or, with `buckets: .none`, only those.
    public func histogram(
        _ name: String, help: String, unit: String = "", buckets: Buckets = .requestSeconds, native: NativeBuckets? = nil,
        constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> Histogram {
        let shape = HistogramShape(buckets, native: native)
        return try labelled(name, help, unit, .histogram, constantLabels, .histogram(buckets, native)) {
            Histogram($0, shape: shape)
        }()
    }

    /// A histogram with labels. Each of its series is as many as it has buckets, and three.
    public func histogram<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", buckets: Buckets = .requestSeconds, native: NativeBuckets? = nil,
        constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil, expiresAfterMs: Int64? = nil,
        labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> HistogramFamily<repeat each Value> {
        let shape = HistogramShape(buckets, native: native)
        return try labelled(
            name, help, unit, .histogram, constantLabels, .histogram(buckets, native), limit: seriesLimit,
            expiresAfterMs: expiresAfterMs, labels: repeat each labels
        ) { Histogram($0, shape: shape) }
    }

    /// A histogram of values that go as well as come; see `GaugeHistogram`.
    public func gaugeHistogram(
        _ name: String, help: String, unit: String = "", buckets: Buckets, constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> GaugeHistogram {
        let shape = HistogramShape(buckets, native: nil)
        return try labelled(name, help, unit, .gaugehistogram, constantLabels, .histogram(buckets, nil)) {
            GaugeHistogram($0, shape: shape)
        }()
    }

    /// A gauge histogram with labels.
    public func gaugeHistogram<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", buckets: Buckets, constantLabels: KeyValuePairs<String, String> = [:],
        seriesLimit: Int? = nil, expiresAfterMs: Int64? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> MetricFamily<GaugeHistogram, repeat each Value> {
        let shape = HistogramShape(buckets, native: nil)
        return try labelled(
            name, help, unit, .gaugehistogram, constantLabels, .histogram(buckets, nil), limit: seriesLimit,
            expiresAfterMs: expiresAfterMs, labels: repeat each labels
        ) { GaugeHistogram($0, shape: shape) }
    }

    // MARK: Summaries

    /// A summary: the given quantiles of the last `windowMs` milliseconds.
    public func summary(
        _ name: String, help: String, unit: String = "", quantiles: [Quantile], windowMs: Int64 = 600_000,
        constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> Summary {
        let shape = SummaryShape(quantiles: quantiles, windowMs: windowMs)
        return try labelled(name, help, unit, .summary, constantLabels, .summary(shape)) { Summary($0, shape: shape) }()
    }

    /// A summary with labels.
    public func summary<each Value: LabelValue>(
        _ name: String, help: String, unit: String = "", quantiles: [Quantile], windowMs: Int64 = 600_000,
        constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil, expiresAfterMs: Int64? = nil,
        labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> SummaryFamily<repeat each Value> {
        let shape = SummaryShape(quantiles: quantiles, windowMs: windowMs)
        return try labelled(
            name, help, unit, .summary, constantLabels, .summary(shape), limit: seriesLimit, expiresAfterMs: expiresAfterMs,
            labels: repeat each labels
        ) { Summary($0, shape: shape) }
    }

    // MARK: -

    private func labelled<Metric: Instrument, each Value: LabelValue>(
        _ name: String, _ help: String, _ unit: String, _ type: MetricType, _ constantLabels: KeyValuePairs<String, String>,
        _ shape: FamilyDescriptor.Shape = .single, limit: Int? = nil, expiresAfterMs: Int64? = nil,
        labels: repeat LabelKey<each Value>, make: @escaping @Sendable (InstrumentSeed) -> Metric
    ) throws(MetricError) -> MetricFamily<Metric, repeat each Value> {
        var labelNames: [String] = []
        var labelTypes: [ObjectIdentifier] = []
        for label in repeat each labels { labelNames.append(label.name) }
        for type in repeat (each Value).self { labelTypes.append(ObjectIdentifier(type)) }
        let descriptor = try describe(
            name, help: help, unit: unit, type: type, labelNames: labelNames, labelTypes: labelTypes, constantLabels: constantLabels,
            shape: shape, expiresAfterMs: expiresAfterMs)
        return MetricFamily(core: try familyCore(descriptor, limit: limit, make))
    }

    private func callback(
        _ name: String, _ help: String, _ unit: String, _ type: MetricType, _ constantLabels: KeyValuePairs<String, String>,
        _ read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        let descriptor = try describe(name, help: help, unit: unit, type: type, constantLabels: constantLabels)
        // A second source for one series would silently win or lose: not the same declaration, even if it looks the same.
        let made = Locked(false)
        let context = context
        _ = try core.declare(descriptor, as: CallbackFamily.self) { descriptor in
            made.withLock { $0 = true }
            return CallbackFamily(descriptor, context: context, read: read)
        }
        guard made.withLock({ $0 }) else {
            throw .declaredDifferently(descriptor.name.description, difference: "source of values")
        }
    }
}
