public import ApusBytes
public import ApusStorage

/// Parses and checks a query.
/// - Throws: the first thing that is wrong with it.
public func parseExpression(_ query: ByteString, options: ParserOptions = .init()) throws(ParseError) -> Expression {
    var parser = try Parser(query, options)
    let root = try parser.parseQuery()
    var checker = TypeChecker(nodes: parser.nodes, lines: parser.lines, query: query.bytes)
    try checker.check(root)
    return Expression(query: query, nodes: checker.nodes, root: root)
}

/// Parses a series selector as the API takes it in `match[]`: matchers alone, without offset or range.
///
/// It may match every series: see `[Matcher].isSelective`.
public func parseSelector(_ text: ByteString, options: ParserOptions = .init()) throws(ParseError) -> [Matcher] {
    var parser = try Parser(text, options)
    return try parser.parseWholeSelector()
}

extension [Matcher] {
    /// Whether some matcher refuses the empty value. Without one, a selector would select every series.
    public var isSelective: Bool { contains { !$0.matchesEmpty } }
}

/// A parser with a stack of its own: what is open around the current token is in `frames`, so that no query, however
/// nested, can exhaust the stack of the thread it is parsed on. Operators are reduced by precedence, as in Dijkstra's
/// shunting yard; selectors, modifiers and labels are read by plain functions.
struct Parser {
    let query: [UInt8]
    let options: ParserOptions
    let lines: LineTable
    var nodes: [ExpressionNode] = []
    /// The token to be looked at next; those before it are consumed.
    var current: Token
    /// The end of the token consumed last.
    var previousEnd = 0
    private var lexer: Lexer
    private var frames: [Frame] = []
    /// How many of them are aggregations.
    private var openAggregations = 0
    /// How many brackets and signs are open in the duration being read.
    var durationNesting = 0
    /// How many selectors have been read.
    var selectorCount = 0

    init(_ query: ByteString, _ options: ParserOptions) throws(ParseError) {
        self.query = query.bytes
        self.options = options
        if query.count > options.maxQueryBytes {
            let reason = "query of \(query.count) bytes is longer than \(options.maxQueryBytes) bytes (limit of query size)"
            throw LineTable([]).error(reason, 0..<0)
        }
        lines = LineTable(query.bytes)
        lexer = Lexer(query.bytes)
        current = Token(kind: .comment, range: 0..<0)
        try advance()
    }

    // MARK: Tokens

    /// Consumes the current token.
    mutating func advance() throws(ParseError) {
        previousEnd = current.range.upperBound
        repeat { current = lexer.next() } while current.kind == .comment
        if current.kind == .failure { throw lines.error(lexer.failure, current.range) }
    }

    mutating func accept(_ kind: Token.Kind) throws(ParseError) -> Bool {
        guard current.kind == kind else { return false }
        try advance()
        return true
    }

    mutating func expect(_ kind: Token.Kind, in context: String = "", expected: String = "") throws(ParseError) {
        guard try accept(kind) else { throw unexpected(in: context, expected: expected) }
    }

    /// Complains of the current token. Where nothing better is known, an aggregation around it is the context.
    func unexpected(in context: String = "", expected: String = "") -> ParseError {
        var reason = "unexpected " + current.described(in: query)
        if !context.isEmpty {
            reason += " in " + context
        } else if openAggregations > 0 {
            reason += " in aggregation"
        }
        if !expected.isEmpty { reason += ", expected " + expected }
        return lines.error(reason, current.range)
    }

    func text(_ range: Range<Int>) -> ByteString { ByteString(query[range]) }

    // MARK: Nodes

    mutating func add(_ kind: ExpressionNode.Kind, _ type: ValueType, _ range: Range<Int>) -> NodeID {
        nodes.append(ExpressionNode(kind: kind, type: type, range: range))
        return NodeID(nodes.count - 1)
    }

    // MARK: Expressions

    mutating func parseQuery() throws(ParseError) -> NodeID {
        if current.kind == .endOfInput {
            let reason = "no expression found in input"
            // Nothing at all has no position; a comment alone has.
            if query.isEmpty { throw ParseError(message: "unknown position: parse error: \(reason)", range: 0..<0) }
            throw lines.error(reason, 0..<0)
        }
        let root = try parseExpression()
        guard current.kind == .endOfInput else { throw unexpected() }
        return root
    }

    /// Something that waits for the expression now being read.
    private enum Frame {
        case sign(isNegative: Bool, start: Int)
        case binary(BinaryOperator, left: NodeID, BinaryModifiers)
        case paren(start: Int)
        case call(name: Token, arguments: [NodeID])
        case aggregation(AggregationHead, arguments: [NodeID])
    }

    /// What stands before the parenthesis of an aggregation.
    private struct AggregationHead {
        var op: AggregationOperator
        var start: Int
        var grouping: (labels: [ByteString], isWithout: Bool)?
    }

    private mutating func open(_ frame: Frame) throws(ParseError) {
        if frames.count >= options.maxNesting {
            throw lines.error("expression nested deeper than \(options.maxNesting) levels (limit of nesting depth)", current.range)
        }
        frames.append(frame)
    }

    private mutating func parseExpression() throws(ParseError) -> NodeID {
        while true {
            // An operand begins here; `nil` if it opened a frame, whose operand begins next.
            guard var operand = try parseOperand() else { continue }
            // An operand has ended: see what follows it, until another one must begin.
            value: while true {
                try parsePostfix(&operand)
                if case .binary(let op) = current.kind {
                    try reduce(&operand, before: op)
                    try advance()
                    try open(.binary(op, left: operand, try parseBinaryModifiers()))
                    break value
                }
                try reduce(&operand, before: nil)
                switch frames.popLast() {
                case nil: return operand
                case .paren(let start):
                    try expect(.rightParen)
                    operand = add(.paren(operand), nodes[operand.index].type, start..<previousEnd)
                case .call(let name, var arguments):
                    arguments.append(operand)
                    if try acceptArgumentComma() {
                        frames.append(.call(name: name, arguments: arguments))
                        break value
                    }
                    operand = try makeCall(name, arguments)
                case .aggregation(let head, var arguments):
                    arguments.append(operand)
                    if try acceptArgumentComma() {
                        frames.append(.aggregation(head, arguments: arguments))
                        break value
                    }
                    operand = try makeAggregation(head, arguments)
                case .sign, .binary:
                    // `reduce` has taken these.
                    break
                }
            }
        }
    }

    /// Closes the operators in front of `operand` that bind tighter than `next`, or all when there is none.
    private mutating func reduce(_ operand: inout NodeID, before next: BinaryOperator?) throws(ParseError) {
        while let frame = frames.last {
            switch frame {
            // A sign binds as tightly as `*`: -x^2 is -(x^2).
            case .sign(let isNegative, let start) where (next?.precedence ?? 0) <= BinaryOperator.multiply.precedence:
                operand = makeSigned(operand, isNegative, start)
            // `^` leans right: 2^3^2 is 2^9.
            case .binary(let op, let left, let modifiers)
            where op.precedence > (next?.precedence ?? 0) || (op.precedence == next?.precedence && op != .power):
                operand = try makeBinary(op, left, operand, modifiers)
            default: return
            }
            frames.removeLast()
        }
    }

    private mutating func makeBinary(
        _ op: BinaryOperator, _ left: NodeID, _ right: NodeID, _ modifiers: BinaryModifiers
    ) throws(ParseError) -> NodeID {
        let (a, b) = (nodes[left.index], nodes[right.index])
        let range = a.range.lowerBound..<max(a.range.lowerBound, b.range.upperBound)
        if modifiers.hasFill, !options.enableBinopFill {
            throw lines.error("binop fill modifiers are experimental and not enabled", range)
        }
        let type: ValueType = a.type == .scalar && b.type == .scalar ? .scalar : .instantVector
        let binary = BinaryExpression(
            op: op, left: left, right: right, returnsBool: modifiers.returnsBool,
            matching: modifiers.matching == VectorMatching() ? nil : modifiers.matching)
        return add(.binary(binary), type, range)
    }

    /// A signed number is one literal.
    private mutating func makeSigned(_ operand: NodeID, _ isNegative: Bool, _ start: Int) -> NodeID {
        let node = nodes[operand.index]
        let range = start..<max(start, node.range.upperBound)
        guard case .number(var literal) = node.kind else {
            return add(.unary(isNegative: isNegative, operand: operand), node.type, range)
        }
        if isNegative { literal.value = -literal.value }
        nodes[operand.index].kind = .number(literal)
        nodes[operand.index].range = range
        return operand
    }

    /// The ranges, offsets and `@` behind an operand.
    private mutating func parsePostfix(_ operand: inout NodeID) throws(ParseError) {
        while true {
            switch current.kind {
            case .leftBracket: operand = try parseBrackets(operand)
            case .at: try parseAt(operand)
            case .keyword(.offset): try parseOffset(operand)
            case .keyword(.anchored): try parseExtent(.anchored, operand)
            case .keyword(.smoothed): try parseExtent(.smoothed, operand)
            default: return
            }
        }
    }

    /// A whole operand, or `nil` when the current token opened a frame.
    private mutating func parseOperand() throws(ParseError) -> NodeID? {
        let token = current
        switch token.kind {
        case .binary(.add), .binary(.subtract):
            try open(.sign(isNegative: token.kind == .binary(.subtract), start: token.range.lowerBound))
            try advance()
            return nil
        case .number, .duration:
            let literal = try parseNumber()
            return add(.number(literal), .scalar, token.range)
        case .string:
            try advance()
            return add(.string(try unquote(token)), .string, token.range)
        case .leftParen:
            try open(.paren(start: token.range.lowerBound))
            try advance()
            return nil
        case .leftBrace:
            return try parseSelector(name: nil)
        case .aggregator(let op):
            try advance()
            switch current.kind {
            case .leftParen, .keyword(.by), .keyword(.without):
                return try openAggregation(AggregationHead(op: op, start: token.range.lowerBound))
            default: return try parseSelector(name: token.range)
            }
        case .identifier, .preprocessor:
            try advance()
            guard try accept(.leftParen) else { return try parseSelector(name: token.range) }
            if current.kind == .rightParen { return try makeCall(token, []) }
            try open(.call(name: token, arguments: []))
            return nil
        case .metricIdentifier, .binary(.and), .binary(.or), .binary(.unless), .keyword(.by), .keyword(.without),
            .keyword(.offset), .keyword(.anchored), .keyword(.smoothed):
            try advance()
            return try parseSelector(name: token.range)
        default:
            throw unexpected()
        }
    }

    // MARK: Literals

    /// The value of the current token, a number or a duration, which it consumes.
    mutating func parseNumber() throws(ParseError) -> NumberLiteral {
        let token = current
        var literal = NumberLiteral(value: 0, isDuration: token.kind == .duration)
        if literal.isDuration {
            switch DurationText.parse(query[token.range]) {
            case .success(let milliseconds): literal.value = Double(milliseconds) / 1_000
            case .failure(let error): throw lines.error(error.text, token.range)
            }
        } else {
            switch NumberText.parse(query[token.range]) {
            case .success(let value): literal.value = value
            case .failure(let error): throw lines.error("error parsing number: \(error.text)", token.range)
            }
        }
        try advance()
        return literal
    }

    func unquote(_ token: Token) throws(ParseError) -> ByteString {
        guard let value = unquoted(query[token.range]) else {
            throw lines.error("error unquoting string \(quoted(query[token.range])): invalid syntax", token.range)
        }
        return value
    }

    // MARK: Calls and aggregations

    /// The arguments are read and the closing parenthesis is the current token, or should be.
    private mutating func makeCall(_ name: Token, _ arguments: [NodeID]) throws(ParseError) -> NodeID {
        guard current.kind == .rightParen else { throw unexpected() }
        // The name is looked up when the arguments are known to be sound, and before what follows them is.
        let function = try function(called: name)
        try advance()
        let call = Call(function: function, arguments: arguments)
        return add(.call(call), function.returnType, name.range.lowerBound..<previousEnd)
    }

    private func function(called name: Token) throws(ParseError) -> FunctionDefinition {
        // Case-sensitive, though keywords are not.
        guard let function = FunctionDefinition.named(String(decoding: query[name.range], as: UTF8.self)) else {
            throw lines.error("unknown function with name \(quoted(query[name.range]))", name.range)
        }
        if function.isExperimental, !options.enableExperimentalFunctions {
            throw lines.error("function \(quoted(query[name.range])) is not enabled", name.range)
        }
        return function
    }

    /// The comma before another argument.
    private mutating func acceptArgumentComma() throws(ParseError) -> Bool {
        let comma = current.range
        guard try accept(.comma) else { return false }
        if !startsExpression { throw lines.error("trailing commas not allowed in function call args", comma) }
        return true
    }

    var startsExpression: Bool {
        switch current.kind {
        case .number, .duration, .string, .leftParen, .leftBrace, .aggregator, .identifier, .metricIdentifier, .preprocessor,
            .binary(.and), .binary(.or), .binary(.unless), .binary(.add), .binary(.subtract), .keyword(.by), .keyword(.without),
            .keyword(.offset), .keyword(.anchored), .keyword(.smoothed):
            true
        default: false
        }
    }

    private mutating func openAggregation(_ unopened: AggregationHead) throws(ParseError) -> NodeID? {
        var head = unopened
        head.grouping = try parseGroupingClause()
        openAggregations += 1
        try expect(.leftParen)
        if current.kind == .rightParen { return try makeAggregation(head, []) }
        try open(.aggregation(head, arguments: []))
        return nil
    }

    private mutating func makeAggregation(_ head: AggregationHead, _ arguments: [NodeID]) throws(ParseError) -> NodeID {
        let (op, start) = (head.op, head.start)
        try expect(.rightParen)
        openAggregations -= 1
        var grouping = head.grouping
        if grouping == nil { grouping = try parseGroupingClause() }
        let range = start..<previousEnd
        if arguments.isEmpty { throw lines.error("no arguments for aggregate expression provided", range) }
        if op.isExperimental, !options.enableExperimentalFunctions {
            let flag = "--enable-feature=promql-experimental-functions"
            throw lines.error("\(op.rawValue)() is experimental and must be enabled with \(flag)", range)
        }
        let wanted = op.takesParameter ? 2 : 1
        guard arguments.count == wanted else {
            throw lines.error(
                "wrong number of arguments for aggregate expression provided, expected \(wanted), got \(arguments.count)", range)
        }
        let aggregation = Aggregation(
            op: op, operand: arguments[wanted - 1], parameter: wanted == 2 ? arguments[0] : nil,
            grouping: grouping?.labels ?? [], isWithout: grouping?.isWithout ?? false)
        return add(.aggregate(aggregation), .instantVector, range)
    }

    /// `by (…)` or `without (…)`, if one stands here.
    private mutating func parseGroupingClause() throws(ParseError) -> (labels: [ByteString], isWithout: Bool)? {
        let isWithout = current.kind == .keyword(.without)
        guard isWithout || current.kind == .keyword(.by) else { return nil }
        try advance()
        return (try parseGroupingLabels(), isWithout)
    }

    /// `(a, "b.c", by, …)`
    mutating func parseGroupingLabels() throws(ParseError) -> [ByteString] {
        try expect(.leftParen, in: "grouping opts", expected: "\"(\"")
        var labels: [ByteString] = []
        if try accept(.rightParen) { return labels }
        while true {
            labels.append(try parseGroupingLabel())
            if try accept(.rightParen) { return labels }
            try expect(.comma, in: "grouping opts", expected: "\",\" or \")\"")
            // A comma may stand last.
            if try accept(.rightParen) { return labels }
        }
    }

    private mutating func parseGroupingLabel() throws(ParseError) -> ByteString {
        let token = current
        var label = text(token.range)
        switch token.kind {
        case .identifier, .metricIdentifier, .aggregator, .preprocessor, .binary(.and), .binary(.or), .binary(.unless),
            .binary(.atan2):
            break
        // Every keyword but `without`, as upstream.
        case .keyword(let word) where word != .without: break
        case .string: label = try unquote(token)
        default: throw unexpected(in: "grouping opts", expected: "label")
        }
        if label.isEmpty || !label.isValidUTF8 {
            throw lines.error("invalid label name for grouping: \(quoted(label.bytes))", token.range)
        }
        try advance()
        return label
    }
}
