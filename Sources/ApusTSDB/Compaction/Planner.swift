/// Decides which blocks are written anew as one, from nothing but what their `meta.json` says.
///
///     range 0   │ 2 h │ 2 h │ 2 h │ 2 h │ 2 h │ 2 h │ 2 h │   three of them and a newer one: one of 6 h
///     range 1   │       6 h       │       6 h       │
///     range 2   │                      18 h                       …
///
/// In this order, and one group at a time:
/// 1. blocks that overlap, since a query must merge them each time;
/// 2. of the smallest range that has some: blocks within one aligned stretch of the range that fill it, or that end before
///    the last but one block begins. The newest block is left alone, so that there is time to copy it away as it is;
/// 3. a block of middle range or more of whose series over 5 % have something deleted, or one that is deleted as a whole.
///
/// Source: the leveled compactor of Prometheus, `tsdb/compact.go`.
struct Planner: Sendable {
    /// What there is to know about a block.
    struct Candidate: Sendable, Equatable {
        var ulid: ULID
        /// Half-open, ms.
        var minTimeMs: Int64
        var maxTimeMs: Int64
        var series: UInt64 = 0
        /// Deleted intervals.
        var tombstones: UInt64 = 0
        /// A compaction with it failed before.
        var hasFailed = false
        /// The tombstones are those of a retention rule that is still moving through the block: not worth a rewrite yet.
        var isExpiring = false
    }

    static let tombstoneShare = 0.05

    /// Ascending; the first is that of blocks from the head.
    let rangesMs: [Int64]

    /// - Parameter blocks: in any order.
    /// - Returns: what to compact into one block, in order of time; empty when there is nothing to do.
    func plan(_ blocks: [Candidate]) -> [Candidate] {
        let sorted = blocks.sorted { ($0.minTimeMs, $0.maxTimeMs, $0.ulid) < ($1.minTimeMs, $1.maxTimeMs, $1.ulid) }
        let overlapping = overlaps(sorted)
        if !overlapping.isEmpty { return overlapping }
        let older = Array(sorted.dropLast())
        let group = leveled(older)
        if !group.isEmpty { return group }
        return deleted(older).map { [$0] } ?? []
    }

    /// The first blocks that overlap, all that hang together.
    func overlaps(_ sorted: [Candidate]) -> [Candidate] {
        var group: [Candidate] = []
        var end = Int64.min
        for block in sorted {
            if !group.isEmpty && block.minTimeMs < end {
                group.append(block)
            } else {
                if Self.isGroup(group) { return group }
                group = [block]
            }
            end = max(end, block.maxTimeMs)
        }
        return Self.isGroup(group) ? group : []
    }

    private static func isGroup(_ group: [Candidate]) -> Bool { group.count > 1 && !group.contains { $0.hasFailed } }

    private func leveled(_ sorted: [Candidate]) -> [Candidate] {
        guard let newest = sorted.last else { return [] }
        for range in rangesMs.dropFirst() {
            for group in Self.split(sorted, rangeMs: range) where Self.isGroup(group) {
                guard let first = group.first, let last = group.last else { continue }
                let isFull = last.maxTimeMs &- first.minTimeMs == range
                if isFull || last.maxTimeMs <= newest.minTimeMs { return group }
            }
        }
        return []
    }

    /// Groups of blocks that lie within one stretch `[k × range, (k + 1) × range]` each. Blocks that cross an end, or are
    /// longer, are in none.
    static func split(_ sorted: [Candidate], rangeMs: Int64) -> [[Candidate]] {
        var groups: [[Candidate]] = []
        var end: Int64?
        for block in sorted {
            if let end, block.maxTimeMs <= end {
                groups[groups.count - 1].append(block)
                continue
            }
            let start = alignedDown(block.minTimeMs, to: rangeMs)
            let (stretchEnd, overflow) = start.addingReportingOverflow(rangeMs)
            if overflow || block.maxTimeMs > stretchEnd {
                end = nil
                continue
            }
            groups.append([block])
            end = stretchEnd
        }
        return groups
    }

    private func deleted(_ sorted: [Candidate]) -> Candidate? {
        let middle = rangesMs[rangesMs.count / 2]
        for block in sorted.reversed() where block.tombstones > 0 && !block.hasFailed && !block.isExpiring {
            if block.tombstones >= block.series { return block }
            let share = Double(block.tombstones) / Double(block.series + 1)
            if block.maxTimeMs &- block.minTimeMs >= middle && share > Self.tombstoneShare { return block }
        }
        return nil
    }
}

/// The largest multiple of `unit` that is not above `time`, also before 1970; `Int64.min` where there is none.
func alignedDown(_ time: Int64, to unit: Int64) -> Int64 {
    let remainder = time % unit
    let (result, overflow) = time.subtractingReportingOverflow(remainder < 0 ? remainder + unit : remainder)
    return overflow ? .min : result
}
