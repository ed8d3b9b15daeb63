import ApusBytes
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
            if printed.contains("Inf") { continue }
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
        let engine = QueryEngine(options: options)
        for query in [ByteString(input), ByteString(words(input))] {
            guard parsed(query) != nil else { continue }
            _ = try? engine.instant(query, atMs: 600_000, on: storage)
            _ = try? engine.range(query, startMs: 0, endMs: 900_000, stepMs: 70_000, on: storage)
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
        return storage
    }()

    private static let vocabulary: [String] =
        FunctionName.allCases.map { $0.rawValue + "(" } + AggregationOperator.allCases.map { $0.rawValue + " " }
        + BinaryOperator.allCases.map { " \($0.rawValue) " }
        + [
            "x", "y_total", "z_bucket", "{a=\"1\"}", "{__name__=~\".*\",a!=\"\"}", "(", ")", ")", ",", "[5m]", "[5m:1m]", "[2m:]",
            " offset 1m", " offset -30s", " @ 60", " @ start()", " @ end()", " by (a)", " without (le)", " on (a)", " ignoring (le)",
            " group_left ()", " group_right (le)", " bool ", "1", "0.5", "-", "NaN", "Inf", "1h", "0x1f", "\"a\"", "'b'", "`c`",
            " anchored", " smoothed", " fill(0)", " fill_left(1)", "[1m+step()]", "[max_of(1m,2m)]", "time()", "#\n", "1e308", "9y",
        ]

    private static func words(_ input: [UInt8]) -> [UInt8] {
        input.prefix(2_000).flatMap { Array(vocabulary[Int($0) % vocabulary.count].utf8) }
    }
}
