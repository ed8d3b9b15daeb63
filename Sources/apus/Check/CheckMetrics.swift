import ApusBytes
import ArgumentParser

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `apus check metrics`: reads a page of metrics from standard input.
struct CheckMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Check a page of metrics, given on standard input, for correctness and good names.",
        discussion: """
            Text format 0.0.4.
              curl -s http://localhost:9090/metrics | apus check metrics
            Exit status: 0 when it is fine, 1 when it can't be parsed, 3 when names or types are not as they should be.
            """)

    func run() throws {
        var lint = MetricsLint()
        do { try lint.read(standardInput()) } catch {
            complain("error while linting: \(error)")
            throw ExitCode(1)
        }
        let findings = lint.findings
        for finding in findings { complain("\(finding.metric) \(finding.problem)") }
        if !findings.isEmpty { throw ExitCode(3) }
    }

    private func standardInput() throws -> [UInt8] {
        var page: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // SAFETY: read writes at most `count` bytes into the buffer.
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count == 0 { return page }
            guard count > 0 else {
                complain("can't read standard input")
                throw ExitCode(1)
            }
            page.append(contentsOf: buffer[..<count])
        }
    }
}
