extension Expression {
    /// The query over several lines, two spaces a level: whatever is longer than 100 bytes is split at its operator or
    /// brackets, upstream's rule.
    ///
    // Differs from Prometheus: a chain of thousands of operators would need gigabytes of indentation, so when the text
    // would pass `Prettifier.maxOutputBytes`, it is `description`.
    public func prettified() -> String { Prettifier(self).text }
}

struct Prettifier {
    static let maxLineBytes = 100
    static let maxOutputBytes = 4 << 20

    let text: String

    private enum Step {
        /// `indents`: whether the first line is to be indented.
        case node(NodeID, level: Int, indents: Bool)
        case line(String, level: Int)
        case text(String)
    }

    init(_ expression: Expression) {
        let printer = Printer(expression)
        var output: [UInt8] = []
        var steps: [Step] = [.node(expression.root, level: 0, indents: true)]
        func write(_ text: String, level: Int = 0) {
            output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
            output.append(contentsOf: text.utf8)
        }
        while let step = steps.popLast() {
            if output.count > Self.maxOutputBytes {
                output = printer.output
                break
            }
            switch step {
            case .text(let text): write(text)
            case .line(let text, let level):
                write("\n")
                write(text, level: level)
            case .node(let id, let level, let indents):
                let range = printer.ranges[id.index]
                let isLong = range.count > Self.maxLineBytes
                let indent = indents ? level : 0
                switch expression[id].kind {
                case .binary(let binary) where isLong:
                    steps.append(.node(binary.right, level: level + 1, indents: true))
                    steps.append(.text("\n"))
                    steps.append(.line(Printer.operatorText(binary), level: level))
                    steps.append(.node(binary.left, level: level + 1, indents: indents))
                case .unary(let isNegative, let operand):
                    write(isNegative ? "-" : "+", level: indent)
                    steps.append(.node(operand, level: level, indents: false))
                case .paren(let inner) where isLong:
                    write("(\n", level: indent)
                    steps += [.line(")", level: level), .node(inner, level: level + 1, indents: true)]
                case .subquery(let subquery) where isLong:
                    steps += [.text(Printer.suffix(of: subquery)), .node(subquery.expression, level: level, indents: indents)]
                case .call(let call) where isLong:
                    write(call.function.name.rawValue + "(\n", level: indent)
                    steps.append(.line(")", level: level))
                    for (index, argument) in call.arguments.enumerated().reversed() {
                        steps.append(.node(argument, level: level + 1, indents: true))
                        if index > 0 { steps.append(.text(",\n")) }
                    }
                case .aggregate(let aggregation) where isLong:
                    write(Printer.head(of: aggregation) + "(\n", level: indent)
                    steps += [.line(")", level: level), .node(aggregation.operand, level: level + 1, indents: true)]
                    if let parameter = aggregation.parameter {
                        steps += [.text(",\n"), .node(parameter, level: level + 1, indents: true)]
                    }
                default:
                    write("", level: indent)
                    output.append(contentsOf: printer.output[range])
                }
            }
        }
        text = String(decoding: output, as: UTF8.self)
    }
}
