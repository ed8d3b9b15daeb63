public import ApusModel

/// The configuration of the server, checked and with all defaults filled in.
public struct PrometheusConfig: Sendable, Hashable {
    public var global = GlobalConfig()
    /// Of this file and of the files that `scrape_config_files` names.
    public var scrapeConfigs: [ScrapeConfig] = []
    /// Globs, absolute.
    public var ruleFiles: [String] = []
    public var scrapeConfigFiles: [String] = []
    /// Sections that were read and checked, and that no part of the server acts on yet.
    public var inactiveSections: [String] = []
    public init() {}
}
