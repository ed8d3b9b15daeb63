import ApusMetrics
import ApusTSDB

/// What the head holds and has done, read at each scrape.
func collectHead(_ statistics: HeadStatistics, into sink: inout MetricSink) {
    sink.gauge("prometheus_tsdb_head_series", help: "Total number of series in the head block.", Double(statistics.numSeries))
    sink.gauge("prometheus_tsdb_head_chunks", help: "Total number of chunks in the head block.", Double(statistics.numChunks))
    sink.counter(
        "prometheus_tsdb_head_chunks_created_total", help: "Total number of chunks created in the head.",
        Double(statistics.chunksCreated))
    sink.counter(
        "prometheus_tsdb_head_chunks_removed_total", help: "Total number of chunks removed in the head.",
        Double(statistics.chunksRemoved))
    sink.counter(
        "prometheus_tsdb_head_samples_appended_total", help: "Total number of appended samples.",
        Double(statistics.samplesAppended),
        labels: [("type", "float")])
    sink.counter(
        "prometheus_tsdb_head_series_created_total", help: "Total number of series created in the head.",
        Double(statistics.seriesCreated))
    sink.counter(
        "apus_tsdb_head_series_refused_total",
        help: "How often a new series was refused because of --storage.head.max-series or --memory.limit.",
        Double(statistics.seriesRefused))
    sink.counter(
        "prometheus_tsdb_head_series_removed_total", help: "Total number of series removed in the head.",
        Double(statistics.seriesRemoved))
    sink.gauge(
        "prometheus_tsdb_head_stale_series", help: "Number of stale series in the head block.", Double(statistics.staleSeries))
    sink.gauge(
        "prometheus_tsdb_head_active_appenders", help: "Number of currently active appender transactions.",
        Double(statistics.activeAppenders))
    sink.family(
        "prometheus_tsdb_head_gc_duration_seconds", help: "Runtime of garbage collection in the head block.", type: .summary
    ) { $0.summary(quantiles: [], sum: statistics.collectionSeconds, count: statistics.collections) }
    let (oldest, newest) = (Double(statistics.minTimeMs), Double(statistics.maxTimeMs))
    sink.gauge("prometheus_tsdb_head_min_time", help: "Minimum time bound of the head block, in milliseconds.", oldest)
    sink.gauge("prometheus_tsdb_head_max_time", help: "Maximum timestamp of the head block, in milliseconds.", newest)
    sink.gauge(
        "prometheus_tsdb_head_min_time_seconds", help: "Minimum time bound of the head block.", (oldest / 1000).rounded(.down))
    sink.gauge(
        "prometheus_tsdb_head_max_time_seconds", help: "Maximum timestamp of the head block.", (newest / 1000).rounded(.down))
    sink.counter(
        "prometheus_tsdb_out_of_order_samples_total", help: "Total number of out of order samples ingestion failed attempts.",
        Double(statistics.outOfOrder), labels: [("type", "float")])
    sink.counter(
        "prometheus_tsdb_out_of_bound_samples_total", help: "Total number of out of bound samples ingestion failed attempts.",
        Double(statistics.outOfBounds), labels: [("type", "float")])
    sink.gauge("prometheus_tsdb_head_active_readers", help: "Queries that read the head now.", Double(statistics.activeReaders))

    let memory = statistics.memory
    sink.family("apus_tsdb_head_memory_bytes", help: "Memory of the head, by what it is used for.", type: .gauge) { family in
        for (part, bytes) in [
            ("symbols", memory.symbols), ("label_pairs", memory.labelPairs), ("label_sets", memory.labelSets),
            ("series", memory.series),
            ("series_table", memory.seriesTable), ("postings", memory.postings), ("open_chunks", memory.openChunks),
            ("sealed_chunks", memory.sealedChunks), ("slack", memory.slack), ("limbo", memory.limbo),
        ] {
            family.sample(Double(bytes), labels: [("part", part)])
        }
    }
}
