#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension BinaryOperator {
    /// The result for two numbers. Of a comparison: whether it holds, 1 or 0. Set operators have none.
    @inline(__always) func apply(_ left: Double, _ right: Double) -> Double {
        switch self {
        case .add: left + right
        case .subtract: left - right
        case .multiply: left * right
        case .divide: left / right
        case .modulo: fmod(left, right)
        case .power: pow(left, right)
        case .atan2: angle(left, right)
        case .equal: left == right ? 1 : 0
        case .notEqual: left != right ? 1 : 0
        case .greater: left > right ? 1 : 0
        case .less: left < right ? 1 : 0
        case .greaterOrEqual: left >= right ? 1 : 0
        case .lessOrEqual: left <= right ? 1 : 0
        case .and, .or, .unless, .trimUpper, .trimLower: .nan
        }
    }

    /// Whether the result is no longer the metric of its operand.
    var changesMetric: Bool {
        switch self {
        case .add, .subtract, .multiply, .divide, .modulo, .power, .atan2: true
        default: false
        }
    }
}

// A free function, as `atan2` inside the enumeration is the operator.
private func angle(_ y: Double, _ x: Double) -> Double { atan2(y, x) }

/// `target[i] = target[i] op value[i]`, or `value[i] op target[i]`. A comparison without `bool` keeps or drops what is in
/// `target`. What is absent on either side becomes absent.
func combine(_ target: Row, _ op: BinaryOperator, with other: some StepValues, isSwapped: Bool, returnsBool: Bool) {
    // One loop for each operator, so that the loop need not ask which.
    switch op {
    case .add: combine(target, other, isSwapped) { $0 + $1 }
    case .subtract: combine(target, other, isSwapped) { $0 - $1 }
    case .multiply: combine(target, other, isSwapped) { $0 * $1 }
    case .divide: combine(target, other, isSwapped) { $0 / $1 }
    default:
        if op.isComparison, !returnsBool {
            for step in 0..<target.count {
                let (kept, value) = (target[step], other.value(step))
                if kept.isAbsent { continue }
                let holds = value.isAbsent ? 0 : (isSwapped ? op.apply(value, kept) : op.apply(kept, value))
                if holds == 0 { target[step] = Absent.value }
            }
        } else {
            combine(target, other, isSwapped) { op.apply($0, $1) }
        }
    }
}

@inline(__always)
private func combine(
    _ target: Row, _ other: some StepValues, _ isSwapped: Bool, _ operation: (Double, Double) -> Double
) {
    for step in 0..<target.count {
        let (left, right) = (target[step], other.value(step))
        if left.isAbsent { continue }
        if right.isAbsent {
            target[step] = Absent.value
        } else {
            target[step] = isSwapped ? operation(right, left) : operation(left, right)
        }
    }
}

/// Something that has a value at each step.
protocol StepValues {
    func value(_ step: Int) -> Double
    /// The histogram at a step whose value is `HistogramMark`.
    func histogram(_ step: Int) -> FloatHistogram?
    var mayHoldHistograms: Bool { get }
}
extension Row: StepValues {
    @inline(__always) func value(_ step: Int) -> Double { self[step] }
}
extension ScalarColumn: StepValues {
    @inline(__always) func value(_ step: Int) -> Double { self[step] }
    func histogram(_ step: Int) -> FloatHistogram? { nil }
    var mayHoldHistograms: Bool { false }
}
