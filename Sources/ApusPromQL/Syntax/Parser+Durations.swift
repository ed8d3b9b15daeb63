import ApusBytes

/// A duration while it is read: nodes of a formula, of which a lone number is one.
private struct DurationBuilder {
    var nodes: [DurationExpression.Node] = []

    mutating func add(_ kind: DurationExpression.Node.Kind, _ range: Range<Int>) -> Int {
        nodes.append(DurationExpression.Node(kind: kind, range: range))
        return nodes.count - 1
    }
}

extension Parser {
    /// Whether a duration may begin with the current token.
    var startsDuration: Bool {
        switch current.kind {
        case .number, .duration, .leftParen, .binary(.add), .binary(.subtract): true
        case .preprocessor(.step), .preprocessor(.range), .preprocessor(.minOf), .preprocessor(.maxOf): true
        default: false
        }
    }

    /// A range or a step: a formula of durations, which takes all operators up to the bracket.
    mutating func parsePositiveDuration() throws(ParseError) -> DurationValue {
        var builder = DurationBuilder()
        let root = try parseDuration(&builder, from: 0)
        let node = builder.nodes[root]
        if case .number(let seconds, _) = node.kind, !(seconds > 0) {
            throw lines.error("duration must be greater than 0", node.range)
        }
        return finish(builder, mustBePositive: true)
    }

    /// An offset: a literal, a call or parentheses, with a sign or without. Operators behind it are the expression's:
    /// `x offset 5m * 2` doubles x.
    mutating func parseOffsetDuration() throws(ParseError) -> DurationValue {
        guard startsDuration else { throw unexpected(in: "offset", expected: "number, duration, step(), or range()") }
        var builder = DurationBuilder()
        _ = try parseDurationUnary(&builder, isOffset: true)
        return finish(builder, mustBePositive: false)
    }

    private func finish(_ builder: DurationBuilder, mustBePositive: Bool) -> DurationValue {
        if builder.nodes.count == 1, case .number(let seconds, _) = builder.nodes[0].kind {
            // Rounded to nanoseconds and cut to milliseconds, as upstream holds durations.
            let nanoseconds = (seconds * 1e9).rounded(.toNearestOrAwayFromZero)
            return .milliseconds(Int64(exactly: (nanoseconds / 1e6).rounded(.towardZero)) ?? 0)
        }
        return .expression(DurationExpression(nodes: builder.nodes, mustBePositive: mustBePositive, lines: lines))
    }

    private mutating func parseDuration(_ builder: inout DurationBuilder, from precedence: Int) throws(ParseError) -> Int {
        try enter()
        var left = try parseDurationUnary(&builder, isOffset: false)
        while case .binary(let op) = current.kind, op.precedence >= precedence {
            switch op {
            case .add, .subtract, .multiply, .divide, .modulo, .power: break
            default: throw unexpected(in: "subquery or range", expected: "\":\" or \"]\"")
            }
            let opRange = current.range
            try advance()
            guard startsDuration else { throw unexpected() }
            let right = try parseDuration(&builder, from: op == .power ? op.precedence : op.precedence + 1)
            if op == .divide || op == .modulo, case .number(0, _) = builder.nodes[right].kind {
                throw lines.error(op == .divide ? "division by zero" : "modulo by zero", opRange)
            }
            let range = builder.nodes[left].range.lowerBound..<builder.nodes[right].range.upperBound
            left = try add(.binary(op, left, right), range, to: &builder)
        }
        leave()
        return left
    }

    private func add(
        _ kind: DurationExpression.Node.Kind, _ range: Range<Int>, to builder: inout DurationBuilder
    ) throws(ParseError) -> Int {
        if builder.nodes.count >= DurationExpression.maxNodes {
            throw lines.error(
                "duration expression has more than \(DurationExpression.maxNodes) terms (limit of duration terms)", range)
        }
        return builder.add(kind, range)
    }

    private mutating func parseDurationUnary(_ builder: inout DurationBuilder, isOffset: Bool) throws(ParseError) -> Int {
        guard case .binary(let op) = current.kind, op == .add || op == .subtract else { return try parseDurationPrimary(&builder) }
        let sign = current.range
        try advance()
        guard startsDuration else {
            throw isOffset ? unexpected(in: "offset", expected: "number, duration, step(), or range()") : unexpected()
        }
        // As in expressions, a sign binds as `*` does; in an offset it takes the next term only.
        let operand =
            isOffset
            ? try parseDurationPrimary(&builder) : try parseDuration(&builder, from: BinaryOperator.power.precedence)
        let range = sign.lowerBound..<max(sign.lowerBound, builder.nodes[operand].range.upperBound)
        if case .number(let seconds, let isDuration) = builder.nodes[operand].kind {
            builder.nodes[operand] = .init(kind: .number(op == .subtract ? -seconds : seconds, isDuration: isDuration), range: range)
            return operand
        }
        return op == .subtract ? try add(.negate(operand), range, to: &builder) : operand
    }

    private mutating func parseDurationPrimary(_ builder: inout DurationBuilder) throws(ParseError) -> Int {
        let token = current
        switch token.kind {
        case .number, .duration:
            let literal = try parseNumber()
            // The bound of 64-bit nanoseconds; NaN passes no comparison.
            guard literal.value <= 9_223_372_036.854775 else { throw lines.error("duration out of range", token.range) }
            return try add(.number(literal.value, isDuration: literal.isDuration), token.range, to: &builder)
        case .preprocessor(.step), .preprocessor(.range):
            try advance()
            try expect(.leftParen)
            try expect(.rightParen)
            let kind: DurationExpression.Node.Kind = token.kind == .preprocessor(.step) ? .step : .range
            return try add(kind, token.range.lowerBound..<previousEnd, to: &builder)
        case .preprocessor(.minOf), .preprocessor(.maxOf):
            try advance()
            try expect(.leftParen)
            guard startsDuration else { throw unexpected() }
            let left = try parseDuration(&builder, from: 0)
            try expect(.comma)
            guard startsDuration else { throw unexpected() }
            let right = try parseDuration(&builder, from: 0)
            try expect(.rightParen)
            let range = token.range.lowerBound..<previousEnd
            return try add(token.kind == .preprocessor(.minOf) ? .minOf(left, right) : .maxOf(left, right), range, to: &builder)
        case .leftParen:
            try advance()
            guard startsDuration else { throw unexpected() }
            let inner = try parseDuration(&builder, from: 0)
            try expect(.rightParen)
            return try add(.paren(inner), token.range.lowerBound..<previousEnd, to: &builder)
        default: throw unexpected()
        }
    }
}
