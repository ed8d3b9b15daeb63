import ApusBytes
import ApusExposition
import ArgumentParser

/// `apus check metrics`: reads a page of metrics from standard input.
struct CheckMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Check a page of metrics, given on standard input, for correctness and good names.",
        discussion: """
            The text format, or with --format=openmetrics OpenMetrics 1.0, held to all of its standard.
              curl -s http://localhost:9090/metrics | apus check metrics
            Exit status: 0 when it is fine, 1 when it can't be parsed, 3 when names or types are not as they should be.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case text, openmetrics }
    @Option(name: .customLong("format"), help: "What the page is written in: text or openmetrics.")
    var format = Format.text

    func run() throws {
        guard let page = readStandardInput() else {
            complain("can't read standard input")
            throw ExitCode(1)
        }
        var lint = MetricLint()
        do {
            switch format {
            case .text: try lint.read(page)
            case .openmetrics: try lint.readOpenMetrics(page)
            }
        } catch {
            complain("error while linting: \(error)")
            throw ExitCode(1)
        }
        let findings = lint.findings
        for finding in findings { complain("\(finding.metric) \(finding.problem)") }
        if !findings.isEmpty { throw ExitCode(3) }
    }
}
