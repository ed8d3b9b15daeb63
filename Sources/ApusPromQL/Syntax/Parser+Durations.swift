import ApusBytes

/// Where a duration stands: its errors say what might be written there.
enum DurationPlace {
    case range, step, offset
}

/// A duration while it is read: nodes of a formula, of which a lone number is one.
private struct DurationBuilder {
    let place: DurationPlace
    var nodes: [DurationExpression.Node] = []

    mutating func add(_ kind: DurationExpression.Node.Kind, _ range: Range<Int>) -> Int {
        nodes.append(DurationExpression.Node(kind: kind, range: range))
        return nodes.count - 1
    }
}

extension Parser {
    /// Goes one level deeper into a duration: these recurse, a few frames a level.
    private mutating func openDuration() throws(ParseError) {
        durationNesting += 1
        if durationNesting > DurationExpression.maxNesting {
            let limit = "\(DurationExpression.maxNesting) levels (limit of nesting depth)"
            throw lines.error("duration expression nested deeper than \(limit)", current.range)
        }
    }

    private func unexpected(in place: DurationPlace) -> ParseError {
        switch place {
        case .range: unexpected(in: "subquery or range selector", expected: "number, duration, step(), or range()")
        case .step: unexpected(in: "subquery selector", expected: "number, duration, step(), range(), or \"]\"")
        case .offset: unexpected(in: "offset", expected: "number, duration, step(), or range()")
        }
    }

    private mutating func expect(_ kind: Token.Kind, in place: DurationPlace) throws(ParseError) {
        guard try accept(kind) else { throw unexpected(in: place) }
    }

    /// A range or a step: a formula of durations, which takes all operators up to the bracket.
    mutating func parsePositiveDuration(_ place: DurationPlace) throws(ParseError) -> DurationValue {
        var builder = DurationBuilder(place: place)
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
        var builder = DurationBuilder(place: .offset)
        _ = try parseDurationUnary(&builder, takesOneTerm: true)
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
        try openDuration()
        var left = try parseDurationUnary(&builder, takesOneTerm: false)
        while case .binary(let op) = current.kind, op.precedence >= precedence {
            switch op {
            case .add, .subtract, .multiply, .divide, .modulo, .power: break
            default:
                if builder.place == .step { throw unexpected(in: "subquery selector", expected: "\"]\"") }
                throw unexpected(in: "subquery or range", expected: "\":\" or \"]\"")
            }
            let opRange = current.range
            try advance()
            let right = try parseDuration(&builder, from: op == .power ? op.precedence : op.precedence + 1)
            if op == .divide || op == .modulo, case .number(0, _) = builder.nodes[right].kind {
                throw lines.error(op == .divide ? "division by zero" : "modulo by zero", opRange)
            }
            let range = builder.nodes[left].range.lowerBound..<builder.nodes[right].range.upperBound
            left = try add(.binary(op, left, right), range, to: &builder)
        }
        durationNesting -= 1
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

    private mutating func parseDurationUnary(_ builder: inout DurationBuilder, takesOneTerm: Bool) throws(ParseError) -> Int {
        guard case .binary(let op) = current.kind, op == .add || op == .subtract else { return try parseDurationPrimary(&builder) }
        let sign = current.range
        try advance()
        // As in expressions, a sign binds as `*` does; in an offset it takes the next term only.
        try openDuration()
        let operand =
            takesOneTerm
            ? try parseDurationUnary(&builder, takesOneTerm: true)
            : try parseDuration(&builder, from: BinaryOperator.power.precedence)
        durationNesting -= 1
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
            try expect(.leftParen, in: builder.place)
            try expect(.rightParen, in: builder.place)
            let kind: DurationExpression.Node.Kind = token.kind == .preprocessor(.step) ? .step : .range
            return try add(kind, token.range.lowerBound..<previousEnd, to: &builder)
        case .preprocessor(.minOf), .preprocessor(.maxOf):
            try advance()
            try expect(.leftParen, in: builder.place)
            let left = try parseDuration(&builder, from: 0)
            try expect(.comma, in: builder.place)
            let right = try parseDuration(&builder, from: 0)
            try expect(.rightParen, in: builder.place)
            let range = token.range.lowerBound..<previousEnd
            return try add(token.kind == .preprocessor(.minOf) ? .minOf(left, right) : .maxOf(left, right), range, to: &builder)
        case .leftParen:
            try advance()
            let inner = try parseDuration(&builder, from: 0)
            try expect(.rightParen, in: builder.place)
            return try add(.paren(inner), token.range.lowerBound..<previousEnd, to: &builder)
        default: throw unexpected(in: builder.place)
        }
    }
}
