import ApusBytes
import ApusModel
import Testing

@testable import ApusPromQL

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

    /// Series of histograms: with buckets that appear, resets, gaps, staleness markers of both kinds, changes of resolution;
    /// those of `m` are floats for a while, those of `n` have custom bounds, which differ from series to series.
    static func histogramData(_ random: inout SplitMix) -> [NaiveEvaluator.Series] {
        var result: [NaiveEvaluator.Series] = []
        for name in ["h", "m", "n"] {
            for x in ["1", "2"] {
                for y in ["p", "q"] where random.below(4) > 0 {
                    let labels: LabelSet = ["__name__": ByteString(name), "x": ByteString(x), "y": ByteString(y)]
                    result.append(histogramSeries(labels, isCustom: name == "n", hasFloats: name == "m", &random))
                }
            }
        }
        return result
    }

    private static func histogramSeries(
        _ labels: LabelSet, isCustom: Bool, hasFloats: Bool, _ random: inout SplitMix
    ) -> NaiveEvaluator.Series {
        var samples: [(ms: Int64, value: Double)] = []
        var histograms: [Int64: FloatHistogram] = [:]
        let bounds: [Double] = isCustom ? [[1, 2, 5], [1, 2, 5], [0.5, 2, 5, 10]][random.below(3)] : []
        var schema: Int32 = isCustom ? HistogramLayout.customSchema : 1
        var counts: [Int32: Double] = [:]
        var (sum, isFloat) = (0.0, false)
        var timeMs = Int64(random.below(600_000))
        while timeMs < 3_600_000 {
            switch random.below(40) {
            case 0: samples.append((timeMs, StaleNaN.value))
            case 1:
                samples.append((timeMs, StaleNaN.value))
                histograms[timeMs] = FloatHistogram(sum: StaleNaN.value)
            case 2: timeMs += Int64(random.below(900_000))
            default:
                if hasFloats, random.below(12) == 0 { isFloat.toggle() }
                if isFloat {
                    samples.append((timeMs, Double(random.below(100))))
                    break
                }
                if random.below(15) == 0 { (counts, sum) = ([:], 0) }
                if !isCustom, random.below(60) == 0 { schema = schema == 1 ? 0 : 1 }
                for _ in 0..<random.below(4) { counts[Int32(random.below(isCustom ? bounds.count + 1 : 6)), default: 0] += Double(1 + random.below(9)) }
                sum += Double(random.below(50))
                var spans = SpanBuilder()
                let indices = counts.keys.sorted()
                for index in indices { spans.append(index) }
                let histogram = FloatHistogram(
                    layout: HistogramLayout(
                        schema: schema, zeroThreshold: isCustom ? 0 : 0.001, positiveSpans: spans.spans, customBounds: bounds),
                    count: counts.values.reduce(0, +), sum: sum, buckets: indices.map { counts[$0] ?? 0 })
                samples.append((timeMs, sum))
                histograms[timeMs] = histogram
            }
            timeMs += 15_000 + Int64(random.below(3) * 5)
        }
        return .init(labels: labels, samples: samples, histograms: histograms)
    }

    private static func load(_ data: [NaiveEvaluator.Series], into storage: MemoryStorage) throws {
        for series in data {
            for sample in series.samples {
                if let histogram = series.histograms[sample.ms] {
                    try storage.append(series.labels, timestampMs: sample.ms, histogram: #require(histogram.native))
                } else {
                    try storage.append(series.labels, timestampMs: sample.ms, value: sample.value)
                }
            }
        }
    }

    static func selector(_ random: inout SplitMix) -> String {
        random.pick(["a_total", "b_total", "g", "g{x=\"1\"}", "a_total{y!=\"q\"}", "{__name__=~\"a_total|b_total\"}", "b_total{y=~\"p|q\"}"])
    }

    static func histogramSelector(_ random: inout SplitMix) -> String {
        random.pick(["h", "m", "n", "h{x=\"1\"}", "n{y=\"q\"}", "{__name__=~\"h|n\"}", "{__name__=~\"h|a_total\"}", "a_total"])
    }

    /// What a function of histograms may stand around: nothing that compares them, as Prometheus then compares counts and
    /// sums alone.
    private static func histogramOperand(_ random: inout SplitMix) -> String {
        let selector = histogramSelector(&random)
        return random.pick([
            selector, "rate(\(selector)[5m])", "sum by (x) (rate(\(selector)[5m]))", "\(selector) - \(selector) offset 5m", "2 * \(selector)",
            "avg(\(selector))", "last_over_time(\(selector)[3m])",
        ])
    }

    static func modifier(_ random: inout SplitMix) -> String {
        random.pick(["", "", "", " offset 3m", " offset -2m", " @ 1800", " @ 1200 offset 1m"])
    }

    static func vector(
        _ random: inout SplitMix, depth: Int, selector: (inout SplitMix) -> String = Self.selector, hasHistograms: Bool = false
    ) -> String {
        if depth == 0 || random.below(5) == 0 {
            return selector(&random) + modifier(&random)
        }
        func vector(_ random: inout SplitMix, depth: Int) -> String {
            Self.vector(&random, depth: depth, selector: selector, hasHistograms: hasHistograms)
        }
        if hasHistograms, random.below(6) == 0 {
            return random.pick([
                "histogram_count(%)", "histogram_sum(%)", "histogram_avg(%)", "histogram_quantile(0.9, %)", "-(%)",
            ]).replacing("%", with: histogramOperand(&random))
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
        try compare(seed, data, &random) { Self.vector(&$0, depth: 3) }
    }

    /// The same where samples are histograms, floats, or both in turn.
    @Test("answers as the plain evaluator with histograms", arguments: 0..<120)
    func agreesOnHistograms(seed: Int) throws {
        var random = SplitMix(UInt64(seed) &* 104_729 &+ 5)
        let data = Self.data(&random) + Self.histogramData(&random)
        try compare(seed, data, &random) {
            Self.vector(&$0, depth: 3, selector: Self.histogramSelector, hasHistograms: true)
        }
    }

    private func compare(
        _ seed: Int, _ data: [NaiveEvaluator.Series], _ random: inout SplitMix, _ draw: (inout SplitMix) -> String
    ) throws {
        let storage = MemoryStorage()
        try Self.load(data, into: storage)
        let engine = QueryEngine()
        for _ in 0..<12 {
            let query = draw(&random)
            let expression: Expression
            do { expression = try parseExpression(ByteString(query)) } catch {
                Issue.record("\(query): \(error)")
                continue
            }
            let naive = NaiveEvaluator(expression: expression, series: data)
            let (startMs, stepMs) = (Int64(900_000), random.pick([Int64(15_000), 61_000, 300_000]))
            let count = 6
            let endMs = startMs + Int64(count - 1) * stepMs
            var expected: [NaiveEvaluator.Vector] = []
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
            var found = Array(repeating: NaiveEvaluator.Vector(), count: count)
            for one in series {
                for (ms, value) in zip(one.timestampsMs, one.values) { found[Int((ms - startMs) / stepMs)][one.labels] = .float(value) }
                for (ms, histogram) in zip(one.histogramTimestampsMs, one.histograms) {
                    found[Int((ms - startMs) / stepMs)][one.labels] = .histogram(histogram)
                }
            }
            for index in 0..<count {
                #expect(Self.same(found[index], expected[index]), "step \(index), \(found[index]) ≠ \(expected[index]), \(note)")
                let instant = try engine.instant(ByteString(query), atMs: startMs + Int64(index) * stepMs, on: storage)
                guard case .vector(let samples) = instant.value else { continue }
                let vector = Dictionary(
                    samples.map { sample in (sample.labels, sample.histogram.map { .histogram($0) } ?? NaiveValue.float(sample.value)) },
                    uniquingKeysWith: { first, _ in first })
                #expect(Self.same(vector, found[index]), "instant \(index), \(note)")
            }
        }
    }

    static func same(_ a: NaiveEvaluator.Vector, _ b: NaiveEvaluator.Vector) -> Bool {
        a.count == b.count
            && a.allSatisfy { labels, value in
                switch (value, b[labels]) {
                case (.float(let value), .float(let other)): same(value, other)
                case (.histogram(let value), .histogram(let other)): same(value, other)
                default: false
                }
            }
    }

    private static func same(_ a: FloatHistogram, _ b: FloatHistogram) -> Bool {
        func counts(_ histogram: FloatHistogram) -> [Double: Double] {
            Dictionary(histogram.resultBuckets.map { ($0.upper, $0.count) }, uniquingKeysWith: { $0 + $1 })
        }
        let (left, right) = (counts(a), counts(b))
        return a.layout.schema == b.layout.schema && a.layout.customBounds == b.layout.customBounds
            && same(a.count, b.count) && same(a.sum, b.sum)
            && Set(left.keys).union(right.keys).allSatisfy { same(left[$0] ?? 0, right[$0] ?? 0) }
    }

    private static func same(_ value: Double, _ other: Double) -> Bool {
        value == other || (value.isNaN && other.isNaN)
            || (value - other).magnitude <= 1e-9 * max(value.magnitude, other.magnitude)
            || (value - other).magnitude < 1e-9
    }
}
