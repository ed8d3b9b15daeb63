import ApusBytes
public import ApusModel

/// Which metric and label names a job accepts.
public enum NameValidation: String, Sendable, Hashable, CaseIterable {
    case utf8, legacy
}

/// How a target is asked to escape names that the classic rules forbid: the `escaping=` of the Accept header.
public enum NameEscaping: String, Sendable, Hashable, CaseIterable {
    case allowUTF8 = "allow-utf-8"
    case underscores, dots, values
}

/// The limits of one scrape; 0 means none.
public struct ScrapeLimits: Sendable, Hashable {
    /// Uncompressed bytes of a body.
    public var bodySizeBytes: Int64 = 0
    /// Samples after metric relabelling.
    public var samples: Int = 0
    /// Targets of a job.
    public var targets: Int = 0
    /// Labels of a series, and the bytes of their names and values.
    public var labels: Int = 0
    public var labelNameBytes: Int = 0
    public var labelValueBytes: Int = 0
    /// How many dropped targets the API can list.
    public var keepDroppedTargets: Int = 0
    public init() {}
}

/// The `global` section: what jobs inherit, with Prometheus's defaults.
public struct GlobalConfig: Sendable, Hashable {
    public var scrapeIntervalMs: Int64 = 60_000
    /// At most the interval.
    public var scrapeTimeoutMs: Int64 = 10_000
    public var scrapeProtocols: [ScrapeProtocol] = ScrapeProtocol.defaults
    public var evaluationIntervalMs: Int64 = 60_000
    public var ruleQueryOffsetMs: Int64 = 0
    /// Added when data leaves this server (federation, remote, alerts); never stored.
    public var externalLabels: LabelSet = .empty
    public var queryLogFile = ""
    public var scrapeFailureLogFile = ""
    public var limits = ScrapeLimits()
    public var metricNameValidation = NameValidation.utf8
    public var metricNameEscaping = NameEscaping.allowUTF8
    public var scrapeNativeHistograms = false
    public var convertClassicHistogramsToNHCB = false
    public var alwaysScrapeClassicHistograms = false
    public var extraScrapeMetrics = false
    public init() {}
}
