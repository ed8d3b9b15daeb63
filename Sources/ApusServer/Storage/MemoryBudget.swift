public import ApusModel
public import ApusPromQL

/// What the memory that counts is used for, in bytes.
public struct MemoryUse: Sendable, Equatable {
    /// The head: series, labels, postings, chunks.
    public var head = 0
    /// What scraping remembers of its targets' pages.
    public var scrape = 0
    /// Pages that are being fetched and read.
    public var buffers = 0
    public var exemplars = 0
    /// Decoded samples of blocks.
    public var decodedCache = 0
    /// Samples that queries hold.
    public var queries = 0
    public var total: Int { head + scrape + buffers + exemplars + decodedCache + queries }
    public init(head: Int = 0, scrape: Int = 0, buffers: Int = 0, exemplars: Int = 0, decodedCache: Int = 0, queries: Int = 0) {
        self.head = head
        self.scrape = scrape
        self.buffers = buffers
        self.exemplars = exemplars
        self.decodedCache = decodedCache
        self.queries = queries
    }
}

/// Keeps the server within `--memory.limit`, counted by its own books and not by what the system says: those know what
/// grows and what can be given up. It gives way by steps, each one a metric and a line of the log:
///
///     share of the limit in use      0.80          0.90                        0.95
///                                     │             │                           │
///                        all is well  │ drop caches,│ refuse queries that need  │ refuse series that
///                                     │ seal open   │ more than a little        │ are new
///                                     │ chunks      │                           │
///
/// A step is left when use has fallen 0.05 below where it began, so that it does not flutter. Whatever the step, a query
/// that asks for more than is left of the limit is refused.
///
/// `measure` is called each second, and by `willAddSeries` when a flood of new series comes faster than that.
public final class MemoryBudget: QueryMemory, Sendable {
    public enum Stage: Int, Comparable, Sendable, CaseIterable {
        case normal, sealing, refusingQueries, refusingSeries
        public static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }

        /// As metrics and log name what begins with it.
        public var name: String {
            switch self {
            case .normal: "none"
            case .sealing: "seal_chunks"
            case .refusingQueries: "refuse_queries"
            case .refusingSeries: "refuse_series"
            }
        }
        /// The share of the limit at which it begins.
        var threshold: Double {
            switch self {
            case .normal: 0
            case .sealing: 0.80
            case .refusingQueries: 0.90
            case .refusingSeries: 0.95
            }
        }
    }

    /// What the budget asks others to do. Called outside the lock, on the thread that measured.
    public struct Actions: Sendable {
        /// What is in use now; the queries' share is the budget's own.
        public var use: @Sendable () -> MemoryUse
        /// Whether decoded samples may be kept; false: what is kept goes.
        public var keepDecoded: @Sendable (Bool) -> Void
        /// Seals the open chunks of the head.
        public var sealChunks: @Sendable () -> Void
        /// From now on series that are new are refused with this text; nil: they are taken again.
        public var refuseSeries: @Sendable (String?) -> Void
        public var log: @Sendable (_ isWarning: Bool, _ message: String, _ fields: [(name: String, value: String)]) -> Void
        public init(
            use: @escaping @Sendable () -> MemoryUse, keepDecoded: @escaping @Sendable (Bool) -> Void = { _ in },
            sealChunks: @escaping @Sendable () -> Void,
            refuseSeries: @escaping @Sendable (String?) -> Void,
            log: @escaping @Sendable (_ isWarning: Bool, _ message: String, _ fields: [(name: String, value: String)]) -> Void
        ) {
            self.use = use
            self.keepDecoded = keepDecoded
            self.sealChunks = sealChunks
            self.refuseSeries = refuseSeries
            self.log = log
        }
    }

    public struct Statistics: Sendable {
        public var limitBytes = 0
        public var use = MemoryUse()
        public var stage = Stage.normal
        /// How often each step was begun.
        public var entered = [Int](repeating: 0, count: Stage.allCases.count)
        public var queriesRefused: UInt64 = 0
    }

    /// Of the gap between the thresholds of beginning and leaving.
    private static let hysteresis = 0.05
    /// Sealing again and again would make chunks of a few samples, which cost more than they give back.
    static let sealPauseNs: UInt64 = 300 * 1_000_000_000
    /// About what a new series takes beside its labels: entry, postings, first chunk, the target's memory of its line.
    private static let seriesBytes = 320

    public let limitBytes: Int
    private let time: any TimeSource
    private struct State {
        var statistics = Statistics()
        /// Announced since the last measurement.
        var pendingBytes = 0
        var sealedNs: UInt64?
        var actions: Actions?
    }
    private let state: Locked<State>
    /// Measuring and acting, one at a time.
    private let gate = Locked(false)

    public init(limitBytes: Int, time: any TimeSource = SystemTime()) {
        self.limitBytes = max(1, limitBytes)
        self.time = time
        var first = State()
        first.statistics.limitBytes = self.limitBytes
        state = Locked(first)
    }

    /// Tells whom to ask and to act on; nothing happens before.
    public func attach(_ actions: Actions) { state.withLock { $0.actions = actions } }
    /// The storage is about to close.
    public func detach() { state.withLock { $0.actions = nil } }

    public func statistics() -> Statistics { state.withLock { $0.statistics } }

    // MARK: Steps

    /// The step for a use, coming from another.
    static func stage(useBytes: Int, limitBytes: Int, from current: Stage) -> Stage {
        let share = Double(useBytes) / Double(limitBytes)
        let reached = Stage.allCases.last { share >= $0.threshold } ?? .normal
        if reached >= current { return reached }
        // Down only to where the use lies clearly below.
        let left = Stage.allCases.last { $0 <= current && share >= $0.threshold - ($0 == .normal ? 0 : hysteresis) } ?? .normal
        return max(reached, left)
    }

    /// Looks at what is in use and takes or leaves steps.
    public func measure() {
        gate.withLock { _ in
            guard let actions = state.withLock({ $0.actions }) else { return }
            let found = actions.use()
            let now = time.monotonicNs()
            let limit = limitBytes
            let (before, after, use, seals) = state.withLock { state in
                var use = found
                use.queries = state.statistics.use.queries
                state.statistics.use = use
                state.pendingBytes = 0
                let before = state.statistics.stage
                let after = Self.stage(useBytes: use.total, limitBytes: limit, from: before)
                state.statistics.stage = after
                for stage in Stage.allCases where stage > before && stage <= after {
                    state.statistics.entered[stage.rawValue] += 1
                }
                let seals = after >= .sealing && state.sealedNs.map { now &- $0 >= Self.sealPauseNs } ?? true
                if seals { state.sealedNs = now }
                return (before, after, use, seals)
            }
            if after != before { announce(before, after, use, actions) }
            if (after >= .sealing) != (before >= .sealing) { actions.keepDecoded(after < .sealing) }
            if seals { actions.sealChunks() }
            if (after >= .refusingSeries) != (before >= .refusingSeries) {
                actions.refuseSeries(after >= .refusingSeries ? refusalOfSeries(use) : nil)
            }
        }
    }

    private func announce(_ before: Stage, _ after: Stage, _ use: MemoryUse, _ actions: Actions) {
        let fields = [
            ("step", after.name), ("in_use", formatBytes(use.total)), ("limit", formatBytes(limitBytes)),
            ("head", formatBytes(use.head)),
            ("scrape", formatBytes(use.scrape)), ("queries", formatBytes(use.queries)),
        ]
        if after < before { return actions.log(false, "Memory is well below --memory.limit again", fields) }
        let message =
            switch after {
            case .normal: ""
            case .sealing: "Memory nears --memory.limit: sealing open chunks"
            case .refusingQueries: "Memory nears --memory.limit: refusing expensive queries"
            case .refusingSeries: "Memory nears --memory.limit: refusing new series"
            }
        actions.log(true, message, fields)
    }

    private func refusalOfSeries(_ use: MemoryUse) -> String {
        "no new series are taken: \(formatBytes(use.total)) of \(formatBytes(limitBytes)) of memory are in use (--memory.limit)"
    }

    // MARK: Series

    /// Somebody is about to ask for a series, which may be new.
    public func willAddSeries(labelBytes: Int) {
        let limit = limitBytes
        let mustMeasure = state.withLock { state in
            state.pendingBytes += labelBytes + Self.seriesBytes
            let expected = state.statistics.use.total + state.pendingBytes
            return state.pendingBytes >= limit / 256 && Double(expected) >= Stage.sealing.threshold * Double(limit)
        }
        if mustMeasure { measure() }
    }

    // MARK: Queries

    public func reserve(_ bytes: Int) -> String? {
        let limit = limitBytes
        return state.withLock { state in
            let use = state.statistics.use
            let isOver = use.total + state.pendingBytes + bytes > limit
            guard isOver || state.statistics.stage >= .refusingQueries else {
                state.statistics.use.queries += bytes
                return nil
            }
            state.statistics.queriesRefused += 1
            return
                "query needs more memory than there is: \(formatBytes(use.total)) of \(formatBytes(limit)) (--memory.limit) are in use, "
                + "\(formatBytes(use.queries)) of it by queries; ask for fewer series, a shorter range or a longer step"
        }
    }

    public func release(_ bytes: Int) {
        state.withLock { $0.statistics.use.queries = max(0, $0.statistics.use.queries - bytes) }
    }
}
