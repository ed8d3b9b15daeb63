import ApusBytes
import ApusModel

/// Draws well-typed expressions over the series of `DifferentialData`, for comparing two evaluators.
///
/// What two right evaluators may answer differently is left out by construction:
///
/// - Results of libm (`exp`, `sin`, `^`, `atan2`, …) differ by an ulp or more from library to library. They are drawn
///   at the root only, and compared within 4 ulp there. Below a root they would be amplified: by `%`, `floor`, `ceil`,
///   `round`, `==` and the other comparisons, `changes`, `resets`, `count_values`, differences of near numbers, the
///   order of `topk`, and calendar functions.
/// - The order of series is that of a hash map in Prometheus after all but selectors, range functions and aggregations
///   of these. So what depends on order, the sums of `sum`, `avg`, `stddev` and `stdvar` and the ties of
///   `topk`, `bottomk` and `limitk`, is drawn over operands whose order is known.
/// - `log2` and `log10` of numbers near 1 are the difference of two others in Go, and so is `acos` near 1: there they are
///   compared within 4 ulp of 1. Go's `pow` multiplies again and again: `^` is compared within 16 ulp.
///   So are `sin`, `cos` and `tan`, whose large arguments it reduces less precisely: `tan` within (1 + tan²) times that.
/// - `sort` and its like are drawn at the root; elsewhere their order would not survive.
struct ExpressionGenerator {
    /// What of the language the other side knows.
    struct Language {
        /// Prometheus 3.5's, with its feature flags.
        static let prometheus = Language()
        /// The naive evaluator's.
        ///
        /// Without what would amplify the model's plain sums, and `predict_linear`, which it knows no infinities of.
        static let model = Language(
            windows: [
                "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "max_over_time", "min_over_time",
                "count_over_time", "last_over_time", "present_over_time", "first_over_time", "avg_over_time", "stddev_over_time",
                "stdvar_over_time", "deriv",
            ],
            windowCalls: ["quantile_over_time(0.3, %)"],
            plain: [
                "abs", "sqrt", "sgn", "rad", "deg", "timestamp", "day_of_month", "hour", "month", "year", "day_of_week",
                "day_of_year", "days_in_month",
            ],
            libm: ["exp", "ln", "log2", "log10", "sin", "cos", "atan", "tanh"],
            calls: [
                "clamp_min(%, 0)", "clamp_max(%, 100)", "clamp(%, -10, 50)", "label_join(%, \"j\", \"-\", \"x\", \"y\")",
                "absent(sum(%))",
            ],
            matchings: ["", " on (x, y)", " ignoring (y)", " on (x) group_left ()"], hasHistograms: false, hasPicks: false)

        var windows = [
            "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "sum_over_time", "max_over_time",
            "min_over_time", "count_over_time", "last_over_time", "present_over_time", "avg_over_time", "stddev_over_time",
            "stdvar_over_time", "mad_over_time", "deriv", "absent_over_time",
        ]
        var windowCalls = [
            "quantile_over_time(0.3, %)", "quantile_over_time(1.5, %)", "predict_linear(%, 600)", "predict_linear(%, -45.5)",
            "double_exponential_smoothing(%, 0.3, 0.7)",
        ]
        var plain = [
            "abs", "ceil", "floor", "sqrt", "sgn", "rad", "deg", "timestamp", "round", "day_of_month", "hour", "minute", "month",
            "year", "day_of_week", "day_of_year", "days_in_month",
        ]
        var libm = [
            "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh",
            "atanh",
        ]
        /// Functions of an instant vector, `%`, with other arguments.
        var calls = [
            "clamp_min(%, 0)", "clamp_max(%, 100)", "clamp(%, -10, 50)", "clamp(%, 5, 1)", "round(%, 5)", "round(%, 0.1)",
            "label_replace(%, \"r\", \"$1-x\", \"y\", \"([pq]).*\")", "label_replace(%, \"x\", \"\", \"x\", \".*\")",
            "label_join(%, \"j\", \"-\", \"x\", \"y\")", "label_join(%, \"x\", \"\", \"y\")", "absent(%)",
            "vector(scalar(%))",
        ]
        var aggregators = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]
        var matchings = [
            "", "", " on (x, y)", " ignoring (y)", " on (x) group_left ()", " on (x) group_right ()", " ignoring (y) group_left (y)",
            " on (x, y) group_left (__name__)",
        ]
        var hasHistograms = true
        var hasPicks = true
    }

    /// An expression, and what may be done with it.
    struct Drawn {
        var text: String
        /// Whether the order of its series is that of the storage.
        var isOrdered = true
        /// Whether it is a result of libm.
        var isLibm = false
        /// Whether the root is `^`.
        var isPower = false
    }

    let language: Language
    var random: SplitMix
    /// Whether the expression drawn last has a comparison of two vectors that filters.
    private(set) var comparesVectors = false

    init(_ language: Language, seed: UInt64) {
        self.language = language
        random = SplitMix(seed &* 0xD1B5_4A32_D192_ED03)
    }

    /// A whole query.
    mutating func expression() -> Drawn {
        comparesVectors = false
        switch random.below(16) {
        case 0, 1, 2:
            let operand = vector(depth: 2)
            return Drawn(text: "\(random.pick(language.libm))(\(operand.text))", isOrdered: operand.isOrdered, isLibm: true)
        case 3:
            let op = random.pick(["^", "atan2"])
            return Drawn(text: "(\(vector(depth: 2).text)) \(op) \(random.pick(["2", "0.5", "-1.5", "time()"]))", isLibm: true, isPower: op == "^")
        case 4 where language.hasPicks:
            return Drawn(text: "\(random.pick(["sort", "sort_desc"]))(\(vector(depth: 2).text))", isOrdered: false)
        default: return vector(depth: 3)
        }
    }

    // MARK: Selectors

    private mutating func selector() -> String {
        random.pick([
            "c_total", "d_total", "g", "g{x=\"1\"}", "c_total{y!=\"q\"}", "{__name__=~\"c_total|d_total\"}", "d_total{y=~\"p|q\"}",
            "i", "i{x=\"2\"}", "h_bucket{x=\"1\"}", "nothing", "{x=\"1\",__name__!~\"h_.*\"}", "g{y=~\".+\",x!~\"2\"}", "s",
        ])
    }

    private mutating func modifier() -> String {
        random.pick(["", "", "", "", " offset 3m", " offset -2m", " @ \(DifferentialData.startSeconds + 1_800)",
            " @ \(DifferentialData.startSeconds + 1_201) offset 1m", " @ end()", " @ start() offset 17s"])
    }

    private mutating func range(depth: Int) -> Drawn {
        if depth > 0, random.below(4) == 0 {
            let inner = vector(depth: depth - 1)
            let step = random.pick(["", "1m", "30s", "7m", "17s"])
            return Drawn(text: "(\(inner.text))[\(random.pick(["10m", "3m", "90s"])):\(step)]\(modifier())", isOrdered: inner.isOrdered)
        }
        return Drawn(text: "\(selector())[\(random.pick(["1m", "5m", "15m", "17s", "31s5ms", "1h"]))]\(modifier())")
    }

    // MARK: Scalars

    private mutating func scalar(depth: Int) -> String {
        switch random.below(10) {
        case 0: return "time()"
        case 1 where depth > 0: return "scalar(\(vector(depth: depth - 1).text))"
        case 2 where depth > 0:
            return "(\(scalar(depth: depth - 1)) \(random.pick(["+", "-", "*", "/", "%", "> bool", "== bool"])) \(scalar(depth: depth - 1)))"
        case 3: return "-\(random.pick(["1", "0.25"]))"
        default: return random.pick(["0", "1", "2", "-1.5", "0x10", "1e3", "NaN", "Inf", "-Inf", "5m", "0.1", "3"])
        }
    }

    // MARK: Vectors

    private mutating func grouping() -> String {
        random.pick(["", "", " by (x)", " by (x, y)", " without (y)", " by (__name__)", " without (x)", " by (nosuch)"])
    }

    private mutating func vector(depth: Int) -> Drawn {
        if depth == 0 || random.below(7) == 0 { return Drawn(text: selector() + modifier()) }
        let inner = depth - 1
        switch random.below(12) {
        case 0, 1, 2:
            let range = range(depth: inner)
            if random.below(5) == 0 { return Drawn(text: filled(random.pick(language.windowCalls), range.text), isOrdered: range.isOrdered) }
            return Drawn(text: "\(random.pick(language.windows))(\(range.text))", isOrdered: range.isOrdered)
        case 3, 4: return aggregate(inner)
        case 5:
            let op = random.pick(["+", "-", "*", "/", "%", ">", "<", "<= bool", "==", "!= bool", "!=", ">="])
            let (operand, number) = (vector(depth: inner), scalar(depth: inner))
            let text = random.below(2) == 0 ? "(\(operand.text)) \(op) \(number)" : "\(number) \(op) (\(operand.text))"
            return Drawn(text: text, isOrdered: false)
        case 6, 7:
            let op = random.pick(["+", "-", "*", "/", "%", ">", "< bool", "==", "and", "or", "unless"])
            let isSet = ["and", "or", "unless"].contains(op)
            if !isSet, [">", "=="].contains(op) { comparesVectors = true }
            let matching = random.pick(isSet ? ["", " on (x)", " ignoring (y)", " on ()"] : language.matchings)
            return Drawn(text: "(\(vector(depth: inner).text)) \(op)\(matching) (\(vector(depth: inner).text))", isOrdered: false)
        case 8:
            let operand = vector(depth: inner)
            return Drawn(text: "-(\(operand.text))", isOrdered: false)
        case 9:
            let operand = vector(depth: inner)
            return Drawn(text: filled(random.pick(language.calls), operand.text), isOrdered: false)
        case 10 where language.hasHistograms: return histogram()
        default:
            let operand = vector(depth: inner)
            return Drawn(text: "\(random.pick(language.plain))(\(operand.text))", isOrdered: false)
        }
    }

    private mutating func aggregate(_ depth: Int) -> Drawn {
        let operand = vector(depth: depth)
        let isPick = language.hasPicks && operand.isOrdered && random.below(4) == 0
        if isPick {
            let op = random.pick(["topk", "bottomk"])
            return Drawn(text: "\(op)\(grouping()) (\(random.pick(["1", "2", "0", "3.7", "-1", "100"])), \(operand.text))", isOrdered: false)
        }
        if language.hasHistograms, random.below(6) == 0 {
            return Drawn(text: "quantile\(grouping()) (\(random.pick(["0.5", "0", "1", "-1", "0.99"])), \(operand.text))", isOrdered: operand.isOrdered)
        }
        if language.hasHistograms, random.below(8) == 0 {
            return Drawn(text: "count_values\(grouping()) (\"\(random.pick(["v", "x"]))\", \(operand.text))", isOrdered: false)
        }
        let ops = operand.isOrdered ? language.aggregators : ["count", "min", "max", "group"]
        return Drawn(text: "\(random.pick(ops))\(grouping()) (\(operand.text))", isOrdered: operand.isOrdered)
    }

    private mutating func histogram() -> Drawn {
        let buckets = random.pick([
            "h_bucket", "rate(h_bucket[5m])", "sum by (le) (rate(h_bucket[5m]))", "increase(h_bucket{x=\"1\"}[2m])", "h_bucket offset 2m", "c_total",
        ])
        let phi = random.pick(["0.5", "0.9", "0", "1", "-0.5", "2", "0.999", "NaN"])
        return Drawn(text: "histogram_quantile(\(phi), \(buckets))", isOrdered: false)
    }

    private func filled(_ pattern: String, _ operand: String) -> String {
        let parts = pattern.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? parts[0] + operand + parts[1] : pattern
    }
}

/// The series that drawn expressions are about: an hour of counters with resets, gauges, whole numbers and classic
/// histograms, with gaps, NaN, infinities, and series that end where others with the same labels begin.
struct DifferentialData {
    static let startSeconds: Int64 = 1_700_006_400
    static var startMs: Int64 { startSeconds * 1_000 }
    static let durationMs: Int64 = 3_600_000

    var series: [NaiveEvaluator.Series] = []

    /// - Parameter hasMarkers: whether staleness markers occur; a text format cannot carry them.
    init(seed: UInt64, hasMarkers: Bool) {
        var random = SplitMix(seed &* 0xA24B_AED4_963E_E407)
        for name in ["c_total", "d_total", "g", "i", "s"] {
            for x in ["1", "2"] {
                for y in name == "s" ? ["p"] : ["p", "q", "r"] where name == "s" || random.below(5) > 0 {
                    let samples = Self.samples(name, hasMarkers, &random)
                    series.append(
                        .init(labels: ["__name__": ByteString(name), "x": ByteString(x), "y": ByteString(y)], samples: samples))
                }
            }
        }
        for x in ["1", "2"] { addHistogram(x, &random) }
        series.removeAll { $0.samples.isEmpty }
        series.sort { $0.labels < $1.labels }
    }

    private static func samples(_ name: String, _ hasMarkers: Bool, _ random: inout SplitMix) -> [(ms: Int64, value: Double)] {
        var result: [(ms: Int64, value: Double)] = []
        var value = Double(random.below(50))
        var timeMs = Int64(random.below(600_000))
        let endMs = random.below(4) == 0 ? durationMs / 2 : durationMs
        while timeMs < endMs {
            switch random.below(60) {
            case 0 where hasMarkers: result.append((startMs + timeMs, StaleNaN.value))
            case 1 where name != "i": result.append((startMs + timeMs, .nan))
            case 2: timeMs += Int64(random.below(900_000))
            case 3 where name == "g": result.append((startMs + timeMs, random.below(2) == 0 ? .infinity : -.infinity))
            default:
                switch name {
                case "g": value = Double(random.below(2_000) - 1_000) / 7
                case "i": value = Double(random.below(5))
                case "s": value = random.below(3) == 0 ? value : Double(random.below(1_000_000)) * 1.1e-3
                default: value = random.below(25) == 0 ? 0 : value + Double(random.below(100)) / 3
                }
                result.append((startMs + timeMs, value))
            }
            timeMs += 15_000 + Int64(random.below(3) * 5)
        }
        return result
    }

    private mutating func addHistogram(_ x: String, _ random: inout SplitMix) {
        let bounds = ["0.1", "0.5", "1", "5", "+Inf"]
        var counts = [Double](repeating: 0, count: bounds.count)
        var samples = Array(repeating: [(ms: Int64, value: Double)](), count: bounds.count)
        for tick in 0..<240 {
            var total = 0.0
            for index in bounds.indices {
                total += Double(random.below(5))
                counts[index] += total
                samples[index].append((Self.startMs + Int64(tick) * 15_000, counts[index]))
            }
        }
        for (index, bound) in bounds.enumerated() {
            series.append(
                .init(labels: ["__name__": "h_bucket", "le": ByteString(bound), "x": ByteString(x)], samples: samples[index]))
        }
    }

    /// As OpenMetrics text.
    var openMetrics: String {
        var text = ""
        for one in series {
            let name = one.labels["__name__"] ?? ""
            let labels = one.labels.filter { $0.name != "__name__" }.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
            for sample in one.samples {
                let value = sample.value.isNaN ? "NaN" : sample.value.isInfinite ? (sample.value < 0 ? "-Inf" : "+Inf") : "\(sample.value)"
                let millis = String(sample.ms % 1_000)
                text += "\(name){\(labels)} \(value) \(sample.ms / 1_000).\(String(repeating: "0", count: 3 - millis.count))\(millis)\n"
            }
        }
        return text + "# EOF\n"
    }
}
