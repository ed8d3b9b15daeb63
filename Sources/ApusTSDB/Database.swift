import ApusBytes
public import ApusModel
public import ApusStorage

/// A time-series database: the newest hours in memory and in a log, the rest in blocks on the disk.
///
///     append ─▶ Head ─▶ wal/, chunks_head/            every 2 h            retention
///                 └──────── compaction ────────▶ <ULID>/  ─▶ <ULID>/ … ─▶ ∅
///     query  ◀─ MergeQuerier ◀─ Head, blocks
///
/// The directory is Prometheus's in every file. Start with `open` (`Database+Open`); `maintain` drives all that happens
/// by time (`Database+Maintain`): it returns at once, and a thread of the database does the work.
public final class Database: SampleStore, Queryable, Sendable {
    public let head: Head
    /// As given to `open`. `settings` are what is in force.
    public let options: DatabaseOptions
    let time: any TimeSource
    let observer: any DatabaseObserver
    let state: Locked<State>

    struct State {
        var settings: DatabaseSettings
        var statistics = DatabaseStatistics()
        var isClosed = false
    }

    init(head: Head, options: DatabaseOptions, time: any TimeSource, observer: any DatabaseObserver) {
        self.head = head
        self.options = options
        self.time = time
        self.observer = observer
        state = Locked(State(settings: options.settings))
    }

    /// A database that writes nothing: what its retention does not keep, and all of it at the end, is gone.
    public static func inMemory(
        options: DatabaseOptions, time: any TimeSource = SystemTime(), observer: any DatabaseObserver = SilentObserver()
    ) -> Database {
        Database(head: Head(options: options.headOptions, time: time), options: options, time: time, observer: observer)
    }

    /// What is in force.
    public var settings: DatabaseSettings { state.withLock { $0.settings } }

    // MARK: Writing

    public func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef { try head.seriesRef(for: labels) }
    public func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome { try head.append(batch) }
    public func labels(of ref: SeriesRef) -> LabelSet? { head.labels(of: ref) }

    // MARK: Reading

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        try head.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }

    /// Takes over what a reload has changed.
    public func apply(_ settings: DatabaseSettings) { state.withLock { $0.settings = settings } }

    public func statistics() -> DatabaseStatistics {
        var result = state.withLock { state in
            var result = state.statistics
            result.retention.limitMs = state.settings.retentionMs
            result.retention.limitBytes = state.settings.retentionBytes
            return result
        }
        result.head = head.statistics()
        result.minTimeMs = result.head.minTimeMs
        result.maxTimeMs = result.head.maxTimeMs
        return result
    }
}
