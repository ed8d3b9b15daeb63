import ApusBytes
import ApusModel

/// What `apus check config` was asked for.
public struct ConfigCheckOptions: Sendable {
    /// Looks at the text only: no file that it names need exist.
    public var syntaxOnly = false
    public var agentMode = false
    /// Names of lints: `all`, `none`, `duplicate-rules`, `too-long-scrape-interval`.
    public var lints: [String] = ["duplicate-rules"]
    /// Findings of lints count as failure, exit status 3.
    public var lintFatal = false
    /// For `too-long-scrape-interval`.
    public var lookbackDeltaMs: Int64 = 300_000
    /// Checks the rule files that a configuration names, and counts their rules. Passed in, as rules are another module.
    public var checkRuleFile: (@Sendable (_ path: String) -> RuleFileCheck)?
    /// As `PrometheusConfig.LoadOptions` has it.
    public var expandsEnvironment = false
    public static let knownLints: Set<String> = ["all", "none", "duplicate-rules", "too-long-scrape-interval"]
    public init() {}

    /// Whether findings of `lint` are wanted.
    public func looksFor(_ lint: String) -> Bool { !lints.contains("none") && (lints.contains("all") || lints.contains(lint)) }
}

/// What the check of one rule file found.
public struct RuleFileCheck: Sendable {
    public var ruleCount: Int
    public var errors: [String]
    public var lintFindings: [String]
    public init(ruleCount: Int, errors: [String] = [], lintFindings: [String] = []) {
        self.ruleCount = ruleCount
        self.errors = errors
        self.lintFindings = lintFindings
    }
}

/// The outcome of a check command: the exit status (0 valid, 1 invalid, 3 fatal lint findings) and its two texts.
public struct CheckResult: Sendable, Equatable {
    public var exitCode: Int32 = 0
    public var output = ""
    public var errorOutput = ""
}

/// Checks configuration files, and unless `syntaxOnly` the files that they name. The texts are promtool's.
public func checkConfigFiles(_ files: [String], options: ConfigCheckOptions = .init()) -> CheckResult {
    var result = CheckResult()
    var failed = false
    var lintFailed = false
    for file in files {
        result.output += "Checking \(file)\n"
        var ruleFiles: [String] = []
        do throws(ConfigError) {
            let config = try loadForCheck(file, options)
            if !options.syntaxOnly {
                var files = ReferencedFiles()
                files.collect(config)
                for warning in files.warnings { result.output += "  WARNING: \(warning)\n" }
                if let problem = files.problems.first {
                    failed = true
                    result.errorOutput += "  FAILED: \(problem)\n"
                    result.output += "\n"
                    continue
                }
                if !files.ruleFiles.isEmpty {
                    result.output += "  SUCCESS: \(files.ruleFiles.count) rule files found\n"
                }
                ruleFiles = files.ruleFiles
            }
            result.output += " SUCCESS: \(file) is valid prometheus config file syntax\n"
            for finding in lintFindings(config, options) {
                lintFailed = true
                result.errorOutput += "  \(finding)\n"
            }
        } catch {
            failed = true
            result.errorOutput += "  FAILED: \(error.description)\n"
        }
        result.output += "\n"
        for ruleFile in ruleFiles {
            guard let check = options.checkRuleFile?(ruleFile) else { continue }
            result.output += "Checking \(ruleFile)\n"
            if check.errors.isEmpty && check.lintFindings.isEmpty {
                result.output += "  SUCCESS: \(check.ruleCount) rules found\n"
            } else {
                result.errorOutput += "  FAILED:\n"
                for line in check.errors + check.lintFindings { result.errorOutput += line + "\n" }
            }
            if !check.errors.isEmpty { failed = true }
            if !check.lintFindings.isEmpty { lintFailed = true }
            // promtool leaves none behind what it could not read.
            if check.errors.isEmpty { result.output += "\n" }
        }
    }
    result.exitCode = failed ? 1 : lintFailed && options.lintFatal ? 3 : 0
    return result
}

private func loadForCheck(_ file: String, _ options: ConfigCheckOptions) throws(ConfigError) -> PrometheusConfig {
    var loadOptions = PrometheusConfig.LoadOptions()
    loadOptions.agentMode = options.agentMode
    loadOptions.expandsEnvironment = options.expandsEnvironment
    return try PrometheusConfig.load(file: file, options: loadOptions)
}

private func lintFindings(_ config: PrometheusConfig, _ options: ConfigCheckOptions) -> [String] {
    guard options.looksFor("too-long-scrape-interval") else { return [] }
    var findings: [String] = []
    for job in config.scrapeConfigs where job.scrapeIntervalMs >= options.lookbackDeltaMs {
        findings.append(
            "FAILED: too long scrape interval found, data point will be marked as stale - job: \(job.jobName), interval: \(formatDuration(job.scrapeIntervalMs))"
        )
    }
    return findings
}

/// The files that a configuration names, and what is wrong with them.
struct ReferencedFiles {
    private(set) var problems: [String] = []
    private(set) var warnings: [String] = []
    private(set) var ruleFiles: [String] = []

    mutating func collect(_ config: PrometheusConfig) {
        for pattern in config.ruleFiles {
            let files = expandGlob(pattern)
            if files.isEmpty && !pattern.contains(where: { "*?[".contains($0) }) {
                problems.append("\(goQuoted(pattern)) does not point to an existing file")
            }
            ruleFiles += files
        }
        visit(config.document)
        for job in config.scrapeConfigs { checkTargets(job.staticConfigs, job.relabelRules) }
        for manager in config.document.object("alerting")?.objects("alertmanagers") ?? [] {
            // The rules were checked when the configuration was loaded.
            let rules = (try? RelabelSection.rules(manager, "relabel_configs", config.global.metricNameValidation)) ?? []
            checkTargets(DiscoveryConfigs(manager).staticConfigs, rules)
        }
        for job in config.scrapeConfigs {
            for discovery in job.fileSDConfigs { checkDiscovery(discovery) }
        }
    }

    /// All fields of the kind `path` in the tree must name what exists, but for logs, which are written.
    private mutating func visit(_ object: ConfigObject) {
        for field in object.schema.fields {
            guard let value = object.value(field.name) else { continue }
            if case .path = field.kind, !field.name.hasSuffix("log_file"), let path = value.text?.description, !path.isEmpty, !fileExists(path) {
                problems.append("error checking \(field.name) file \(goQuoted(path)): stat \(path): no such file or directory")
            }
            visit(value)
        }
    }

    private mutating func visit(_ value: ConfigValue) {
        switch value {
        case .object(let object): visit(object)
        case .list(let items): for item in items { visit(item) }
        case .map(let entries): for entry in entries { visit(entry.value) }
        default: break
        }
    }

    /// A URL as address may be mended by relabelling; here it is seen whether it is.
    private mutating func checkTargets(_ groups: [TargetGroup], _ rules: [RelabelRule]) {
        for group in groups {
            for target in group.targets {
                guard let labels = relabel(LabelSet(group.labels.labels + target.labels), rules), let address = labels["__address__"],
                    address.bytes.contains(UInt8(ascii: "/"))
                else { continue }
                problems.append("\(goQuoted(address.description)) is not a valid hostname")
            }
        }
    }

    private mutating func checkDiscovery(_ config: FileSDConfig) {
        for pattern in config.files {
            let files = expandGlob(pattern)
            if files.isEmpty { warnings.append("file \(goQuoted(pattern)) for file_sd in scrape job does not exist") }
            for file in files {
                do throws(ConfigError) {
                    _ = try loadTargetGroups(file: file)
                } catch {
                    problems.append("checking SD file \(goQuoted(file)): \(error.description)")
                }
            }
        }
    }
}
