import CWebAssets
import HTTPTypes

/// The web interface: files compiled into the binary, served from memory.
///
/// Paths of the interface's own pages are answered with `index.html`, which chooses the page in the browser.
struct WebAssets: Sendable {
    private struct Asset: Sendable {
        let contentType: String
        let etag: String
        let body: [UInt8]
        /// Empty when it would not be shorter.
        let gzipped: [UInt8]
    }

    static let pagePaths: Set<String> = [
        "/", "/query", "/graph", "/targets", "/status", "/flags", "/config", "/tsdb-status", "/service-discovery",
        "/relabel",
    ]
    private let assets: [String: Asset]

    init() {
        var assets: [String: Asset] = [:]
        var count = 0
        // SAFETY: the table and all it points to are constants of the binary: `count` entries, texts ended by zero,
        // `size` bytes of data.
        let table = unsafe apus_assets(&count)
        for index in 0..<count {
            guard let entry = unsafe table?[index] else { break }
            let body = unsafe Array(UnsafeBufferPointer(start: entry.data, count: entry.size))
            let gzipped = ContentCoding.gzip.compressed(body, level: 9) ?? []
            unsafe assets[String(cString: entry.path)] = Asset(
                contentType: String(cString: entry.content_type), etag: String(cString: entry.etag), body: body,
                gzipped: gzipped.count < body.count ? gzipped : [])
        }
        self.assets = assets
    }

    /// The file of `request`'s path, or nil when there is none.
    func response(to request: ServerRequest) -> ServerResponse? {
        guard let asset = assets[Self.pagePaths.contains(request.path) ? "/index.html" : request.path] else { return nil }
        guard request.method == .get || request.method == .head else {
            var refusal = ServerResponse.error("Method Not Allowed", status: .methodNotAllowed)
            refusal.headers[.allow] = "GET, HEAD"
            return refusal
        }
        let isGzipped = !asset.gzipped.isEmpty && ContentCoding(accepted: request.headers[.acceptEncoding]) == .gzip
        var headers: HTTPFields = [
            .contentType: asset.contentType,
            // Weak: the same file compressed is another sequence of bytes.
            .eTag: "W/" + asset.etag,
            // Keep it, but ask each time whether it changed: a new binary brings new files under the same names.
            .cacheControl: "no-cache",
            .vary: "Accept-Encoding",
            .xContentTypeOptions: "nosniff",
        ]
        // Nothing from outside, no inline script, in no foreign frame.
        headers[.contentSecurityPolicy] =
            "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; script-src 'self'; "
            + "object-src 'none'; base-uri 'none'; frame-ancestors 'self'; form-action 'self'"
        if let known = request.headers[.ifNoneMatch], matches(known, asset.etag) {
            return ServerResponse(status: .notModified, headers: headers)
        }
        if isGzipped { headers[.contentEncoding] = "gzip" }
        return ServerResponse(status: .ok, headers: headers, body: isGzipped ? asset.gzipped : asset.body)
    }

    private func matches(_ header: String, _ etag: String) -> Bool {
        header.utf8.split(separator: UInt8(ascii: ",")).contains { entry in
            var text = entry.drop { $0 == UInt8(ascii: " ") }
            if text.starts(with: "W/".utf8) { text = text.dropFirst(2) }
            let tag = String(Substring(text))
            return tag == etag || tag == "*"
        }
    }
}
