import ApusBytes
import ApusModel

extension PrometheusConfig {
    public struct LoadOptions: Sendable {
        /// Refuses the sections that an agent does not have.
        public var agentMode = false
        /// Looks up `$NAME` in external labels.
        public var environment: @Sendable (String) -> String? = environmentVariable
        /// Whether `${NAME}` is expanded in all values, those of `scrape_config_files` included: see `YAMLNode.expanded`.
        public var expandsEnvironment = false
        /// Whether protobuf comes first where the configuration names no `scrape_protocols`.
        public var prefersProtobuf = false
        /// Reads the files that `scrape_config_files` names, too.
        public var readsScrapeConfigFiles = true
        /// `extra_scrape_metrics` where the configuration does not say.
        public var extraScrapeMetrics = false
        public init() {}

        var fileEnvironment: (@Sendable (String) -> String?)? {
            guard expandsEnvironment else { return nil }
            return environment
        }
    }

    /// Reads and checks `file`. Relative paths in it count from its directory.
    public static func load(file: String, options: LoadOptions = .init()) throws(ConfigError) -> PrometheusConfig {
        let text = try readConfigFile(file)
        return try parse(yaml: text, fileName: file, baseDirectory: directory(of: file), options: options)
    }

    /// Checks `yaml`. `fileName` is for errors; relative paths count from `baseDirectory`.
    public static func parse(
        yaml: String, fileName: String = "prometheus.yml", baseDirectory: String = "", options: LoadOptions = .init()
    ) throws(ConfigError) -> PrometheusConfig {
        let document = try decode(
            yaml, RootSection.schema, fileName: fileName, baseDirectory: baseDirectory, environment: options.fileEnvironment)
        var config: PrometheusConfig
        do throws(ConfigProblem) {
            if options.agentMode {
                for section in RootSection.refusedInAgentMode where document.isSet(section) {
                    throw document.problem("field \(section) is not allowed in agent mode", field: section)
                }
            }
            config = try PrometheusConfig(document, baseDirectory: baseDirectory, options: options)
        } catch {
            throw ConfigError(.invalid, fileName: fileName, problems: [error])
        }
        if options.readsScrapeConfigFiles { try config.addScrapeConfigFiles(mainFile: fileName, options) }
        return config
    }

    private init(_ decoded: ConfigObject, baseDirectory: String, options: LoadOptions) throws(ConfigProblem) {
        var root = decoded
        var globalSection = root.object("global") ?? ConfigObject(GlobalSection.schema)
        // An absent or empty section still has the rules that fill it in.
        try GlobalSection.schema.check(&globalSection)
        global = try GlobalConfig(&globalSection, options)
        root.set("global", .object(globalSection))

        var jobs: Set<[UInt8]> = []
        var sections: [ConfigValue] = []
        for var section in root.objects("scrape_configs") {
            resolveDiscoveryFiles(&section, baseDirectory)
            let job = try ScrapeConfig(&section, global: global)
            if !jobs.insert(Array(job.jobName.utf8)).inserted {
                throw section.problem("found multiple scrape configs with job name \(goQuoted(job.jobName))", field: "job_name")
            }
            scrapeConfigs.append(job)
            sections.append(.object(section))
        }
        root.set("scrape_configs", sections.isEmpty ? nil : .list(sections))

        ruleFiles = root.strings("rule_files").map { resolvePath($0, baseDirectory) }
        scrapeConfigFiles = root.strings("scrape_config_files").map { resolvePath($0, baseDirectory) }
        if !ruleFiles.isEmpty { root.set("rule_files", .list(ruleFiles.map { .text($0) })) }
        if !scrapeConfigFiles.isEmpty { root.set("scrape_config_files", .list(scrapeConfigFiles.map { .text($0) })) }

        if let alerting = root.object("alerting") { try AlertingSection.check(alerting, global.metricNameValidation) }
        for remote in root.objects("remote_write") {
            _ = try RelabelSection.rules(remote, "write_relabel_configs", global.metricNameValidation)
        }
        if let otlp = root.object("otlp"), global.metricNameValidation == .legacy,
            case let strategy = otlp.string("translation_strategy"), strategy.hasPrefix("No")
        {
            throw otlp.problem("OTLP translation strategy \(goQuoted(strategy)) is not allowed when UTF8 is disabled", field: "translation_strategy")
        }
        storage = StorageConfig(root.object("storage"))
        inactiveSections = RootSection.inactive.filter { root.isSet($0) }
        for section in root.objects("scrape_configs") {
            for name in DiscoverySection.inactive(section) where !inactiveSections.contains(name) { inactiveSections.append(name) }
        }
        document = root
    }

    /// Reads the files that `scrape_config_files` names. A job name may stand once in all files together.
    private mutating func addScrapeConfigFiles(mainFile: String, _ options: LoadOptions) throws(ConfigError) {
        var origin: [[UInt8]: String] = [:]
        for job in scrapeConfigs { origin[Array(job.jobName.utf8)] = mainFile }
        for pattern in scrapeConfigFiles {
            for file in expandGlob(pattern) {
                let section = try Self.decode(
                    readConfigFile(file), RootSection.scrapeConfigFile, fileName: file, baseDirectory: directory(of: file),
                    environment: options.fileEnvironment)
                do throws(ConfigProblem) {
                    for var entry in section.objects("scrape_configs") {
                        resolveDiscoveryFiles(&entry, directory(of: file))
                        let job = try ScrapeConfig(&entry, global: global)
                        let key = Array(job.jobName.utf8)
                        if let first = origin[key] {
                            throw entry.problem(
                                "found multiple scrape configs with job name \(goQuoted(job.jobName)), first found in \(first)", field: "job_name")
                        }
                        origin[key] = file
                        scrapeConfigs.append(job)
                        for name in DiscoverySection.inactive(entry) where !inactiveSections.contains(name) { inactiveSections.append(name) }
                    }
                } catch {
                    throw ConfigError(.invalid, fileName: file, problems: [error])
                }
            }
        }
    }

    /// - Parameter environment: where `${NAME}` in values is looked up; nil leaves it as it is.
    static func decode(
        _ yaml: String, _ schema: ObjectSchema, fileName: String, baseDirectory: String, ignoringUnknownFields: Bool = false,
        environment: ((String) -> String?)? = nil
    ) throws(ConfigError) -> ConfigObject {
        var parsed: YAMLNode?
        do throws(ConfigProblem) {
            parsed = try YAMLNode.parse(yaml)
            if let environment { parsed = try parsed?.expanded(environment) }
        } catch {
            throw ConfigError(.syntax, fileName: fileName, problems: [error])
        }
        guard let node = parsed else { return ConfigObject(schema) }
        var decoder = StrictDecoder(baseDirectory: baseDirectory)
        decoder.ignoresUnknownFields = ignoringUnknownFields
        let object: ConfigObject?
        do throws(ConfigProblem) {
            object = try decoder.object(node, schema)
        } catch {
            throw ConfigError(.invalid, fileName: fileName, problems: [error])
        }
        if !decoder.problems.isEmpty { throw ConfigError(.fields, fileName: fileName, problems: decoder.problems) }
        return object ?? ConfigObject(schema)
    }
}

/// Makes the globs of `file_sd_configs` absolute.
private func resolveDiscoveryFiles(_ section: inout ConfigObject, _ baseDirectory: String) {
    guard !section.list("file_sd_configs").isEmpty else { return }
    section.set(
        "file_sd_configs",
        .list(
            section.objects("file_sd_configs").map { entry in
                var entry = entry
                entry.set("files", .list(entry.strings("files").map { .text(resolvePath($0, baseDirectory)) }))
                return .object(entry)
            }))
}
