import ApusModel

/// What a target really answers, asked for this moment.
public struct LivePage: Sendable {
    public var contentType: String
    /// Unpacked.
    public var body: [UInt8]
    public var durationSeconds: Double
}

public struct LivePageError: Error, Sendable, CustomStringConvertible {
    public let description: String
}

extension ScrapeManager {
    /// Fetches a target's page as a scrape would, and stores nothing. Waits for the target, up to its timeout.
    /// - Returns: nil when there is no such target.
    public func livePage(scrapePool: String, url: String) throws(LivePageError) -> LivePage? {
        guard let loop = loop(scrapePool: scrapePool, url: url) else { return nil }
        let time = time
        let start = time.monotonicNs()
        var token: OAuth2Token?
        if let oauth2 = loop.config.http.oauth2 {
            let tokens = TokenStore(time: time, userAgent: loop.options.userAgent)
            do throws(CredentialError) { token = try tokens.fetch(oauth2, timeoutMs: loop.target.timeoutMs) } catch {
                throw LivePageError(description: error.description)
            }
        }
        let request: FetchRequest
        switch loop.makeRequest(token: token) {
        case .success(let made): request = made
        case .failure(let failure): throw LivePageError(description: failure.reason)
        }
        switch fetchAndWait(request, time: time) {
        case .failed(let failure): throw LivePageError(description: failure.reason)
        case .page(let body, let contentType, let coding):
            var page = body
            if coding != .identity {
                page = BodyBuffer()
                do throws(InflateError) { try Inflater().unpack(body, coding, into: page, limit: loop.bodyLimit) } catch {
                    throw LivePageError(description: error.reason(packedBytes: body.count).reason)
                }
            }
            let seconds = Double(time.monotonicNs() &- start) / 1e9
            return LivePage(contentType: contentType, body: page.copy(), durationSeconds: seconds)
        }
    }
}
