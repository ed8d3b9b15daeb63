import ApusBytes
import ApusModel
import ApusPromQL

extension Fuzz {
    static let promqlTargets: [String: @Sendable ([UInt8]) -> Void] = [
        "promql-tokens": promqlTokens, "promql-print": promqlPrint, "promql-eval": promqlEval,
    ]

    private static let everything = ParserOptions(
        enableExperimentalFunctions: true, enableExtendedRangeSelectors: true, enableBinopFill: true)

    /// Words of the language put together as the bytes say: reaches deeper than random text does. It parses or fails with a
    /// position inside the query, and can be explained.
    private static func promqlTokens(_ input: [UInt8]) { _ = parsed(ByteString(words(input))) }

    private static func parsed(_ query: ByteString) -> Expression? {
        do { return try parseExpression(query, options: everything) } catch {
            guard error.range.lowerBound >= 0, error.range.upperBound <= query.count else { fatalError("\(error): \(error.range)") }
            guard error.explanation(of: query).hasPrefix(error.message) else { fatalError("no explanation of \(error)") }
            return nil
        }
    }

    /// What was printed, on one line or on several, parses to what prints the same.
    private static func promqlPrint(_ input: [UInt8]) {
        for query in [ByteString(input), ByteString(words(input))] {
            guard let expression = parsed(query) else { continue }
            let printed = expression.description
            // `Inf ^ x` prints as `+Inf ^ x`, as upstream does, and that is another tree.
            if printed.contains("Inf ^") { continue }
            for text in [printed, expression.prettified()] {
                guard let again = parsed(ByteString(text)), again.description == printed else {
                    fatalError("does not survive printing: \(text)")
                }
            }
        }
    }

    /// Evaluation ends, with an answer or an error; at one moment it says what it says at one step.
    private static func promqlEval(_ input: [UInt8]) {
        var options = EngineOptions()
        options.parser = everything
        options.maxSamples = 100_000
        options.timeoutMs = 5_000
        options.threads = 1
        options.enableDelayedNameRemoval = input.count % 2 == 0
        options.useStartTimestamps = input.count % 3 == 0
        options.enableTypeAndUnitLabels = input.count % 5 == 0
        options.enablePerStepStatistics = true
        var asked = QueryOptions()
        asked.countsSteps = input.count % 7 == 0
        asked.explains = input.count % 11 == 0
        let engine = QueryEngine(options: options)
        for query in [ByteString(input), ByteString(words(input))] {
            guard parsed(query) != nil else { continue }
            _ = try? engine.instant(query, atMs: 600_000, on: storage, options: asked)
            _ = try? engine.range(query, startMs: 0, endMs: 900_000, stepMs: 70_000, on: storage, options: asked)
        }
    }

    private static let storage: MemoryStorage = {
        let storage = MemoryStorage()
        for (name, factor) in [("x", 1.0), ("y_total", 7), ("z_bucket", 3)] {
            for le in ["1", "+Inf"] {
                for tick in 0..<40 {
                    let value = tick % 11 == 7 ? .nan : Double(tick % 13) * factor
                    try? storage.append(
                        ["__name__": ByteString(name), "a": "1", "le": ByteString(le)], timestampMs: Int64(tick) * 20_000, value: value)
                }
            }
        }
        // Native histograms: exponential buckets that change, custom bounds, a gauge, a series that is a float at times.
        for tick in 0..<40 {
            let (time, count) = (Int64(tick) * 20_000, UInt64(tick % 17))
            let layouts = [
                ("h", HistogramLayout(schema: tick > 20 ? 0 : 3, zeroThreshold: 0.001, positiveSpans: [HistogramSpan(offset: 1, length: 2)])),
                ("n", HistogramLayout(
                    schema: -53, positiveSpans: [HistogramSpan(offset: 0, length: 2)], customBounds: tick > 30 ? [1, 3] : [1, 2])),
                ("g", HistogramLayout(schema: -1, zeroThreshold: 1, positiveSpans: [HistogramSpan(offset: 3, length: 2)])),
            ]
            for (name, layout) in layouts {
                guard let histogram = try? NativeHistogram(
                    layout: layout, hint: name == "g" ? .gauge : .unknown, count: count * 3, sum: Double(count), positive: [count, count * 2])
                else { continue }
                if name == "h", tick % 9 == 4 {
                    try? storage.append(["__name__": "h", "a": "1"], timestampMs: time, value: Double(tick))
                } else {
                    try? storage.append(["__name__": ByteString(name), "a": "1"], timestampMs: time, histogram: histogram, startMs: time / 2)
                }
            }
        }
        return storage
    }()

    private static let vocabulary: [String] =
        FunctionName.allCases.map { $0.rawValue + "(" } + AggregationOperator.allCases.map { $0.rawValue + " " }
        + BinaryOperator.allCases.map { " \($0.rawValue) " }
        + [
            "x", "y_total", "z_bucket", "h", "n", "g", "{a=\"1\"}", "{__name__=~\".*\",a!=\"\"}", "(", ")", ")", ",", "[5m]", "[5m:1m]", "[2m:]",
            " offset 1m", " offset -30s", " @ 60", " @ start()", " @ end()", " by (a)", " without (le)", " on (a)", " ignoring (le)",
            " group_left ()", " group_right (le)", " bool ", "1", "0.5", "-", "NaN", "Inf", "1h", "0x1f", "\"a\"", "'b'", "`c`",
            " anchored", " smoothed", " fill(0)", " fill_left(1)", "[1m+step()]", "[max_of(1m,2m)]", "time()", "#\n", "1e308", "9y",
        ]

    private static func words(_ input: [UInt8]) -> [UInt8] {
        input.prefix(2_000).flatMap { Array(vocabulary[Int($0) % vocabulary.count].utf8) }
    }
}
