import ApusConfig
import ArgumentParser

/// `apus check config FILE…`: reads configurations as the server would.
struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check if configuration files are valid.",
        discussion: "Exit status: 0 when all are, 1 when one is not, 3 when --lint-fatal is given and there are findings.")

    @Argument(help: "The configuration files.")
    var files: [String]

    @Flag(name: .customLong("syntax-only"), help: "Only check the file itself, not the files that it names.")
    var isSyntaxOnly = false

    @Flag(name: .customLong("agent"), help: "Check as for Prometheus's agent mode.")
    var isAgent = false

    @Option(name: .customLong("lint"), help: "Findings to look for, separated by commas: all, none, or their names.")
    var lints: String?

    @Flag(name: .customLong("lint-fatal"), help: "Exit with status 3 when there are findings.")
    var isLintFatal = false

    func run() throws {
        var options = ConfigCheckOptions()
        options.syntaxOnly = isSyntaxOnly
        options.agentMode = isAgent
        options.lintFatal = isLintFatal
        if let lints { options.lints = lints.split(separator: ",").map(String.init) }
        let result = checkConfigFiles(files, options: options)
        print(result.output, terminator: "")
        if !result.errorOutput.isEmpty { writeToStandardError(result.errorOutput) }
        if result.exitCode != 0 { throw ExitCode(result.exitCode) }
    }
}
