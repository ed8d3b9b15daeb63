import ApusModel

// The declarations. Each kind comes twice: without labels it returns the one series, with labels the family.
extension MetricRegistry {
    // MARK: Counters

    /// A counter. By custom its name ends in `_total`.
    public func counter(_ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:]) throws(MetricError)
        -> Counter
    {
        try family(name, help, .counter, constantLabels, .single, nil, Counter.init)()
    }

    /// A counter with labels. `seriesLimit` bounds how many series it may have; see `MetricFamily`.
    public func counter<each Value: LabelValue>(
        _ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> CounterFamily<repeat each Value> {
        try family(name, help, .counter, constantLabels, .single, seriesLimit, Counter.init, repeat each labels)
    }

    /// A counter whose value is read at every scrape. It must never go down.
    public func counter(
        _ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:], read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        try callback(name, help, .counter, constantLabels, read)
    }

    // MARK: Gauges

    public func gauge(_ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:]) throws(MetricError)
        -> Gauge
    {
        try family(name, help, .gauge, constantLabels, .single, nil, Gauge.init)()
    }

    /// A gauge with labels. `seriesLimit` bounds how many series it may have; see `MetricFamily`.
    public func gauge<each Value: LabelValue>(
        _ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:], seriesLimit: Int? = nil,
        labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> GaugeFamily<repeat each Value> {
        try family(name, help, .gauge, constantLabels, .single, seriesLimit, Gauge.init, repeat each labels)
    }

    /// A gauge whose value is read at every scrape.
    public func gauge(
        _ name: String, help: String, constantLabels: KeyValuePairs<String, String> = [:], read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        try callback(name, help, .gauge, constantLabels, read)
    }

    /// Facts as labels of a gauge that is always 1: `build_info{version="1.4"} 1`.
    public func info(_ name: String, help: String, _ facts: KeyValuePairs<String, String>) throws(MetricError) {
        try family(name, help, .gauge, facts, .single, nil, Gauge.init)().set(1)
    }

    // MARK: Histograms

    /// A histogram; the buckets suit seconds of request time unless given.
    public func histogram(
        _ name: String, help: String, buckets: Buckets = .requestSeconds, constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> Histogram {
        let text = HistogramText(buckets)
        return try family(name, help, .histogram, constantLabels, .histogram(buckets), nil) {
            Histogram(series: $0, faults: $1, text: text)
        }()
    }

    /// A histogram with labels. Each series is as many as it has buckets, and three.
    public func histogram<each Value: LabelValue>(
        _ name: String, help: String, buckets: Buckets = .requestSeconds, constantLabels: KeyValuePairs<String, String> = [:],
        seriesLimit: Int? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> HistogramFamily<repeat each Value> {
        let text = HistogramText(buckets)
        return try family(
            name, help, .histogram, constantLabels, .histogram(buckets), seriesLimit,
            { Histogram(series: $0, faults: $1, text: text) },
            repeat each labels)
    }

    // MARK: Summaries

    /// A summary: the given quantiles of the last `windowMs` milliseconds.
    public func summary(
        _ name: String, help: String, quantiles: [Quantile], windowMs: Int64 = 600_000,
        constantLabels: KeyValuePairs<String, String> = [:]
    ) throws(MetricError) -> Summary {
        let shape = FamilyDescriptor.Shape.summary(quantiles, windowMs: windowMs)
        return try family(name, help, .summary, constantLabels, shape, nil, summaryMaker(quantiles, windowMs))()
    }

    /// A summary with labels.
    public func summary<each Value: LabelValue>(
        _ name: String, help: String, quantiles: [Quantile], windowMs: Int64 = 600_000,
        constantLabels: KeyValuePairs<String, String> = [:],
        seriesLimit: Int? = nil, labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> SummaryFamily<repeat each Value> {
        let shape = FamilyDescriptor.Shape.summary(quantiles, windowMs: windowMs)
        return try family(
            name, help, .summary, constantLabels, shape, seriesLimit, summaryMaker(quantiles, windowMs), repeat each labels)
    }

    // MARK: -

    private func summaryMaker(_ quantiles: [Quantile], _ windowMs: Int64) -> @Sendable (SeriesText, UpdateFaults) -> Summary {
        let text = SummaryText(quantiles, windowMs: windowMs)
        return { [time] in Summary(series: $0, faults: $1, text: text, time: time) }
    }

    private func family<Metric: Instrument, each Value: LabelValue>(
        _ name: String, _ help: String, _ type: MetricType, _ constantLabels: KeyValuePairs<String, String>,
        _ shape: FamilyDescriptor.Shape,
        _ limit: Int?, _ make: @escaping @Sendable (SeriesText, UpdateFaults) -> Metric, _ labels: repeat LabelKey<each Value>
    ) throws(MetricError) -> MetricFamily<Metric, repeat each Value> {
        var labelNames: [String] = []
        var labelTypes: [ObjectIdentifier] = []
        for label in repeat each labels { labelNames.append(label.name) }
        for type in repeat (each Value).self { labelTypes.append(ObjectIdentifier(type)) }
        let descriptor = try describe(
            name, help: help, type: type, labelNames: labelNames, labelTypes: labelTypes, constantLabels: constantLabels,
            shape: shape)
        let faults = faults
        let core = try declare(descriptor, as: FamilyCore.self) { descriptor in
            FamilyCore(descriptor, limit: max(1, limit ?? seriesLimit), faults: faults) { make($0, faults) }
        }
        return MetricFamily(core: core)
    }

    private func callback(
        _ name: String, _ help: String, _ type: MetricType, _ constantLabels: KeyValuePairs<String, String>,
        _ read: @escaping @Sendable () -> Double
    ) throws(MetricError) {
        let descriptor = try describe(name, help: help, type: type, constantLabels: constantLabels)
        // A second source for one series would silently win or lose: not the same declaration, even if it looks the same.
        let made = Locked(false)
        _ = try declare(descriptor, as: CallbackFamily.self) { descriptor in
            made.withLock { $0 = true }
            return CallbackFamily(descriptor, read: read)
        }
        guard made.withLock({ $0 }) else { throw .declaredDifferently(name, difference: "source of values") }
    }
}
