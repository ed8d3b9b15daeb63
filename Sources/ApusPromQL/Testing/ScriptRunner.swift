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

    private let engine: QueryEngine

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
    public func run(_ bytes: [UInt8], name: String) -> ScriptReport {
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
            case .load(let series):
                guard let problem = load(series, into: storage) else { continue }
                fail(command.number, problem)
                // Without its samples the rest of the script means nothing.
                for later in script.commands[position...] {
                    if case .evaluate(let evaluation) = later.content {
                        fail(later.number, "\(evaluation.query): not run, as a load failed")
                    }
                }
                return report
            case .evaluate(let evaluation):
                if let problem = check(evaluation, on: storage) {
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
                guard case .float(let value) = point else { continue }
                do {
                    try storage.append(one.labels, timestampMs: Int64(position) &* one.intervalMs, value: value)
                } catch {
                    return "\(one.labels.quotedDescription): \(error)"
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

    private func matches(_ test: Script.MessageTest, _ message: String) -> Bool {
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

    private func checkValue(_ value: QueryValue, _ evaluation: Script.Evaluation) -> String? {
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
                return "unexpected series \(sample.labels.quotedDescription) \(sample.value)"
            }
            if evaluation.isOrdered, expected != position {
                return "\(sample.labels.quotedDescription) is at position \(position + 1), not \(expected + 1)"
            }
            switch evaluation.series[expected].points[0] {
            case .float(let value) where Self.isEqual(sample.value, value): continue
            case .float(let value): return "\(sample.labels.quotedDescription): expected \(value), got \(sample.value)"
            default: return "\(sample.labels.quotedDescription): expected a histogram, got \(sample.value)"
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
            let expected = points.enumerated().compactMap { position, point in
                point.map { (startMs + Int64(position) * stepMs, $0) }
            }
            if expected.count != series.values.count {
                return "\(name): expected \(expected.count) points, got \(series.values.count): \(series.values.prefix(12))"
            }
            for (index, (timestampMs, point)) in expected.enumerated() {
                guard case .float(let value) = point else { return "\(name): expected a histogram, got a float" }
                if series.timestampsMs[index] != timestampMs {
                    return "\(name): expected a point at \(timestampMs) ms, got one at \(series.timestampsMs[index]) ms"
                }
                if !Self.isEqual(series.values[index], value) {
                    return "\(name): expected \(value) at \(timestampMs) ms, got \(series.values[index])"
                }
            }
        }
        return missing.keys.min().map { "missing series \($0.quotedDescription)" }
    }

    private static func isEqual(_ a: Double, _ b: Double) -> Bool {
        if StaleNaN.isStale(a) || StaleNaN.isStale(b) { return StaleNaN.isStale(a) && StaleNaN.isStale(b) }
        return isNearlyEqual(a, b, 1e-6)
    }
}
