import ApusBytes
public import ApusModel
public import ApusStorage
import Synchronization

/// A time-series database: the newest hours in memory and in a log, the rest in blocks on the disk.
///
///     append ─▶ Head ─▶ wal/, chunks_head/, wbl/      every 2 h              retention
///                 └──────── compaction ────────▶ <ULID>/ ─▶ <ULID>/ … ─▶ ∅
///     query  ◀─ MergeQuerier ◀─ head, blocks
///
/// The directory is Prometheus's in every file. Start with `open` (`Database+Open`); `maintain` drives all that happens
/// by time (`Database+Maintain`): it returns at once, and a thread of the database does the work.
///
/// What survives: a sample whose append returned survives the death of the process; a power cut takes what came after the
/// last sync, a second's worth. Every file that replaces another is complete and synced before the other goes: a block
/// before the head drops its samples, the head's samples before the log.
public final class Database: SampleStore, Queryable, Sendable {
    public let head: Head
    /// As given to `open`. `settings` are what is in force.
    public let options: DatabaseOptions
    /// Nil in memory mode.
    let disk: DatabaseDisk?
    /// What queries decoded of the blocks.
    public let decodedCache: DecodedCache
    let time: any TimeSource
    let observer: any DatabaseObserver
    let state: Locked<State>
    /// Held by `maintaining`. A flag that nobody reads: see `Head.lock`.
    let maintenance = Locked(false)
    /// Threads that are doing what may keep an append waiting.
    let stalling = Atomic<Int>(0)

    struct State {
        var settings: DatabaseSettings
        var statistics = DatabaseStatistics()
        /// In order of time.
        var blocks: [Block] = []
        /// Directories of blocks that nobody reads any more.
        var removals: [String] = []
        /// The log of out-of-order samples, opened when there is or was a window.
        var outOfOrderLog: WriteAheadLog?
        /// What the retention rules have marked, by block.
        var expiredBounds: [ULID: [Int64]] = [:]
        /// The bounds they had when they last marked something in the head.
        var expiredHeadBounds: [Int64?] = []
        /// Monotonic; of the next pass of maintenance.
        var nextPassNs: UInt64 = 0
        var threads: [BackgroundThread] = []
        var isClosing = false
    }

    init(
        head: Head, disk: DatabaseDisk?, decodedCache: DecodedCache, options: DatabaseOptions, time: any TimeSource,
        observer: any DatabaseObserver
    ) {
        self.head = head
        self.disk = disk
        self.decodedCache = decodedCache
        self.options = options
        self.time = time
        self.observer = observer
        state = Locked(State(settings: options.settings))
    }

    deinit { for thread in state.withLock({ $0.threads }) { thread.requestStop() } }

    /// A database that writes nothing: what its retention does not keep, and all of it at the end, is gone. The limits of a
    /// disk do nothing here.
    public static func inMemory(
        options: DatabaseOptions, time: any TimeSource = SystemTime(), observer: any DatabaseObserver = SilentObserver()
    ) -> Database {
        let database = Database(
            head: Head(options: options.headOptions, time: time), disk: nil, decodedCache: DecodedCache(limitBytes: 0), options: options,
            time: time, observer: observer)
        database.apply(options.settings)
        return database
    }

    /// What is in force.
    public var settings: DatabaseSettings { state.withLock { $0.settings } }
    /// What is known of the blocks, in order of time.
    public var blockMetas: [BlockMeta] { blocks.map(\.meta) }
    public var isReadOnly: Bool { disk?.isReadOnly ?? false }
    var blocks: [Block] { state.withLock { $0.blocks } }
    var isClosing: Bool { state.withLock { $0.isClosing } }

    // MARK: Writing

    public func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef { try head.seriesRef(for: labels) }
    public func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome { try head.append(batch) }
    public func labels(of ref: SeriesRef) -> LabelSet? { head.labels(of: ref) }
    /// True while logs are synced, while anything is maintained, deleted or copied, and while somebody else appends or looks for series.
    public var mayStall: Bool { stalling.load(ordering: .relaxed) > 0 || head.isBusy }

    // MARK: Reading

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        // The head first: samples that move to a block meanwhile are then in both, and not in neither.
        var sources: [any Querier] = []
        let hasHead = head.mayHaveSamples(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
        if hasHead { sources.append(try head.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)) }
        let fromBlocks: Result<[any Querier], StorageError> = state.withLock { state in
            var found: [(block: Block, querier: any Querier)] = []
            do throws(StorageError) {
                // Under the lock no block in the list can be closed.
                for block in state.blocks where block.overlaps(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs) {
                    found.append((block, try block.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)))
                }
            } catch { return .failure(error) }
            return .success(found.sorted { Block.wins($0.block, over: $1.block) }.map(\.querier))
        }
        sources.append(contentsOf: try fromBlocks.get())
        // Whoever asks for a time that nobody has still needs a querier.
        if sources.isEmpty { sources.append(try head.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)) }
        return MergeQuerier.merge(sources)
    }

    /// The exemplars in `[minTimeMs, maxTimeMs]` of the series that match any of the selections; in order of labels.
    public func exemplars(matchers: [[Matcher]], minTimeMs: Int64, maxTimeMs: Int64) -> [(LabelSet, [Exemplar])] {
        head.exemplars.select(matchers, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs).map { ($0.labels, $0.exemplars) }
    }

    public var exemplarStatistics: ExemplarRing.Statistics { head.exemplars.statistics() }

    // MARK: Settings

    /// Takes over what a reload has changed.
    public func apply(_ settings: DatabaseSettings) {
        state.withLock { state in
            if state.settings.retentionRules != settings.retentionRules {
                state.expiredBounds = [:]
                state.expiredHeadBounds = []
            }
            state.settings = settings
        }
        head.setOutOfOrder(windowMs: settings.outOfOrderWindowMs, log: outOfOrderLog(windowMs: settings.outOfOrderWindowMs))
        head.use(formats: settings.formats)
        if head.exemplars.capacity != settings.maxExemplars { head.exemplars.resize(to: settings.maxExemplars) }
    }

    func log(_ level: DatabaseLogLevel, _ message: String, _ fields: (name: String, value: String)...) {
        observer.log(level, message, fields)
    }
}

extension Head {
    /// Whether a query of `[minTimeMs, maxTimeMs]` has to ask the head.
    func mayHaveSamples(minTimeMs: Int64, maxTimeMs: Int64) -> Bool {
        locked { state.minTime <= maxTimeMs && state.maxTime >= minTimeMs || !state.outOfOrder.isEmpty }
    }

    /// Time of the oldest sample out of order; nil when there is none.
    var oldestOutOfOrderMs: Int64? { locked { state.outOfOrder.isEmpty ? nil : state.outOfOrder.minTimeMs } }

    /// Times of the oldest and the newest sample in order, both ends included; nil when there is none.
    var timeRange: ClosedRange<Int64>? {
        locked { state.minTime <= state.maxTime ? state.minTime...state.maxTime : nil }
    }
}

extension Block {
    /// Which of two blocks is right where they have one timestamp: samples that came late correct others, and of those the
    /// latest. Otherwise newer blocks come first, so that merging begins with the oldest.
    static func wins(_ left: Block, over right: Block) -> Bool {
        let (isLeftLate, isRightLate) = (left.meta.isFromOutOfOrder, right.meta.isFromOutOfOrder)
        if isLeftLate != isRightLate { return isLeftLate }
        if isLeftLate { return left.ulid > right.ulid }
        return (left.minTimeMs, left.ulid) > (right.minTimeMs, right.ulid)
    }
}

extension BlockMeta {
    /// Whether it holds samples that came out of order and nothing else.
    var isFromOutOfOrder: Bool { compaction.hints.contains(Compaction.fromOutOfOrder) }
}
