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

/// A parser by recursive descent, with precedence climbing for operators.
///
/// Chains such as `1+1+1…` are loops. What nests recurses, at most `ParserOptions.maxNesting` levels deep.
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
    private var nesting = 0
    /// How many aggregations are open around the current token.
    private var openAggregations = 0

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

    // MARK: Nesting

    /// Goes one level deeper; pair it with `leave()`.
    mutating func enter() throws(ParseError) {
        nesting += 1
        if nesting > options.maxNesting {
            throw lines.error("expression nested deeper than \(options.maxNesting) levels (limit of nesting depth)", current.range)
        }
    }

    mutating func leave() { nesting -= 1 }

    // MARK: Nodes

    mutating func add(_ kind: ExpressionNode.Kind, _ type: ValueType, _ range: Range<Int>) -> NodeID {
        nodes.append(ExpressionNode(kind: kind, type: type, range: range))
        return NodeID(nodes.count - 1)
    }

    // MARK: Expressions

    mutating func parseQuery() throws(ParseError) -> NodeID {
        if current.kind == .endOfInput { throw lines.error("no expression found in input", 0..<0) }
        let root = try parseExpression(from: 0)
        guard current.kind == .endOfInput else { throw unexpected() }
        return root
    }

    /// An expression whose operators bind at least as tightly as `precedence`.
    mutating func parseExpression(from precedence: Int) throws(ParseError) -> NodeID {
        try enter()
        var left = try parseUnary()
        while case .binary(let op) = current.kind, op.precedence >= precedence {
            try advance()
            let modifiers = try parseBinaryModifiers()
            // `^` leans right: 2^3^2 is 2^9.
            let right = try parseExpression(from: op == .power ? op.precedence : op.precedence + 1)
            left = try makeBinary(op, left, right, modifiers)
        }
        leave()
        return left
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
            op: op, left: left, right: right, returnsBool: modifiers.returnsBool, matching: modifiers.matching)
        return add(.binary(binary), type, range)
    }

    /// Signs, then what they stand before. A sign binds as tightly as `*`: -x^2 is -(x^2).
    private mutating func parseUnary() throws(ParseError) -> NodeID {
        var signs: [(isNegative: Bool, start: Int)] = []
        while case .binary(let op) = current.kind, op == .add || op == .subtract {
            try enter()
            signs.append((op == .subtract, current.range.lowerBound))
            try advance()
        }
        var operand = signs.isEmpty ? try parsePostfix() : try parseExpression(from: BinaryOperator.power.precedence)
        for sign in signs.reversed() {
            leave()
            let node = nodes[operand.index]
            let range = sign.start..<max(sign.start, node.range.upperBound)
            if case .number(var literal) = node.kind {
                // A signed number is one literal.
                if sign.isNegative { literal.value = -literal.value }
                nodes[operand.index].kind = .number(literal)
                nodes[operand.index].range = range
            } else {
                operand = add(.unary(isNegative: sign.isNegative, operand: operand), node.type, range)
            }
        }
        return operand
    }

    /// An operand and the ranges, offsets and `@` behind it.
    private mutating func parsePostfix() throws(ParseError) -> NodeID {
        var operand = try parseOperand()
        while true {
            switch current.kind {
            case .leftBracket: operand = try parseBrackets(operand)
            case .at: try parseAt(operand)
            case .keyword(.offset): try parseOffset(operand)
            case .keyword(.anchored): try parseExtent(.anchored, operand)
            case .keyword(.smoothed): try parseExtent(.smoothed, operand)
            default: return operand
            }
        }
    }

    private mutating func parseOperand() throws(ParseError) -> NodeID {
        let token = current
        switch token.kind {
        case .number, .duration:
            let literal = try parseNumber()
            return add(.number(literal), .scalar, token.range)
        case .string:
            try advance()
            return add(.string(try unquote(token)), .string, token.range)
        case .leftParen:
            try advance()
            let inner = try parseExpression(from: 0)
            try expect(.rightParen)
            return add(.paren(inner), nodes[inner.index].type, token.range.lowerBound..<previousEnd)
        case .leftBrace:
            return try parseSelector(name: nil)
        case .aggregator(let op):
            try advance()
            switch current.kind {
            case .leftParen, .keyword(.by), .keyword(.without): return try parseAggregation(op, start: token.range.lowerBound)
            default: return try parseSelector(name: token.range)
            }
        case .identifier, .preprocessor:
            try advance()
            if current.kind == .leftParen { return try parseCall(token) }
            return try parseSelector(name: token.range)
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
        try advance()
        if token.kind == .duration {
            switch DurationText.parse(query[token.range]) {
            case .success(let milliseconds): return NumberLiteral(value: Double(milliseconds) / 1_000, isDuration: true)
            case .failure(let error): throw lines.error(error.text, token.range)
            }
        }
        switch NumberText.parse(query[token.range]) {
        case .success(let value): return NumberLiteral(value: value, isDuration: false)
        case .failure(let error): throw lines.error("error parsing number: \(error.text)", token.range)
        }
    }

    func unquote(_ token: Token) throws(ParseError) -> ByteString {
        guard let value = unquoted(query[token.range]) else {
            throw lines.error("error unquoting string \(quoted(query[token.range])): invalid syntax", token.range)
        }
        return value
    }

    // MARK: Calls and aggregations

    private mutating func parseCall(_ name: Token) throws(ParseError) -> NodeID {
        let arguments = try parseArguments()
        // The name is case-sensitive, though keywords are not.
        let text = String(decoding: query[name.range], as: UTF8.self)
        guard let function = FunctionDefinition.named(text) else {
            throw lines.error("unknown function with name \(quoted(query[name.range]))", name.range)
        }
        if function.isExperimental, !options.enableExperimentalFunctions {
            throw lines.error("function \(quoted(query[name.range])) is not enabled", name.range)
        }
        let call = Call(function: function, arguments: arguments)
        return add(.call(call), function.returnType, name.range.lowerBound..<previousEnd)
    }

    /// `(a, b, …)`
    private mutating func parseArguments() throws(ParseError) -> [NodeID] {
        try expect(.leftParen)
        if try accept(.rightParen) { return [] }
        var arguments: [NodeID] = []
        while true {
            arguments.append(try parseExpression(from: 0))
            let comma = current.range
            guard try accept(.comma) else { break }
            if !startsExpression {
                throw lines.error("trailing commas not allowed in function call args", comma)
            }
        }
        try expect(.rightParen)
        return arguments
    }

    private var startsExpression: Bool {
        switch current.kind {
        case .number, .duration, .string, .leftParen, .leftBrace, .aggregator, .identifier, .metricIdentifier, .preprocessor,
            .binary(.and), .binary(.or), .binary(.unless), .binary(.add), .binary(.subtract), .keyword(.by), .keyword(.without),
            .keyword(.offset), .keyword(.anchored), .keyword(.smoothed):
            true
        default: false
        }
    }

    private mutating func parseAggregation(_ op: AggregationOperator, start: Int) throws(ParseError) -> NodeID {
        var grouping = try parseGroupingClause()
        openAggregations += 1
        let arguments = try parseArguments()
        openAggregations -= 1
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
