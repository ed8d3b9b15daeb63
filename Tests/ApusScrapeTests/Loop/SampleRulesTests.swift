import ApusBytes
import ApusConfig
import ApusExposition
import ApusModel
import Testing

@testable import ApusScrape

@Suite("Labels of a page become those of a series") struct SampleRulesTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 33)
        }
    }

    /// Goal: the short way for usual lines gives what the long way gives, refusals included.
    @Test("in the short way as in the long one", arguments: Range<UInt64>(0...4)) func ways(_ seed: UInt64) {
        var random = Generator(state: seed)
        let names = ["__name__", "job", "instance", "exported_job", "a", "b", "le", "bad-name", "\u{e9}"].map { ByteString($0) }
        let values: [ByteString] = ["", "x", "some value", "é", ByteString([0xFF])]
        for _ in 0..<300 {
            var config = ScrapeConfig(jobName: "j")
            config.honorLabels = Bool.random(using: &random)
            config.metricNameValidation = Bool.random(using: &random) ? .utf8 : .legacy
            if Int.random(in: 0..<3, using: &random) == 0 {
                config.limits.labels = Int.random(in: 0...5, using: &random)
                config.limits.labelNameBytes = Int.random(in: 0...9, using: &random)
                config.limits.labelValueBytes = Int.random(in: 0...9, using: &random)
            }
            let rules = SampleRules(target: ["instance": "h:1", "job": "j"], config: config)
            var labels = [Label("__name__", "metric")]
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                labels.append(Label(names.randomElement(using: &random) ?? "a", values.randomElement(using: &random) ?? "x"))
            }
            #expect(outcome { () throws(SampleRules.Refusal) in try rules.seriesLabels(PageLabels(labels)) }
                == outcome { () throws(SampleRules.Refusal) in try rules.seriesLabels(labels) }, "\(labels)")
        }
    }

    private func outcome(_ body: () throws(SampleRules.Refusal) -> LabelSet?) -> String {
        do throws(SampleRules.Refusal) { return try body().map(\.description) ?? "dropped" } catch {
            return "\(error.reason) \(error.isLabelLimit)"
        }
    }
}
