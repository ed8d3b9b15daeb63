/// An operator between two expressions.
public enum BinaryOperator: String, Sendable, CaseIterable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case modulo = "%"
    case power = "^"
    case atan2 = "atan2"
    case equal = "=="
    case notEqual = "!="
    case greater = ">"
    case less = "<"
    case greaterOrEqual = ">="
    case lessOrEqual = "<="
    /// `</`: cuts off a histogram's observations above the right operand.
    case trimUpper = "</"
    /// `>/`: cuts off a histogram's observations below the right operand.
    case trimLower = ">/"
    case and
    case or
    case unless

    /// `== != > < >= <=`: these may carry `bool`.
    public var isComparison: Bool {
        switch self {
        case .equal, .notEqual, .greater, .less, .greaterOrEqual, .lessOrEqual: true
        default: false
        }
    }

    /// `and or unless`: between instant vectors only, many to many.
    public var isSetOperator: Bool {
        switch self {
        case .and, .or, .unless: true
        default: false
        }
    }

    /// How tightly the operator binds; more is tighter.
    var precedence: Int {
        switch self {
        case .or: 1
        case .and, .unless: 2
        case .equal, .notEqual, .greater, .less, .greaterOrEqual, .lessOrEqual, .trimUpper, .trimLower: 3
        case .add, .subtract: 4
        case .multiply, .divide, .modulo, .atan2: 5
        case .power: 6
        }
    }
}

/// An operator that folds the series of a group into one, or picks some of them.
public enum AggregationOperator: String, Sendable, CaseIterable {
    case sum, avg, count, min, max, group, stddev, stdvar, topk, bottomk
    case countValues = "count_values"
    case quantile
    case limitk
    case limitRatio = "limit_ratio"

    /// Whether a parameter stands before the vector: `topk(3, x)`.
    public var takesParameter: Bool { parameterType != nil }

    /// The type of that parameter; `nil` for none.
    public var parameterType: ValueType? {
        switch self {
        case .topk, .bottomk, .quantile, .limitk, .limitRatio: .scalar
        case .countValues: .string
        default: nil
        }
    }

    /// Needs `ParserOptions.enableExperimentalFunctions`.
    public var isExperimental: Bool { self == .limitk || self == .limitRatio }
}
