public import ApusBytes
import Synchronization

/// Who asked for a query.
public enum QueryOrigin: Sendable, Equatable {
    case unknown
    case request(clientAddress: String, method: String, path: String)
    case rule(file: String, group: String)
}

/// A query from its asking to its end, as other threads may look at it while it runs.
public final class QueryActivity: Sendable {
    public let query: ByteString
    /// What was asked: the first and the last step, and the time between two of them. An instant query has one step, and no time
    /// between.
    public let startMs: Int64
    public let endMs: Int64
    public let stepMs: Int64
    public let origin: QueryOrigin
    /// Ends the query when it is set.
    public let cancellation: CancellationFlag
    /// When it was asked for, by the engine's monotonic clock.
    public let queuedNs: UInt64

    // Written by the query's thread every few thousand samples, read by anyone; each for itself.
    private let startedNsOrZero = Atomic<UInt64>(0)
    private let samples = Atomic<Int>(0)
    private let heldBytesNow = Atomic<Int>(0)
    private let peakBytesSoFar = Atomic<Int>(0)

    init(
        query: ByteString, startMs: Int64, endMs: Int64, stepMs: Int64, origin: QueryOrigin, cancellation: CancellationFlag,
        queuedNs: UInt64
    ) {
        self.query = query
        self.startMs = startMs
        self.endMs = endMs
        self.stepMs = stepMs
        self.origin = origin
        self.cancellation = cancellation
        self.queuedNs = queuedNs
    }

    /// When a thread took it up; nil while it waits for one.
    public var startedNs: UInt64? {
        let value = startedNsOrZero.load(ordering: .relaxed)
        return value == 0 ? nil : value
    }
    /// Samples looked at so far, counted once for each step.
    public var touchedSamples: Int { samples.load(ordering: .relaxed) }
    /// Bytes of the samples that the query holds now, and the most so far.
    public var heldBytes: Int { heldBytesNow.load(ordering: .relaxed) }
    public var peakBytes: Int { peakBytesSoFar.load(ordering: .relaxed) }

    func start(atNs: UInt64) { startedNsOrZero.store(max(1, atNs), ordering: .relaxed) }

    func publish(touchedSamples: Int, heldBytes: Int, peakBytes: Int) {
        samples.store(touchedSamples, ordering: .relaxed)
        heldBytesNow.store(heldBytes, ordering: .relaxed)
        peakBytesSoFar.store(peakBytes, ordering: .relaxed)
    }
}

/// How a query ended.
public struct QueryOutcome: Sendable {
    public var statistics: QueryStatistics
    /// Nil when it has a result.
    public var error: QueryError?
}

/// Hears of every query of an engine as it is asked for, begins, and ends. Called on the threads of callers and of the engine.
///
///     queued ─▶ started ─▶ finished
///        └──────────────────▲        given up before its turn
public protocol QueryTracker: Sendable {
    func queued(_ activity: QueryActivity)
    func started(_ activity: QueryActivity)
    func finished(_ activity: QueryActivity, _ outcome: QueryOutcome)
}
