import ApusBytes
import ApusConfig
import ApusModel

/// `http_sd_configs`: a server that lists targets as JSON, asked again and again.
struct HTTPDiscovery: DiscoveryProvider {
    static let mechanism = "http"
    /// The most bytes of an answer.
    static let maxBodyBytes = 64 << 20
    static let timeoutMs: Int64 = 30_000

    let config: HTTPSDConfig
    let userAgent: String
    let time: any TimeSource
    private let tokens: TokenStore

    init(config: HTTPSDConfig, userAgent: String, time: any TimeSource) {
        self.config = config
        self.userAgent = userAgent
        self.time = time
        tokens = TokenStore(time: time, userAgent: userAgent)
    }

    var refreshIntervalMs: Int64 { config.refreshIntervalMs }

    func refresh() throws(DiscoveryFailure) -> DiscoveryUpdate {
        // An answer that comes when the next question is due is too late.
        let timeoutMs = min(Self.timeoutMs, max(config.refreshIntervalMs, 1000))
        var client = config.http
        let privateHeaders: [String]
        do throws(CredentialError) {
            let token: OAuth2Token?
            if let oauth2 = config.http.oauth2 { token = try tokens.fetch(oauth2, timeoutMs: timeoutMs) } else { token = nil }
            privateHeaders = try makePrivateHeaders(config.http, token: token)
            client.tls = try loadTLS(config.http.tls)
        } catch { throw DiscoveryFailure("Get \"\(config.url)\": \(error)") }
        let request = FetchRequest(
            key: 0, url: config.url,
            headers: [
                "Accept: application/json", "User-Agent: \(userAgent)",
                "X-Prometheus-Refresh-Interval-Seconds: \(formatSeconds(ms: config.refreshIntervalMs))",
            ],
            privateHeaders: privateHeaders, timeoutMs: timeoutMs, bodyLimit: Self.maxBodyBytes, client: client)
        switch fetchAndWait(request, time: time) {
        case .failed(let failure): throw DiscoveryFailure(failure.reason)
        case .page(let body, let contentType, _):
            guard Self.isJSON(contentType) else { throw DiscoveryFailure("unsupported content type \(goQuoted(contentType))") }
            let bytes = body.copy()
            // What is read below is YAML, which is more.
            do throws(JSONError) { _ = try JSONReader.read(bytes) } catch { throw DiscoveryFailure(error.description) }
            var update = DiscoveryUpdate()
            do throws(FileDiscovery.FileError) {
                update.groups = try FileDiscovery.parse(bytes, path: config.url, label: "__meta_url")
            } catch { throw DiscoveryFailure(error.description) }
            return update
        }
    }

    /// `application/json`, alone or with the one charset that JSON has.
    static func isJSON(_ contentType: String) -> Bool {
        let text = contentType.lowercased().filter { $0 != " " }
        return ["application/json", "application/json;charset=utf-8", "application/json;charset=\"utf-8\""].contains(text)
    }
}
