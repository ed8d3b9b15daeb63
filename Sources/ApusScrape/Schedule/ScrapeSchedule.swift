/// When each target is due. Pure: it decides, the fetch thread fetches.
///
/// One heap for all targets instead of one sleeping task each. Times are nanoseconds of the monotonic clock, so a step
/// of the wall clock moves nothing.
struct ScrapeSchedule {
    enum Kind: Equatable {
        case scrape
        /// The target is gone and has missed two ticks: write its staleness markers.
        case endOfRun
    }
    struct Due: Equatable {
        let key: UInt64
        let kind: Kind
        let deadlineNs: UInt64
    }

    private var heap = MinHeap<Entry>()
    private var intervals: [UInt64: UInt64] = [:]

    private struct Entry: Comparable {
        var deadlineNs: UInt64
        let key: UInt64
        let kind: Kind
        static func < (left: Entry, right: Entry) -> Bool {
            (left.deadlineNs, left.key) < (right.deadlineNs, right.key)
        }
        static func == (left: Entry, right: Entry) -> Bool {
            left.deadlineNs == right.deadlineNs && left.key == right.key
        }
    }

    /// Targets that are scraped.
    var count: Int { intervals.count }
    /// When something is due next.
    var nextNs: UInt64? { heap.first?.deadlineNs }

    mutating func add(_ key: UInt64, everyNs: UInt64, firstNs: UInt64) {
        precondition(intervals[key] == nil, "a key is scheduled once")
        intervals[key] = max(everyNs, 1)
        heap.insert(Entry(deadlineNs: firstNs, key: key, kind: .scrape))
    }

    /// The target is scraped no longer.
    /// - Returns: when it would have been due next, its first missed tick.
    @discardableResult
    mutating func remove(_ key: UInt64) -> UInt64? {
        guard intervals.removeValue(forKey: key) != nil else { return nil }
        return heap.remove { $0.key == key && $0.kind == .scrape }?.deadlineNs
    }

    /// Plans the end of a removed target: two ticks and a tenth of the interval after it was last due, since it may come
    /// back until then.
    mutating func addEndOfRun(_ key: UInt64, missedTickNs: UInt64, intervalNs: UInt64) {
        heap.insert(Entry(deadlineNs: missedTickNs &+ intervalNs &+ intervalNs / 10, key: key, kind: .endOfRun))
    }

    /// What is due, each target planned again from its deadline and not from `now`: a slow scrape must not shift the
    /// ones after it. Ticks that were missed altogether (a suspended machine) are skipped.
    mutating func takeDue(atNs now: UInt64) -> [Due] {
        var result: [Due] = []
        while let first = heap.first, first.deadlineNs <= now {
            result.append(Due(key: first.key, kind: first.kind, deadlineNs: first.deadlineNs))
            guard first.kind == .scrape, let interval = intervals[first.key] else {
                heap.removeFirst()
                continue
            }
            var next = first
            next.deadlineNs = first.deadlineNs &+ interval
            if next.deadlineNs <= now { next.deadlineNs &+= (now - next.deadlineNs) / interval &* interval &+ interval }
            heap.replaceFirst(with: next)
        }
        return result
    }
}

/// How long after `wallNs` the first scrape of a target comes: its place in the interval is a hash, counted from the
/// epoch, so that a thousand targets spread and a restart changes no target's place.
func startDelayNs(hash: UInt64, offsetSeed: UInt64, intervalNs: UInt64, wallNs: UInt64) -> UInt64 {
    let interval = max(intervalNs, 1)
    let delay = interval - wallNs % interval + (hash ^ offsetSeed) % interval
    return delay > interval ? delay - interval : delay
}

/// Snaps the time of a scrape to its ideal tick when it is off by no more than scheduling noise: equal steps between
/// samples take one bit instead of fourteen.
struct TickAlignment: Equatable {
    static let usualToleranceMs: Int64 = 2
    let intervalMs: Int64
    /// 0 leaves times as they are. At most a hundredth of the interval counts.
    let toleranceMs: Int64
    private var idealMs: Int64?

    init(intervalMs: Int64, toleranceMs: Int64 = usualToleranceMs) {
        self.intervalMs = max(intervalMs, 1)
        self.toleranceMs = max(toleranceMs, 0)
    }

    /// The time to stamp a scrape with that starts at `wallMs`.
    mutating func align(_ wallMs: Int64) -> Int64 {
        guard var ideal = idealMs else {
            idealMs = wallMs
            return wallMs
        }
        let (late, overflow) = wallMs.subtractingReportingOverflow(ideal)
        if overflow || late < -intervalMs / 2 {
            // The clock was set back: start over from here.
            idealMs = wallMs
            return wallMs
        }
        let tolerance = min(toleranceMs, intervalMs / 100)
        // The nearest tick at or before now, with a little slack so that an early scrape finds the tick it is early for.
        ideal += (late + tolerance) / intervalMs * intervalMs
        idealMs = ideal
        return abs(wallMs - ideal) <= tolerance ? ideal : wallMs
    }
}
