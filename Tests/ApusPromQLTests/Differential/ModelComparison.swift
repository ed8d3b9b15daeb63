import ApusBytes
import ApusModel
import ApusPromQL

/// Asks the engine and the plain evaluator the same, over data with staleness markers.
///
/// Sums may come in another order than the model's, and it is plain where the engine is precise: values may differ by a
/// millionth, and what that can turn into anything else, a remainder, a floor, a comparison of computed values, is left
/// out.
struct ModelComparison {
    var compared = 0
    /// How many expressions had an answer with points.
    var answered = 0
    var differences: [String] = []

    mutating func run(seed: UInt64, expressions: Int) throws {
        let data = DifferentialData(seed: seed, hasMarkers: true)
        let storage = MemoryStorage()
        for series in data.series {
            for sample in series.samples { try storage.append(series.labels, timestampMs: sample.ms, value: sample.value) }
        }
        let engine = QueryEngine()
        var generator = ExpressionGenerator(.model, seed: seed &* 7_919)
        for number in 0..<expressions {
            let drawn = generator.expression()
            let query = ByteString(drawn.text)
            let startMs = DifferentialData.startMs + 900_000 + Int64(generator.random.below(1_800_000))
            let stepMs = generator.random.pick([Int64(15_000), 61_000, 300_000])
            let count: Int64 = 4
            let endMs = startMs + (count - 1) * stepMs
            compared += 1
            let note = "seed \(seed), number \(number), \(startMs) \(endMs) \(stepMs): \(drawn.text)"
            let expression: Expression
            do { expression = try parseExpression(query) } catch {
                differences.append("\(note)\n    \(error)")
                continue
            }
            var model = NaiveEvaluator(expression: expression, series: data.series)
            model.rangeMs = startMs...endMs
            var expected: [LabelSet: [Int64: Double]] = [:]
            var isRefused = false
            for step in 0..<count {
                let timeMs = startMs + step * stepMs
                do { for (labels, value) in try model.run(atMs: timeMs) { expected[labels, default: [:]][timeMs] = value.float } } catch {
                    isRefused = true
                }
            }
            let result = Result { () throws(QueryError) in
                try engine.range(query, startMs: startMs, endMs: endMs, stepMs: stepMs, on: storage)
            }
            if case .failure(let error) = result {
                // The engine sees the series of all steps together, so it may refuse labels that collide at none of them. A
                // subquery it evaluates, as Prometheus does, also at steps between the windows, where matching may fail.
                let isBetweenWindows = error.message.hasPrefix("found duplicate series") && drawn.text.contains(":")
                if !isRefused, !isBetweenWindows, error.message != "vector cannot contain metrics with the same labelset" {
                    differences.append("\(note)\n    \(error.message)")
                }
                continue
            }
            if isRefused {
                differences.append("\(note)\n    the model fails")
                continue
            }
            if !expected.isEmpty { answered += 1 }
            if let text = Answer(result).roughDifference(from: expected) { differences.append("\(note)\n    \(text)") }
        }
    }
}

extension Answer {
    /// What is different in `expected`, but for a millionth.
    fileprivate func roughDifference(from expected: [LabelSet: [Int64: Double]]) -> String? {
        guard case .series(let mine, _) = self else { return "no series" }
        for labels in Set(mine.keys).union(expected.keys) {
            let (own, others) = (mine[labels] ?? [:], expected[labels] ?? [:])
            for time in Set(own.keys).union(others.keys).sorted() {
                guard let value = own[time] else { return "\(labels): no point at \(time), expected \(others[time] ?? 0)" }
                guard let other = others[time] else { return "\(labels): a point at \(time) too much: \(value)" }
                if value == other || (value.isNaN && other.isNaN) { continue }
                let size = max(value.magnitude, other.magnitude)
                if !((value - other).magnitude <= max(1e-6, 1e-6 * size)) { return "\(labels): \(value) ≠ \(other) at \(time)" }
            }
        }
        return nil
    }
}
