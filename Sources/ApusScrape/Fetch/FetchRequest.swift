import ApusConfig

/// One request: a GET of one target's page, or what discovery asks. A target whose requests are all the same makes one, and
/// has it sent again and again.
final class FetchRequest: Sendable {
    /// Requests of one key share a connection; at most one of them is under way.
    let key: UInt64
    let url: String
    /// `Name: value`, sent to whichever host redirects lead to.
    let headers: [String]
    /// The same, but only for the host of `url`: credentials.
    let privateHeaders: [String]
    let timeoutMs: Int64
    /// Bytes of the body as sent: one more than may be is refused by the worker, far more never arrives.
    let bodyLimit: Int
    let client: HTTPClientConfig
    /// Sent as a form with POST; nil for a GET.
    let form: String?
    /// The path of a Unix socket to speak over, or "".
    let unixSocket: String

    init(
        key: UInt64, url: String, headers: [String], privateHeaders: [String] = [], timeoutMs: Int64, bodyLimit: Int,
        client: HTTPClientConfig, form: String? = nil, unixSocket: String = ""
    ) {
        self.key = key
        self.url = url
        self.headers = headers
        self.privateHeaders = privateHeaders
        self.timeoutMs = timeoutMs
        self.bodyLimit = bodyLimit
        self.client = client
        self.form = form
        self.unixSocket = unixSocket
    }
}

/// What came of a fetch.
enum FetchOutcome: Sendable {
    /// Status 200. The receiver owns `body`.
    case page(body: BodyBuffer, contentType: String, coding: BodyCoding)
    case failed(FetchFailure)
}

/// How a body is packed; of what `Content-Encoding` may say, what is unpacked.
enum BodyCoding: Sendable, Equatable {
    case identity, gzip, zstd

    /// Anything unknown is taken for a plain page, which it then is not.
    init(_ header: String) {
        switch header {
        case "gzip": self = .gzip
        case "zstd": self = .zstd
        default: self = .identity
        }
    }
}

struct FetchFailure: Error, Equatable, Sendable {
    /// In the words of Prometheus, for the targets page.
    let reason: String
    var isBodyLimit = false
    init(_ reason: String, isBodyLimit: Bool = false) {
        self.reason = reason
        self.isBodyLimit = isBodyLimit
    }
    static let bodySizeLimit = FetchFailure("body size limit exceeded", isBodyLimit: true)
}
