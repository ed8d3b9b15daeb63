import ApusConfig
import ArgumentParser

/// `apus check config FILE…`: reads configurations as the server would.
struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check if configuration files are valid.",
        discussion: "Exit status: 0 when all are, 1 when one is not.")

    @Argument(help: "The configuration files.")
    var files: [String]

    @Flag(name: .customLong("syntax-only"), help: "Only check the file itself, not the files that it names.")
    var isSyntaxOnly = false

    func run() throws {
        var areAllValid = true
        for file in files {
            print("Checking \(file)")
            do {
                _ = try PrometheusConfig.load(file: file)
                print(" SUCCESS: \(file) is valid prometheus config file syntax\n")
            } catch {
                areAllValid = false
                print("  FAILED: \(error)\n")
            }
        }
        guard areAllValid else { throw ExitCode(1) }
    }
}
