public import ApusMetrics
import ApusModel
public import ApusScrape

/// How regularly targets are scraped, and how long it takes to work out which: give it to the scraper as its observer.
public struct ScrapeMetrics: ScrapeObserver {
    private let intervals: SummaryFamily<String>
    private let syncs: SummaryFamily<String>

    public init(_ registry: MetricRegistry) throws(MetricError) {
        let quantiles = [
            Quantile(0.01, error: 0.001), Quantile(0.05, error: 0.005), Quantile(0.5, error: 0.05), Quantile(0.9, error: 0.01),
            Quantile(0.99, error: 0.001),
        ]
        intervals = try registry.summary(
            "prometheus_target_interval_length_seconds", help: "Actual intervals between scrapes.", quantiles: quantiles,
            labels: LabelKey("interval", String.self))
        syncs = try registry.summary(
            "prometheus_target_sync_length_seconds", help: "Actual interval to sync the scrape pool.", quantiles: quantiles,
            labels: LabelKey("scrape_job", String.self))
    }

    public func observeInterval(_ interval: String, seconds: Double) { intervals(interval).observe(seconds) }
    public func observeSync(job: String, seconds: Double) { syncs(job).observe(seconds) }
}

/// What the scraper itself counts, read at each scrape.
func collectScrape(_ scrape: ScrapeManager, into sink: inout MetricSink) {
    let statistics = scrape.statistics()
    for (name, help, count) in [
        (
            "scrapes_exceeded_sample_limit_total", "Total number of scrapes that hit the sample limit and were rejected.",
            statistics.exceededSampleLimit
        ),
        (
            "scrapes_exceeded_body_size_limit_total", "Total number of scrapes that hit the body size limit.",
            statistics.exceededBodySizeLimit
        ),
        (
            "scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values.", statistics.duplicateTimestamp
        ),
        (
            "scrapes_sample_out_of_order_total", "Total number of samples rejected due to not being out of the expected order.",
            statistics.outOfOrder
        ),
        (
            "scrapes_sample_out_of_bounds_total",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.", statistics.outOfBounds
        ),
        (
            "scrapes_exemplar_out_of_order_total",
            "Total number of exemplar rejected due to not being out of the expected order.", statistics.outOfOrderExemplars
        ),
        (
            "scrapes_exceeded_native_histogram_bucket_limit_total",
            "Total number of scrapes that hit the native histogram bucket limit and were rejected.", statistics.exceededBucketLimit
        ),
        (
            "scrapes_cache_flush_forced_total",
            "How many times a scrape cache was flushed due to getting big while scrapes are failing.", statistics.cacheFlushForced
        ),
        (
            "scrape_pool_exceeded_target_limit_total",
            "Total number of times scrape pools hit the target limit, during sync or config reload.",
            statistics.exceededTargetLimit
        ),
        (
            "scrape_pool_exceeded_label_limits_total",
            "Total number of times scrape pools hit the label limits, during sync or config reload.",
            statistics.exceededLabelLimits
        ),
        ("scrape_pool_reloads_total", "Total number of scrape pool reloads.", statistics.poolReloads),
        ("scrape_pool_reloads_failed_total", "Total number of failed scrape pool reloads.", 0),
        ("scrape_pools_total", "Total number of scrape pool creation attempts.", UInt64(statistics.pools.count)),
        ("scrape_pools_failed_total", "Total number of scrape pool creations that failed.", 0),
    ] {
        sink.counter("prometheus_target_" + name, help: help, Double(count))
    }
    collectDiscovery(statistics, into: &sink)
    sink.counter("apus_scrapes_total", help: "Scrapes done.", Double(statistics.scrapes))
    sink.counter("apus_scrapes_failed_total", help: "Scrapes that failed.", Double(statistics.scrapesFailed))
    sink.counter("apus_scrape_samples_scraped_total", help: "Samples that targets exposed.", Double(statistics.samplesScraped))
    sink.counter(
        "apus_scrape_ticks_skipped_total", help: "Scrapes left out because the one before was still under way.",
        Double(statistics.skippedTicks))

    func each(_ name: String, _ help: String, type: MetricType = .gauge, _ value: (ScrapeStatistics.PoolStatistics) -> Double) {
        sink.family("prometheus_target_" + name, help: help, type: type) { family in
            for pool in statistics.pools { family.sample(value(pool), labels: [("scrape_job", pool.job)]) }
        }
    }
    each("scrape_pool_targets", "Current number of targets in this scrape pool.") { Double($0.targets) }
    each("scrape_pool_target_limit", "Maximum number of targets allowed in this scrape pool.") { Double($0.targetLimit) }
    each("scrape_pool_sync_total", "Total number of syncs that were executed on a scrape pool.", type: .counter) {
        Double($0.syncs)
    }
    each("sync_failed_total", "Total number of target sync failures.", type: .counter) { Double($0.syncsFailed) }
    each("metadata_cache_entries", "Total number of metric metadata entries in the cache") { Double($0.metadataEntries) }
    each("metadata_cache_bytes", "The number of bytes that are currently used for storing metric metadata in the cache") {
        Double($0.metadataBytes)
    }
}
