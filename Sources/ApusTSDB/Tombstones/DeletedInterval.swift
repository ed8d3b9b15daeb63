/// A stretch of time whose samples are deleted, ms, both ends included.
public struct DeletedInterval: Sendable, Hashable {
    public var minTimeMs: Int64
    public var maxTimeMs: Int64
    public init(minTimeMs: Int64, maxTimeMs: Int64) {
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }
}

/// Intervals of one series: sorted, neither overlapping nor touching.
extension Array where Element == DeletedInterval {
    /// Adds an interval and joins it with those it overlaps or touches. One that ends before it begins is ignored.
    mutating func add(_ new: DeletedInterval) {
        guard new.minTimeMs <= new.maxTimeMs else { return }
        var joined = new
        // Before it: those that end at least two before it begins.
        let first = firstIndex { $0.maxTimeMs >= new.minTimeMs || $0.maxTimeMs &+ 1 == new.minTimeMs } ?? count
        var end = first
        while end < count, self[end].minTimeMs <= joined.maxTimeMs || self[end].minTimeMs &- 1 == joined.maxTimeMs {
            joined.minTimeMs = Swift.min(joined.minTimeMs, self[end].minTimeMs)
            joined.maxTimeMs = Swift.max(joined.maxTimeMs, self[end].maxTimeMs)
            end += 1
        }
        replaceSubrange(first..<end, with: CollectionOfOne(joined))
    }

    /// Whether one interval has all of `[minTimeMs, maxTimeMs]`.
    func covers(_ minTimeMs: Int64, _ maxTimeMs: Int64) -> Bool {
        contains { $0.minTimeMs <= minTimeMs && maxTimeMs <= $0.maxTimeMs }
    }

    /// Whether any has a part of `[minTimeMs, maxTimeMs]`.
    func overlaps(_ minTimeMs: Int64, _ maxTimeMs: Int64) -> Bool {
        contains { $0.minTimeMs <= maxTimeMs && minTimeMs <= $0.maxTimeMs }
    }

    /// What is left of `[minTimeMs, maxTimeMs]`, in order.
    func remainder(of minTimeMs: Int64, _ maxTimeMs: Int64) -> [ClosedRange<Int64>] {
        var left: [ClosedRange<Int64>] = []
        var start = minTimeMs
        for interval in self where interval.maxTimeMs >= start {
            if start > maxTimeMs || interval.minTimeMs > maxTimeMs { break }
            if interval.minTimeMs > start { left.append(start...interval.minTimeMs - 1) }
            if interval.maxTimeMs >= maxTimeMs { return left }
            start = interval.maxTimeMs + 1
        }
        if start <= maxTimeMs { left.append(start...maxTimeMs) }
        return left
    }
}
