public import ApusConfig
public import ApusMetrics
public import ApusModel
public import ApusPromQL
public import ApusRegex
public import ApusScrape

/// An address to listen on.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    /// 0 for any free one.
    public var port: Int
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `0.0.0.0:9090`, `:9090`, `[::1]:9090`; nil when it is none of these.
    public init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = UInt16(text[text.utf8.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        self.host = host.isEmpty ? "0.0.0.0" : String(host)
        self.port = Int(port)
    }
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What a build says of itself.
public struct BuildInfo: Sendable {
    /// The Prometheus version whose behaviour the API has. Clients such as Grafana compare it to know what they may ask.
    public static let prometheusVersion = "3.14.0"
    public var version = prometheusVersion
    /// Our own version.
    public var revision: String
    public var branch = "apus"
    public var buildUser = ""
    public var buildDate = ""
    /// The language's version, where clients expect Go's.
    public var languageVersion: String

    /// As Go names them.
    public static var operatingSystem: String {
        #if os(Linux)
            "linux"
        #else
            "darwin"
        #endif
    }
    public static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            "unknown"
        #endif
    }

    public init(revision: String, languageVersion: String) {
        self.revision = revision
        self.languageVersion = languageVersion
    }
}

/// How the server behaves; every value is a flag.
public struct ServerOptions: Sendable {
    public var listenAddresses: [ListenAddress] = [ListenAddress(host: "0.0.0.0", port: 9090)]
    /// For each address; more wait in the system's queue.
    public var maximumConnections = 512
    /// A connection on which nothing came for this long is closed, and so is one whose request is not complete after it.
    public var readTimeoutMs: Int64 = 300_000
    /// Origins whose pages may read the API; nil for all.
    public var corsOrigin: AnchoredRegex?
    /// Whether POST to `/-/reload` and `/-/quit` works.
    public var isLifecycleEnabled = false
    /// Whether `/api/v1/admin/tsdb/…` works.
    public var isAdminEnabled = false
    /// How far back a federated sample may lie.
    public var lookbackDeltaMs: Int64 = 300_000
    /// As `/status/flags` shows them.
    public var flags: [String: String] = [:]
    public var build: BuildInfo

    /// A form larger than this is refused with 413.
    public static let maximumBodyBytes = 10 << 20
    /// Request line and headers together.
    public static let maximumHeaderBytes = 1 << 20
    public static let maximumHeaderCount = 1_000

    public init(build: BuildInfo) { self.build = build }
}

/// The parts of the running program that the server shows.
public struct ServerComponents: Sendable {
    public var storage: DatabaseGate
    public var engine: QueryEngine
    /// The tracker of `engine`.
    public var queries: QueryRegistry
    public var scrape: ScrapeManager
    public var metrics: MetricRegistry
    public var configuration: ConfigurationState
    public var lifecycle: Lifecycle
    public var time: any TimeSource

    public init(
        storage: DatabaseGate, engine: QueryEngine, queries: QueryRegistry = QueryRegistry(), scrape: ScrapeManager, metrics: MetricRegistry,
        configuration: ConfigurationState, lifecycle: Lifecycle, time: any TimeSource
    ) {
        self.storage = storage
        self.engine = engine
        self.queries = queries
        self.scrape = scrape
        self.metrics = metrics
        self.configuration = configuration
        self.lifecycle = lifecycle
        self.time = time
    }
}

/// The configuration in force, and how the last attempt to load one went.
public final class ConfigurationState: Sendable {
    public struct Snapshot: Sendable {
        public var configuration: PrometheusConfig
        /// The configuration as `/status/config` shows it, all defaults written out.
        public var yaml: String
        public var lastReloadSucceeded: Bool
        /// 0 before the first success.
        public var lastSuccessMs: Int64
        /// When a reload first failed since then; 0 when none has.
        public var failedSinceMs: Int64 = 0
    }
    private let state: Locked<Snapshot>

    public init() {
        state = Locked(Snapshot(configuration: PrometheusConfig(), yaml: "", lastReloadSucceeded: false, lastSuccessMs: 0))
    }
    public var snapshot: Snapshot { state.withLock { $0 } }

    public func loaded(_ configuration: PrometheusConfig, yaml: String, atMs: Int64) {
        let next = Snapshot(configuration: configuration, yaml: yaml, lastReloadSucceeded: true, lastSuccessMs: atMs)
        state.withLock { $0 = next }
    }
    public func failed(atMs: Int64) {
        state.withLock { state in
            state.lastReloadSucceeded = false
            if state.failedSinceMs == 0 { state.failedSinceMs = atMs }
        }
    }
}

/// What the outside may ask of the whole program.
public struct Lifecycle: Sendable {
    /// Whether everything is up; `/-/ready` and `prometheus_ready` say so.
    public var isReady: @Sendable () -> Bool
    /// Loads the configuration again. Returns what went wrong, or nil.
    public var reload: @Sendable () async -> String?
    /// Stops the program, gracefully.
    public var quit: @Sendable () -> Void
    public var startedMs: Int64

    public init(
        startedMs: Int64, isReady: @escaping @Sendable () -> Bool, reload: @escaping @Sendable () async -> String?,
        quit: @escaping @Sendable () -> Void
    ) {
        self.startedMs = startedMs
        self.isReady = isReady
        self.reload = reload
        self.quit = quit
    }
}
