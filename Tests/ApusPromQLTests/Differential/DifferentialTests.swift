import ApusBytes
import ApusModel
import ApusPromQL
import Foundation
import Testing

/// Draws random expressions over random data and compares the engine with others. `ExpressionGenerator` says what is
/// drawn, and which shapes are left out because two right answers may differ.
///
///     APUS_EXPRESSIONS   how many expressions; some hundreds when it is not set
///     APUS_PEERS         a folder with `prometheus` and `promtool`: compared with them, too
///     APUS_SEED          the first seed
@Suite("Random expressions") struct DifferentialTests {
    private static func number(_ name: String, _ otherwise: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? otherwise
    }

    /// Expressions for each set of data.
    private static let perData = 1_000

    @Test("the same as a real Prometheus", .enabled(if: ProcessInfo.processInfo.environment["APUS_PEERS"] != nil))
    func peer() throws {
        let programs = ProcessInfo.processInfo.environment["APUS_PEERS"] ?? ""
        var report = PeerComparison()
        let (total, first) = (Self.number("APUS_EXPRESSIONS", 300), Self.number("APUS_SEED", 1))
        var seed = first
        while report.compared < total {
            try report.run(seed: UInt64(seed), expressions: min(Self.perData, total - report.compared), programs: programs)
            seed += 1
        }
        #expect(
            report.differences.isEmpty,
            "\(report.differences.count) of \(report.compared): \(report.differences.prefix(20).joined(separator: "\n"))")
        #expect(report.answered * 3 > report.compared, "few expressions have an answer")
    }

    @Test("the same of native histograms as a real Prometheus", .enabled(if: ProcessInfo.processInfo.environment["APUS_PEERS"] != nil))
    func peerHistograms() throws {
        let programs = ProcessInfo.processInfo.environment["APUS_PEERS"] ?? ""
        var report = HistogramComparison()
        let (total, first) = (Self.number("APUS_EXPRESSIONS", 300), Self.number("APUS_SEED", 1))
        var seed = first
        while report.compared < total {
            try report.run(seed: UInt64(seed), expressions: min(Self.perData, total - report.compared), programs: programs)
            seed += 1
        }
        #expect(
            report.differences.isEmpty,
            "\(report.differences.count) of \(report.compared): \(report.differences.prefix(20).joined(separator: "\n"))")
        #expect(report.answered * 3 > report.compared, "few expressions have an answer")
    }

    @Test("the same as the plain evaluator")
    func model() throws {
        let (total, first) = (Self.number("APUS_EXPRESSIONS", 400), Self.number("APUS_SEED", 1))
        var report = ModelComparison()
        var seed = first
        while report.compared < total {
            try report.run(seed: UInt64(seed), expressions: min(50, total - report.compared))
            seed += 1
        }
        #expect(
            report.differences.isEmpty,
            "\(report.differences.count) of \(report.compared): \(report.differences.prefix(20).joined(separator: "\n"))")
        #expect(report.answered * 3 > report.compared, "few expressions have an answer")
    }
}
