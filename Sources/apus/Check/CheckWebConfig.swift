import ApusWebConfig
import ArgumentParser

/// `apus check web-config FILE…`: reads files for `--web.config.file`.
struct CheckWebConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "web-config", abstract: "Check if web configuration files are valid.",
        discussion: "TLS, users and headers of the server's addresses. Exit status: 0 when all are valid, 1 when one is not.")

    @Argument(help: "The web configuration files.")
    var files: [String]

    func run() throws {
        var failed = false
        for file in files {
            do throws(WebConfigError) {
                // Certificates, keys and hashes included, as the server would read them.
                _ = try WebConfigFile(file)
                print("\(file) SUCCESS")
            } catch {
                failed = true
                writeToStandardError("\(file) FAILED: \(error)\n")
            }
        }
        if failed { throw ExitCode(1) }
    }
}
