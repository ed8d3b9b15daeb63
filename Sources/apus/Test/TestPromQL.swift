import ApusPromQL
import ArgumentParser

/// `apus test promql FILE…`: runs scripts in the format of Prometheus's own PromQL tests.
struct TestPromQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promql", abstract: "Run PromQL scripts: load series, evaluate expressions, compare the results.",
        discussion: """
            The format is that of the .test files in Prometheus's repository; an empty line ends a block:
              load 1m
                up 1 1 1

              eval instant at 2m sum(up)
                {} 1
            Exit status: 0 when all expectations are met, 1 when one is not.
            """)

    @Flag(
        name: .customLong("strict"),
        help: """
            Run each instant query in other ways, too: as a range query around its time, and pinned to its time with @ at other \
            times. The answers must be the same.
            """)
    var isStrict = false

    @Argument(help: "The scripts.")
    var files: [String]

    func run() throws {
        var total = ScriptReport()
        for file in files {
            do { total = total + ScriptRunner().run(try readFile(file), name: file, isStrict: isStrict) } catch {
                complain("\(error)")
                throw ExitCode(1)
            }
        }
        for failure in total.failures { print(failure) }
        print("\(total.passed) passed, \(total.failed) failed")
        if total.failed > 0 { throw ExitCode(1) }
    }
}
