/// Why a query is wrong, and where.
///
/// `message` is Prometheus's text, `line:column: parse error: reason`; lines and columns count from 1, columns in bytes.
public struct ParseError: Error, Equatable, Sendable {
    public let message: String
    /// The bytes at fault, offsets into the query.
    public let range: Range<Int>

    public init(message: String, range: Range<Int>) {
        self.message = message
        self.range = range
    }
}

extension ParseError: CustomStringConvertible {
    public var description: String { message }
}
