import ApusBytes
import ApusModel

/// Knows which queries are so quick that to hand them to another thread, and the answer back, would take longer than the query:
/// those that were, the last time they were asked. Dashboards ask the same again and again.
///
///     submit ─▶ known as quick? ── no ──▶ a thread of the engine ──▶ completion there
///                   │ yes                       ▲
///                   ▼                           │ takes much longer than it did: given up and begun again there
///               evaluated by the caller ────────┴──▶ completion by the caller
///
/// So a thread that must not be held up, such as one that serves connections, may submit: `limitNs` and a little is the most
/// that it takes.
final class QuickQueries: Sendable {
    /// A query given up when it has taken so many times the limit.
    private static let patience: UInt64 = 2
    /// Longer texts, and such with more of what may nest, need a deep stack.
    private static let maxBytes = 4_096
    private static let maxNesting = 100

    private let limitNs: UInt64
    private let durations = RecentDurations(capacity: 4_096)
    private let time: any TimeSource

    init(limitNs: UInt64, time: any TimeSource) {
        self.limitNs = limitNs
        self.time = time
    }

    /// What to remember a query by. Where in time its window lies does not matter, how long it is does.
    static func hash(_ query: ByteString, _ steps: Steps, _ options: QueryOptions) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(query)
        hasher.combine(steps.count)
        hasher.combine(steps.stepMs)
        hasher.combine(options.lookbackDeltaMs)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    func isQuick(_ request: QueryRequest) -> Bool {
        guard limitNs > 0, !request.options.explains, request.query.count <= Self.maxBytes,
            let last = durations.last(hash: request.hash), last <= limitNs
        else { return false }
        let nesting = request.query.bytes.reduce(0) { count, byte in
            switch byte {
            case UInt8(ascii: "("), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "^"): count + 1
            default: count
            }
        }
        return nesting <= Self.maxNesting
    }

    /// How long a caller may take from now on.
    func budget() -> QuickBudget { QuickBudget(deadlineNs: time.monotonicNs() &+ limitNs &* Self.patience) }

    /// Notes how long a query took, what was done with its result included: that also holds up the thread.
    func note(_ request: QueryRequest, startedNs: UInt64) {
        if limitNs > 0 { durations.note(hash: request.hash, ns: time.monotonicNs() &- startedNs) }
    }
}

/// Ends the attempt of a caller to evaluate a query. Of one thread.
final class QuickBudget {
    private let deadlineNs: UInt64
    /// Whether the attempt was given up.
    private(set) var isSpent = false

    init(deadlineNs: UInt64) { self.deadlineNs = deadlineNs }

    func isOver(nowNs: UInt64) -> Bool {
        if nowNs > deadlineNs { isSpent = true }
        return isSpent
    }
}
