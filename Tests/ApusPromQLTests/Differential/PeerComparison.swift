import ApusBytes
import ApusModel
import ApusPromQL
import Foundation

/// Asks the engine and a real Prometheus the same.
struct PeerComparison {
    var compared = 0
    /// How many expressions had an answer with points.
    var answered = 0
    /// How many differ as versions of Prometheus do.
    var excused = 0
    var differences: [String] = []

    mutating func run(seed: UInt64, expressions: Int, programs: String) throws {
        let data = DifferentialData(seed: seed, hasMarkers: false)
        let storage = MemoryStorage()
        for series in data.series {
            for sample in series.samples { try storage.append(series.labels, timestampMs: sample.ms, value: sample.value) }
        }
        let peer = try PeerPrometheus(
            programs: programs, openMetrics: data.openMetrics, features: "promql-experimental-functions,promql-duration-expr")
        var options = EngineOptions()
        options.parser.enableExperimentalFunctions = true
        let engine = QueryEngine(options: options)
        var generator = ExpressionGenerator(.prometheus, seed: seed &* 7_919)
        for number in 0..<expressions {
            let drawn = generator.expression()
            let query = ByteString(drawn.text)
            let isRange = generator.random.below(2) == 0
            let startMs = DifferentialData.startMs + 900_000 + Int64(generator.random.below(1_800_000))
            let stepMs = generator.random.pick([Int64(15_000), 61_000, 300_000, 1_000])
            let endMs = startMs + 7 * stepMs
            let mine: Answer
            let theirs: Answer
            if isRange {
                mine = Answer(
                    Result { () throws(QueryError) in
                        try engine.range(query, startMs: startMs, endMs: endMs, stepMs: stepMs, on: storage)
                    })
                theirs = try Answer(
                    json: peer.ask(
                        "/api/v1/query_range",
                        [("query", drawn.text), ("start", Self.seconds(startMs)), ("end", Self.seconds(endMs)), ("step", Self.seconds(stepMs))]))
            } else {
                mine = Answer(Result { () throws(QueryError) in try engine.instant(query, atMs: startMs, on: storage) })
                theirs = try Answer(json: peer.ask("/api/v1/query", [("query", drawn.text), ("time", Self.seconds(startMs))]))
            }
            compared += 1
            if case .series(let series, _) = theirs, !series.isEmpty { answered += 1 }
            let checksOrder = !isRange && drawn.text.hasPrefix("sort")
            let slack = ["log2(", "log10(", "sin(", "cos(", "tan(", "acos("].contains { drawn.text.hasPrefix($0) } ? 4 * Double.ulpOfOne : 0
            let ulps: Int64 = drawn.isLibm ? (drawn.isPower ? 16 : 4) : 0
            if let text = mine.difference(from: theirs, ulps: ulps, slack: slack, checksOrder: checksOrder) {
                if Self.differsByVersion(drawn.text, mine, theirs, comparesVectors: generator.comparesVectors) {
                    excused += 1
                    continue
                }
                differences.append(
                    "seed \(seed), number \(number), \(isRange ? "range \(startMs) \(endMs) \(stepMs)" : "at \(startMs)"): \(drawn.text)\n    \(text)")
            }
        }
    }

    /// Where a newer Prometheus than 3.5 answers as we do.
    private static func differsByVersion(_ text: String, _ mine: Answer, _ theirs: Answer, comparesVectors: Bool) -> Bool {
        // 3.9, #17668: a comparison of vectors that drops a sample has still matched it.
        if comparesVectors, case .failure(let error) = mine, error.hasPrefix("multiple matches for labels") { return true }
        // Series of label functions and of a minus sign that never share a step are joined.
        if text.contains("label_") || text.contains("-("),
            case .failure("vector cannot contain metrics with the same labelset") = theirs
        {
            return true
        }
        // Of values of which one is not a number it takes the deviation of the others.
        if text.contains("mad_over_time") { return true }
        // It forgets the offset beside `@` when it bounds the samples to read, and loses the oldest.
        if text.contains("timestamp("), text.contains("@"), text.contains("offset") { return true }
        // Under `@` it evaluates a subquery for as long after its end as the query is long, where matching may fail.
        if text.contains("@"), text.contains(":"), case .failure(let error) = theirs, error.hasPrefix("found duplicate series") {
            if case .failure = mine {} else { return true }
        }
        // Of two faults either may be found first.
        if case .failure = mine, case .failure = theirs { return true }
        return false
    }

    private static func seconds(_ milliseconds: Int64) -> String {
        let rest = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}
