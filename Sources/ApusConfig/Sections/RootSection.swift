import ApusBytes
import ApusModel

/// The file as a whole.
enum RootSection {
    static let schema = ObjectSchema(
        "config.plain",
        [
            Field("global", .object(GlobalSection.schema), .object(ConfigObject(GlobalSection.schema))),
            Field("runtime", .object(ServerSections.runtime), .object(ConfigObject(ServerSections.runtime))),
            Field("alerting", .object(AlertingSection.schema)), Field("rule_files", .list(.string)),
            Field("scrape_config_files", .list(.string)),
            Field("scrape_configs", .entries(ScrapeSection.schema, nullError: "empty or null scrape config section")),
            Field("storage", .object(ServerSections.storage)), Field("tracing", .object(ServerSections.tracing)),
            Field("remote_write", .entries(RemoteSection.write, nullError: "empty or null remote write config section")),
            Field("remote_read", .entries(RemoteSection.read, nullError: "empty or null remote read config section")),
            Field("otlp", .object(ServerSections.otlp), .object(ConfigObject(ServerSections.otlp))),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        for pattern in o.strings("rule_files") where !DiscoverySection.isGlob(pattern) {
            throw o.problem("invalid rule file path \(goQuoted(pattern))", field: "rule_files")
        }
        for pattern in o.strings("scrape_config_files") where !DiscoverySection.isGlob(pattern) {
            throw o.problem("invalid scrape config file path \(goQuoted(pattern))", field: "scrape_config_files")
        }
        for section in ["remote_write", "remote_read"] {
            var names: Set<String> = []
            for entry in o.objects(section) where !entry.bytes("name").isEmpty && !names.insert(entry.string("name")).inserted {
                throw entry.problem(
                    "found multiple \(section == "remote_write" ? "remote write" : "remote read") configs with job name \(goQuoted(entry.string("name")))",
                    field: "name")
            }
        }
    }

    /// Sections that are checked and not acted on.
    static let inactive = ["alerting", "rule_files", "remote_write", "remote_read", "tracing", "otlp", "runtime"]
    /// Sections that a server without storage and rules must not have.
    static let refusedInAgentMode = ["alerting", "rule_files", "remote_read"]

    /// A file that `scrape_config_files` names.
    static let scrapeConfigFile = ObjectSchema(
        "config.ScrapeConfigs", [Field("scrape_configs", .entries(ScrapeSection.schema, nullError: "empty or null scrape config section"))])
}
