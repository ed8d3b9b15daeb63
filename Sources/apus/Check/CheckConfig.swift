import ApusConfig
import ArgumentParser

/// `apus check config FILE…`: reads configurations as the server would.
struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check if configuration files are valid.",
        discussion: """
            The files that they name are checked, too: rules, targets, certificates.
            Exit status: 0 when all are valid, 1 when one is not, 3 when --lint-fatal is given and there are findings.
            """)

    @Argument(help: "The configuration files.")
    var files: [String]

    @Flag(name: .customLong("syntax-only"), help: "Only check the file itself, not the files that it names.")
    var isSyntaxOnly = false

    @Flag(name: .customLong("agent"), help: "Check as for Prometheus's agent mode.")
    var isAgent = false

    @Option(
        name: .customLong("lint"), help: "Findings to look for, separated by commas: all, none, duplicate-rules, too-long-scrape-interval.")
    var lints = "duplicate-rules"

    @Flag(name: .customLong("lint-fatal"), help: "Exit with status 3 when there are findings.")
    var isLintFatal = false

    @Flag(name: .customLong("ignore-unknown-fields"), help: "Pass over unknown fields in files of rules. The server does not.")
    var ignoresUnknownFields = false

    @Option(name: .customLong("query.lookback-delta"), help: "The server's: a scrape interval that is not shorter is a finding.")
    var lookbackDelta = DurationFlag(ms: 300_000)

    @Flag(name: .customLong("config.expand-env"), help: "Expand ${NAME} in all values, as the server does with this flag.")
    var expandsEnvironment = false

    @Option(name: .customLong("enable-feature"), help: "Features of the query language, separated by commas. May be repeated.")
    var features: [String] = []

    func run() throws {
        var options = ConfigCheckOptions()
        options.syntaxOnly = isSyntaxOnly
        options.agentMode = isAgent
        options.lintFatal = isLintFatal
        options.lints = lints.split(separator: ",").map(String.init)
        options.lookbackDeltaMs = lookbackDelta.ms
        options.expandsEnvironment = expandsEnvironment
        for lint in options.lints where !ConfigCheckOptions.knownLints.contains(lint) {
            print("WARNING: unknown lint option: \"\(lint)\"")
        }
        let names = features.flatMap { $0.split(separator: ",") }
        var checker = RuleFileChecker()
        checker.parser.enableExperimentalFunctions = names.contains("promql-experimental-functions")
        checker.parser.enableExtendedRangeSelectors = names.contains("promql-extended-range-selectors")
        checker.parser.enableBinopFill = names.contains("promql-binop-fill-modifiers")
        checker.ignoresUnknownFields = ignoresUnknownFields
        checker.findsDuplicates = options.looksFor("duplicate-rules")
        options.checkRuleFile = { [checker] file in checker.check(file) }
        let result = checkConfigFiles(files, options: options)
        print(result.output, terminator: "")
        if !result.errorOutput.isEmpty { writeToStandardError(result.errorOutput) }
        if result.exitCode != 0 { throw ExitCode(result.exitCode) }
    }
}
