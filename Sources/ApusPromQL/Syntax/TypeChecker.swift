import ApusBytes
import ApusStorage

/// Checks that operands have the types their operators take, and settles how vectors match.
///
/// Walks with a stack of its own, not the program's: a chain of operators may be as long as the query. The steps come
/// in upstream's order, so that of several faults the same one is reported.
struct TypeChecker {
    var nodes: [ExpressionNode]
    let lines: LineTable
    let query: [UInt8]
    private var steps: [Step] = []

    private enum Step {
        case visit(NodeID)
        case expect(NodeID, ValueType, context: Context)
        /// All operands are checked.
        case finish(NodeID)
    }

    private enum Context {
        case aggregation, aggregationParameter
        case call(FunctionName)

        var text: String {
            switch self {
            case .aggregation: "aggregation expression"
            case .aggregationParameter: "aggregation parameter"
            case .call(let name): "call to function \"\(name.rawValue)\""
            }
        }
    }

    init(nodes: [ExpressionNode], lines: LineTable, query: [UInt8]) {
        self.nodes = nodes
        self.lines = lines
        self.query = query
    }

    mutating func check(_ root: NodeID) throws(ParseError) {
        steps = [.visit(root)]
        while let step = steps.popLast() {
            switch step {
            case .visit(let id): try visit(id)
            case .expect(let id, let type, let context): try expect(id, type, context)
            case .finish(let id): try finish(id)
            }
        }
    }

    private func expect(_ id: NodeID, _ type: ValueType, _ context: Context) throws(ParseError) {
        let node = nodes[id.index]
        if node.type != type {
            throw lines.error(
                "expected type \(type.documentedName) in \(context.text), got \(node.type.documentedName)", node.range)
        }
    }

    private mutating func visit(_ id: NodeID) throws(ParseError) {
        // The last step pushed is the next one done.
        switch nodes[id.index].kind {
        case .number, .string: break
        case .vectorSelector(let selector): try check(selector, nodes[id.index].range, mayMatchAll: false)
        case .matrixSelector(let matrix): steps.append(.visit(matrix.selector))
        case .paren(let inner): steps.append(.visit(inner))
        case .unary(_, let operand): steps += [.finish(id), .visit(operand)]
        case .subquery(let subquery): steps += [.finish(id), .visit(subquery.expression)]
        case .binary(let binary): steps += [.finish(id), .visit(binary.right), .visit(binary.left)]
        case .aggregate(let aggregation):
            if let parameter = aggregation.parameter, let type = aggregation.op.parameterType {
                steps += [.expect(parameter, type, context: .aggregationParameter), .visit(parameter)]
            }
            steps += [.expect(aggregation.operand, .instantVector, context: .aggregation), .visit(aggregation.operand)]
        case .call(let call): try visit(call, nodes[id.index].range)
        }
    }

    // MARK: Selectors

    private func check(_ selector: VectorSelector, _ range: Range<Int>, mayMatchAll: Bool) throws(ParseError) {
        if !selector.name.isEmpty {
            for matcher in selector.matchers.dropLast() where matcher.name == "__name__" {
                let names = "\(quoted(selector.name.bytes)) or \(quoted(matcher.value.bytes))"
                throw lines.error("metric name must not be set twice: \(names)", range)
            }
        } else if !mayMatchAll, !selector.matchers.isSelective {
            // Else a typo would read every series there is.
            throw lines.error("vector selector must contain at least one non-empty matcher", range)
        }
    }

    // MARK: Calls

    private mutating func visit(_ call: Call, _ range: Range<Int>) throws(ParseError) {
        let function = call.function
        let (types, count) = (function.argumentTypes, call.arguments.count)
        func wrongCount(_ wanted: String) -> ParseError {
            lines.error("expected \(wanted) argument(s) in call to \"\(function.name.rawValue)\", got \(count)", range)
        }
        if function.variadic == 0 {
            if count != types.count { throw wrongCount("\(types.count)") }
        } else {
            let required = types.count - 1
            if count < required { throw wrongCount("at least \(required)") }
            if function.variadic > 0, count > required + function.variadic {
                throw wrongCount("at most \(required + function.variadic)")
            }
        }
        if function.name == .info, count > 1 { try checkInfoSelector(call.arguments[1], range) }
        for (index, argument) in call.arguments.enumerated().reversed() {
            guard let last = types.last else { break }
            let type = index < types.count ? types[index] : last
            steps.append(.expect(argument, type, context: .call(function.name)))
            // The second argument of `info` has been checked, by rules of its own.
            if function.name != .info || index != 1 { steps.append(.visit(argument)) }
        }
    }

    /// `info(v, {…})`: the braces choose labels, not series, so there is no metric name and they may match all.
    private func checkInfoSelector(_ id: NodeID, _ callRange: Range<Int>) throws(ParseError) {
        let node = nodes[id.index]
        if node.type != .instantVector {
            throw lines.error(
                "expected type instant vector in call to function \"info\", got \(node.type.documentedName)", callRange)
        }
        guard case .vectorSelector(let selector) = node.kind else {
            throw lines.error("expected label selectors only", node.range)
        }
        guard selector.name.isEmpty else {
            throw lines.error("expected label selectors only, got vector selector instead", node.range)
        }
        try check(selector, node.range, mayMatchAll: true)
    }

    // MARK: Operators

    private mutating func finish(_ id: NodeID) throws(ParseError) {
        let node = nodes[id.index]
        switch node.kind {
        case .unary(_, let operand):
            let type = nodes[operand.index].type
            guard type == .scalar || type == .instantVector else {
                throw lines.error(
                    "unary expression only allowed on expressions of type scalar or instant vector, got \"\(type.documentedName)\"",
                    node.range)
            }
        case .subquery(let subquery):
            let type = nodes[subquery.expression.index].type
            guard type == .instantVector else {
                throw lines.error("subquery is only allowed on instant vector, got \(type.rawValue) instead", node.range)
            }
        case .binary(let binary):
            nodes[id.index].kind = .binary(try checked(binary, node.range))
        default: break
        }
    }

    private func checked(_ given: BinaryExpression, _ range: Range<Int>) throws(ParseError) -> BinaryExpression {
        var binary = given
        let (left, right) = (nodes[binary.left.index], nodes[binary.right.index])
        let op = binary.op
        var matching = binary.matching ?? VectorMatching()
        if binary.returnsBool, !op.isComparison {
            throw lines.error("bool modifier can only be used on comparison operators", operatorRange(left, right))
        }
        if op.isComparison, !binary.returnsBool, left.type == .scalar, right.type == .scalar {
            throw lines.error("comparisons between scalars must use BOOL modifier", operatorRange(left, right))
        }
        if op.isSetOperator, matching.cardinality == .oneToOne { matching.cardinality = .manyToMany }
        if matching.isOn, let label = matching.labels.first(where: matching.include.contains) {
            throw lines.error(
                "label \(quoted(label.bytes)) must not occur in ON and GROUP clause at once", operatorRange(left, right))
        }
        for operand in [left, right] where operand.type != .scalar && operand.type != .instantVector {
            throw lines.error("binary expression must contain only scalar and instant vector types", operand.range)
        }
        let hasFill = matching.fillLeft != nil || matching.fillRight != nil
        if left.type == .instantVector, right.type == .instantVector {
            if op.isSetOperator {
                if matching.cardinality != .manyToMany {
                    throw lines.error("no grouping allowed for \"\(op.rawValue)\" operation", range)
                }
                if hasFill { throw lines.error("filling in missing series not allowed for set operators", range) }
            }
            binary.matching = matching
        } else {
            if !matching.labels.isEmpty {
                throw lines.error("vector matching only allowed between instant vectors", range)
            }
            if hasFill { throw lines.error("filling in missing series only allowed between instant vectors", range) }
            if op.isSetOperator {
                throw lines.error("set operator \"\(op.rawValue)\" not allowed in binary scalar expression", range)
            }
            binary.matching = nil
        }
        return binary
    }

    /// From the operator to the byte before the right operand, without the spaces around.
    private func operatorRange(_ left: ExpressionNode, _ right: ExpressionNode) -> Range<Int> {
        var (start, end) = (left.range.upperBound, right.range.lowerBound)
        while start < end, isSpace(query[start]) { start += 1 }
        while end > start, isSpace(query[end - 1]) { end -= 1 }
        return start..<end
    }
}
