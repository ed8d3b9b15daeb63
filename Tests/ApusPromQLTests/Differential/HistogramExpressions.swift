import ApusBytes
import ApusModel

@testable import ApusPromQL

/// Draws expressions over the native histograms of `HistogramData`, in the language that Prometheus 3.5 knows.
///
/// Answers are compared within a billionth, as sums of histograms have no order, and 3.5 sums plainly where 3.14 compensates.
/// What turns a rounding error into another answer is left out: comparisons, `resets` and `changes` of computed histograms, and
/// `stddev`, as times are large numbers that differ little. So is what 3.14 answers otherwise:
///
/// - It does not carry a counter on below zero, as 3.5 does with histograms (prometheus/prometheus#16828): `rate` and its like are
///   drawn over counters alone, in windows of a minute at least, and those of `HistogramData` are far from zero.
/// - Below `histogram_count` and its like both read counts and sums only, but 3.14 knows the kind of buckets: an expression is about
///   custom buckets or about exponential ones, and resets are counted of counters, whose hints tell them.
struct HistogramExpressions {
    var random: SplitMix
    /// Whether the expression is about custom buckets.
    private var isCustom = false

    init(seed: UInt64) { random = SplitMix(seed &* 0x9FB2_1C65_1E98_DF25) }

    mutating func expression() -> String {
        isCustom = random.below(4) == 0
        switch random.below(8) {
        case 0: return number(vector(depth: 2))
        case 1: return "(\(vector(depth: 1))) \(random.pick(["==", "!=", ">", "<= bool", "/", "*", "+", "-"])) \(random.pick(["2", "0.5", "-1", "0"]))"
        default: return vector(depth: 3)
        }
    }

    private mutating func selector() -> String {
        if isCustom { return random.pick(["hn", "hn", "f", "hn{x=\"2\"}", "{__name__=~\"hn|f\"}"]) }
        return random.pick(["hc", "hc", "hg", "hm", "f", "hc{x=\"1\"}", "{__name__=~\"hc|hg\",x=\"2\"}", "nothing"])
    }

    private mutating func modifier() -> String {
        random.pick(["", "", "", "", " offset 3m", " offset -2m", " @ \(DifferentialData.startSeconds + 1_800)", " @ end()"])
    }

    /// For `rate` and its like.
    private mutating func counterRange() -> String {
        let counter = random.pick(isCustom ? ["hn", "f", "hn{x=\"2\"}"] : ["hc", "hc", "hm", "f", "hc{x=\"1\"}"])
        return "\(counter)[\(random.pick(["1m", "5m", "15m", "1h"]))]\(modifier())"
    }

    private mutating func range(depth: Int) -> String {
        if depth > 0, random.below(5) == 0 {
            return "(\(vector(depth: depth - 1)))[\(random.pick(["10m", "3m", "90s"])):\(random.pick(["", "1m", "30s", "17s"]))]\(modifier())"
        }
        return "\(selector())[\(random.pick(["1m", "5m", "15m", "31s", "1h"]))]\(modifier())"
    }

    /// A function that makes numbers of histograms.
    private mutating func number(_ operand: String) -> String {
        switch random.below(9) {
        case 0: "histogram_count(\(operand))"
        case 1: "histogram_sum(\(operand))"
        case 2: "histogram_avg(\(operand))"
        case 3: "histogram_stddev(\(operand))"
        case 4: "histogram_stdvar(\(operand))"
        case 5, 6: "histogram_quantile(\(random.pick(["0.5", "0.9", "0", "1", "-0.5", "2", "0.999", "NaN"])), \(operand))"
        default: "histogram_fraction(\(random.pick(["-Inf", "-1", "0", "0.3"])), \(random.pick(["+Inf", "0", "1", "7.5"])), \(operand))"
        }
    }

    private mutating func vector(depth: Int) -> String {
        if depth == 0 || random.below(7) == 0 { return selector() + modifier() }
        let inner = depth - 1
        switch random.below(12) {
        case 0, 1, 2, 3:
            if random.below(3) == 0 { return "\(random.pick(["rate", "increase", "irate"]))(\(counterRange()))" }
            let function = random.pick([
                "delta", "idelta", "sum_over_time", "avg_over_time", "last_over_time", "count_over_time",
                "present_over_time", "max_over_time", "stddev_over_time", "deriv",
            ])
            return "\(function)(\(range(depth: inner)))"
        case 4: return "\(random.pick(["resets", "changes"]))(\(counterRange()))"
        case 5, 6:
            let grouping = random.pick(["", " by (x)", " without (x)", " by (__name__)"])
            return "\(random.pick(["sum", "sum", "avg", "count", "group", "min", "max"]))\(grouping) (\(vector(depth: inner)))"
        case 7:
            let op = random.pick(["+", "-", "*", "/", "and", "or", "unless"])
            let matching = random.pick(["", " on (x)", " ignoring (y)"])
            return "(\(vector(depth: inner))) \(op)\(matching) (\(vector(depth: inner)))"
        case 8: return "(\(vector(depth: inner))) \(random.pick(["*", "/"])) \(random.pick(["2", "0.5", "-1", "3", "time()"]))"
        case 9: return "\(random.pick(["2", "-0.25"])) * (\(vector(depth: inner)))"
        case 10: return random.below(2) == 0 ? "-(\(vector(depth: inner)))" : "\(random.pick(["abs", "timestamp", "sgn"]))(\(vector(depth: inner)))"
        default: return number(vector(depth: inner))
        }
    }
}

/// Half an hour of native histograms: counters with resets and layouts that change, gauges, series that are floats at times,
/// custom bounds; whole numbers all of them.
struct HistogramData {
    enum Value {
        case float(Double)
        case histogram(NativeHistogram)
    }
    var series: [(labels: LabelSet, samples: [(ms: Int64, value: Value)])] = []

    init(seed: UInt64) throws {
        var random = SplitMix(seed &* 0xD6E8_FEB8_6659_FD93)
        for name in ["hc", "hg", "hm", "hn", "f"] {
            for x in ["1", "2", "3"] {
                series.append((["__name__": ByteString(name), "x": ByteString(x)], try Self.samples(name, &random)))
            }
        }
    }

    private static func layout(_ name: String, _ random: inout SplitMix) -> HistogramLayout {
        if name == "hn" {
            return HistogramLayout(
                schema: HistogramLayout.customSchema, positiveSpans: [HistogramSpan(offset: 0, length: 4)], customBounds: [0.5, 1, 5])
        }
        let spans = [
            HistogramSpan(offset: Int32(random.below(3)), length: UInt32(1 + random.below(3))),
            HistogramSpan(offset: Int32(1 + random.below(3)), length: UInt32(1 + random.below(3))),
        ]
        return HistogramLayout(
            schema: random.pick([0, 1, 3, -1]), zeroThreshold: random.pick([0.001, 0.001, 0.25]), positiveSpans: spans,
            negativeSpans: random.below(3) == 0 ? [HistogramSpan(offset: 1, length: 2)] : [])
    }

    private static func samples(_ name: String, _ random: inout SplitMix) throws -> [(ms: Int64, value: Value)] {
        var result: [(ms: Int64, value: Value)] = []
        var current = layout(name, &random)
        // Each life begins at half of what the one before began at: a reset for sure, and far from zero for the time it takes.
        var base: UInt64 = name == "hg" ? 0 : 50_000
        var counts = [UInt64](repeating: base, count: current.bucketCount)
        var (zeros, sum) = (current.hasCustomBounds ? 0 : base, Double(base) * 3)
        var timeMs = DifferentialData.startMs + Int64(random.below(200_000))
        while timeMs < DifferentialData.startMs + DifferentialData.durationMs {
            if random.below(50) == 0 { timeMs += Int64(random.below(600_000)) }
            // A process that starts again counts from nothing, and may have other buckets.
            if random.below(80) == 0 {
                if random.below(2) == 0 { current = layout(name, &random) }
                base /= 2
                counts = Array(repeating: base, count: current.bucketCount)
                (zeros, sum) = (current.hasCustomBounds ? 0 : base, Double(base) * 3)
            }
            for index in counts.indices { counts[index] = name == "hg" ? UInt64(random.below(9)) : counts[index] + UInt64(random.below(4)) }
            if !current.hasCustomBounds { zeros = name == "hg" ? UInt64(random.below(9)) : zeros + UInt64(random.below(2)) }
            sum = name == "hg" ? Double(random.below(100)) : sum + Double(random.below(40))
            if name == "f" || (name == "hm" && random.below(12) == 0) {
                result.append((timeMs, .float(Double(random.below(50)))))
            } else {
                let positive = Array(counts.prefix(current.positiveCount))
                let histogram = try NativeHistogram(
                    layout: current, hint: name == "hg" ? .gauge : .unknown, count: counts.reduce(zeros, +), zeroCount: zeros, sum: sum,
                    positive: positive, negative: Array(counts.dropFirst(positive.count)))
                result.append((timeMs, .histogram(histogram)))
            }
            timeMs += 15_000
        }
        return result
    }
}
