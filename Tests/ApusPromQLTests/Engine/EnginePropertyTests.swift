import ApusBytes
import ApusModel
import ApusPromQL
import Testing

@Suite("Engine against a plain evaluator") struct EnginePropertyTests {
    /// Series with gaps, staleness markers, resets, NaN and series that end where others with the same labels begin.
    static func data(_ random: inout SplitMix) -> [NaiveEvaluator.Series] {
        var result: [NaiveEvaluator.Series] = []
        for name in ["a_total", "b_total", "g"] {
            for x in ["1", "2"] {
                for y in ["p", "q", "r"] where random.below(4) > 0 {
                    var samples: [(ms: Int64, value: Double)] = []
                    var value = Double(random.below(50))
                    var timeMs = Int64(random.below(600_000))
                    while timeMs < 3_600_000 {
                        switch random.below(40) {
                        case 0: samples.append((timeMs, StaleNaN.value))
                        case 1: samples.append((timeMs, .nan))
                        case 2: timeMs += Int64(random.below(900_000))
                        default:
                            if name == "g" {
                                value = Double(random.below(2_000) - 1_000) / 7
                            } else {
                                value = random.below(15) == 0 ? 0 : value + Double(random.below(100)) / 3
                            }
                            samples.append((timeMs, value))
                        }
                        timeMs += 15_000 + Int64(random.below(3) * 5)
                    }
                    result.append(.init(labels: ["__name__": ByteString(name), "x": ByteString(x), "y": ByteString(y)], samples: samples))
                }
            }
        }
        return result
    }

    static func selector(_ random: inout SplitMix) -> String {
        random.pick(["a_total", "b_total", "g", "g{x=\"1\"}", "a_total{y!=\"q\"}", "{__name__=~\"a_total|b_total\"}", "b_total{y=~\"p|q\"}"])
    }

    static func modifier(_ random: inout SplitMix) -> String {
        random.pick(["", "", "", " offset 3m", " offset -2m", " @ 1800", " @ 1200 offset 1m"])
    }

    static func vector(_ random: inout SplitMix, depth: Int) -> String {
        if depth == 0 || random.below(5) == 0 {
            return selector(&random) + modifier(&random)
        }
        let inner = depth - 1
        switch random.below(9) {
        case 0, 1:
            let function = random.pick([
                "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "sum_over_time", "max_over_time",
                "min_over_time", "count_over_time", "last_over_time", "present_over_time",
            ])
            if random.below(4) == 0 {
                let step = random.pick(["", "1m", "30s", "7m"])
                return "\(function)((\(vector(&random, depth: inner)))[10m:\(step)]\(modifier(&random)))"
            }
            return "\(function)(\(selector(&random))[\(random.pick(["1m", "5m", "15m", "17s"]))]\(modifier(&random)))"
        case 2, 3:
            let op = random.pick(["sum", "avg", "count", "min", "max", "group"])
            let grouping = random.pick(["", " by (x)", " by (x, y)", " without (y)", " by (__name__)"])
            return "\(op)\(grouping) (\(vector(&random, depth: inner)))"
        case 4:
            let op = random.pick(["+", "-", "*", "/", ">", "<= bool", "==", "!= bool"])
            let scalar = random.pick(["2", "time()", "-1.5", "scalar(g{x=\"1\"})", "(3 - 1)"])
            let operand = vector(&random, depth: inner)
            return random.below(2) == 0 ? "(\(operand)) \(op) \(scalar)" : "\(scalar) \(op) (\(operand))"
        case 5, 6:
            let op = random.pick(["+", "-", "/", ">", "< bool", "and", "or", "unless"])
            let isSet = ["and", "or", "unless"].contains(op)
            let matching = random.pick(
                isSet ? ["", " on (x)", " ignoring (y)"] : ["", " on (x, y)", " ignoring (y)", " on (x) group_left ()"])
            return "(\(vector(&random, depth: inner))) \(op)\(matching) (\(vector(&random, depth: inner)))"
        case 7: return "-(\(vector(&random, depth: inner)))"
        default:
            let function = random.pick(["abs(%)", "absent(sum(%))", "clamp_min(%, 0)", "timestamp(%)", "(%)"])
            let operand = vector(&random, depth: inner)
            let parts = function.split(separator: "%", omittingEmptySubsequences: false)
            return parts[0] + operand + parts[1]
        }
    }

    /// Goal: no expression over any data gives another answer than the plain rules do, as a range query or at each moment.
    /// Sums over groups may come in another order than the model's, so the last digits are allowed to differ.
    @Test("answers as the plain evaluator", arguments: 0..<120)
    func agrees(seed: Int) throws {
        var random = SplitMix(UInt64(seed) &* 7_919 &+ 1)
        let data = Self.data(&random)
        let storage = MemoryStorage()
        for series in data {
            for sample in series.samples { try storage.append(series.labels, timestampMs: sample.ms, value: sample.value) }
        }
        let engine = QueryEngine()
        for _ in 0..<12 {
            let query = Self.vector(&random, depth: 3)
            let expression: Expression
            do { expression = try parseExpression(ByteString(query)) } catch {
                Issue.record("\(query): \(error)")
                continue
            }
            let naive = NaiveEvaluator(expression: expression, series: data)
            let (startMs, stepMs) = (Int64(900_000), random.pick([Int64(15_000), 61_000, 300_000]))
            let count = 6
            let endMs = startMs + Int64(count - 1) * stepMs
            var expected: [[LabelSet: Double]] = []
            var failed = false
            for index in 0..<count {
                do { expected.append(try naive.run(atMs: startMs + Int64(index) * stepMs)) } catch { failed = true }
            }
            let note: Comment = "seed \(seed), step \(stepMs): \(query)"
            let result: QueryResult
            do {
                result = try engine.range(ByteString(query), startMs: startMs, endMs: endMs, stepMs: stepMs, on: storage)
            } catch {
                // The engine sees the series of all steps together, so it may refuse labels that collide at none of them;
                // it must not fail in another way.
                #expect(failed || error.message == "vector cannot contain metrics with the same labelset", note)
                continue
            }
            if failed {
                Issue.record("the model fails, the engine does not: \(note)")
                continue
            }
            guard case .matrix(let series) = result.value else {
                Issue.record("no matrix: \(note)")
                continue
            }
            var found = Array(repeating: [LabelSet: Double](), count: count)
            for one in series {
                for (ms, value) in zip(one.timestampsMs, one.values) { found[Int((ms - startMs) / stepMs)][one.labels] = value }
            }
            for index in 0..<count {
                #expect(Self.same(found[index], expected[index]), "step \(index), \(found[index]) ≠ \(expected[index]), \(note)")
                let instant = try engine.instant(ByteString(query), atMs: startMs + Int64(index) * stepMs, on: storage)
                guard case .vector(let samples) = instant.value else { continue }
                let vector = Dictionary(samples.map { ($0.labels, $0.value) }, uniquingKeysWith: { first, _ in first })
                #expect(Self.same(vector, found[index]), "instant \(index), \(note)")
            }
        }
    }

    static func same(_ a: [LabelSet: Double], _ b: [LabelSet: Double]) -> Bool {
        a.count == b.count
            && a.allSatisfy { labels, value in
                guard let other = b[labels] else { return false }
                return value == other || (value.isNaN && other.isNaN)
                    || (value - other).magnitude <= 1e-9 * max(value.magnitude, other.magnitude)
                    || (value - other).magnitude < 1e-9
            }
    }
}
