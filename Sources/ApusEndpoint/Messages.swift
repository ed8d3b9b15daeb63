/// A request for metrics, from whatever server took it.
public struct EndpointRequest: Sendable {
    public var method: String
    /// Path and query, as sent.
    public var target: String
    /// In the order they came; names in any case.
    public var headers: [(name: String, value: String)]

    public init(method: String = "GET", target: String, headers: [(name: String, value: String)] = []) {
        self.method = method
        self.target = target
        self.headers = headers
    }

    // Bytes, not characters: `?` and a combining mark behind it are one character, and it is no question mark.
    public var path: Substring { Substring(target.utf8.prefix { $0 != UInt8(ascii: "?") }) }
    /// What stands behind the question mark.
    public var query: Substring { Substring(target.utf8.drop { $0 != UInt8(ascii: "?") }.dropFirst()) }

    /// All values of a header, joined by commas; nil if there is none. `name` in lower case.
    public func header(_ name: String) -> String? {
        var joined: String?
        for header in headers where header.name.lowercased() == name {
            joined = joined.map { $0 + "," + header.value } ?? header.value
        }
        return joined
    }
}

/// The answer, for whatever server sends it.
public struct EndpointResponse: Sendable {
    public var status: Int
    /// Without `Content-Length`, `Date` and `Connection`, which belong to who sends it.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]

    public init(status: Int = 200, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A line of text.
    public init(status: Int, text: String, headers: [(name: String, value: String)] = []) {
        self.init(
            status: status,
            headers: [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")] + headers,
            body: Array(text.utf8) + [UInt8(ascii: "\n")])
    }
}
