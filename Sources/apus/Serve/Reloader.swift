import ApusBytes
import ApusConfig
import ApusModel
import ApusScrape
import ApusServer
import ApusTSDB
import Logging
import ServiceLifecycle
import UnixSignals

/// Loads the configuration again and hands it to those who act on it. A configuration that can't be loaded changes
/// nothing: the one in force stays, and the failure is logged and shows in the metrics.
final class Reloader: Sendable {
    private let file: String
    private let loading: PrometheusConfig.LoadOptions
    private let scrape: ScrapeManager
    private let storage: DatabaseGate
    private let queries: QueryRegistry
    private let settings: StorageSettings
    private let state: ConfigurationState
    private let time: any TimeSource
    private let log = Logger(label: "config")
    /// Globs of the configuration in force.
    private let named = Locked<[String]>([])
    /// One reload at a time.
    private let gate = ReloadGate()

    init(
        file: String, loading: PrometheusConfig.LoadOptions, scrape: ScrapeManager, storage: DatabaseGate, queries: QueryRegistry, settings: StorageSettings, state: ConfigurationState,
        time: any TimeSource
    ) {
        self.file = file
        self.loading = loading
        self.scrape = scrape
        self.storage = storage
        self.queries = queries
        self.settings = settings
        self.state = state
        self.time = time
    }

    /// Returns what went wrong, or nil.
    func reload() async -> String? {
        await gate.run { [self] in
            log.info("Loading configuration file", metadata: ["filename": "\(file)"])
            do {
                let configuration = try PrometheusConfig.load(file: file, options: loading)
                let settings = try settings.settings(configuration.storage, of: file)
                try apply(configuration)
                storage.database?.apply(settings)
                settings.formats.report(to: log)
                log.info("Completed loading of configuration file", metadata: ["filename": "\(file)"])
                return nil
            } catch {
                state.failed(atMs: time.wallMs())
                let problem = "couldn't load configuration (--config.file=\(goQuoted(file))): \(error)"
                log.error("Error reloading config", metadata: ["err": "\(problem)"])
                return problem
            }
        }
    }

    /// Of the configuration's file and of those that it names, as they are now.
    func fingerprint() -> UInt64 { configFingerprint(file, patterns: named.withLock { $0 }) }

    /// - Throws: when a file that the configuration names cannot be opened; then nothing is changed.
    func apply(_ configuration: PrometheusConfig) throws(FileError) {
        try queries.setLog(path: configuration.global.queryLogFile)
        named.withLock { $0 = configuration.scrapeConfigFiles + configuration.ruleFiles }
        for section in configuration.inactiveSections {
            log.warning("This section is read but nothing acts on it yet", metadata: ["section": "\(section)"])
        }
        scrape.apply(configuration)
        state.loaded(configuration, yaml: configuration.effectiveYAML(), atMs: time.wallMs())
    }
}

extension StorageSettings {
    /// The same, with an error that names the file.
    func settings(_ configuration: StorageConfig, of file: String) throws(ConfigError) -> DatabaseSettings {
        do { return try settings(configuration) } catch { throw ConfigError(.invalid, fileName: file, problems: [error]) }
    }
}

extension ChunkFormats {
    /// Says who cannot read what is written, when that is anybody.
    func report(to log: Logger) {
        if usesXOR2 { log.info("New float chunks are XOR2: Prometheus before 3.11 fails on them", metadata: ["encoding": "xor2"]) }
        if keepsStarts { log.info("Start timestamps are stored: Prometheus before 3.11 skips samples in the log that have one, without a word") }
        if keepsStarts && keepsHistogramStarts {
            log.info("Start timestamps of histograms are stored: Prometheus before 3.14 fails on their chunks")
        }
    }
}

/// Runs one thing after the other.
private actor ReloadGate {
    func run(_ body: @Sendable () -> String?) -> String? { body() }
}

/// SIGHUP asks for a reload.
struct ReloadSignal: Service {
    let reloader: Reloader

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            _ = await reloader.reload()
        }
    }
}
