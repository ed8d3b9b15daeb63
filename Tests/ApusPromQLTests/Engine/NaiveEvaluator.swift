import ApusBytes
import ApusModel

@testable import ApusPromQL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What a series has at a moment.
enum NaiveValue {
    case float(Double)
    case histogram(FloatHistogram)

    var float: Double? {
        if case .float(let value) = self { return value }
        return nil
    }
    var histogram: FloatHistogram? {
        if case .histogram(let histogram) = self { return histogram }
        return nil
    }
}

/// Evaluates a query at one moment by the plain rules, looking through all samples each time: the model that the engine
/// is held against. It knows floats and native histograms, and the functions that the property tests draw.
struct NaiveEvaluator {
    struct Series {
        let labels: LabelSet
        /// Of a histogram the value is its sum.
        let samples: [(ms: Int64, value: Double)]
        /// The samples that are histograms, by time.
        var histograms: [Int64: FloatHistogram] = [:]

        func value(_ sample: (ms: Int64, value: Double)) -> NaiveValue {
            histograms[sample.ms].map { .histogram($0) } ?? .float(sample.value)
        }
    }
    struct Failure: Error {}

    let expression: Expression
    let series: [Series]
    var lookbackMs: Int64 = 300_000
    var defaultStepMs: Int64 = 60_000
    /// Of the query, for `@ start()` and `@ end()`.
    var rangeMs: ClosedRange<Int64>? = nil

    typealias Vector = [LabelSet: NaiveValue]

    func run(atMs: Int64) throws -> Vector { try vector(expression.root, atMs) }

    private func plainMs(_ duration: DurationValue) throws -> Int64 {
        guard case .milliseconds(let value) = duration else { throw Failure() }
        return value
    }

    private func moment(_ atMs: Int64, _ at: AtModifier?, _ offset: DurationValue) throws -> Int64 {
        switch at {
        case nil: return try atMs - plainMs(offset)
        case .timestampMs(let fixed): return try fixed - plainMs(offset)
        case .start, .end:
            guard let rangeMs else { throw Failure() }
            return try (at == .start ? rangeMs.lowerBound : rangeMs.upperBound) - plainMs(offset)
        }
    }

    private func selected(_ selector: VectorSelector) -> [Series] {
        series.filter { one in
            selector.matchers.allSatisfy { matcher in
                let value = one.labels[matcher.name] ?? ByteString()
                return matcher.matches(value.bytes.span)
            }
        }
    }

    private func add(_ labels: LabelSet, _ value: NaiveValue, to vector: inout Vector) throws {
        if vector.updateValue(value, forKey: labels) != nil { throw Failure() }
    }

    private func unnamed(_ labels: LabelSet) -> LabelSet { labels.filtered(["__name__"], keep: false) }

    /// - Parameter histogram: without it histograms are passed over.
    private func mapped(
        _ id: NodeID, _ atMs: Int64, histogram: (FloatHistogram) -> NaiveValue? = { _ in nil }, _ transform: (Double) -> Double?
    ) throws -> Vector {
        var result = Vector()
        for (labels, value) in try vector(id, atMs) {
            let mapped: NaiveValue? =
                switch value {
                case .float(let value): transform(value).map { .float($0) }
                case .histogram(let value): histogram(value)
                }
            if let mapped { try add(unnamed(labels), mapped, to: &result) }
        }
        return result
    }

    func scalar(_ id: NodeID, _ atMs: Int64) throws -> Double {
        switch expression[expression.unwrapped(id)].kind {
        case .number(let literal): return literal.value
        case .unary(let isNegative, let operand): return try isNegative ? -scalar(operand, atMs) : scalar(operand, atMs)
        case .call(let call) where call.function.name == .time: return Double(atMs) / 1_000
        case .call(let call) where call.function.name == .scalar:
            let values = try vector(call.arguments[0], atMs).values.compactMap(\.float)
            return values.count == 1 ? values.first ?? .nan : .nan
        case .binary(let binary):
            return try Self.apply(binary.op, scalar(binary.left, atMs), scalar(binary.right, atMs))
        default: throw Failure()
        }
    }

    func vector(_ id: NodeID, _ atMs: Int64) throws -> Vector {
        switch expression[id].kind {
        case .paren(let inner): return try vector(inner, atMs)
        case .unary(let isNegative, let operand):
            if !isNegative { return try vector(operand, atMs) }
            return try mapped(operand, atMs, histogram: { .histogram($0.negated) }) { -$0 }
        case .vectorSelector(let selector):
            let reference = try moment(atMs, selector.at, selector.offset)
            var result = Vector()
            for one in selected(selector) {
                guard let newest = one.samples.last(where: { $0.ms <= reference }), newest.ms > reference - lookbackMs,
                    !StaleNaN.isStale(newest.value)
                else { continue }
                result[one.labels] = one.value(newest)
            }
            return result
        case .aggregate(let aggregation): return try aggregate(aggregation, atMs)
        case .binary(let binary): return try self.binary(binary, atMs)
        case .call(let call): return try self.call(call, atMs)
        default: throw Failure()
        }
    }

    // MARK: Ranges

    private struct Window {
        let labels: LabelSet
        let samples: [(ms: Int64, value: NaiveValue)]
        let startMs: Int64
        let endMs: Int64
    }

    private func windows(_ id: NodeID, _ atMs: Int64) throws -> [Window] {
        switch expression[expression.unwrapped(id)].kind {
        case .matrixSelector(let matrix):
            guard case .vectorSelector(let selector) = expression[matrix.selector].kind else { throw Failure() }
            let end = try moment(atMs, selector.at, selector.offset)
            let start = try end - plainMs(matrix.range)
            return selected(selector).map { one in
                Window(
                    labels: one.labels,
                    samples: one.samples.filter { $0.ms > start && $0.ms <= end && !StaleNaN.isStale($0.value) }
                        .map { ($0.ms, one.value($0)) },
                    startMs: start, endMs: end)
            }
        case .subquery(let subquery):
            let end = try moment(atMs, subquery.at, subquery.offset)
            let start = try end - plainMs(subquery.range)
            let step = try subquery.step.map(plainMs) ?? defaultStepMs
            var found: [LabelSet: [(ms: Int64, value: NaiveValue)]] = [:]
            for moment in stride(from: (start / step + 1) * step, through: end, by: Int(step)) {
                for (labels, value) in try vector(subquery.expression, moment) {
                    found[labels, default: []].append((moment, value))
                }
            }
            return found.map { Window(labels: $0.key, samples: $0.value, startMs: start, endMs: end) }
        default: throw Failure()
        }
    }

    private func call(_ call: Call, _ atMs: Int64) throws -> Vector {
        switch call.function.name {
        case .abs: return try mapped(call.arguments[0], atMs) { abs($0) }
        case .labelJoin:
            var result = Vector()
            for (labels, value) in try vector(call.arguments[0], atMs) {
                let names = try call.arguments.dropFirst(3).map(text)
                let joined = try names.map { labels[$0]?.bytes ?? [] }.joined(separator: text(call.arguments[2]).bytes)
                try add(labels.setting([(text(call.arguments[1]), ByteString(Array(joined)))]), value, to: &result)
            }
            return result
        case .vector: return [.empty: .float(try scalar(call.arguments[0], atMs))]
        case .absent: return try vector(call.arguments[0], atMs).isEmpty ? [.empty: .float(1)] : [:]
        case .clampMin:
            let bound = try scalar(call.arguments[1], atMs)
            return try mapped(call.arguments[0], atMs) { $0.isNaN || bound.isNaN ? .nan : max($0, bound) }
        case .timestamp:
            guard case .vectorSelector(let selector) = expression[expression.unwrapped(call.arguments[0])].kind else {
                return try mapped(call.arguments[0], atMs, histogram: { _ in .float(Double(atMs) / 1_000) }) { _ in Double(atMs) / 1_000 }
            }
            let reference = try moment(atMs, selector.at, selector.offset)
            var result = Vector()
            for one in selected(selector) {
                guard let newest = one.samples.last(where: { $0.ms <= reference }), newest.ms > reference - lookbackMs,
                    !StaleNaN.isStale(newest.value)
                else { continue }
                try add(unnamed(one.labels), .float(Double(newest.ms) / 1_000), to: &result)
            }
            return result
        case .histogramCount: return try numbers(call.arguments[0], atMs) { $0.count }
        case .histogramSum: return try numbers(call.arguments[0], atMs) { $0.sum }
        case .histogramAvg: return try numbers(call.arguments[0], atMs) { $0.sum / $0.count }
        case .histogramQuantile:
            // None of the drawn series has buckets of a classic histogram.
            let phi = try scalar(call.arguments[0], atMs)
            return try numbers(call.arguments[1], atMs) { $0.quantile(phi).value }
        default: break
        }
        if let transform = try plainFunction(call, atMs) { return try mapped(call.arguments[0], atMs) { transform($0) } }
        var result = Vector()
        let keepsName = call.function.name == .lastOverTime || call.function.name == .firstOverTime
        let isQuantile = call.function.name == .quantileOverTime
        var parameter = 0.0
        if isQuantile { parameter = try scalar(call.arguments[0], atMs) }
        if call.function.name == .predictLinear { parameter = try scalar(call.arguments[1], atMs) }
        for window in try windows(call.arguments[isQuantile ? 1 : 0], atMs) where !window.samples.isEmpty {
            guard let value = try Self.overTime(call.function.name, window, parameter, atMs) else { continue }
            try add(keepsName ? window.labels : unnamed(window.labels), value, to: &result)
        }
        return result
    }

    private func numbers(_ id: NodeID, _ atMs: Int64, _ number: (FloatHistogram) -> Double) throws -> Vector {
        try mapped(id, atMs, histogram: { .float(number($0)) }) { _ in nil }
    }

    private static func overTime(_ name: FunctionName, _ window: Window, _ parameter: Double, _ atMs: Int64) throws -> NaiveValue? {
        guard let last = window.samples.last else { return nil }
        switch name {
        case .countOverTime: return .float(Double(window.samples.count))
        case .lastOverTime: return last.value
        case .presentOverTime: return .float(1)
        case .changes: return .float(neighbours(window) { $0 != $1 && !($0.isNaN && $1.isNaN) } histograms: { $0 != $1 })
        case .resets: return .float(neighbours(window) { $1 < $0 } histograms: { $1.detectsReset(after: $0) })
        default: break
        }
        let floats = window.samples.compactMap { sample in sample.value.float.map { (ms: sample.ms, value: $0) } }
        let histograms = window.samples.compactMap { sample in sample.value.histogram.map { (ms: sample.ms, value: $0) } }
        switch name {
        case .firstOverTime: return window.samples.first?.value
        case .avgOverTime, .stddevOverTime, .stdvarOverTime, .quantileOverTime, .deriv, .predictLinear:
            guard histograms.isEmpty else { throw Failure() }
            return statistic(name, floats, parameter, atMs).map { .float($0) }
        case .maxOverTime, .minOverTime: return try floatOverTime(name, floats, window).map { .float($0) }
        case .irate, .idelta:
            let kinds = window.samples.suffix(2).map { $0.value.float == nil }
            guard kinds.count == 2, kinds[0] == kinds[1] else { return nil }
            if kinds[0] { return histogramOverTime(name, histograms, window).map { .histogram($0) } }
            return try floatOverTime(name, floats, window).map { .float($0) }
        default:
            if !floats.isEmpty, !histograms.isEmpty { return nil }
            if floats.isEmpty { return histogramOverTime(name, histograms, window).map { .histogram($0) } }
            return try floatOverTime(name, floats, window).map { .float($0) }
        }
    }

    /// How many neighbours are different in kind, or for which the test of their kind holds.
    private static func neighbours(
        _ window: Window, floats: (Double, Double) -> Bool, histograms: (FloatHistogram, FloatHistogram) -> Bool
    ) -> Double {
        Double(
            zip(window.samples, window.samples.dropFirst()).count { before, after in
                switch (before.value, after.value) {
                case (.float(let a), .float(let b)): floats(a, b)
                case (.histogram(let a), .histogram(let b)): histograms(a, b)
                default: true
                }
            })
    }

    /// `nil` too when histograms do not go together.
    private static func histogramOverTime(
        _ name: FunctionName, _ samples: [(ms: Int64, value: FloatHistogram)], _ window: Window
    ) -> FloatHistogram? {
        guard let first = samples.first, let last = samples.last else { return nil }
        if name == .sumOverTime { return total(samples.map(\.value)) }
        guard samples.count > 1 else { return nil }
        let isCounter = name == .rate || name == .increase || name == .irate
        var change = last.value
        if name == .irate || name == .idelta {
            let before = samples[samples.count - 2]
            if !(isCounter && last.value.detectsReset(after: before.value)) {
                guard (try? change.subtract(before.value)) != nil else { return nil }
            }
            return isCounter ? change.divided(by: Double(last.ms - before.ms) / 1_000) : change
        }
        // What is before a reset right behind the first sample does not matter at all.
        let skipsFirst = isCounter && samples[1].value.detectsReset(after: first.value)
        if !skipsFirst { guard (try? change.subtract(first.value)) != nil else { return nil } }
        if isCounter {
            for (index, (before, after)) in zip(samples, samples.dropFirst()).enumerated()
            where after.value.detectsReset(after: before.value) && !(index == 0 && skipsFirst) {
                guard (try? change.add(before.value)) != nil else { return nil }
            }
        }
        let factor = extrapolation(
            firstMs: first.ms, lastMs: last.ms, count: samples.count, window, change: change.count,
            startsAt: isCounter ? first.value.count : nil)
        return change.scaled(by: name == .rate ? factor / (Double(window.endMs - window.startMs) / 1_000) : factor)
    }

    /// The sum of histograms; `nil` when they do not go together.
    private static func total(_ histograms: [FloatHistogram]) -> FloatHistogram? {
        guard var sum = histograms.first else { return nil }
        for histogram in histograms.dropFirst() { guard (try? sum.add(histogram)) != nil else { return nil } }
        return sum
    }

    /// By how much a change is stretched to the ends of its window.
    /// - Parameter startsAt: of a counter, its first value.
    private static func extrapolation(
        firstMs: Int64, lastMs: Int64, count: Int, _ window: Window, change: Double, startsAt: Double?
    ) -> Double {
        let sampled = Double(lastMs - firstMs) / 1_000
        let interval = sampled / Double(count - 1)
        var toStart = Double(firstMs - window.startMs) / 1_000
        var toEnd = Double(window.endMs - lastMs) / 1_000
        if toStart >= interval * 1.1 { toStart = interval / 2 }
        if let startsAt, change > 0, startsAt >= 0 { toStart = min(toStart, sampled * (startsAt / change)) }
        if toEnd >= interval * 1.1 { toEnd = interval / 2 }
        return (sampled + toStart + toEnd) / sampled
    }

    private static func floatOverTime(
        _ name: FunctionName, _ samples: [(ms: Int64, value: Double)], _ window: Window
    ) throws -> Double? {
        let values = samples.map(\.value)
        guard let first = samples.first, let last = samples.last else { return nil }
        switch name {
        case .maxOverTime: return values.dropFirst().reduce(first.value) { $1 > $0 || $0.isNaN ? $1 : $0 }
        case .minOverTime: return values.dropFirst().reduce(first.value) { $1 < $0 || $0.isNaN ? $1 : $0 }
        case .sumOverTime: return compensatedSum(values)
        case .idelta, .irate:
            guard values.count > 1 else { return nil }
            let before = samples[values.count - 2]
            if name == .idelta { return last.value - before.value }
            return (last.value < before.value ? last.value : last.value - before.value)
                / (Double(last.ms - before.ms) / 1_000)
        case .rate, .increase, .delta:
            guard values.count > 1 else { return nil }
            var change = last.value - first.value
            if name != .delta {
                for (before, after) in zip(values, values.dropFirst()) where after < before { change += before }
            }
            var factor = extrapolation(
                firstMs: first.ms, lastMs: last.ms, count: values.count, window, change: change,
                startsAt: name == .delta ? nil : first.value)
            if name == .rate { factor /= Double(window.endMs - window.startMs) / 1_000 }
            return change * factor
        default: throw Failure()
        }
    }

    /// Kahan's sum as Neumaier improved it.
    static func compensatedSum(_ values: [Double]) -> Double {
        var (sum, rest) = (0.0, 0.0)
        for value in values {
            let total = sum + value
            if total.isInfinite {
                rest = 0
            } else {
                rest += abs(sum) >= abs(value) ? (sum - total) + value : (value - total) + sum
            }
            sum = total
        }
        return sum + rest
    }

    // MARK: Aggregations and operators

    private func aggregate(_ aggregation: Aggregation, _ atMs: Int64) throws -> Vector {
        var groups: [LabelSet: [NaiveValue]] = [:]
        for (labels, value) in try vector(aggregation.operand, atMs).sorted(by: { $0.key < $1.key }) {
            let names = aggregation.isWithout ? aggregation.grouping + ["__name__"] : aggregation.grouping
            groups[labels.filtered(names, keep: !aggregation.isWithout), default: []].append(value)
        }
        return try groups.compactMapValues { members in
            let values = members.compactMap(\.float)
            let histograms = members.compactMap(\.histogram)
            switch aggregation.op {
            case .sum, .avg:
                let count = Double(members.count)
                if histograms.isEmpty {
                    let sum = Self.compensatedSum(values)
                    return .float(aggregation.op == .sum ? sum : sum / count)
                }
                guard values.isEmpty, let sum = Self.total(histograms) else { return nil }
                return .histogram(aggregation.op == .sum ? sum : sum.divided(by: count))
            case .stddev, .stdvar:
                let variance = Self.variance(values)
                return .float(aggregation.op == .stddev ? variance.squareRoot() : variance)
            case .count: return .float(Double(members.count))
            case .group: return .float(1)
            case .max:
                return values.first.map { .float(values.dropFirst().reduce($0) { $1 > $0 || $0.isNaN ? $1 : $0 }) }
            case .min:
                return values.first.map { .float(values.dropFirst().reduce($0) { $1 < $0 || $0.isNaN ? $1 : $0 }) }
            default: throw Failure()
            }
        }
    }

    private static func apply(_ op: BinaryOperator, _ a: Double, _ b: Double) -> Double {
        switch op {
        case .add: a + b
        case .subtract: a - b
        case .multiply: a * b
        case .divide: a / b
        case .modulo: a.truncatingRemainder(dividingBy: b)
        case .power: pow(a, b)
        case .atan2: atan2(a, b)
        case .equal: a == b ? 1 : 0
        case .notEqual: a != b ? 1 : 0
        case .greater: a > b ? 1 : 0
        case .less: a < b ? 1 : 0
        case .greaterOrEqual: a >= b ? 1 : 0
        case .lessOrEqual: a <= b ? 1 : 0
        default: .nan
        }
    }

    private func binary(_ binary: BinaryExpression, _ atMs: Int64) throws -> Vector {
        let op = binary.op
        let dropsName = !op.isComparison || binary.returnsBool
        /// `nil` for samples that do not go together, which is no match; a value of `nil` where a comparison does not hold.
        func result(_ a: NaiveValue, _ b: NaiveValue, keeping kept: NaiveValue) -> (value: NaiveValue?, Void)? {
            let holds: Bool
            switch (a, b) {
            case (.float(let a), .float(let b)):
                let value = Self.apply(op, a, b)
                if !op.isComparison { return (.float(value), ()) }
                holds = value == 1
            case (.histogram(var a), .histogram(let b)):
                switch op {
                case .add: return (try? a.add(b)).map { _ in (.histogram(a), ()) }
                case .subtract: return (try? a.subtract(b)).map { _ in (.histogram(a), ()) }
                case .equal: holds = a == b
                case .notEqual: holds = a != b
                default: return nil
                }
            case (.histogram(let a), .float(let b)):
                switch op {
                case .multiply: return (.histogram(a.scaled(by: b)), ())
                case .divide: return (.histogram(a.divided(by: b)), ())
                default: return nil
                }
            case (.float(let a), .histogram(let b)):
                return op == .multiply ? (.histogram(b.scaled(by: a)), ()) : nil
            }
            if binary.returnsBool { return (.float(holds ? 1 : 0), ()) }
            return (holds ? kept : nil, ())
        }
        var output = Vector()
        if expression[binary.left].type == .scalar || expression[binary.right].type == .scalar {
            let isLeft = expression[binary.left].type == .scalar
            let number = NaiveValue.float(try scalar(isLeft ? binary.left : binary.right, atMs))
            for (labels, value) in try vector(isLeft ? binary.right : binary.left, atMs) {
                let computed = isLeft ? result(number, value, keeping: value) : result(value, number, keeping: value)
                guard let computed = computed?.value else { continue }
                try add(dropsName ? unnamed(labels) : labels, computed, to: &output)
            }
            return output
        }
        let (left, right) = (try vector(binary.left, atMs), try vector(binary.right, atMs))
        guard let matching = binary.matching else { throw Failure() }
        func signature(_ labels: LabelSet) -> LabelSet {
            matching.isOn
                ? labels.filtered(matching.labels, keep: true)
                : labels.filtered(matching.labels + ["__name__"], keep: false)
        }
        if op.isSetOperator {
            let inLeft = Set(left.keys.map(signature))
            let inRight = Set(right.keys.map(signature))
            switch op {
            case .and: return left.filter { inRight.contains(signature($0.key)) }
            case .unless: return left.filter { !inRight.contains(signature($0.key)) }
            default:
                output = left
                for (labels, value) in right where !inLeft.contains(signature(labels)) { try add(labels, value, to: &output) }
                return output
            }
        }
        guard matching.cardinality == .oneToOne || matching.cardinality == .manyToOne else { throw Failure() }
        if left.isEmpty || right.isEmpty { return [:] }
        var one = Vector()
        for (labels, value) in right { try add(signature(labels), value, to: &one) }
        var matched: Set<LabelSet> = []
        for (labels, value) in left {
            guard let other = one[signature(labels)], let computed = result(value, other, keeping: value) else { continue }
            var name = dropsName ? unnamed(labels) : labels
            if matching.cardinality == .oneToOne {
                if !matched.insert(signature(labels)).inserted { throw Failure() }
                name = name.filtered(matching.labels, keep: matching.isOn)
            } else if !matched.insert(name).inserted {
                throw Failure()
            }
            if let value = computed.value { try add(name, value, to: &output) }
        }
        return output
    }
}
