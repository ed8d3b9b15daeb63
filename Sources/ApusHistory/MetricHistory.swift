import ApusBytes
public import ApusMetrics
public import ApusModel
public import ApusPromQL
import ApusSampling
import ApusStorage
import ApusTSDB
import Synchronization

/// What a registry said over the last while, to be asked in PromQL by the program itself: no server, no network, no disk.
///
///     let history = MetricHistory(registry)
///     let sampling = Task { await history.run() }
///     …
///     if let p99 = try await history.value("histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket[1m])))"), p99 > 0.5 {
///         throw Overloaded()
///     }
///
/// The database is the server's, in memory, and so is the query engine, with all of its functions, on a thread of its own.
/// Sampling costs about a microsecond a series. Ask on a timer and look at the answer at each request, rather than
/// asking at each request.
public final class MetricHistory: Sendable {
    public let options: HistoryOptions
    private let database: Database
    private let engine: QueryEngine
    private let sampler: RegistrySampler
    private let time: any TimeSource
    private let refused = Atomic<UInt64>(0)
    private let failed = Atomic<UInt64>(0)

    public init(_ registry: MetricRegistry, options: HistoryOptions = HistoryOptions(), time: any TimeSource = SystemTime()) {
        self.options = options
        self.time = time
        let retentionMs = max(1_000, options.retentionMs)
        database = Database.inMemory(
            options: DatabaseOptions(
                settings: DatabaseSettings(retentionMs: retentionMs, maxExemplars: options.maxExemplars),
                // Memory is given back by such periods.
                minBlockDurationMs: max(1_000, retentionMs / 4), maxSeries: options.maxSeries,
                memoryLimitBytes: options.memoryLimitBytes, hasThreads: false,
                maintenanceIntervalMs: max(1_000, min(60_000, retentionMs / 20))),
            time: time)
        var engineOptions = EngineOptions()
        engineOptions.timeoutMs = options.queryTimeoutMs
        engineOptions.maxSamples = options.maxSamplesPerQuery
        engineOptions.maxConcurrency = max(1, options.maxConcurrentQueries)
        engineOptions.threads = max(1, options.queryThreads)
        engine = QueryEngine(options: engineOptions, time: time)
        sampler = RegistrySampler(registry, into: database, labels: options.labels, time: time)
    }

    // MARK: Sampling

    /// Samples the registry at each interval until its task is cancelled; then the series end. A sampling that fails is
    /// counted in `failures`, and the next one comes.
    public func run() async {
        let interval = Duration.milliseconds(max(1, options.intervalMs))
        let clock = ContinuousClock()
        var next = clock.now
        while !Task.isCancelled {
            sample()
            next += interval
            // After a standstill the missed ones are not made up for.
            if next < clock.now { next = clock.now + interval }
            try? await clock.sleep(until: next)
        }
        sampler.end()
    }

    /// Samples the registry once: for who has a timer of his own, and for tests. Blocks as long as rendering a page.
    public func sample() {
        do throws(AppendError) {
            refused.wrappingAdd(UInt64(try sampler.sample().refused), ordering: .relaxed)
        } catch { failed.wrappingAdd(1, ordering: .relaxed) }
        database.maintain(nowMs: time.wallMs())
    }

    /// Samples that were left out: of series beyond the limit, or because the wall clock stepped back.
    public var refusedSamples: UInt64 { refused.load(ordering: .relaxed) }
    /// Samplings of which nothing was stored.
    public var failures: UInt64 { failed.load(ordering: .relaxed) }
    /// Bytes that samples, labels and indices take. O(series).
    public var memoryBytes: Int { database.head.statistics().memory.total }

    // MARK: Queries

    /// Evaluates a query as of now, or of another moment in ms since the epoch.
    public func query(_ query: String, atMs: Int64? = nil) async throws(QueryError) -> QueryResult {
        try await engine.runInstant(ByteString(query), atMs: atMs ?? time.wallMs(), on: database)
    }

    /// Evaluates a query each `stepMs` of the last `lastMs` milliseconds.
    public func query(_ query: String, lastMs: Int64, stepMs: Int64) async throws(QueryError) -> QueryResult {
        let now = time.wallMs()
        return try await engine.runRange(
            ByteString(query), startMs: now.subtractingReportingOverflow(max(0, lastMs)).partialValue, endMs: now, stepMs: stepMs,
            on: database)
    }

    /// The one number that a query gives as of now; nil when it gives none, or more than one.
    public func value(_ query: String) async throws(QueryError) -> Double? {
        switch try await self.query(query).value {
        case .scalar(_, let value): return value
        case .vector(let samples) where samples.count == 1 && samples[0].histogram == nil: return samples[0].value
        default: return nil
        }
    }
}
