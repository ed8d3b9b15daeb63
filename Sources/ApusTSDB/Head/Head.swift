public import ApusModel
public import ApusStorage
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The head: the newest samples, in memory, indexed and ready to query.
///
///     batch ─▶ CommitLog (optional) ─▶ open chunks ─▶ sealed chunks, by period ─▶ dropped when older than the retention
///                                          └──────────────┴──▶ Querier ─▶ SeriesSet ─▶ SampleColumns
///
/// One lock serialises all changes: a batch takes it once, and so becomes visible at once. A sample takes 20 to 85 ns
/// under it, so a scrape of 10,000 series holds it for less than a millisecond; shards were not tried.
/// A reader takes it to find its series and to copy an open chunk; sealed chunks, symbols and label sets it reads
/// without, since they do not change, do not move, and are freed only when every reader that may know them has closed.
///
/// Where to go next: `HeadState` (what is held), `+Append`, `+Select`, `+Read`, `+Truncate`; `HeadChunkSeries` (what blocks are made of).
public final class Head: SampleStore, Queryable, Sendable {
    public let options: HeadOptions
    let time: any TimeSource
    let state: HeadState
    /// Guards `state`. A flag that nobody reads and not `Void`: a value without bytes shares its address with its
    /// neighbour, which the thread sanitizer takes for a race.
    private let lock = Locked(false)
    /// Batches that are being appended or wait for the lock.
    private let appenders = Atomic<Int>(0)
    /// Held through a truncation, which takes `lock` again and again.
    let maintenance = Locked(false)

    public init(options: HeadOptions = HeadOptions(), time: any TimeSource = SystemTime()) {
        self.options = options
        self.time = time
        state = HeadState(options: options)
    }

    /// With a state that was taken over.
    init(_ state: HeadState, time: any TimeSource) {
        options = state.options
        self.time = time
        self.state = state
    }

    /// Runs `body` under the lock.
    func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        var result: R?
        try lock.withLock { (_: inout sending Bool) throws(E) -> Void in result = try body() }
        guard let result else { preconditionFailure("the lock did not run its body") }
        return result
    }

    /// Runs `body` under the lock again and again, until it returns false.
    ///
    /// The lock is not fair: who gives it up and takes it at once gets it before those that wait. So this lets go for a
    /// moment each time.
    func slices(_ body: () -> Bool) {
        while locked(body) { usleep(Self.pauseUs) }
    }
    private static let pauseUs: UInt32 = 50

    // MARK: Writing

    public func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        try locked { () throws(AppendError) in try state.seriesRef(for: labels) }
    }

    public func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        appenders.add(1, ordering: .relaxed)
        defer { appenders.subtract(1, ordering: .relaxed) }
        var copy = copy batch
        return try locked { () throws(AppendError) in
            if !state.formats.keepsStarts && copy.hasStartTimestamps { copy.removeStartTimestamps() }
            var outcome = try state.append(copy)
            if !copy.exemplars.isEmpty { try state.append(exemplars: copy.exemplars, &outcome) }
            return outcome
        }
    }

    /// Whether somebody holds the lock, and an append would have to wait.
    var isBusy: Bool { !lock.isFree }

    /// How many batches are being appended now.
    public var activeAppenders: Int { appenders.load(ordering: .relaxed) }

    public func labels(of ref: SeriesRef) -> LabelSet? { locked { state.labels(of: ref) } }

    // MARK: Reading

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        let (epoch, oldestPeriod) = locked { state.beginReading() }
        return HeadQuerier(head: self, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, epoch: epoch, oldestPeriod: oldestPeriod)
    }

    func endReading(epoch: UInt64) { locked { state.endReading(epoch: epoch) } }

    // MARK: Life

    /// From now on the head tells this log of everything before it applies it; nil for none.
    public func use(log: (any CommitLog)?) { locked { state.log = log } }

    /// New chunks and log records are in these formats from now on.
    public func use(formats: ChunkFormats) { locked { state.formats = formats } }

    /// Appends with an earlier time are refused from now on: their place is in a finished block, whose end this is.
    public func setMinValidTime(_ timeMs: Int64) { locked { state.minValidTime = max(state.minValidTime, timeMs) } }

    /// Keeps `object` alive until all that read the head now are done: mapped files of chunks that were dropped.
    public func keepForReaders(_ object: any AnyObject & Sendable) {
        locked {
            state.retire(HeadState.Limbo(epoch: state.epoch, object: object))
        }
    }

    /// Whether the labels of a series are still needed in a checkpoint that replaces all segments up to `segment`: it is
    /// in the head, or was, and later segments may name it.
    public func keepSeries(_ ref: SeriesRef, segment: Int) -> Bool { locked { state.keepSeries(ref, segment: segment) } }

    /// Forgets collected series that only segments up to `segment` name; to be called when those are gone.
    public func forgetCollected(upTo segment: Int) { locked { state.collectedRefs.forget(upTo: segment) } }

    /// Enforces the retention, counted from the newest sample and not from the clock: a head whose targets are down
    /// keeps what it has, as upstream does. Call it each minute. For a head that has no blocks behind it.
    public func maintain(nowMs: Int64) {
        let bound: Int64? = locked {
            guard options.retentionMs > 0, state.maxTime != .min else { return nil }
            let (bound, overflow) = state.maxTime.subtractingReportingOverflow(options.retentionMs)
            return overflow ? nil : bound
        }
        if let bound {
            locked { state.outOfOrder.remove(before: bound) }
            truncate(before: bound)
        }
        slices { state.release() }
    }
}
