import ApusStorage

/// Retention of some series that is shorter than that of the rest, by tombstones: what has expired is out of sight once a
/// pass has marked it, and off the disk once its block is written anew.
///
///     rule {…} 7d     now − 7 d, down to a multiple of the block range
///                              │
///     │  block, 18 h           │         │        marked up to the bound; not worth writing anew yet
///     │  ∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅∅│         │
///
/// The bound of a rule moves by whole block ranges, so that tombstones are written once in two hours and not each minute.
/// A block is written anew for a rule when the bound has passed its middle, and again when it has passed its end; any other
/// compaction takes the marked samples out too.
///
/// In the head bounds move by an eighth of a block range, and count from its newest sample.
struct RetentionRules: Sendable {
    /// Steps of a bound in a block range of the head.
    static let headSteps: Int64 = 8

    let rules: [RetentionRule]
    /// Samples before these times have expired, by rule; nil for a rule that keeps.
    let boundsMs: [Int64?]

    /// - Parameter newestMs: end of the newest block.
    init(_ rules: [RetentionRule], newestMs: Int64, unitMs: Int64) {
        self.rules = rules
        boundsMs = rules.map { rule in
            if rule.retentionMs == 0 { return nil }
            let (time, overflow) = newestMs.subtractingReportingOverflow(rule.retentionMs)
            return overflow ? nil : alignedDown(time, to: unitMs)
        }
    }

    var isEmpty: Bool { rules.isEmpty }

    /// Whether a block holds samples of a time that some rule does not keep.
    func concerns(minTimeMs: Int64) -> Bool { boundsMs.contains { $0.map { $0 > minTimeMs } ?? false } }

    /// The bounds as far as they matter to a block: what has been done for these need not be done again.
    func boundsMs(minTimeMs: Int64, maxTimeMs: Int64) -> [Int64] { boundsMs.map { min(max($0 ?? .min, minTimeMs), maxTimeMs) } }

    /// Whether it is too early to write a block anew for what the rules have marked in it.
    /// - Parameter firstMarkedMs: the earliest time that is marked.
    func isExpiring(minTimeMs: Int64, maxTimeMs: Int64, firstMarkedMs: Int64) -> Bool {
        let partial = boundsMs.compactMap { $0 }.filter { $0 > minTimeMs && $0 < maxTimeMs }
        guard let bound = partial.max() else { return false }
        // The distance may be beyond 2⁶³, of which half is still right as an unsigned number.
        let middle = minTimeMs &+ Int64(truncatingIfNeeded: UInt64(bitPattern: maxTimeMs &- minTimeMs) / 2)
        return bound < middle || firstMarkedMs >= middle
    }
}

extension Block {
    /// Marks what the rules do not keep. Of the rules that a series matches the first counts, also when it keeps all.
    func expire(_ rules: RetentionRules) throws(BlockError) {
        try changeTombstones { (parts, tombstones) throws(BlockError) in
            var taken = Set<UInt32>()
            for (number, rule) in rules.rules.enumerated() {
                let refs = try parts.index.select(rule.matchers)
                if let bound = rules.boundsMs[number], bound > minTimeMs {
                    for ref in refs where !taken.contains(ref) {
                        let entry = try parts.index.seriesEntry(ref)
                        guard let range = try Self.range(parts.index, entry, .min, bound - 1) else { continue }
                        tombstones.add(range, to: UInt64(ref))
                    }
                }
                if number < rules.rules.count - 1 { taken.formUnion(refs) }
            }
        }
    }
}

extension Head {
    /// Marks what the rules do not keep, as `Block.expire`; returns in how many series.
    func expire(_ rules: RetentionRules) throws(AppendError) -> Int {
        let (epoch, oldestPeriod) = locked { state.beginReading() }
        let querier = HeadQuerier(head: self, minTimeMs: .min, maxTimeMs: .max, epoch: epoch, oldestPeriod: oldestPeriod)
        defer { querier.close() }
        var taken = Set<UInt32>()
        var marked = 0
        for (number, rule) in rules.rules.enumerated() {
            let slots = querier.slots(rule.matchers)
            if let bound = rules.boundsMs[number], bound > .min {
                let mine = taken.isEmpty ? slots : slots.filter { !taken.contains($0) }
                marked += try locked { () throws(AppendError) in try state.expire(mine, before: bound) }
            }
            if number < rules.rules.count - 1 { taken.formUnion(slots) }
        }
        return marked
    }
}

extension HeadState {
    /// Deletes what series have before a time, as far as it is not deleted already.
    fileprivate func expire(_ slots: [UInt32], before bound: Int64) throws(AppendError) -> Int {
        try delete(
            slots.filter { slot in
                guard let entry = unsafe series.pointer(Int(slot)) else { return false }
                // SAFETY: a series in use, or one that `delete` passes over.
                var (first, last) = unsafe (entry.pointee.firstTime, entry.pointee.hasSamples ? entry.pointee.xor.time : .min)
                if !outOfOrder.isEmpty, let late = outOfOrder.series[ref(of: slot)]?.bounds {
                    (first, last) = (min(first, late.min), max(last, late.max))
                }
                // Deleted from the oldest sample to the bound: nothing came that is older than what was marked.
                let known = tombstones[slot]?.ranges.first
                return first < bound && !(known.map { $0.lowerBound <= first && $0.upperBound >= min(bound - 1, last) } ?? false)
            }, .min ... (bound - 1))
    }
}

extension Tombstones {
    /// Where the first deleted interval begins; `Int64.max` when there is none.
    var firstTimeMs: Int64 { series.compactMap { self[$0].first?.minTimeMs }.min() ?? .max }
}
