public import ApusBytes
public import ApusStorage

/// A parsed and checked query: start here. `parseExpression` makes it, the engine runs it.
///
///     sum(rate(x[5m])) / 2
///
///     nodes   0 vectorSelector x    1 matrixSelector 0    2 call rate(1)    3 aggregate sum(2)
///             4 number 2            5 binary 3 / 4  ← root
///
/// The tree is an array: **a node's children stand before it**, so one pass over `nodes` in order meets each operand
/// before its operator, and nothing that reads, prints or frees a tree need recurse. That matters for chains: a sum of
/// 200,000 terms leans left to a height of 200,000 (`height` tells). Nesting that the text itself shows, brackets and
/// the like, is limited by `ParserOptions.maxNesting`.
public struct Expression: Sendable {
    /// The text that was parsed; the ranges of nodes count its bytes.
    public let query: ByteString
    /// Children before parents. Some nodes at the front may belong to no parent.
    public let nodes: [ExpressionNode]
    public let root: NodeID

    public subscript(id: NodeID) -> ExpressionNode { nodes[id.index] }

    /// What the whole expression yields.
    public var type: ValueType { self[root].type }
}

/// The place of a node in `Expression.nodes`. Valid in the expression that gave it, and in no other.
public struct NodeID: Hashable, Sendable {
    let rawValue: Int32

    init(_ index: Int) { rawValue = Int32(truncatingIfNeeded: index) }

    public var index: Int { Int(rawValue) }
}

/// One node: what it is, what it yields, and which bytes of the query it came from.
public struct ExpressionNode: Sendable {
    public internal(set) var kind: Kind
    public internal(set) var type: ValueType
    /// UTF-8 offsets into the query, half-open.
    public internal(set) var range: Range<Int>

    public enum Kind: Sendable {
        case number(NumberLiteral)
        case string(ByteString)
        indirect case vectorSelector(VectorSelector)
        indirect case matrixSelector(MatrixSelector)
        indirect case subquery(Subquery)
        indirect case call(Call)
        indirect case aggregate(Aggregation)
        case binary(BinaryExpression)
        /// `-x`, or `+x`, which yields x.
        case unary(isNegative: Bool, operand: NodeID)
        /// `(x)`. Kept, for printing and for types: `(x)[5m]` is an error.
        case paren(NodeID)
    }
}

public struct NumberLiteral: Sendable, Equatable {
    public var value: Double
    /// Whether it was written as a duration (`1h30m` is 5400), and is printed as one.
    public var isDuration: Bool
}

/// `name{matchers} offset … @ …`
public struct VectorSelector: Sendable {
    /// The metric name if one was given as a name, else empty. `matchers` then holds it, too.
    public var name: ByteString
    /// All matchers, `__name__` included, in the order written; the one made of the name comes last.
    public var matchers: [Matcher]
    public var offset: DurationValue = .milliseconds(0)
    public var at: AtModifier? = nil
    public var extent: RangeExtent = .plain
}

/// `selector[range]`, left-open and right-closed: `(t − range, t]`.
public struct MatrixSelector: Sendable {
    /// A vector selector, which carries offset, `@` and `anchored`/`smoothed`.
    public var selector: NodeID
    public var range: DurationValue
}

/// What a selector does at the two ends of its range; other than `plain` needs
/// `ParserOptions.enableExtendedRangeSelectors`.
public enum RangeExtent: String, Sendable {
    case plain = ""
    case anchored
    case smoothed
}

/// `expression[range:step]`
public struct Subquery: Sendable {
    public var expression: NodeID
    public var range: DurationValue
    /// `nil`: the default step of the engine.
    public var step: DurationValue?
    public var offset: DurationValue = .milliseconds(0)
    public var at: AtModifier? = nil
}

/// `@ …`: the time a selector or subquery is evaluated at.
public enum AtModifier: Sendable, Equatable {
    case timestampMs(Int64)
    /// `@ start()`: the start of the query's range.
    case start
    /// `@ end()`
    case end
}

public struct Call: Sendable {
    public var function: FunctionDefinition
    public var arguments: [NodeID]
}

/// `op by (grouping) (parameter, operand)`
public struct Aggregation: Sendable {
    public var op: AggregationOperator
    public var operand: NodeID
    /// Set where `op.takesParameter`.
    public var parameter: NodeID?
    /// In the order written; may repeat a label.
    public var grouping: [ByteString]
    /// Whether `grouping` names the labels to drop, not those to keep.
    public var isWithout: Bool
}

public struct BinaryExpression: Sendable {
    public var op: BinaryOperator
    public var left: NodeID
    public var right: NodeID
    /// `bool`: 0 or 1 in place of filtering.
    public var returnsBool: Bool
    // Apart from the node: all nodes are as large as the largest kind, and a long chain has few that match vectors.
    private var matchingBox: MatchingBox?

    init(op: BinaryOperator, left: NodeID, right: NodeID, returnsBool: Bool, matching: VectorMatching?) {
        self.op = op
        self.left = left
        self.right = right
        self.returnsBool = returnsBool
        matchingBox = matching.map(MatchingBox.init)
    }

    /// Set where both operands are instant vectors, and only there.
    public var matching: VectorMatching? {
        get { matchingBox?.matching }
        set { matchingBox = newValue.map(MatchingBox.init) }
    }
}

private final class MatchingBox: Sendable {
    let matching: VectorMatching
    init(_ matching: VectorMatching) { self.matching = matching }
}

/// How the series of two vectors find each other.
public struct VectorMatching: Sendable, Equatable {
    public enum Cardinality: String, Sendable {
        case oneToOne = "one-to-one"
        case manyToOne = "many-to-one"
        case oneToMany = "one-to-many"
        case manyToMany = "many-to-many"
    }
    public var cardinality: Cardinality = .oneToOne
    public var labels: [ByteString] = []
    /// `on (labels)`; else `ignoring (labels)`, which with no labels is the default.
    public var isOn = false
    /// The labels of `group_left(…)` and `group_right(…)`, taken from the one side.
    public var include: [ByteString] = []
    /// `fill_left(x)`, `fill_right(x)`, or both by `fill(x)`: the value of a missing side.
    public var fillLeft: Double? = nil
    public var fillRight: Double? = nil
}
