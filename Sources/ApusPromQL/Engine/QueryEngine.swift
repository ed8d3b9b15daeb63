public import ApusBytes
public import ApusModel
public import ApusStorage

/// Answers queries. Make one, keep it, and call it from any thread.
///
/// `instant` and `range` run on the caller's thread, whose stack should have a few MiB to spare; the
/// others on threads of the engine's own: `run…` for tasks, `submit…` for a server that goes on with the result right there.
public final class QueryEngine: Sendable {
    public let options: EngineOptions
    let time: any TimeSource
    private let totals = Locked(EngineStatistics())
    let executor: QueryExecutor

    public init(options: EngineOptions = EngineOptions(), time: any TimeSource = SystemTime()) {
        self.options = options
        self.time = time
        executor = QueryExecutor(threads: options.threads, maxConcurrency: options.maxConcurrency)
    }

    deinit { executor.stop() }

    /// What the engine's parser accepts.
    public var parserOptions: ParserOptions { options.parser }

    /// Evaluates a query at one moment.
    public func instant(
        _ query: ByteString, atMs: Int64, on storage: any Queryable, options: QueryOptions = QueryOptions()
    ) throws(QueryError) -> QueryResult {
        try evaluate(
            query, .instant(QueryPlan.clamped(atMs)), isInstant: true, storage, options, queuedNs: time.monotonicNs())
    }

    /// Evaluates a query at `startMs`, and each `stepMs` after it up to and including `endMs`.
    public func range(
        _ query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, on storage: any Queryable,
        options: QueryOptions = QueryOptions()
    ) throws(QueryError) -> QueryResult {
        try evaluate(
            query, try Self.steps(startMs, endMs, stepMs), isInstant: false, storage, options, queuedNs: time.monotonicNs())
    }

    /// As `instant`, on the engine's threads. Cancelling the task ends the query.
    public func runInstant(
        _ query: ByteString, atMs: Int64, on storage: any Queryable, options: QueryOptions = QueryOptions()
    ) async throws(QueryError) -> QueryResult {
        try await cancellable(options) { options, completion in
            self.submitInstant(query, atMs: atMs, on: storage, options: options, then: completion)
        }
    }

    /// As `range`, on the engine's threads. Cancelling the task ends the query.
    public func runRange(
        _ query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, on storage: any Queryable,
        options: QueryOptions = QueryOptions()
    ) async throws(QueryError) -> QueryResult {
        try await cancellable(options) { options, completion in
            self.submitRange(
                query, startMs: startMs, endMs: endMs, stepMs: stepMs, on: storage, options: options, then: completion)
        }
    }

    /// As `instant`, on the engine's threads.
    /// - Parameter completion: called once, on the thread that evaluated the query; what it does there holds up the next.
    public func submitInstant(
        _ query: ByteString, atMs: Int64, on storage: any Queryable, options: QueryOptions = QueryOptions(),
        then completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void
    ) {
        let queuedNs = time.monotonicNs()
        executor.submit {
            completion(
                Result { () throws(QueryError) in
                    try self.evaluate(
                        query, .instant(QueryPlan.clamped(atMs)), isInstant: true, storage, options, queuedNs: queuedNs)
                })
        }
    }

    /// As `range`, on the engine's threads.
    /// - Parameter completion: as for `submitInstant`.
    public func submitRange(
        _ query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, on storage: any Queryable,
        options: QueryOptions = QueryOptions(),
        then completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void
    ) {
        let queuedNs = time.monotonicNs()
        executor.submit {
            completion(
                Result { () throws(QueryError) in
                    try self.evaluate(
                        query, try Self.steps(startMs, endMs, stepMs), isInstant: false, storage, options, queuedNs: queuedNs)
                })
        }
    }

    /// What is running, and what was done so far.
    public func statistics() -> EngineStatistics {
        var result = totals.withLock { $0 }
        let (running, queued) = executor.load()
        result.runningQueries = running
        result.queuedQueries = queued
        result.maxConcurrency = options.maxConcurrency
        return result
    }

    private static func steps(_ startMs: Int64, _ endMs: Int64, _ stepMs: Int64) throws(QueryError) -> Steps {
        let (start, end) = (QueryPlan.clamped(startMs), QueryPlan.clamped(endMs))
        guard stepMs > 0 else { throw .execution("zero or negative query resolution step widths are not accepted") }
        guard end >= start else { throw .execution("end timestamp must not be before start time") }
        return Steps(startMs: start, stepMs: stepMs, count: Int((end - start) / stepMs) + 1)
    }

    /// Waits for a query that `submit` starts, and cancels it with the task.
    private func cancellable(
        _ options: QueryOptions,
        _ submit: (QueryOptions, @escaping @Sendable (Result<QueryResult, QueryError>) -> Void) -> Void
    ) async throws(QueryError) -> QueryResult {
        let flag = options.cancellation ?? CancellationFlag()
        var options = options
        options.cancellation = flag
        let own = options
        let result: Result<QueryResult, QueryError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in submit(own) { continuation.resume(returning: $0) } }
        } onCancel: {
            flag.cancel()
        }
        return try result.get()
    }

    // MARK: One query

    private func evaluate(
        _ query: ByteString, _ steps: Steps, isInstant: Bool, _ storage: any Queryable, _ options: QueryOptions,
        queuedNs: UInt64
    ) throws(QueryError) -> QueryResult {
        let run = QueryRun(
            query: query, steps: steps, isInstant: isInstant, storage: storage, engine: self.options, options: options,
            time: time, queuedNs: queuedNs)
        let outcome = Result { () throws(QueryError) in try run.execute() }
        totals.withLock {
            $0.queriesFinished += 1
            switch outcome {
            case .success(let result):
                $0.queryableSamples += result.statistics.totalQueryableSamples
                $0.samplesRead += result.statistics.samplesRead
            case .failure: $0.queriesFailed += 1
            }
        }
        return try outcome.get()
    }
}
