import ApusBytes
import ApusModel
import ApusScrape
import ApusServer
import ApusTSDB
import Logging
import NIOPosix
import ServiceLifecycle

/// Why the storage can't be opened; `run` has logged it.
struct StorageFailure: Error {}

/// The life of the database: opened beside the HTTP server, which answers all the while; maintained; closed at the end.
struct DatabaseService: Service {
    let gate: DatabaseGate
    let opened: Opening
    let flags: StorageFlags
    let options: DatabaseOptions
    let scrape: ScrapeManager
    let queries: QueryRegistry
    /// How many queries may run at once.
    let queryPlaces: Int
    let time: any TimeSource
    private let log = Logger(label: "tsdb")

    /// How often the database looks around; the budget, where there is one, needs to be quicker.
    static let interval: Duration = .seconds(5)
    static let budgetInterval: Duration = .seconds(1)

    init(
        gate: DatabaseGate, opened: Opening, flags: StorageFlags, options: DatabaseOptions, scrape: ScrapeManager,
        queries: QueryRegistry, queryPlaces: Int, time: any TimeSource
    ) {
        self.gate = gate
        self.opened = opened
        self.flags = flags
        self.options = options
        self.scrape = scrape
        self.queries = queries
        self.queryPlaces = queryPlaces
        self.time = time
    }

    func run() async throws {
        let observer = ServerObserver(gate: gate, log: log, bar: ProgressBar("Replaying the log"))
        let database: Database
        do {
            // A thread that may block: reading a log takes seconds, and nobody else must wait for them.
            database = try await NIOThreadPool.singleton.runIfActive { try open(observer) }
        } catch {
            observer.bar.finish()
            log.error("Opening storage failed", metadata: ["err": "\(error)"])
            opened.finish(false)
            throw StorageFailure()
        }
        observer.bar.finish()
        attachBudget(database)
        trackQueries()
        gate.open(database)
        log.info("TSDB started", metadata: ["mode": "\(flags.mode.rawValue)"])
        log.info("Server is ready to receive web requests.")
        opened.finish(true)
        let interval = gate.budget == nil ? Self.interval : Self.budgetInterval
        await cancelWhenGracefulShutdown {
            while true {
                do { try await Task.sleep(for: interval) } catch { return }
                database.maintain(nowMs: time.wallMs())
                gate.budget?.measure()
            }
        }
        queries.attach(nil)
        gate.budget?.detach()
        guard let database = gate.close() else { return }
        do { try await NIOThreadPool.singleton.runIfActive { try database.close() } } catch {
            log.error("Closing storage failed", metadata: ["err": "\(error)"])
        }
    }

    private func open(_ observer: ServerObserver) throws(DatabaseError) -> Database {
        switch flags.mode {
        case .memory: return .inMemory(options: options, time: time, observer: observer)
        case .disk:
            return try .open(flags.path, options: options, files: PosixFileSystem(), time: time, observer: observer)
        }
    }

    /// Says which queries ran when the last run ended, and keeps such a list for the next. Only now, when the directory is locked:
    /// the file may be another server's.
    private func trackQueries() {
        guard flags.mode == .disk else { return }
        let log = Logger(label: "query")
        let path = joinPath(flags.path, "queries.active")
        if let queries = ActiveQueryFile.unfinished(path: path) {
            log.info("These queries did not finish in the last run", metadata: ["queries": "\(queries)"])
        }
        do { queries.attach(try ActiveQueryFile(path: path, slots: queryPlaces)) } catch {
            log.warning("Queries that run are not written down", metadata: ["err": "\(error)"])
        }
    }

    private func attachBudget(_ database: Database) {
        guard let budget = gate.budget else { return }
        let log = Logger(label: "memory")
        budget.attach(
            MemoryBudget.Actions(
                use: { [scrape] in
                    var use = MemoryUse(head: database.head.memoryBytes)
                    use.scrape = scrape.statistics().pools.reduce(0) { $0 + $1.cacheBytes }
                    use.buffers = scrape.bufferBytes
                    use.exemplars = database.exemplarStatistics.count * Self.exemplarBytes
                    use.decodedCache = database.decodedCache.statistics().bytes
                    return use
                },
                keepDecoded: { database.decodedCache.setEnabled($0) },
                sealChunks: {
                    let sealed = database.head.sealOpenChunks()
                    log.info("Sealed open chunks to make room", metadata: ["chunks": "\(sealed)"])
                },
                refuseSeries: { database.head.refuseNewSeries($0) },
                log: { isWarning, message, fields in
                    let metadata = Logger.Metadata(fields.map { ($0.name, .string($0.value)) }) { $1 }
                    if isWarning {
                        log.warning("\(message)", metadata: metadata)
                    } else {
                        log.info("\(message)", metadata: metadata)
                    }
                }))
    }

    /// About what one takes in the ring, labels included.
    private static let exemplarBytes = 256
}

/// The database's messages in our log, its progress where people look.
private struct ServerObserver: DatabaseObserver {
    let gate: DatabaseGate
    let log: Logger
    let bar: ProgressBar

    func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)]) {
        let metadata = Logger.Metadata(fields.map { ($0.name, .string($0.value)) }) { $1 }
        switch level {
        case .debug: log.debug("\(message)", metadata: metadata)
        case .info: log.info("\(message)", metadata: metadata)
        case .warning: log.warning("\(message)", metadata: metadata)
        case .error: log.error("\(message)", metadata: metadata)
        }
    }

    func replayProgress(_ progress: ReplayProgress) {
        gate.observe(progress)
        let (done, total) = (progress.currentSegment - progress.firstSegment, progress.lastSegment - progress.firstSegment + 1)
        bar.show(done, of: total, "\(done) of \(total) segments, \(formatBytes(progress.bytesRead))")
    }
}
