import ApusBytes
public import HTTPTypes

/// One request, read completely: what handlers get. Knows nothing of connections.
public struct ServerRequest: Sendable {
    public let method: HTTPRequest.Method
    /// Still percent-encoded, without the query.
    public let path: String
    public let headers: HTTPFields
    /// Of the body, when it is a form, then of the URL.
    let form: FormValues
    /// Set when the client hangs up; long work looks at it.
    let cancellation: Cancellation
    /// Whose connection it is; empty when not known.
    var clientAddress = ""

    /// - Parameter target: path and query as on the request line, such as `/api/v1/query?query=up`.
    public init(method: HTTPRequest.Method, target: String, headers: HTTPFields = [:], body: [UInt8] = []) {
        self.method = method
        self.headers = headers
        let bytes = target.utf8
        let end = bytes.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? bytes.endIndex
        path = String(target[..<end])
        var form = FormValues()
        if method == .post || method == .put || method == .patch, headers[.contentType].map(isForm) ?? false {
            form.append(encoded: body)
        }
        if end < bytes.endIndex, bytes[end] == UInt8(ascii: "?") {
            form.append(encoded: bytes[bytes.index(after: end)...].prefix { $0 != UInt8(ascii: "#") })
        }
        self.form = form
        cancellation = Cancellation()
    }
}

/// Whether a Content-Type says `a=1&b=2`.
private func isForm(_ contentType: String) -> Bool {
    contentType.utf8.prefix { $0 != UInt8(ascii: ";") }.lowercasedTrimmed == "application/x-www-form-urlencoded"
}

/// One answer, complete: status, headers, body.
public struct ServerResponse: Sendable {
    public var status: HTTPResponse.Status
    public var headers: HTTPFields
    /// The body, in order. A large one is written by several threads, and goes to the socket, in pieces.
    var pieces: [[UInt8]]

    public init(status: HTTPResponse.Status, headers: HTTPFields = [:], body: [UInt8] = []) {
        self.init(status: status, headers: headers, pieces: [body])
    }

    init(status: HTTPResponse.Status, headers: HTTPFields, pieces: [[UInt8]]) {
        self.status = status
        self.headers = headers
        self.pieces = pieces
    }

    /// The whole body; copied when it is in pieces.
    public var body: [UInt8] {
        get { pieces.count == 1 ? pieces[0] : Array(pieces.joined()) }
        set { pieces = [newValue] }
    }
    var bodyCount: Int { pieces.reduce(0) { $0 + $1.count } }

    /// Plain text, for people and probes.
    static func text(_ text: String, status: HTTPResponse.Status = .ok) -> ServerResponse {
        ServerResponse(status: status, headers: [.contentType: "text/plain; charset=utf-8"], body: Array(text.utf8))
    }
    /// Plain text that tells of an error, as Go's `http.Error`.
    static func error(_ text: String, status: HTTPResponse.Status) -> ServerResponse {
        var response = ServerResponse.text(text + "\n", status: status)
        response.headers[.xContentTypeOptions] = "nosniff"
        return response
    }
    static let notFound = error("404 page not found", status: .notFound)
}

extension Sequence<UInt8> {
    /// ASCII letters in small, blanks at both ends gone: for comparing header values.
    var lowercasedTrimmed: String {
        let blanks: Set<UInt8> = [UInt8(ascii: " "), UInt8(ascii: "\t")]
        let bytes = map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        let trimmed = bytes.drop { blanks.contains($0) }.reversed().drop { blanks.contains($0) }.reversed()
        return String(decoding: Array(trimmed), as: UTF8.self)
    }
}
