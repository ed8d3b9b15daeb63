import ApusBytes
import ApusModel
import ApusRegex

/// What became of a test script.
public struct ScriptReport: Sendable {
    public var passed = 0
    public var failed = 0
    /// `file:line: query: what differs`, one for each failure.
    public var failures: [String] = []

    public init() {}

    public static func + (left: ScriptReport, right: ScriptReport) -> ScriptReport {
        var sum = left
        sum.passed += right.passed
        sum.failed += right.failed
        sum.failures += right.failures
        return sum
    }
}

/// Runs scripts in the format of Prometheus's PromQL tests: `load` samples, `eval` queries, compare.
public struct ScriptRunner {
    static let parserOptions = ParserOptions(
        enableExperimentalFunctions: true, enableExtendedRangeSelectors: true, enableBinopFill: true)

    let engine: QueryEngine

    public init() {
        var options = EngineOptions()
        options.maxSamples = 10_000
        options.timeoutMs = 100_000
        options.enableDelayedNameRemoval = true
        options.useStartTimestamps = true
        options.parser = Self.parserOptions
        engine = QueryEngine(options: options)
    }

    /// - Parameter name: how failures call the script.
    /// - Parameter isStrict: each instant query is run in other ways, too, which must come to the same: `ScriptRunner+Strict`.
    public func run(_ bytes: [UInt8], name: String, isStrict: Bool = false) -> ScriptReport {
        var report = ScriptReport()
        let script = Script(bytes)
        func fail(_ line: Int, _ text: String) {
            report.failed += 1
            report.failures.append("\(name):\(line): \(text)")
        }
        if let failure = script.failure {
            fail(failure.line, failure.text)
            report.failed += script.evaluations
            return report
        }
        let storage = MemoryStorage()
        for (position, command) in script.commands.enumerated() {
            switch command.content {
            case .clear: storage.removeAll()
            case .load(let series, let withCustomBuckets):
                let problem = load(series, into: storage) ?? (withCustomBuckets ? loadCustomBuckets(series, into: storage) : nil)
                guard let problem else { continue }
                fail(command.number, problem)
                // Without its samples the rest of the script means nothing.
                for later in script.commands[position...] {
                    if case .evaluate(let evaluation) = later.content {
                        fail(later.number, "\(evaluation.query): not run, as a load failed")
                    }
                }
                return report
            case .evaluate(let evaluation):
                if let problem = check(evaluation, on: storage) ?? (isStrict ? checkStrictly(evaluation, on: storage) : nil) {
                    fail(command.number, "\(evaluation.query): \(problem)")
                } else {
                    report.passed += 1
                }
            }
        }
        return report
    }

    private func load(_ series: [Script.LoadedSeries], into storage: MemoryStorage) -> String? {
        for one in series {
            for (position, point) in one.points.enumerated() {
                guard let point else { continue }
                let timestampMs = Int64(position) &* one.intervalMs
                let offsetMs = position < one.startOffsetsMs.count ? one.startOffsetsMs[position] : nil
                let startMs = offsetMs.map { timestampMs &+ $0 } ?? 0
                do {
                    switch point {
                    case .float(let value):
                        try storage.append(one.labels, timestampMs: timestampMs, value: value, startMs: startMs)
                    case .histogram(let histogram, _):
                        guard let native = histogram.native else { return "\(one.labels.quotedDescription): invalid histogram" }
                        try storage.append(one.labels, timestampMs: timestampMs, histogram: native, startMs: startMs)
                    }
                } catch {
                    return "\(one.labels.quotedDescription): \(error)"
                }
            }
        }
        return nil
    }

    /// Makes native histograms with custom buckets of the classic histograms among the series.
    private func loadCustomBuckets(_ series: [Script.LoadedSeries], into storage: MemoryStorage) -> String? {
        var targets: [LabelSet: [Int64: ClassicHistogramBuilder]] = [:]
        for one in series {
            guard let part = ClassicPart(one.labels) else { continue }
            for (position, point) in one.points.enumerated() {
                guard case .float(let value)? = point else { continue }
                let timestampMs = Int64(position) &* one.intervalMs
                var builder = targets[part.target]?[timestampMs] ?? ClassicHistogramBuilder()
                switch part.kind {
                case .bucket(let upperBound): builder.setBucket(upperBound: upperBound, cumulativeCount: value)
                case .count: builder.setCount(value)
                case .sum: builder.setSum(value)
                }
                targets[part.target, default: [:]][timestampMs] = builder
            }
        }
        for (labels, builders) in targets.sorted(by: { $0.key < $1.key }) {
            for (timestampMs, builder) in builders.sorted(by: { $0.key < $1.key }) where !builder.isEmpty {
                var builder = builder
                do {
                    // As floats: that is what scripts hold.
                    try storage.append(labels, timestampMs: timestampMs, histogram: try builder.build().toFloat())
                } catch {
                    return "\(labels.quotedDescription): \(error)"
                }
            }
        }
        return nil
    }

    // MARK: Comparison

    /// What is wrong with the answer to a query; `nil` when it is as expected.
    private func check(_ evaluation: Script.Evaluation, on storage: MemoryStorage) -> String? {
        let result: QueryResult
        do {
            if evaluation.isInstant {
                result = try engine.instant(
                    evaluation.query, atMs: evaluation.rangeVector?.endMs ?? evaluation.startMs, on: storage)
            } else {
                result = try engine.range(
                    evaluation.query, startMs: evaluation.startMs, endMs: evaluation.endMs, stepMs: evaluation.stepMs,
                    on: storage)
            }
        } catch {
            guard let expected = evaluation.failure else { return "failed: \(error.message)" }
            return matches(expected, error.message) ? nil : "failed otherwise than expected: \(error.message)"
        }
        if evaluation.failure != nil { return "did not fail" }
        return checkAnnotations("warning", result.warnings, evaluation.warnings, isForbidden: evaluation.forbidsWarnings)
            ?? checkAnnotations("info", result.infos, evaluation.infos, isForbidden: evaluation.forbidsInfos)
            ?? checkValue(result.value, evaluation)
    }

    func matches(_ test: Script.MessageTest, _ message: String) -> Bool {
        switch test.kind {
        case .any: return true
        case .text: return ByteString(message) == test.value
        case .pattern:
            // Patterns here may match anywhere; ours match the whole.
            let pattern = ByteString("(?s:.*)(?:") + test.value + ByteString(")(?s:.*)")
            guard let regex = try? AnchoredRegex(pattern) else { return false }
            return regex.matches(ByteString(message).bytes.span)
        }
    }

    private func checkAnnotations(
        _ kind: String, _ messages: [String], _ tests: [Script.MessageTest], isForbidden: Bool
    ) -> String? {
        if isForbidden, let first = messages.first { return "unexpected \(kind): \(first)" }
        if tests.isEmpty { return nil }
        for test in tests where !messages.contains(where: { matches(test, $0) }) {
            return "expected \(kind) \(test.value) is missing; there are \(messages)"
        }
        for message in messages where !tests.contains(where: { matches($0, message) }) {
            return "unexpected \(kind): \(message)"
        }
        return nil
    }

    func checkValue(_ value: QueryValue, _ evaluation: Script.Evaluation) -> String? {
        switch value {
        case .string(_, let text):
            return text == (evaluation.text ?? ByteString()) ? nil : "got the string \(quoted(text.bytes))"
        case .scalar(_, let number):
            guard let expected = evaluation.scalar else { return "got a scalar" }
            return Self.isEqual(number, expected) ? nil : "expected \(expected), got \(number)"
        case .vector(let samples):
            if evaluation.scalar != nil { return "got a vector, not a scalar" }
            return checkVector(samples, evaluation)
        case .matrix(let series):
            if evaluation.scalar != nil { return "got a matrix, not a scalar" }
            if evaluation.isOrdered { return "a matrix has no order to check" }
            return checkMatrix(series, evaluation)
        }
    }

    private func checkVector(_ samples: [VectorSample], _ evaluation: Script.Evaluation) -> String? {
        var missing: [LabelSet: Int] = [:]
        for (position, series) in evaluation.series.enumerated() {
            guard series.points.count == 1 else { return "an instant query expects one point for each series" }
            if series.points[0] != nil { missing[series.labels] = position }
        }
        for (position, sample) in samples.enumerated() {
            guard let expected = missing.removeValue(forKey: sample.labels) else {
                return "unexpected series \(sample.labels.quotedDescription) \(Self.text(sample.value, sample.histogram))"
            }
            if evaluation.isOrdered, expected != position {
                return "\(sample.labels.quotedDescription) is at position \(position + 1), not \(expected + 1)"
            }
            if let problem = Self.difference(sample.value, sample.histogram, evaluation.series[expected].points[0]) {
                return "\(sample.labels.quotedDescription): \(problem)"
            }
        }
        return missing.keys.min().map { "missing series \($0.quotedDescription)" }
    }

    private func checkMatrix(_ result: [MatrixSeries], _ evaluation: Script.Evaluation) -> String? {
        for (left, right) in zip(result, result.dropFirst()) where !(left.labels < right.labels) {
            return "the matrix is not in order of labels"
        }
        let (startMs, stepMs) =
            evaluation.rangeVector.map { ($0.startMs, $0.stepMs) } ?? (evaluation.startMs, evaluation.stepMs)
        var missing: [LabelSet: [Script.Point?]] = [:]
        for series in evaluation.series where series.points.contains(where: { $0 != nil }) {
            missing[series.labels] = series.points
        }
        for series in result {
            let name = series.labels.quotedDescription
            guard let points = missing.removeValue(forKey: series.labels) else {
                return "unexpected series \(name) \(series.values.prefix(5))"
            }
            if let problem = checkPoints(of: series, points, startMs: startMs, stepMs: stepMs) { return "\(name): \(problem)" }
        }
        return missing.keys.min().map { "missing series \($0.quotedDescription)" }
    }

    private func checkPoints(of series: MatrixSeries, _ points: [Script.Point?], startMs: Int64, stepMs: Int64) -> String? {
        var (floats, histograms) = (0, 0)
        for (position, point) in points.enumerated() {
            guard let point else { continue }
            let timestampMs = startMs + Int64(position) * stepMs
            let problem: String?
            if case .histogram = point {
                if histograms >= series.histograms.count || series.histogramTimestampsMs[histograms] != timestampMs {
                    return "expected a histogram at \(timestampMs) ms; there are some at \(series.histogramTimestampsMs.prefix(12)) ms"
                }
                problem = Self.difference(0, series.histograms[histograms], point)
                histograms += 1
            } else {
                if floats >= series.values.count || series.timestampsMs[floats] != timestampMs {
                    return "expected a float at \(timestampMs) ms; there are some at \(series.timestampsMs.prefix(12)) ms"
                }
                problem = Self.difference(series.values[floats], nil, point)
                floats += 1
            }
            if let problem { return "\(problem), at \(timestampMs) ms" }
        }
        if floats != series.values.count {
            return "expected \(floats) floats, got \(series.values.count): \(series.values.prefix(12))"
        }
        if histograms != series.histograms.count {
            return "expected \(histograms) histograms, got \(series.histograms.count): \(series.histograms.prefix(3).map(\.text))"
        }
        return nil
    }

    private static func text(_ value: Double, _ histogram: FloatHistogram?) -> String { histogram?.text ?? "\(value)" }

    /// What is wrong with a sample; `nil` when it is as expected.
    private static func difference(_ value: Double, _ histogram: FloatHistogram?, _ expected: Script.Point?) -> String? {
        switch expected {
        case nil: return "expected nothing, got \(text(value, histogram))"
        case .float(let number)?:
            return histogram == nil && isEqual(value, number) ? nil : "expected \(number), got \(text(value, histogram))"
        case .histogram(let wanted, let hasHint)?:
            guard let histogram else { return "expected a histogram, got \(value)" }
            if isEqual(histogram, wanted), !hasHint || histogram.hint == wanted.hint { return nil }
            return "expected \(wanted.text), got \(histogram.text)"
        }
    }

    private static func isEqual(_ got: FloatHistogram, _ expected: FloatHistogram) -> Bool {
        let (a, b) = (got.compacted(), expected.compacted())
        return a.layout.hasSameBuckets(as: b.layout) && isEqual(a.count, b.count) && isEqual(a.sum, b.sum)
            && isEqual(a.zeroCount, b.zeroCount) && a.buckets.count == b.buckets.count
            && zip(a.buckets, b.buckets).allSatisfy { isEqual($0, $1) }
    }

    private static func isEqual(_ a: Double, _ b: Double) -> Bool {
        if StaleNaN.isStale(a) || StaleNaN.isStale(b) { return StaleNaN.isStale(a) && StaleNaN.isStale(b) }
        return isNearlyEqual(a, b, 1e-6)
    }
}

/// What a series is to a classic histogram.
private struct ClassicPart {
    enum Kind { case bucket(Double), count, sum }
    let kind: Kind
    /// The labels of the histogram as a whole.
    let target: LabelSet

    init?(_ labels: LabelSet) {
        guard let name = labels[LabelNames.name] else { return nil }
        let suffix: ByteString
        if name.hasSuffix("_bucket") {
            guard let bound = labels[LabelNames.bucket], let upperBound = parseDouble(bound.bytes.span), !upperBound.isNaN else { return nil }
            (kind, suffix) = (.bucket(upperBound), "_bucket")
        } else if name.hasSuffix("_count") {
            (kind, suffix) = (.count, "_count")
        } else if name.hasSuffix("_sum") {
            (kind, suffix) = (.sum, "_sum")
        } else {
            return nil
        }
        target = labels.setting([
            (LabelNames.name, ByteString(Array(name.bytes.dropLast(suffix.count)))), (LabelNames.bucket, ByteString()),
        ])
    }
}
