import ApusServer
import ArgumentParser
import Logging

/// `apus serve`: scrape, store, answer queries, until a signal says stop.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Scrape targets, store their samples and answer queries (the default).",
        discussion: """
            SIGTERM and SIGINT stop the server once requests in flight are answered; SIGHUP loads the configuration again.
            Exit status: 1 when an address can't be listened on or the storage can't be opened, 2 when the configuration can't be loaded.
            """,
        version: Version.text)

    @OptionGroup(title: "Configuration") var config: ConfigFlags
    @OptionGroup(title: "Web") var web: WebFlags
    @OptionGroup(title: "Storage") var storage: StorageFlags
    @OptionGroup(title: "Scraping") var scrape: ScrapeFlags
    @OptionGroup(title: "Queries") var query: QueryFlags
    @OptionGroup(title: "Log") var log: LogFlags

    @Option(name: .customLong("enable-feature"), help: "Comma separated features to enable. May be repeated.")
    var features: [String] = []

    func validate() throws {
        guard web.maximumConnections > 0 else { throw ValidationError("--web.max-connections must be greater than 0") }
        guard scrape.quickLimitUs >= 0 else { throw ValidationError("--scrape.quick-limit-us must not be negative") }
        guard query.quickLimitUs >= 0 else { throw ValidationError("--query.quick-limit-us must not be negative") }
        guard query.maximumConcurrency > 0 else { throw ValidationError("--query.max-concurrency must be greater than 0") }
        guard query.maximumSamples > 0 else { throw ValidationError("--query.max-samples must be greater than 0") }
        guard scrape.maximumBodyBytes > 0 else { throw ValidationError("--scrape.max-body-size must be greater than 0") }
    }

    func run() async throws {
        let (format, level) = (log.format, log.level.threshold)
        LoggingSystem.bootstrap { label in LineLogHandler(label: label, format: format, level: level) }
        let server = try ServerProcess(self)
        try await server.run()
    }

    /// The flags as `/status/flags` shows them.
    var shownFlags: [String: String] {
        [
            "config.file": config.file,
            "web.listen-address": web.listenAddresses.map(\.description).joined(separator: ","),
            "web.read-timeout": web.readTimeout.description,
            "web.max-connections": String(web.maximumConnections),
            "web.enable-lifecycle": String(web.isLifecycleEnabled),
            "web.enable-admin-api": String(web.isAdminEnabled),
            "web.cors.origin": web.corsOrigin,
            "scrape.max-body-size": String(scrape.maximumBodyBytes),
            "scrape.accept-zstd": String(scrape.acceptsZstd),
            "scrape.adjust-timestamps": String(scrape.adjustsTimestamps),
            "scrape.timestamp-tolerance": scrape.timestampTolerance.description,
            "scrape.shard": scrape.shard?.description ?? "",
            "scrape.quick-limit-us": String(scrape.quickLimitUs),
            "scrape.discovery-reload-interval": scrape.discoveryReloadInterval.description,
            "config.expand-env": String(config.expandsEnvironment),
            "config.auto-reload": String(config.isAutoReload),
            "config.auto-reload-interval": config.autoReloadInterval.description,
            "query.lookback-delta": query.lookbackDelta.description,
            "query.timeout": query.timeout.description,
            "query.max-concurrency": String(query.maximumConcurrency),
            "query.quick-limit-us": String(query.quickLimitUs),
            "query.log-slow": query.logSlow.description,
            "query.max-samples": String(query.maximumSamples),
            "log.level": log.level.rawValue,
            "log.format": log.format.rawValue,
            "enable-feature": features.joined(separator: ","),
        ].merging(storage.shown) { $1 }
    }
}
