import ApusBytes
import ApusConfig
import ApusExposition
import ApusModel
import ApusStorage

/// One target being scraped: its rules, its cache and how it is doing.
///
/// The fetch thread asks it for requests, one thread at a time (that one or a worker) brings it what came, and anyone may read its status.
final class ScrapeLoop: Sendable {
    let key: UInt64
    let target: Target
    let config: ScrapeConfig
    let rules: SampleRules
    let cache: TargetCache
    let acceptHeader: String
    /// As the configuration writes it.
    let interval: String
    let options: ScrapeOptions
    private let state: Locked<State>

    private struct State {
        var status = LoopStatus()
        var alignment: TickAlignment
        /// When the scrape before began, to observe the length of intervals.
        var lastStartNs: UInt64?
        var forcedError: String?
        var lastWorkNs: UInt64 = 0
        var quickNs: UInt64 = 0
        /// For all scrapes, where nothing in it can change.
        var request: FetchRequest?
    }

    init(key: UInt64, target: Target, config: ScrapeConfig, cache: TargetCache?, options: ScrapeOptions) {
        self.key = key
        self.target = target
        self.config = config
        self.options = options
        interval = formatDuration(target.intervalMs)
        rules = SampleRules(target: target.publicLabels, config: config)
        self.cache = cache ?? TargetCache(rules: rules)
        acceptHeader = makeAcceptHeader(target.histograms.protocols(config), escaping: config.metricNameEscaping)
        state = Locked(State(alignment: TickAlignment(intervalMs: target.intervalMs, toleranceMs: options.timestampToleranceMs)))
    }

    var status: LoopStatus { state.withLock { $0.status } }

    /// What unpacking, reading and storing the last page took, ns: of a core, where a worker did it.
    var lastWorkNs: UInt64 { state.withLock { $0.lastWorkNs } }

    /// The same, when that page was small and good; 0 when the next one had better not be taken for quick.
    var quickNs: UInt64 { state.withLock { $0.quickNs } }

    /// An error that each scrape reports instead of fetching; nil for none.
    var forcedError: String? {
        get { state.withLock { $0.forcedError } }
        set { state.withLock { $0.forcedError = newValue } }
    }

    /// The most bytes of a page.
    var bodyLimit: Int {
        let configured = config.limits.bodySizeBytes
        return configured > 0 ? Int(min(configured, Int64(options.maxBodyBytes))) : options.maxBodyBytes
    }

    // MARK: Before the fetch

    /// A scrape begins.
    /// - Returns: the time for its samples, and the seconds since the scrape before.
    func begin(wallMs: Int64, nowNs: UInt64) -> (timestampMs: Int64, intervalSeconds: Double?) {
        state.withLock { state in
            let interval = state.lastStartNs.map { Double(nowNs &- $0) / 1e9 }
            state.lastStartNs = nowNs
            return (state.alignment.align(wallMs), interval)
        }
    }

    /// Prometheus's word for word, unless zstd is asked for: a target that knows both then picks it, others do as before.
    private var acceptedCodings: String {
        config.enableCompression ? options.asksForZstd ? "zstd, gzip;q=0.5" : "gzip" : "identity"
    }

    /// The request to make, or why there is none.
    /// - Parameter token: for a client with `oauth2`.
    func makeRequest(token: OAuth2Token? = nil) -> Result<FetchRequest, FetchFailure> {
        let (forcedError, known) = state.withLock { ($0.forcedError, $0.request) }
        if let forcedError { return .failure(FetchFailure(forcedError)) }
        if let known { return .success(known) }
        let limit = bodyLimit
        do throws(CredentialError) {
            var client = config.http
            client.tls = try loadTLS(config.http.tls)
            let request = FetchRequest(
                key: key, url: target.url,
                headers: [
                    "Accept: \(acceptHeader)", "Accept-Encoding: \(acceptedCodings)",
                    "User-Agent: \(options.userAgent)",
                    "X-Prometheus-Scrape-Timeout-Seconds: \(formatSeconds(ms: target.timeoutMs))",
                ],
                privateHeaders: try makePrivateHeaders(config.http, token: token),
                // Packed, a body that is just small enough may be a little larger than unpacked.
                timeoutMs: target.timeoutMs, bodyLimit: limit + limit / 1024 + 1024, client: client, unixSocket: target.unixSocket)
            if config.http.isConstant { state.withLock { $0.request = request } }
            return .success(request)
        } catch {
            return .failure(FetchFailure("Get \"\(target.url)\": \(error)"))
        }
    }

    // MARK: After the fetch

    func finished(_ report: ScrapeReport, workNs: UInt64) {
        state.withLock {
            $0.lastWorkNs = workNs
            $0.quickNs = report.error == nil && report.bodyBytes <= QuickScrapes.maxPageBytes ? workNs : 0
            $0.status.lastError = report.error ?? report.refusal ?? ""
            $0.status.health = report.error == nil ? .up : .down
            $0.status.lastScrapeMs = report.timestampMs
            $0.status.lastScrapeDurationSeconds = report.durationSeconds
        }
    }
}

/// How a target is doing.
struct LoopStatus: Sendable {
    var health = TargetHealth.unknown
    var lastError = ""
    var lastScrapeMs: Int64 = 0
    var lastScrapeDurationSeconds = 0.0
}

/// Milliseconds as seconds in the shortest form: `10`, `0.5`.
func formatSeconds(ms: Int64) -> String {
    let rest = ms % 1000
    if rest == 0 { return String(ms / 1000) }
    var digits = String(1000 + rest).dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return "\(ms / 1000).\(digits)"
}
