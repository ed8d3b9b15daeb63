public import ApusBytes
public import ApusModel
public import ApusStorage
import Synchronization

/// Answers queries. Make one, keep it, and call it from any thread.
///
/// `instant` and `range` run on the caller's thread, whose stack should have a few MiB to spare; the
/// others on threads of the engine's own: `run…` for tasks, `submit…` for a server that goes on with the result right there.
public final class QueryEngine: Sendable {
    public let options: EngineOptions
    let time: any TimeSource
    private let totals = Locked(EngineStatistics())
    let executor: QueryExecutor
    private let quick: QuickQueries

    public init(options: EngineOptions = EngineOptions(), time: any TimeSource = SystemTime()) {
        self.options = options
        self.time = time
        executor = QueryExecutor(threads: options.threads, maxConcurrency: options.maxConcurrency)
        quick = QuickQueries(limitNs: UInt64(max(0, options.quickLimitUs)) &* 1000, time: time)
    }

    deinit { executor.stop() }

    /// What the engine's parser accepts.
    public var parserOptions: ParserOptions { options.parser }

    /// Evaluates a query at one moment.
    public func instant(
        _ query: ByteString, atMs: Int64, on storage: any Queryable, options: QueryOptions = QueryOptions()
    ) throws(QueryError) -> QueryResult {
        let request = QueryRequest(query, .instant(QueryPlan.clamped(atMs)), isInstant: true, storage, options)
        return try evaluate(request, queue(request))
    }

    /// Evaluates a query at `startMs`, and each `stepMs` after it up to and including `endMs`.
    public func range(
        _ query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, on storage: any Queryable,
        options: QueryOptions = QueryOptions()
    ) throws(QueryError) -> QueryResult {
        let request = QueryRequest(query, try Self.steps(startMs, endMs, stepMs), isInstant: false, storage, options)
        return try evaluate(request, queue(request))
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

    /// As `instant`, on the engine's threads; or on the caller's, when it took less than `EngineOptions.quickLimitUs` the last time.
    /// - Parameter completion: called once, mostly on the thread that evaluated the query; what it does there holds up the next. It
    ///   may be called before this returns.
    public func submitInstant(
        _ query: ByteString, atMs: Int64, on storage: any Queryable, options: QueryOptions = QueryOptions(),
        then completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void
    ) {
        submit(QueryRequest(query, .instant(QueryPlan.clamped(atMs)), isInstant: true, storage, options), completion)
    }

    /// As `range`, on the engine's threads.
    /// - Parameter completion: as for `submitInstant`.
    public func submitRange(
        _ query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, on storage: any Queryable,
        options: QueryOptions = QueryOptions(),
        then completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void
    ) {
        let steps: Steps
        do { steps = try Self.steps(startMs, endMs, stepMs) } catch { return completion(.failure(error)) }
        submit(QueryRequest(query, steps, isInstant: false, storage, options), completion)
    }

    /// Calls `body` once for each number below `count`: on this thread, and on those of the engine that have nothing to do.
    /// Returns when all calls have. For what a server does with a large result.
    public func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        SharedLoop(count, body).run(executor)
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

    /// Notes that a query was asked for.
    private func queue(_ request: QueryRequest) -> QueryActivity {
        let activity = QueryActivity(
            query: request.query, startMs: request.steps.startMs, endMs: request.steps.endMs,
            stepMs: request.isInstant ? 0 : request.steps.stepMs, origin: request.options.origin,
            cancellation: request.options.cancellation ?? CancellationFlag(), queuedNs: time.monotonicNs())
        options.tracker?.queued(activity)
        return activity
    }

    private func submit(
        _ request: QueryRequest, _ completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void
    ) {
        let activity = queue(request)
        if isQuick(request), tryHere(request, activity, completion) { return }
        let answer = FirstAnswer(completion)
        let mustWait = executor.submit {
            // Who waited too long has gone.
            guard answer.begins() else { return }
            let startedNs = self.time.monotonicNs()
            answer.completion(Result { () throws(QueryError) in try self.evaluate(request, activity) })
            self.quick.note(request, startedNs: startedNs)
        }
        if mustWait { watch(request, activity, answer) }
    }

    /// Whether a query is for who asks for it.
    func isQuick(_ request: QueryRequest) -> Bool { quick.isQuick(request) }

    /// Answers on this thread, if the result comes within the budget and nobody waits for a thread.
    /// - Returns: whether it did.
    private func tryHere(
        _ request: QueryRequest, _ activity: QueryActivity, _ completion: (Result<QueryResult, QueryError>) -> Void
    ) -> Bool {
        guard executor.begin() else { return false }
        defer { executor.end() }
        let startedNs = time.monotonicNs()
        let budget = quick.budget()
        let result = Result { () throws(QueryError) in try evaluate(request, activity, within: budget) }
        if !budget.isSpent { completion(result) }
        quick.note(request, startedNs: startedNs)
        return !budget.isSpent
    }

    /// Answers a query whose time runs out, or whose caller goes, before a thread takes it up.
    private func watch(_ request: QueryRequest, _ activity: QueryActivity, _ answer: FirstAnswer) {
        let timeoutMs = request.timeoutMs(options)
        let deadline = ContinuousClock.now + .milliseconds(timeoutMs)
        Task { [self] in
            while !answer.hasBegun {
                let isLate = ContinuousClock.now >= deadline
                if isLate || activity.cancellation.isCanceled {
                    guard answer.begins() else { return }
                    let error = isLate ? QueryError.timedOutInQueue : .canceledInQueue
                    finish(activity, QueryOutcome(statistics: queueStatistics(activity), error: error))
                    return answer.completion(.failure(error))
                }
                try? await Task.sleep(for: min(.milliseconds(50), deadline - ContinuousClock.now))
            }
        }
    }

    private func queueStatistics(_ activity: QueryActivity) -> QueryStatistics {
        var statistics = QueryStatistics()
        statistics.queueSeconds = Double(time.monotonicNs() &- activity.queuedNs) / 1e9
        options.observer?.observe(slice: .queueTime, seconds: statistics.queueSeconds)
        return statistics
    }

    // MARK: One query

    /// - Parameter budget: when it is spent the query is not finished, and what comes out means nothing.
    private func evaluate(
        _ request: QueryRequest, _ activity: QueryActivity, within budget: QuickBudget? = nil
    ) throws(QueryError) -> QueryResult {
        // Not when a caller has tried and given up.
        if activity.startedNs == nil {
            activity.start(atNs: time.monotonicNs())
            options.tracker?.started(activity)
        }
        // Helpers cost more than a quick query.
        let run = QueryRun(
            request: request, engine: options, time: time, executor: budget == nil ? executor : nil, activity: activity, quick: budget)
        var statistics = QueryStatistics()
        let outcome = Result { () throws(QueryError) in try run.execute(&statistics) }
        if budget?.isSpent == true { return try outcome.get() }
        var error: QueryError?
        if case .failure(let reason) = outcome { error = reason }
        finish(activity, QueryOutcome(statistics: statistics, error: error))
        return try outcome.get()
    }

    private func finish(_ activity: QueryActivity, _ outcome: QueryOutcome) {
        totals.withLock {
            $0.queriesFinished += 1
            $0.queryableSamples += outcome.statistics.totalQueryableSamples
            $0.samplesRead += outcome.statistics.samplesRead
            if outcome.error != nil { $0.queriesFailed += 1 }
        }
        options.tracker?.finished(activity, outcome)
    }
}

/// What was asked of the engine.
struct QueryRequest: Sendable {
    let query: ByteString
    let steps: Steps
    let isInstant: Bool
    let storage: any Queryable
    let options: QueryOptions
    /// What to remember it by; see `QuickQueries`.
    let hash: UInt64

    init(_ query: ByteString, _ steps: Steps, isInstant: Bool, _ storage: any Queryable, _ options: QueryOptions) {
        self.query = query
        self.steps = steps
        self.isInstant = isInstant
        self.storage = storage
        self.options = options
        hash = QuickQueries.hash(query, steps, options)
    }

    func timeoutMs(_ engine: EngineOptions) -> Int64 { max(0, min(options.timeoutMs ?? engine.timeoutMs, engine.timeoutMs)) }
}

/// One answer for who waits: from the thread that takes the query up, or from who watches its time in the queue.
private final class FirstAnswer: Sendable {
    private let taken = Atomic<Bool>(false)
    let completion: @Sendable (Result<QueryResult, QueryError>) -> Void

    init(_ completion: @escaping @Sendable (Result<QueryResult, QueryError>) -> Void) { self.completion = completion }

    var hasBegun: Bool { taken.load(ordering: .acquiring) }

    /// True for the first who asks: it, and nobody else, is to answer.
    func begins() -> Bool { !taken.exchange(true, ordering: .acquiringAndReleasing) }
}
