import ApusMetrics
import ApusModel
import ApusScrape

/// `prometheus_sd_…`: what discovery does.
func collectDiscovery(_ statistics: ScrapeStatistics, into sink: inout MetricSink) {
    let discovery = statistics.discovery
    sink.family("prometheus_sd_discovered_targets", help: "Current number of discovered targets.", type: .gauge) { family in
        for pool in statistics.pools { family.sample(Double(pool.discovered), labels: [("config", pool.job), ("name", "scrape")]) }
    }
    sink.gauge(
        "prometheus_sd_failed_configs", help: "Current number of service discovery configurations that failed to load.", 0,
        labels: [("name", "scrape")])
    sink.counter(
        "prometheus_sd_received_updates_total", help: "Total number of update events received from the SD providers.",
        Double(discovery.receivedUpdates), labels: [("name", "scrape")])
    sink.counter(
        "prometheus_sd_updates_total", help: "Total number of update events sent to the SD consumers.", Double(discovery.updates),
        labels: [("name", "scrape")])
    sink.counter(
        "prometheus_sd_updates_delayed_total",
        help: "Total number of update events that couldn't be sent immediately.", Double(discovery.delayedUpdates), labels: [("name", "scrape")])
    sink.family("prometheus_sd_refresh_failures_total", help: "Number of refresh failures for the given SD mechanism.", type: .counter) { family in
        for (mechanism, count) in discovery.refreshFailures.sorted(by: { $0.key < $1.key }) {
            family.sample(Double(count), labels: [("mechanism", mechanism)])
        }
    }
    sink.counter(
        "prometheus_sd_file_read_errors_total", help: "The number of File-SD read errors.", Double(discovery.fileReadErrors))
    sink.counter("prometheus_sd_http_failures_total", help: "Number of HTTP service discovery refresh failures.", Double(discovery.httpFailures))
    sink.counter("prometheus_sd_dns_lookups_total", help: "The number of DNS-SD lookups.", Double(discovery.dnsLookups))
    sink.counter("prometheus_sd_dns_lookup_failures_total", help: "The number of DNS-SD lookup failures.", Double(discovery.dnsFailures))
}
