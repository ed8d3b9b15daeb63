/// Why a page could not be parsed, and where: `12:34: expected label value, got "'" while parsing: "a{b='"`.
public struct ExpositionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Both count from 1; the column counts bytes.
    public let line: Int
    public let column: Int
    public let reason: String
    public init(line: Int, column: Int, reason: String) {
        self.line = line
        self.column = column
        self.reason = reason
    }
    public var description: String { "\(line):\(column): \(reason)" }
}
