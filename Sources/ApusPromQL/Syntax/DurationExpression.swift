/// A formula for a duration, such as `[step() * 2]` or `offset -(5m + 30s)`.
///
/// Kept as an array, operands before operators and the whole last. At most `maxNodes`, so
/// recursion over it is bounded.
public struct DurationExpression: Sendable, Equatable {
    public static let maxNodes = 500
    /// How deep brackets, signs and right operands may nest.
    public static let maxNesting = 100

    struct Node: Sendable, Equatable {
        enum Kind: Sendable, Equatable {
            /// Seconds.
            case number(Double, isDuration: Bool)
            case step
            case range
            case negate(Int)
            case binary(BinaryOperator, Int, Int)
            case minOf(Int, Int)
            case maxOf(Int, Int)
            case paren(Int)
        }
        var kind: Kind
        /// Bytes of the query.
        var range: Range<Int>
    }

    /// Never empty.
    var nodes: [Node]
    /// Ranges and steps must be greater than 0; offsets need not.
    var mustBePositive: Bool
    /// Where each line of the query starts, to name positions in errors.
    var lines: LineTable

    /// - Throws: `division by zero`, `modulo by zero`, `duration must be greater than 0`, `duration out of range`.
    public func milliseconds(stepMs: Int64, rangeMs: Int64) throws(ParseError) -> Int64 {
        // Operands come first, so one pass in order has the values it needs.
        var values: [Double] = []
        values.reserveCapacity(nodes.count)
        for node in nodes {
            switch node.kind {
            case .number(let seconds, _): values.append(seconds)
            case .step: values.append(Double(stepMs) / 1_000)
            case .range: values.append(Double(rangeMs) / 1_000)
            case .negate(let operand): values.append(-values[operand])
            case .paren(let operand): values.append(values[operand])
            case .minOf(let left, let right): values.append(min(values[left], values[right]))
            case .maxOf(let left, let right): values.append(max(values[left], values[right]))
            case .binary(let op, let left, let right):
                let (a, b) = (values[left], values[right])
                switch op {
                case .add: values.append(a + b)
                case .subtract: values.append(a - b)
                case .multiply: values.append(a * b)
                case .divide:
                    if b == 0 { throw lines.error("division by zero", nodes[right].range) }
                    values.append(a / b)
                case .modulo:
                    if b == 0 { throw lines.error("modulo by zero", nodes[right].range) }
                    values.append(a.truncatingRemainder(dividingBy: b))
                default: values.append(power(a, b))
                }
            }
        }
        guard let seconds = values.last, let node = nodes.last else { return 0 }
        if mustBePositive, seconds <= 0 { throw lines.error("duration must be greater than 0", node.range) }
        // Prometheus holds durations as 64-bit nanoseconds.
        guard seconds.magnitude <= 9_223_372_036 else { throw lines.error("duration out of range", node.range) }
        return Int64(exactly: (seconds * 1_000).rounded()) ?? 0
    }
}
