import ApusModel
import ApusStorage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What is to be done for each series of a select, by several threads at once: each makes a worker of its own.
protocol SeriesJob: Sendable {
    func makeWorker() -> any SeriesWorker
}

/// Computes rows, for one thread.
protocol SeriesWorker: AnyObject {
    /// - Parameter row: gets the row of series `index`, when there is one.
    func compute(_ index: Int, into row: Row) throws(QueryError) -> SeriesOutcome
}

/// What came of a series.
struct SeriesOutcome {
    enum Kind {
        /// No sample at any step.
        case nothing
        case row
        /// Histograms, which a worker leaves to the evaluator.
        case unusual
    }
    var kind = Kind.nothing
    var name = RowLabels(labels: .empty)
    /// For the bounds of the query and its statistics.
    var heldSamples = 0
    var readSamples = 0
    var touchedSamples = 0
}

/// Computes the rows of a select ahead of the evaluator, on threads of the engine that have nothing else to do.
///
///     batches      0   1   2   3   4   5   …          some series each
///     evaluator    takes 0, computes 3, takes 1, …    in order, whoever computed them
///     helpers      compute 1, 2, 4, …                 no further than `ringSize` ahead
///
/// Rows are handed on in the order of series, by the evaluator's thread alone, so that an answer does not depend on how many
/// threads there were: what is summed is summed in one order. When no thread is free the evaluator computes all itself.
@safe final class RowsAhead: @unchecked Sendable {
    // `@unchecked`: everything that changes is touched under `monitor`, but for a batch, which belongs to the thread that
    // claimed it until it is done, and to the evaluator from then on.
    private final class Batch {
        let rows: [Row]
        var outcomes: [SeriesOutcome] = []
        var failure: QueryError?
        /// Which batch it holds, and whether that is computed.
        var number = -1
        var isDone = false

        init(rowCount: Int, width: Int) {
            let arena = RowArena(width: width)
            rows = (0..<rowCount).map { _ in arena.makeUninitializedRow() }
        }
    }

    private let count: Int
    private let batchSize: Int
    private let batchCount: Int
    private let executor: QueryExecutor
    private let monitor = Monitor()
    private let ring: [Batch]
    private var job: (any SeriesJob)?
    private var nextToClaim = 0
    /// Batches before this are with the evaluator or done with.
    private var taken = 0
    private var helpers = 0
    private var isStopped = false

    /// Below this much work, at some nanoseconds a unit, waking another thread is not worth it.
    static let worthwhileUnits = 100_000
    /// What a series costs before its first sample, in units.
    static let seriesUnits = 150
    private static let batchSamples = 8_192
    private static let maximumBatch = 64
    private static let batchesBetweenRequests = 8

    /// - Parameter count: of series.
    init(count: Int, width: Int, job: any SeriesJob, executor: QueryExecutor) {
        self.count = count
        self.job = job
        self.executor = executor
        batchSize = max(1, min(Self.maximumBatch, Self.batchSamples / max(width, 1)))
        batchCount = (count + batchSize - 1) / batchSize
        let size = batchSize
        ring = (0..<min(batchCount, 2 * executor.threadCount)).map { _ in Batch(rowCount: size, width: width) }
    }

    /// Calls `body` with each series and what came of it, in order. Returns after the last helper has left.
    func forEach(_ body: (_ index: Int, SeriesOutcome, Row) throws(QueryError) -> Void) throws(QueryError) {
        guard let worker = job?.makeWorker() else { return }
        defer { stop() }
        var isAlone = true
        for number in 0..<batchCount {
            // Asked for again now and then: who had a query to run may be free by now.
            if isAlone, number % Self.batchesBetweenRequests == 0 {
                executor.assist(min(executor.threadCount, batchCount - number) - 1) { [self] in help() }
            }
            let batch = ring[number % ring.count]
            while true {
                // Computing something is better than waiting for what another thread computes.
                let (isReady, claimed) = monitor.locked { () -> (Bool, Int?) in
                    if batch.number == number && batch.isDone { return (true, nil) }
                    if let next = claim() { return (false, next) }
                    monitor.wait()
                    return (false, nil)
                }
                if isReady { break }
                if let claimed { compute(claimed, worker) }
            }
            for (position, outcome) in batch.outcomes.enumerated() {
                try body(number * batchSize + position, outcome, batch.rows[position])
            }
            if let failure = batch.failure { throw failure }
            monitor.locked {
                taken = number + 1
                isAlone = helpers == 0
                if !isAlone { monitor.wakeAll() }
            }
        }
    }

    /// The next batch that nobody computes and that has a place in the ring. Under the monitor.
    private func claim() -> Int? {
        guard !isStopped, nextToClaim < batchCount, nextToClaim < taken + ring.count else { return nil }
        let number = nextToClaim
        nextToClaim += 1
        let batch = ring[number % ring.count]
        batch.number = number
        batch.isDone = false
        return number
    }

    private func compute(_ number: Int, _ worker: any SeriesWorker) {
        let batch = ring[number % ring.count]
        batch.outcomes.removeAll(keepingCapacity: true)
        batch.failure = nil
        let first = number * batchSize
        do throws(QueryError) {
            for index in first..<min(first + batchSize, count) {
                batch.outcomes.append(try worker.compute(index, into: batch.rows[index - first]))
            }
        } catch { batch.failure = error }
        monitor.locked {
            batch.isDone = true
            monitor.wakeAll()
        }
    }

    private func help() {
        let job = monitor.locked { () -> (any SeriesJob)? in
            if isStopped { return nil }
            helpers += 1
            return self.job
        }
        guard let worker = job?.makeWorker() else { return }
        // A query that waits for a thread comes first.
        while true {
            let claimed = monitor.locked { () -> Int? in
                while !executor.hasWaitingQueries {
                    if let next = claim() { return next }
                    if isStopped || nextToClaim == batchCount { return nil }
                    monitor.wait()
                }
                return nil
            }
            guard let claimed else { break }
            compute(claimed, worker)
        }
        monitor.locked {
            helpers -= 1
            monitor.wakeAll()
        }
    }

    private func stop() {
        monitor.locked {
            isStopped = true
            monitor.wakeAll()
            while helpers > 0 { monitor.wait() }
            // A helper that comes late finds nothing, and holds nothing.
            job = nil
        }
    }
}

/// A mutex and a condition.
@safe final class Monitor: @unchecked Sendable {
    // `@unchecked`: both may be used from any thread.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func locked<R>(_ body: () -> R) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Waits, the mutex free meanwhile. It may return without cause.
    func wait() { unsafe pthread_cond_wait(condition, mutex) }
    func wakeOne() { unsafe pthread_cond_signal(condition) }
    func wakeAll() { unsafe pthread_cond_broadcast(condition) }
}
