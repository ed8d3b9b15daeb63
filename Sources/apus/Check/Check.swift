import ArgumentParser

/// `apus check`: is this input what the server would accept?
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check files and pages for correctness.", subcommands: [CheckConfig.self, CheckMetrics.self, CheckRelabel.self, CheckServiceDiscovery.self, CheckWebConfig.self])
}
