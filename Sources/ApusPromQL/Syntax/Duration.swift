/// A length of time in a query: written out, or a formula of the query's step and range.
public enum DurationValue: Sendable, Equatable {
    /// May be negative in an offset.
    case milliseconds(Int64)
    indirect case expression(DurationExpression)

    /// The length for a query of this step and range (its end less its start; 0 for an instant query).
    /// - Throws: when a formula divides by zero, or its result is out of bounds for where it stands.
    public func milliseconds(stepMs: Int64, rangeMs: Int64) throws(ParseError) -> Int64 {
        switch self {
        case .milliseconds(let value): value
        case .expression(let expression): try expression.milliseconds(stepMs: stepMs, rangeMs: rangeMs)
        }
    }
}
