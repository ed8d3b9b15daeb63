import ApusBytes
import ApusStorage

extension Expression: CustomStringConvertible {
    /// The query in its canonical form, which parses to the same tree.
    public var description: String { String(decoding: Printer(self).output, as: UTF8.self) }
}

/// Writes an expression in canonical form, with a stack of its own in place of recursion.
struct Printer {
    private let expression: Expression
    private(set) var output: [UInt8] = []
    /// For each node, where its text lies in `output`. A selector inside `[…]` has its text without modifiers.
    private(set) var ranges: [Range<Int>]
    private var steps: [Step] = []

    private enum Step {
        case node(NodeID)
        case end(NodeID, start: Int)
        case text(String)
        case `operator`(NodeID)
        /// Offset, `@` and the like of a range selector: they stand behind its range.
        case matrixSuffix(MatrixSelector)
        case subquerySuffix(Subquery)
    }

    init(_ expression: Expression) {
        self.expression = expression
        ranges = [Range<Int>](repeating: 0..<0, count: expression.nodes.count)
        output.reserveCapacity(expression.query.count * 2)
        steps = [.node(expression.root)]
        while let step = steps.popLast() {
            switch step {
            case .node(let id):
                steps.append(.end(id, start: output.count))
                print(expression[id], id)
            case .end(let id, let start): ranges[id.index] = start..<output.count
            case .text(let text): write(text)
            case .operator(let id): writeOperator(id)
            case .matrixSuffix(let matrix): writeSuffix(matrix)
            case .subquerySuffix(let subquery): write(Self.suffix(of: subquery))
            }
        }
    }

    private mutating func write(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func writeOperator(_ id: NodeID) {
        guard case .binary(let binary) = expression[id].kind else { return }
        write(" ")
        // Queries of a megabyte have half a million of these.
        write(binary.matching == nil && !binary.returnsBool ? binary.op.rawValue : Self.operatorText(binary))
        write(" ")
    }

    private mutating func print(_ node: ExpressionNode, _ id: NodeID) {
        // The step pushed last is done first.
        switch node.kind {
        case .number(let literal): write(Self.text(of: literal))
        case .string(let value): output.appendQuoted(value)
        case .vectorSelector(let selector):
            writeMatchers(selector)
            write(Self.at(selector.at) + Self.extent(selector.extent) + Self.offset(selector.offset))
        case .matrixSelector(let matrix):
            if case .vectorSelector(let selector) = expression[matrix.selector].kind { writeMatchers(selector) }
            writeSuffix(matrix)
        case .subquery(let subquery): steps += [.subquerySuffix(subquery), .node(subquery.expression)]
        case .paren(let inner):
            write("(")
            steps += [.text(")"), .node(inner)]
        case .unary(let isNegative, let operand):
            write(isNegative ? "-" : "+")
            steps.append(.node(operand))
        case .binary(let binary):
            steps.append(.node(binary.right))
            steps.append(.operator(id))
            steps.append(.node(binary.left))
        case .call(let call):
            write(call.function.name.rawValue + "(")
            steps.append(.text(")"))
            for (index, argument) in call.arguments.enumerated().reversed() {
                steps.append(.node(argument))
                if index > 0 { steps.append(.text(", ")) }
            }
        case .aggregate(let aggregation):
            write(Self.head(of: aggregation) + "(")
            steps += [.text(")"), .node(aggregation.operand)]
            if let parameter = aggregation.parameter { steps += [.text(", "), .node(parameter)] }
        }
    }

    // MARK: Pieces

    private static func text(of literal: NumberLiteral) -> String {
        guard literal.isDuration, let milliseconds = Int64(exactly: (literal.value * 1_000).rounded()) else {
            return NumberText.fixed(literal.value)
        }
        return DurationText.format(milliseconds)
    }

    /// `sum`, `sum by (a, b) `
    static func head(of aggregation: Aggregation) -> String {
        if aggregation.isWithout { return "\(aggregation.op.rawValue) without (\(labels(aggregation.grouping))) " }
        if aggregation.grouping.isEmpty { return aggregation.op.rawValue }
        return "\(aggregation.op.rawValue) by (\(labels(aggregation.grouping))) "
    }

    /// The operator, `bool`, and how vectors match.
    static func operatorText(_ binary: BinaryExpression) -> String {
        var text = binary.op.rawValue + (binary.returnsBool ? " bool" : "")
        guard let matching = binary.matching else { return text }
        let isGrouped = matching.cardinality == .manyToOne || matching.cardinality == .oneToMany
        if !matching.labels.isEmpty || matching.isOn || isGrouped {
            text += " \(matching.isOn ? "on" : "ignoring") (\(labels(matching.labels)))"
        }
        if isGrouped {
            text += " group_\(matching.cardinality == .manyToOne ? "left" : "right") (\(labels(matching.include)))"
        }
        switch (matching.fillLeft, matching.fillRight) {
        case (let left?, let right?) where left.bitPattern == right.bitPattern: text += " fill (\(NumberText.general(left)))"
        case (let left, let right):
            if let left { text += " fill_left (\(NumberText.general(left)))" }
            if let right { text += " fill_right (\(NumberText.general(right)))" }
        }
        return text
    }

    private static func labels(_ labels: [ByteString]) -> String { labels.map(labelName).joined(separator: ", ") }

    /// Quoted when it is not a plain identifier.
    private static func labelName(_ name: ByteString) -> String {
        let isPlain = isAlpha(name.bytes.first) && name.bytes.allSatisfy { isAlphaNumeric($0) }
        return isPlain ? name.description : quoted(name.bytes)
    }

    private mutating func writeMatchers(_ selector: VectorSelector) {
        output.append(contentsOf: selector.name.bytes)
        var matchers: [ByteString] = []
        for matcher in selector.matchers {
            // The name that stands before the braces.
            if matcher.name == "__name__", matcher.kind == .equal, matcher.value == selector.name, !matcher.value.isEmpty { continue }
            var text = Array((Self.labelName(matcher.name) + matcher.kind.rawValue).utf8)
            text.appendQuoted(matcher.value)
            matchers.append(ByteString(text))
        }
        if matchers.isEmpty {
            // `{}` with nothing in it is legal in `info` alone, and must print as something.
            if selector.name.isEmpty { write("{}") }
            return
        }
        output.append(UInt8(ascii: "{"))
        for (index, matcher) in matchers.sorted().enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            output.append(contentsOf: matcher.bytes)
        }
        output.append(UInt8(ascii: "}"))
    }

    private mutating func writeSuffix(_ matrix: MatrixSelector) {
        guard case .vectorSelector(let selector) = expression[matrix.selector].kind else { return }
        write("[\(Self.text(of: matrix.range))]" + Self.extent(selector.extent))
        write(Self.at(selector.at) + Self.offset(selector.offset))
    }

    static func suffix(of subquery: Subquery) -> String {
        "[\(text(of: subquery.range)):\(subquery.step.map(text) ?? "")]" + at(subquery.at) + offset(subquery.offset)
    }

    private static func extent(_ extent: RangeExtent) -> String { extent == .plain ? "" : " \(extent.rawValue)" }

    private static func at(_ modifier: AtModifier?) -> String {
        switch modifier {
        case nil: return ""
        case .start: return " @ start()"
        case .end: return " @ end()"
        case .timestampMs(let milliseconds):
            let fraction = String(milliseconds.magnitude % 1_000)
            let padding = String(repeating: "0", count: 3 - fraction.count)
            return " @ \(milliseconds < 0 ? "-" : "")\(milliseconds.magnitude / 1_000).\(padding)\(fraction)"
        }
    }

    private static func offset(_ offset: DurationValue) -> String {
        offset == .milliseconds(0) ? "" : " offset \(text(of: offset))"
    }

    // MARK: Durations

    private static func text(of duration: DurationValue) -> String {
        switch duration {
        case .milliseconds(let value): DurationText.format(value)
        case .expression(let expression): text(of: expression, expression.nodes.count - 1)
        }
    }

    /// Recursive: `DurationExpression.maxNodes` bounds the depth.
    private static func text(of expression: DurationExpression, _ index: Int) -> String {
        func text(_ operand: Int) -> String { Self.text(of: expression, operand) }
        switch expression.nodes[index].kind {
        case .number(let value, let isDuration): return Self.text(of: NumberLiteral(value: value, isDuration: isDuration))
        case .step: return "step()"
        case .range: return "range()"
        case .negate(let operand): return "-\(text(operand))"
        case .paren(let operand): return "(\(text(operand)))"
        case .minOf(let left, let right): return "min_of(\(text(left)), \(text(right)))"
        case .maxOf(let left, let right): return "max_of(\(text(left)), \(text(right)))"
        case .binary(let op, let left, let right): return "\(text(left)) \(op.rawValue) \(text(right))"
        }
    }
}
