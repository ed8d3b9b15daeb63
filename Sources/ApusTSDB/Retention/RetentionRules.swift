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
/// In the head rules do nothing: the shortest retention is the time until samples get into a block.
struct RetentionRules: Sendable {
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

extension Tombstones {
    /// Where the first deleted interval begins; `Int64.max` when there is none.
    var firstTimeMs: Int64 { series.compactMap { self[$0].first?.minTimeMs }.min() ?? .max }
}
