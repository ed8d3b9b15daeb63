import ApusModel

/// The configuration of the server, checked and with all defaults filled in.
///
///     prometheus.yml ─▶ YAMLNode ─▶ StrictDecoder + ObjectSchema ─▶ ConfigObject ─▶ PrometheusConfig
///                       (Decode/)   (Sections/, one table each)        └▶ effectiveYAML()
///
/// A section is described once, by its `ObjectSchema` in `Sections/`; the types in `Types/` are what the rest of the
/// program reads. `load` starts the whole.
public struct PrometheusConfig: Sendable, Hashable {
    public var global = GlobalConfig()
    /// Of this file and of the files that `scrape_config_files` names.
    public var scrapeConfigs: [ScrapeConfig] = []
    /// Globs, absolute.
    public var ruleFiles: [String] = []
    public var scrapeConfigFiles: [String] = []
    public var storage = StorageConfig()
    /// Sections that were read and checked, and that no part of the server acts on yet.
    public var inactiveSections: [String] = []
    /// Everything as the file has it, completed: what `effectiveYAML` prints.
    var document = ConfigObject(RootSection.schema)

    public init() {}
}
