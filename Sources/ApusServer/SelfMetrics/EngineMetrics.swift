public import ApusMetrics
public import ApusPromQL

/// How long the parts of queries take: give it to the engine as its observer.
public struct EngineMetrics: QueryObserver {
    private let durations: [QuerySlice: Summary]
    private let histograms: [QuerySlice: Histogram]

    public init(_ registry: MetricRegistry) throws(MetricError) {
        let durations = try registry.summary(
            "prometheus_engine_query_duration_seconds", help: "Query timings.",
            quantiles: [Quantile(0.5, error: 0.05), Quantile(0.9, error: 0.01), Quantile(0.99, error: 0.001)],
            labels: LabelKey("slice", String.self))
        let histograms = try registry.histogram(
            "prometheus_engine_query_duration_histogram_seconds",
            help: "The duration of various parts of PromQL query execution.",
            buckets: [0.01, 0.1, 1, 10], labels: LabelKey("slice", String.self))
        self.durations = Dictionary(uniqueKeysWithValues: QuerySlice.allCases.map { ($0, durations($0.rawValue)) })
        self.histograms = Dictionary(uniqueKeysWithValues: QuerySlice.allCases.map { ($0, histograms($0.rawValue)) })
    }

    public func observe(slice: QuerySlice, seconds: Double) {
        durations[slice]?.observe(seconds)
        histograms[slice]?.observe(seconds)
    }
}

/// What the engine itself counts, read at each scrape.
func collectEngine(_ engine: QueryEngine, _ queries: QueryRegistry, into sink: inout MetricSink) {
    let statistics = engine.statistics()
    sink.gauge(
        "prometheus_engine_queries", help: "The current number of queries being executed or waiting.",
        Double(statistics.runningQueries + statistics.queuedQueries))
    sink.gauge(
        "prometheus_engine_queries_concurrent_max", help: "The max number of concurrent queries.",
        Double(statistics.maxConcurrency))
    sink.counter(
        "prometheus_engine_query_samples_total", help: "The total number of samples loaded by all queries.",
        Double(statistics.queryableSamples))
    sink.counter(
        "prometheus_engine_query_samples_read_total", help: "The total number of samples read from storage by all queries.",
        Double(statistics.samplesRead))
    let counts = queries.counts
    sink.gauge("prometheus_engine_query_log_enabled", help: "State of the query log.", counts.isLogEnabled ? 1 : 0)
    sink.counter(
        "prometheus_engine_query_log_failures_total", help: "The number of query log failures.", Double(counts.logFailures))
    sink.gauge("apus_engine_queries_queued", help: "Queries that wait for a thread.", Double(statistics.queuedQueries))
    sink.counter("apus_engine_queries_failed_total", help: "Queries that ended in an error.", Double(statistics.queriesFailed))
    sink.counter(
        "apus_engine_slow_queries_total", help: "Queries that took as long as --query.log-slow says, or longer.",
        Double(counts.slowQueries))
}
