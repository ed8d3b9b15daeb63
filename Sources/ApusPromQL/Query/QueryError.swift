/// Why a query gave no answer. The texts are Prometheus's.
public enum QueryError: Error, Sendable {
    /// The text of the query is wrong.
    case parse(ParseError)
    /// The query is well formed but cannot be answered: labels that collide, a limit reached.
    case execution(String)
    case timeout(String)
    /// The caller gave up.
    case canceled(String)
    /// The storage failed; the query is not to blame.
    case storage(String)

    public var message: String {
        switch self {
        case .parse(let error): error.message
        case .execution(let message), .timeout(let message), .canceled(let message), .storage(let message): message
        }
    }
}

extension QueryError: CustomStringConvertible {
    public var description: String { message }
}

extension QueryError {
    static let tooManySamples = QueryError.execution(
        "query processing would load too many samples into memory in query execution")
    static let timedOut = QueryError.timeout("query timed out in expression evaluation")
    static let timedOutInQueue = QueryError.timeout("query timed out in query queue")
    static let canceledInQueue = QueryError.canceled("query was canceled in query queue")
    static let evaluationCanceled = QueryError.canceled("query was canceled in expression evaluation")
    static let duplicateLabels = QueryError.execution("vector cannot contain metrics with the same labelset")
}
