import ApusBytes
public import ApusModel

/// One entry of `scrape_configs`: a job, with what it inherits from `global` already filled in.
public struct ScrapeConfig: Sendable, Hashable {
    public var jobName: String
    public var honorLabels = false
    public var honorTimestamps = true
    public var trackTimestampsStaleness = false
    /// URL parameters, each with its values in order.
    public var params: [String: [String]] = [:]
    public var scrapeIntervalMs: Int64 = 60_000
    public var scrapeTimeoutMs: Int64 = 10_000
    /// In order of preference, never empty.
    public var scrapeProtocols: [ScrapeProtocol] = ScrapeProtocol.defaults
    /// For an answer whose Content-Type says nothing known; nil refuses such an answer.
    public var fallbackScrapeProtocol: ScrapeProtocol?
    public var scrapeNativeHistograms = false
    public var alwaysScrapeClassicHistograms = false
    public var convertClassicHistogramsToNHCB = false
    public var extraScrapeMetrics = false
    public var scrapeFailureLogFile = ""
    public var metricsPath = "/metrics"
    public var scheme = "http"
    public var enableCompression = true
    public var limits = ScrapeLimits()
    /// 0 means none.
    public var nativeHistogramBucketLimit = 0
    public var nativeHistogramMinBucketFactor = 0.0
    public var metricNameValidation = NameValidation.utf8
    public var metricNameEscaping = NameEscaping.allowUTF8
    public var http = HTTPClientConfig()
    public var discovery = DiscoveryConfigs()
    public var relabelRules: [RelabelRule] = []
    public var metricRelabelRules: [RelabelRule] = []

    public init(jobName: String) { self.jobName = jobName }

    public var staticConfigs: [StaticConfig] { discovery.staticConfigs }
    public var fileSDConfigs: [FileSDConfig] { discovery.fileSDConfigs }
}

/// Targets that share labels: what `static_configs` lists and what discovery hands over.
public struct TargetGroup: Sendable, Hashable {
    /// Each target's own labels: at least `__address__`, which may not be left out.
    public var targets: [LabelSet]
    /// Labels of every target of the group; a target's own win.
    public var labels: LabelSet
    /// Who made it; a group replaces the earlier one of the same source. For `static_configs` its index, `"0"`, `"1"` ….
    public var source: String

    public init(targets: [LabelSet] = [], labels: LabelSet = .empty, source: String = "") {
        self.targets = targets
        self.labels = labels
        self.source = source
    }
}

/// An entry of `static_configs`.
public typealias StaticConfig = TargetGroup
