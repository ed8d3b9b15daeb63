import ApusRegex
import HTTPTypes

/// Which other origins' pages may read the API: the pattern of `--web.cors.origin`, matched against the whole Origin.
struct CrossOrigin: Sendable {
    /// Nil allows every origin.
    private let pattern: AnchoredRegex?

    init(_ pattern: AnchoredRegex?) { self.pattern = pattern }

    /// Adds the headers that a browser looks for. Without an Origin there is no browser that asks.
    func addHeaders(to response: inout ServerResponse, for request: ServerRequest) {
        // Answers differ by Origin, so a cache must know.
        response.headers[.vary] = "Origin"
        guard let origin = request.headers[.origin], !origin.isEmpty else { return }
        response.headers[.accessControlAllowHeaders] = "Accept, Authorization, Content-Type, Origin"
        response.headers[.accessControlAllowMethods] = "GET, POST, OPTIONS"
        response.headers[.accessControlExposeHeaders] = "Date"
        if pattern?.matches(Array(origin.utf8).span) ?? true { response.headers[.accessControlAllowOrigin] = origin }
    }
}
