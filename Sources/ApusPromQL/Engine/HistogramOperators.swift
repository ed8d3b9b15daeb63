import ApusModel

/// One sample of a vector.
enum MixedSample {
    case float(Double)
    case histogram(FloatHistogram)

    fileprivate var typeName: String {
        switch self {
        case .float: "float"
        case .histogram: "histogram"
        }
    }
}

/// What an operator makes of two samples.
private enum OperatorOutcome {
    case sample(MixedSample)
    case comparison(holds: Bool)
    /// These two do not go together.
    case nothing
}

/// Operators where a sample on either side may be a histogram: step by step, and with what is to be said of it.
struct MixedOperator {
    let op: BinaryOperator
    let returnsBool: Bool
    let annotations: Annotations
    /// Of the whole operation, for annotations.
    let range: Range<Int>

    private func outcome(_ left: MixedSample, _ right: MixedSample) -> OperatorOutcome {
        switch (left, right) {
        case (.float(let a), .float(let b)):
            if op.isTrim { return incompatible(left, right) }
            let value = op.apply(a, b)
            return op.isComparison ? .comparison(holds: value != 0) : .sample(.float(value))
        case (.float(let a), .histogram(let b)):
            if op == .multiply { return .sample(.histogram(b.scaled(by: a).compacted())) }
            return incompatible(left, right)
        case (.histogram(let a), .float(let b)):
            switch op {
            case .multiply: return .sample(.histogram(a.scaled(by: b).compacted()))
            case .divide: return .sample(.histogram(a.divided(by: b).compacted()))
            case .trimUpper: return .sample(.histogram(a.trimmed(.keepingBelow, b)))
            case .trimLower: return .sample(.histogram(a.trimmed(.keepingAbove, b)))
            default: return incompatible(left, right)
            }
        case (.histogram(let a), .histogram(let b)):
            switch op {
            case .add: return sum(a, b)
            case .subtract: return difference(a, b)
            case .equal: return .comparison(holds: a == b)
            case .notEqual: return .comparison(holds: a != b)
            default: return incompatible(left, right)
            }
        }
    }

    private func incompatible(_ left: MixedSample, _ right: MixedSample) -> OperatorOutcome {
        annotations.informIncompatibleTypes(left.typeName, op.rawValue, right.typeName, at: range)
        return .nothing
    }

    private func sum(_ left: FloatHistogram, _ right: FloatHistogram) -> OperatorOutcome {
        combined(left, .addition) { (target) throws(HistogramError) in try target.add(right) }
    }

    private func difference(_ left: FloatHistogram, _ right: FloatHistogram) -> OperatorOutcome {
        combined(left, .subtraction) { (target) throws(HistogramError) in try target.subtract(right) }
    }

    private func combined(
        _ left: FloatHistogram, _ operation: HistogramOperation,
        _ change: (inout FloatHistogram) throws(HistogramError) -> HistogramNotes
    ) -> OperatorOutcome {
        var result = left
        do {
            annotations.note(try change(&result), operation, at: range)
            if operation == .subtraction { result.hint = .gauge }
            return .sample(.histogram(result.compacted()))
        } catch {
            annotations.warnIncompatibleLayouts(op.rawValue, at: range)
            return .nothing
        }
    }

    /// `target op other` at each step at which both have a sample; elsewhere the target becomes absent. What a comparison
    /// keeps is the target's sample.
    ///
    /// - Parameter isSwapped: whether the target is the right operand.
    /// - Parameter matched: for a filter, loses the steps at which the two do not go together: that is no match.
    func combine(_ target: Row, with other: some StepValues, isSwapped: Bool, matched: Row? = nil) {
        for step in 0..<target.count {
            guard let kept = target.sample(step) else { continue }
            guard let sample = other.sample(step) else {
                target[step] = Absent.value
                continue
            }
            switch isSwapped ? outcome(sample, kept) : outcome(kept, sample) {
            case .sample(let result): target.setSample(result, at: step)
            case .comparison(let holds) where returnsBool: target[step] = holds ? 1 : 0
            case .comparison(let holds): if !holds { target[step] = Absent.value }
            case .nothing:
                target[step] = Absent.value
                matched?[step] = Absent.value
            }
        }
    }
}

extension BinaryOperator {
    /// `</` and `>/`, which numbers have not.
    var isTrim: Bool { self == .trimUpper || self == .trimLower }
}

extension StepValues {
    /// `nil` where there is none.
    func sample(_ step: Int) -> MixedSample? {
        let value = value(step)
        if value.isHistogramMark { return histogram(step).map { .histogram($0) } }
        return value.isAbsent ? nil : .float(value)
    }
}

extension Row {
    func setSample(_ sample: MixedSample, at step: Int) {
        switch sample {
        case .float(let value): self[step] = value
        case .histogram(let histogram): setHistogram(histogram, at: step)
        }
    }

    /// The unary minus where some samples are histograms.
    func negateMixed() {
        for step in 0..<count {
            switch sample(step) {
            case nil: continue
            case .float(let value): self[step] = -value
            case .histogram(let histogram): setHistogram(histogram.negated, at: step)
            }
        }
    }
}
