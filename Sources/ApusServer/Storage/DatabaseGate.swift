public import ApusModel
public import ApusStorage
public import ApusTSDB

/// Where the database will be: the server answers while a database is still being opened, which takes as long as its log
/// is to be read. Until then there is nothing to read and nothing is taken.
///
///     opening ─▶ open ─▶ closed
///
/// Scrapes and queries go through here, so that both meet the budget of memory.
public final class DatabaseGate: SampleStore, Queryable, Sendable {
    private struct State {
        var database: Database?
        var isClosed = false
        var progress: ReplayProgress?
    }
    private let state = Locked(State())
    /// Nil without a limit.
    public let budget: MemoryBudget?

    public init(budget: MemoryBudget? = nil) { self.budget = budget }

    /// A gate that is open from the start.
    public convenience init(_ database: Database) {
        self.init()
        open(database)
    }

    /// The database, once it is open and until it is closed.
    public var database: Database? { state.withLock { $0.database } }
    public var isOpen: Bool { database != nil }
    /// How far the replay is; nil when none has begun.
    public var replayProgress: ReplayProgress? { state.withLock { $0.progress } }

    public func observe(_ progress: ReplayProgress) { state.withLock { $0.progress = progress } }
    public func open(_ database: Database) { state.withLock { $0.database = database } }

    /// Nothing goes through any more. Returns the database, for who closes it; once.
    public func close() -> Database? {
        state.withLock { state in
            state.isClosed = true
            defer { state.database = nil }
            return state.database
        }
    }

    private var reason: String { state.withLock { $0.isClosed } ? "TSDB is closed" : "TSDB not ready" }

    // MARK: Through the gate

    public func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        guard let database else { throw .unavailable(reason) }
        budget?.willAddSeries(labelBytes: labels.encoded.count)
        return try database.seriesRef(for: labels)
    }

    public func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        guard let database else { throw .unavailable(reason) }
        return try database.append(batch)
    }

    public func labels(of ref: SeriesRef) -> LabelSet? { database?.labels(of: ref) }
    public var mayStall: Bool { database?.mayStall ?? false }

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        guard let database else { throw StorageError(reason) }
        return try database.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }
}
