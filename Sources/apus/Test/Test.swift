import ArgumentParser

/// `apus test`: run what others wrote down as expected.
struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run test scripts.", subcommands: [TestPromQL.self])
}
