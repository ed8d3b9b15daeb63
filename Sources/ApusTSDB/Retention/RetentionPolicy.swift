/// Which blocks are to go, from nothing but what they are: by age, then by size, whole blocks and the oldest first.
///
///     newest ◀───────────────────────────────────────────────── oldest
///     │ block │ block │ block │ block │ block │ block │ block │
///     ├─ retention, from the end of the newest ─┤ ∅ ends before it
///     ├─ logs + blocks ≤ limit ─────────┤ ∅ and all older
///
/// Age counts from the newest block and not from the clock: a database that nobody writes to keeps what it has.
struct RetentionPolicy: Sendable {
    struct Candidate: Sendable {
        var ulid: ULID
        /// Half-open, ms.
        var minTimeMs: Int64
        var maxTimeMs: Int64
        var sizeBytes: Int
    }
    enum Reason: Sendable { case time, size }

    /// 0 for no limit, both.
    let retentionMs: Int64
    let limitBytes: Int64

    /// - Parameter otherBytes: of logs and the head's chunk files, which count and cannot go.
    func expired(_ blocks: [Candidate], otherBytes: Int) -> [ULID: Reason] {
        // Of two that end at one time the longer goes first.
        let newestFirst = blocks.sorted { ($0.maxTimeMs, $0.minTimeMs, $0.ulid) > ($1.maxTimeMs, $1.minTimeMs, $1.ulid) }
        guard let newest = newestFirst.first else { return [:] }
        var result: [ULID: Reason] = [:]
        if retentionMs > 0 {
            for block in newestFirst.dropFirst() {
                let (age, overflow) = newest.maxTimeMs.subtractingReportingOverflow(block.maxTimeMs)
                if overflow || age >= retentionMs { result[block.ulid] = .time }
            }
        }
        if limitBytes > 0 {
            var total = Int64(otherBytes)
            for block in newestFirst where result[block.ulid] == nil {
                let (sum, overflow) = total.addingReportingOverflow(Int64(block.sizeBytes))
                total = overflow ? .max : sum
                if total > limitBytes { result[block.ulid] = .size }
            }
        }
        return result
    }

    /// The limit in bytes that some settings set on a disk of some size; a share goes before a size.
    static func limitBytes(_ settings: DatabaseSettings, diskBytes: Int?) -> Int64 {
        guard settings.retentionPercentage > 0, let diskBytes else { return settings.retentionBytes }
        return Int64(exactly: (Double(diskBytes) * settings.retentionPercentage / 100).rounded(.down)) ?? settings.retentionBytes
    }
}
