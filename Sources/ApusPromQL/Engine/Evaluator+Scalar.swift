extension Evaluator {
    /// Evaluates a node that yields a scalar. Chains such as `1+1+…` are walked from the left in a loop.
    func scalar(_ id: NodeID, _ steps: Steps) throws(QueryError) -> ScalarColumn {
        if steps.count > 1, plan.isInvariant[id.index] {
            let outer = bounds.scope
            bounds.scope = outer.invariant(steps.count)
            defer { bounds.scope = outer }
            return .constant(try scalar(id, steps.first)[0])
        }
        var chain: [BinaryExpression] = []
        var current = expression.unwrapped(id)
        while case .binary(let binary) = expression[current].kind {
            chain.append(binary)
            current = expression.unwrapped(binary.left)
        }
        var value = try scalarOperand(current, steps)
        for binary in chain.reversed() {
            try bounds.work(steps.count)
            let right = try scalar(binary.right, steps)
            let op = binary.op
            if op.isTrim { throw .execution("operator \"\(op.rawValue)\" not allowed for Scalar operations") }
            value = .combine(value, right) { op.apply($0, $1) }
        }
        return value
    }

    private func scalarOperand(_ id: NodeID, _ steps: Steps) throws(QueryError) -> ScalarColumn {
        switch expression[id].kind {
        case .number(let literal): return .constant(literal.value)
        case .unary(let isNegative, let operand):
            let value = try scalar(operand, steps)
            return isNegative ? value.map { -$0 } : value
        case .call(let call): return try scalarCall(call, steps)
        default: throw .execution("unexpected \(expression[id].type.documentedName) where a scalar is needed")
        }
    }

    private func scalarCall(_ call: Call, _ steps: Steps) throws(QueryError) -> ScalarColumn {
        switch call.function.name {
        case .pi: return .constant(.pi)
        case .time: return .values((0..<steps.count).map { Double(steps.timestampMs($0)) / 1_000 })
        case .start: return .constant(Double(plan.steps.startMs) / 1_000)
        case .end: return .constant(Double(plan.steps.endMs) / 1_000)
        case .range: return .constant(Double(plan.steps.endMs - plan.steps.startMs) / 1_000)
        case .step: return .constant(plan.steps.count > 1 ? Double(plan.steps.stepMs) / 1_000 : 0)
        case .minOf, .maxOf:
            let isMaximum = call.function.name == .maxOf
            let left = try scalar(call.arguments[0], steps)
            let right = try scalar(call.arguments[1], steps)
            return .combine(left, right) {
                isMaximum ? SampleFunctions.greater($0, $1) : SampleFunctions.lesser($0, $1)
            }
        case .scalar: return try onlyElement(call.arguments[0], steps)
        default: throw .execution("unknown function \(call.function.name.rawValue) of a scalar")
        }
    }

    /// `scalar(v)`: the value of the only series, NaN where there is none or more than one.
    private func onlyElement(_ id: NodeID, _ steps: Steps) throws(QueryError) -> ScalarColumn {
        var values = [Double](repeating: .nan, count: steps.count)
        var seen = [UInt8](repeating: 0, count: steps.count)
        try vector(id, steps) { (_, row) throws(QueryError) in
            if row.mayHoldHistograms { row.dropHistograms() }
            for step in 0..<row.count where !row[step].isAbsent {
                if seen[step] == 0 {
                    seen[step] = 1
                    values[step] = row[step]
                } else {
                    seen[step] = 2
                    values[step] = .nan
                }
            }
        }
        return .values(values)
    }
}
