import ApusBytes
import ApusModel
import ApusPromQL

/// Evaluates a query at one moment by the plain rules, looking through all samples each time: the model that the engine
/// is held against. It knows floats, and the functions that the property tests draw.
struct NaiveEvaluator {
    struct Series {
        let labels: LabelSet
        let samples: [(ms: Int64, value: Double)]
    }
    struct Failure: Error {}

    let expression: Expression
    let series: [Series]
    var lookbackMs: Int64 = 300_000
    var defaultStepMs: Int64 = 60_000

    typealias Vector = [LabelSet: Double]

    func run(atMs: Int64) throws -> Vector { try vector(expression.root, atMs) }

    private func plainMs(_ duration: DurationValue) throws -> Int64 {
        guard case .milliseconds(let value) = duration else { throw Failure() }
        return value
    }

    private func moment(_ atMs: Int64, _ at: AtModifier?, _ offset: DurationValue) throws -> Int64 {
        switch at {
        case nil: try atMs - plainMs(offset)
        case .timestampMs(let fixed): try fixed - plainMs(offset)
        default: throw Failure()
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

    private func add(_ labels: LabelSet, _ value: Double, to vector: inout Vector) throws {
        if vector.updateValue(value, forKey: labels) != nil { throw Failure() }
    }

    private func unnamed(_ labels: LabelSet) -> LabelSet { labels.filtered(["__name__"], keep: false) }

    private func mapped(_ id: NodeID, _ atMs: Int64, _ transform: (Double) -> Double) throws -> Vector {
        var result = Vector()
        for (labels, value) in try vector(id, atMs) { try add(unnamed(labels), transform(value), to: &result) }
        return result
    }

    func scalar(_ id: NodeID, _ atMs: Int64) throws -> Double {
        switch expression[expression.unwrapped(id)].kind {
        case .number(let literal): return literal.value
        case .unary(let isNegative, let operand): return try isNegative ? -scalar(operand, atMs) : scalar(operand, atMs)
        case .call(let call) where call.function.name == .time: return Double(atMs) / 1_000
        case .call(let call) where call.function.name == .scalar:
            let values = try vector(call.arguments[0], atMs).values
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
            return isNegative ? try mapped(operand, atMs) { -$0 } : try vector(operand, atMs)
        case .vectorSelector(let selector):
            let reference = try moment(atMs, selector.at, selector.offset)
            var result = Vector()
            for one in selected(selector) {
                guard let newest = one.samples.last(where: { $0.ms <= reference }), newest.ms > reference - lookbackMs,
                    !StaleNaN.isStale(newest.value)
                else { continue }
                result[one.labels] = newest.value
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
        let samples: [(ms: Int64, value: Double)]
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
                    samples: one.samples.filter { $0.ms > start && $0.ms <= end && !StaleNaN.isStale($0.value) },
                    startMs: start, endMs: end)
            }
        case .subquery(let subquery):
            let end = try moment(atMs, subquery.at, subquery.offset)
            let start = try end - plainMs(subquery.range)
            let step = try subquery.step.map(plainMs) ?? defaultStepMs
            var found: [LabelSet: [(ms: Int64, value: Double)]] = [:]
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
        case .vector: return [.empty: try scalar(call.arguments[0], atMs)]
        case .absent: return try vector(call.arguments[0], atMs).isEmpty ? [.empty: 1] : [:]
        case .clampMin:
            let bound = try scalar(call.arguments[1], atMs)
            return try mapped(call.arguments[0], atMs) { $0.isNaN || bound.isNaN ? .nan : max($0, bound) }
        case .timestamp:
            guard case .vectorSelector(let selector) = expression[expression.unwrapped(call.arguments[0])].kind else {
                return try mapped(call.arguments[0], atMs) { _ in Double(atMs) / 1_000 }
            }
            let reference = try moment(atMs, selector.at, selector.offset)
            var result = Vector()
            for one in selected(selector) {
                guard let newest = one.samples.last(where: { $0.ms <= reference }), newest.ms > reference - lookbackMs,
                    !StaleNaN.isStale(newest.value)
                else { continue }
                try add(unnamed(one.labels), Double(newest.ms) / 1_000, to: &result)
            }
            return result
        default: break
        }
        var result = Vector()
        let keepsName = call.function.name == .lastOverTime
        for window in try windows(call.arguments[0], atMs) where !window.samples.isEmpty {
            guard let value = try Self.overTime(call.function.name, window) else { continue }
            try add(keepsName ? window.labels : unnamed(window.labels), value, to: &result)
        }
        return result
    }

    private static func overTime(_ name: FunctionName, _ window: Window) throws -> Double? {
        let values = window.samples.map(\.value)
        guard let first = window.samples.first, let last = window.samples.last else { return nil }
        switch name {
        case .countOverTime: return Double(values.count)
        case .lastOverTime: return last.value
        case .presentOverTime: return 1
        case .maxOverTime: return values.dropFirst().reduce(first.value) { $1 > $0 || $0.isNaN ? $1 : $0 }
        case .minOverTime: return values.dropFirst().reduce(first.value) { $1 < $0 || $0.isNaN ? $1 : $0 }
        case .sumOverTime: return compensatedSum(values)
        case .changes: return Double(zip(values, values.dropFirst()).count { $0 != $1 && !($0.isNaN && $1.isNaN) })
        case .resets: return Double(zip(values, values.dropFirst()).count { $1 < $0 })
        case .idelta, .irate:
            guard values.count > 1 else { return nil }
            let before = window.samples[values.count - 2]
            if name == .idelta { return last.value - before.value }
            return (last.value < before.value ? last.value : last.value - before.value)
                / (Double(last.ms - before.ms) / 1_000)
        case .rate, .increase, .delta:
            guard values.count > 1 else { return nil }
            var change = last.value - first.value
            if name != .delta {
                for (before, after) in zip(values, values.dropFirst()) where after < before { change += before }
            }
            let sampled = Double(last.ms - first.ms) / 1_000
            let interval = sampled / Double(values.count - 1)
            var toStart = Double(first.ms - window.startMs) / 1_000
            var toEnd = Double(window.endMs - last.ms) / 1_000
            if toStart >= interval * 1.1 { toStart = interval / 2 }
            if name != .delta, change > 0, first.value >= 0 { toStart = min(toStart, sampled * (first.value / change)) }
            if toEnd >= interval * 1.1 { toEnd = interval / 2 }
            var factor = (sampled + toStart + toEnd) / sampled
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
        var groups: [LabelSet: [Double]] = [:]
        for (labels, value) in try vector(aggregation.operand, atMs).sorted(by: { $0.key < $1.key }) {
            let names = aggregation.isWithout ? aggregation.grouping + ["__name__"] : aggregation.grouping
            groups[labels.filtered(names, keep: !aggregation.isWithout), default: []].append(value)
        }
        return try groups.mapValues { values in
            switch aggregation.op {
            case .sum: return Self.compensatedSum(values)
            case .avg: return Self.compensatedSum(values) / Double(values.count)
            case .count: return Double(values.count)
            case .group: return 1
            case .max: return values.dropFirst().reduce(values[0]) { $1 > $0 || $0.isNaN ? $1 : $0 }
            case .min: return values.dropFirst().reduce(values[0]) { $1 < $0 || $0.isNaN ? $1 : $0 }
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
        func result(_ a: Double, _ b: Double, keeping kept: Double) -> Double? {
            let value = Self.apply(op, a, b)
            if op.isComparison, !binary.returnsBool { return value == 1 ? kept : nil }
            return value
        }
        var output = Vector()
        if expression[binary.left].type == .scalar || expression[binary.right].type == .scalar {
            let isLeft = expression[binary.left].type == .scalar
            let number = try scalar(isLeft ? binary.left : binary.right, atMs)
            for (labels, value) in try vector(isLeft ? binary.right : binary.left, atMs) {
                let computed = isLeft ? result(number, value, keeping: value) : result(value, number, keeping: value)
                guard let computed else { continue }
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
        var one: [LabelSet: Double] = [:]
        for (labels, value) in right { try add(signature(labels), value, to: &one) }
        var matched: Set<LabelSet> = []
        for (labels, value) in left {
            guard let other = one[signature(labels)] else { continue }
            var name = dropsName ? unnamed(labels) : labels
            if matching.cardinality == .oneToOne {
                if !matched.insert(signature(labels)).inserted { throw Failure() }
                name = name.filtered(matching.labels, keep: matching.isOn)
            } else if !matched.insert(name).inserted {
                throw Failure()
            }
            guard let computed = result(value, other, keeping: value) else { continue }
            try add(name, computed, to: &output)
        }
        return output
    }
}
