/// What a query did, node by node, and why a part of it is empty. Made by the run that made the result.
public struct QueryExplanation: Sendable, Equatable {
    /// The tree from the root down, each node before its operands; `depth` tells which belong to which. A list, as a chain of
    /// operators may be as deep as the query is long.
    public var nodes: [ExplainedNode]
    /// Deeper and further nodes were left out.
    public var isTruncated = false

    /// The most nodes that are told of.
    public static let maxNodes = 2_000
}

public struct ExplainedNode: Sendable, Equatable {
    /// 0 for the root.
    public var depth: Int
    /// What kind of node: `vectorSelector`, `matrixSelector`, `subquery`, `call`, `aggregation`, `binaryExpr`, `unaryExpr`,
    /// `parenExpr`, `numberLiteral`, `stringLiteral`.
    public var kind: String
    /// The operation alone, without its operands: `sum by (job)`, `rate`, `/ on (instance)`.
    public var operation: String
    /// Where it stands in the query, in bytes.
    public var range: Range<Int>
    /// What it yields.
    public var type: ValueType
    /// How often it was evaluated: 0 for constants, and for what no result depended on.
    public var evaluations = 0
    /// What went in: of a selector, what the storage gave; else, what the operands yielded.
    public var seriesIn: Int64 = 0
    public var samplesIn: Int64 = 0
    /// What came out.
    public var series: Int64 = 0
    public var samples: Int64 = 0
    /// The node's own time, and that of the whole tree below it.
    public var selfSeconds = 0.0
    public var totalSeconds = 0.0
    /// Why nothing came out, or why less than may be expected; for people.
    public var reasons: [String] = []
}
