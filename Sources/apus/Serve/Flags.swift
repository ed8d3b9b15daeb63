import ApusModel
import ApusScrape
import ApusServer
import ArgumentParser

// The flags of `apus serve`, with Prometheus's names and defaults, by what they are about.

/// A duration such as `5m` or `1h30m`.
struct DurationFlag: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let ms: Int64
    init(ms: Int64) { self.ms = ms }
    init?(argument: String) {
        guard let ms = try? parseDuration(argument) else { return nil }
        self.ms = ms
    }
    var description: String { formatDuration(ms) }
    var defaultValueDescription: String { description }
}

extension ListenAddress: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { description }
}

extension Shard: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

struct ConfigFlags: ParsableArguments {
    @Option(name: .customLong("config.file"), help: "Prometheus configuration file.")
    var file = "prometheus.yml"

    @Flag(
        name: .customLong("config.expand-env"), inversion: .prefixedNo,
        help: "Replace ${NAME} in the configuration's values by the environment's. Prometheus does so in external labels only, as always.")
    var expandsEnvironment = false

    @Flag(name: .customLong("config.auto-reload"), inversion: .prefixedNo, help: "Load the configuration again when its file, or one that it names, changes.")
    var isAutoReload = false

    @Option(name: .customLong("config.auto-reload-interval"), help: "How often to look whether a file changed.")
    var autoReloadInterval = DurationFlag(ms: 30_000)
}

struct WebFlags: ParsableArguments {
    @Option(name: .customLong("web.listen-address"), help: "Address to listen on for UI and API. May be repeated.")
    var listenAddresses: [ListenAddress] = [ListenAddress(host: "0.0.0.0", port: 9090)]

    @Option(name: .customLong("web.read-timeout"), help: "Time before a silent connection is closed.")
    var readTimeout = DurationFlag(ms: 300_000)

    @Option(name: .customLong("web.max-connections"), help: "Most simultaneous connections on each address.")
    var maximumConnections = 512

    @Flag(
        name: .customLong("web.enable-lifecycle"), inversion: .prefixedNo,
        help: "Allow reload and shutdown by HTTP: POST to /-/reload and /-/quit.")
    var isLifecycleEnabled = false

    @Flag(
        name: .customLong("web.enable-admin-api"), inversion: .prefixedNo,
        help: "Allow deleting series, cleaning tombstones and taking snapshots by HTTP, by anyone who can reach the server.")
    var isAdminEnabled = false

    @Option(name: .customLong("web.cors.origin"), help: "Origins whose pages may read the API: a pattern for the whole origin.")
    var corsOrigin = ".*"
}

struct ScrapeFlags: ParsableArguments {
    @Option(
        name: .customLong("scrape.max-body-size"),
        help: "Most bytes of a page, unpacked, for jobs without a body_size_limit of their own, and above any such limit.")
    var maximumBodyBytes = 256 << 20

    @Flag(
        name: .customLong("scrape.accept-zstd"), inversion: .prefixedNo,
        help: "Ask targets for zstd before gzip: a page is unpacked in less time. Prometheus asks for gzip only.")
    var acceptsZstd = false

    @Option(
        name: .customLong("scrape.shard"),
        help: "Scrape only a part of all targets: 2/5 for the second of five servers with the same configuration.")
    var shard: Shard?

    // Hidden in Prometheus, too.
    @Flag(
        name: .customLong("scrape.adjust-timestamps"), inversion: .prefixedNo,
        help: ArgumentHelp("Move the time of a scrape to its tick where it is off by little: such times pack better.", visibility: .hidden))
    var adjustsTimestamps = true

    @Option(
        name: .customLong("scrape.timestamp-tolerance"),
        help: ArgumentHelp("How far from its tick a scrape's time may be to be moved there.", visibility: .hidden))
    var timestampTolerance = DurationFlag(ms: 2)

    @Option(
        name: .customLong("scrape.quick-limit-us"),
        help: ArgumentHelp(
            "What storing small pages may take, in microseconds, of the thread that fetches them; others go to other threads. 0: none.",
            visibility: .hidden))
    var quickLimitUs = 1000

    @Option(
        name: .customLong("scrape.discovery-reload-interval"), help: "Least time between two times that discovered targets are taken over.")
    var discoveryReloadInterval = DurationFlag(ms: 5000)
}

struct QueryFlags: ParsableArguments {
    @Option(name: .customLong("query.lookback-delta"), help: "How old the newest sample of a series may be to count.")
    var lookbackDelta = DurationFlag(ms: 300_000)

    @Option(name: .customLong("query.timeout"), help: "Time after which a query is stopped.")
    var timeout = DurationFlag(ms: 120_000)

    @Option(name: .customLong("query.max-concurrency"), help: "Most queries at once; more wait.")
    var maximumConcurrency = 20

    @Option(
        name: .customLong("query.quick-limit-us"),
        help: ArgumentHelp(
            "A query that took no longer the last time, in microseconds, is answered by the thread that serves the connection. 0: none is.",
            visibility: .hidden))
    var quickLimitUs = 1000

    @Option(
        name: .customLong("query.log-slow"),
        help: "Queries that take this long or longer, waiting included, are logged with a warning. 0: none is.")
    var logSlow = DurationFlag(ms: 10_000)

    @Option(name: .customLong("query.max-samples"), help: "Most samples that one query may hold in memory.")
    var maximumSamples = 50_000_000
}

struct LogFlags: ParsableArguments {
    @Option(name: .customLong("log.level"), help: "Only log messages of this level or above.")
    var level = LogLevel.info

    @Option(name: .customLong("log.format"), help: "Form of log messages.")
    var format = LogFormat.logfmt
}
