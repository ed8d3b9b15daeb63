import ApusBytes
import ApusConfig
import ApusMetrics
import ApusModel
import ApusPromQL
import ApusRegex
import ApusScrape
import ApusServer
import ApusTSDB
import ArgumentParser
import Logging
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The running server: its parts made from the flags, tied together, and stopped in order.
///
///     ScrapeManager ─▶ DatabaseGate ◀─ QueryEngine ◀─ WebServer
///           ▲               ▲
///        Reloader    DatabaseService (opens, maintains, closes)
struct ServerProcess {
    private let log = Logger(label: "")
    private let database: DatabaseService
    private let opened = Opening()
    private let scrape: ScrapeManager
    private let web: WebServer
    private let reloader: Reloader
    private let configWatch: ConfigWatch?
    private let quit: QuitService
    private let time = SystemTime()

    /// - Throws: `ExitCode` after it has said why.
    init(_ flags: Serve) throws {
        let time = SystemTime()
        let features = Features(flags.features, log: log)
        raiseDescriptorLimit(log)

        let file = flags.config.file
        let configuration: PrometheusConfig
        var loading = PrometheusConfig.LoadOptions()
        loading.expandsEnvironment = flags.config.expandsEnvironment
        loading.extraScrapeMetrics = features.extraScrapeMetrics
        // Only protobuf carries all start timestamps.
        loading.prefersProtobuf = features.startZeros || features.startTimestamps
        do { configuration = try PrometheusConfig.load(file: file, options: loading) } catch {
            complain("Error loading config (--config.file=\(file)): \(error)")
            throw ExitCode(2)
        }

        let metrics = MetricRegistry()
        let settings = StorageSettings(flags: flags.storage, features: features)
        let databaseOptions: DatabaseOptions
        do { databaseOptions = try settings.options(configuration.storage) } catch {
            complain("Error loading config (--config.file=\(file)): \(ConfigError(.invalid, fileName: file, problems: [error]))")
            throw ExitCode(2)
        }
        databaseOptions.settings.formats.report(to: log)
        let limit = flags.storage.memoryLimit.bytes
        let gate = DatabaseGate(budget: limit > 0 ? MemoryBudget(limitBytes: limit, time: time) : nil)
        var engineOptions = EngineOptions()
        engineOptions.maxSamples = flags.query.maximumSamples
        engineOptions.timeoutMs = flags.query.timeout.ms
        engineOptions.lookbackDeltaMs = flags.query.lookbackDelta.ms
        engineOptions.quickLimitUs = flags.query.quickLimitUs
        engineOptions.maxConcurrency = flags.query.maximumConcurrency
        engineOptions.defaultSubqueryStepMs = configuration.global.evaluationIntervalMs
        engineOptions.parser = features.parser
        engineOptions.enableDelayedNameRemoval = features.delayedNameRemoval
        engineOptions.useStartTimestamps = features.useStartTimestamps
        engineOptions.enableTypeAndUnitLabels = features.typeAndUnitLabels
        engineOptions.enablePerStepStatistics = features.perStepStatistics
        engineOptions.observer = try EngineMetrics(metrics)
        engineOptions.memory = gate.budget
        let slowLog = Logger(label: "query")
        let queries = QueryRegistry(slowSeconds: Double(flags.query.logSlow.ms) / 1_000, time: time) { fields in
            slowLog.warning("Slow query", metadata: Logger.Metadata(fields.map { ($0.name, .string($0.value)) }) { $1 })
        }
        engineOptions.tracker = queries
        let engine = QueryEngine(options: engineOptions, time: time)
        var scrapeOptions = ScrapeOptions()
        scrapeOptions.maxBodyBytes = max(1, flags.scrape.maximumBodyBytes)
        scrapeOptions.storesStartTimestamps = features.startTimestamps
        scrapeOptions.injectsStartZeros = features.startZeros
        scrapeOptions.addsTypeAndUnitLabels = features.typeAndUnitLabels
        scrapeOptions.timestampToleranceMs = flags.scrape.adjustsTimestamps ? flags.scrape.timestampTolerance.ms : 0
        scrapeOptions.asksForZstd = flags.scrape.acceptsZstd
        scrapeOptions.storesMetadata = features.metadataRecords
        scrapeOptions.shard = flags.scrape.shard
        scrapeOptions.quickLimitUs = flags.scrape.quickLimitUs
        scrapeOptions.discoveryReloadIntervalMs = flags.scrape.discoveryReloadInterval.ms
        scrapeOptions.workerCount = max(2, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        scrapeOptions.heavyWorkerCount = scrapeOptions.workerCount
        // Two servers with the same targets, told apart by their host or their external labels, start at other moments.
        scrapeOptions.offsetSeed = configuration.global.externalLabels.hash64(seed: hashBytes(hostName().bytes.span))
        scrape = ScrapeManager(
            store: gate, time: time, options: scrapeOptions, log: scrapeLog, observer: try ScrapeMetrics(metrics))

        let state = ConfigurationState()
        reloader = Reloader(file: file, loading: loading, scrape: scrape, storage: gate, queries: queries, settings: settings, state: state, time: time)
        do { try reloader.apply(configuration) } catch {
            complain("Error loading config (--config.file=\(file)): \(error)")
            throw ExitCode(2)
        }
        quit = QuitService()
        let isWatched = flags.config.isAutoReload || features.autoReload
        configWatch = isWatched ? ConfigWatch(reloader: reloader, intervalMs: flags.config.autoReloadInterval.ms) : nil
        database = DatabaseService(
            gate: gate, opened: opened, flags: flags.storage, options: databaseOptions, scrape: scrape,
            queries: queries, queryPlaces: flags.query.maximumConcurrency, time: time)

        var options = ServerOptions(build: Version.build)
        options.listenAddresses = flags.web.listenAddresses
        options.maximumConnections = flags.web.maximumConnections
        options.readTimeoutMs = flags.web.readTimeout.ms
        options.isLifecycleEnabled = flags.web.isLifecycleEnabled
        options.isAdminEnabled = flags.web.isAdminEnabled
        options.lookbackDeltaMs = flags.query.lookbackDelta.ms
        options.flags = flags.shownFlags
        if flags.web.corsOrigin != ".*" {
            do { options.corsOrigin = try AnchoredRegex(ByteString(flags.web.corsOrigin)) } catch {
                complain("could not compile CORS regex string \(goQuoted(flags.web.corsOrigin)) (--web.cors.origin): \(error)")
                throw ExitCode(1)
            }
        }
        web = try WebServer(
            components: ServerComponents(
                storage: gate, engine: engine, queries: queries, scrape: scrape, metrics: metrics, configuration: state,
                lifecycle: Lifecycle(
                    startedMs: time.wallMs(), isReady: { gate.isOpen }, reload: { [reloader] in await reloader.reload() },
                    quit: { [quit] in quit.request() }),
                time: time),
            options: options)
    }

    /// Returns when the server was told to stop and has stopped.
    func run() async throws {
        log.info(
            "Starting Apus",
            metadata: [
                "version": "\(Version.number)", "compatible": "Prometheus \(Version.build.version)",
                "platform": "\(Version.platform)",
            ])
        let listeners = web.services(log: Logger(label: "web")) { [log] address in
            log.info("Listening on", metadata: ["address": "\(address)"])
        }
        let watch: [any Service] = configWatch.map { [$0] } ?? []
        // Stopped from the last to the first: no new requests, then no new scrapes, then the database is closed.
        let services: [any Service] = [ScrapeService(scrape: scrape, opened: opened)] + listeners + [ReloadSignal(reloader: reloader)] + watch
        var configuration = ServiceGroupConfiguration(
            // Storage that can't be opened stops the others in order: cancelled, they would complain of that.
            services: [.init(service: database, failureTerminationBehavior: .gracefullyShutdownGroup)]
                + services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) } + [
                    .init(service: quit, successTerminationBehavior: .gracefullyShutdownGroup)
                ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quietLogger)
        configuration.maximumGracefulShutdownDuration = .seconds(30)
        do { try await ServiceGroup(configuration: configuration).run() } catch let error as ListenError {
            complain("Unable to start web listener: \(error)")
            throw ExitCode(1)
        } catch is StorageFailure {
            throw ExitCode(1)
        }
        log.info("See you next time!")
    }

    /// The lifecycle library's own chatter is of no use to operators.
    private var quietLogger: Logger {
        var logger = Logger(label: "lifecycle")
        logger.logLevel = .critical
        return logger
    }
}

/// The scraper's messages in our log.
private let scrapeLog: ScrapeLog = { [log = Logger(label: "scrape")] level, message, fields in
    let metadata = Logger.Metadata(fields.map { ($0.name, .string($0.value)) }) { $1 }
    switch level {
    case .debug: log.debug("\(message)", metadata: metadata)
    case .info: log.info("\(message)", metadata: metadata)
    case .warning: log.warning("\(message)", metadata: metadata)
    case .error: log.error("\(message)", metadata: metadata)
    }
}

/// Each target and each client is a descriptor; the soft limit of 1024 is too low for either.
private func raiseDescriptorLimit(_ log: Logger) {
    var limit = rlimit()
    #if canImport(Glibc)
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
        let resource = RLIMIT_NOFILE
    #endif
    guard unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    if unsafe setrlimit(resource, &limit) != 0 {
        log.warning("Unable to raise the limit of open files", metadata: ["limit": "\(limit.rlim_max)"])
    }
}
