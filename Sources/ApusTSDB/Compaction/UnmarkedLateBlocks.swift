import ApusBytes
import ApusModel
import ApusStorage

/// Finds blocks of late samples that do not say that they are.
///
/// A start passes by what the log has from before the end of the newest block, for that is in blocks. Blocks of late samples
/// do not count there, and carry a hint that says so. But a server that merges two of them, while it still holds the samples
/// in order of their time, may write the result without the hint, as Prometheus 3 does; a start after that loses samples that
/// no block has.
///
///     log      ──●──●──●──●──●──●──▶     in order: each later than the last of its series
///     block      [  ○  ○     ○  ]        none of them is in it, so it is of late samples
///
/// So the newest blocks that were merged are held against the log before it is replayed: of each block range some samples that
/// came in order are looked for in the blocks. Where the head was written to a block nearly all of them are there, unless they
/// were deleted since; where nearly none is, the block's end says nothing.
///
/// Reads the log up to where no sample in order can be of the blocks' time any more; nothing at all when the newest block is as
/// the head wrote it, which is the usual case without an out-of-order window.
struct UnmarkedLateBlocks {
    /// A block range with fewer than one found of this many has none: those few came late, or twice.
    static let fewestFoundOf = 4

    /// The log's directory.
    let log: String
    let files: any FileSystem
    let blockRangeMs: Int64

    struct Find {
        let block: Block
        /// Up to here the block has what the log has; `.min` for nowhere.
        let believedToMs: Int64
    }

    /// The merged blocks that end last and lack what the log has of their time. One that has the hint already is among them when
    /// it was given to a block that has late samples only at its end: what lies before need not be replayed.
    func find(in blocks: [Block]) -> [Find] {
        let settledMs = blocks.filter { !$0.meta.isFromOutOfOrder && $0.meta.compaction.level <= 1 }.map(\.maxTimeMs).max() ?? .min
        let suspects = blocks.filter { $0.meta.compaction.level > 1 && $0.maxTimeMs > settledMs }
        guard let first = suspects.map({ max($0.minTimeMs, settledMs) }).min(), let last = suspects.map(\.maxTimeMs).max(), first < last
        else { return [] }
        var witnesses = LogWitnesses(times: first..<last, rangeMs: blockRangeMs)
        var records = 0
        read { record in
            records += 1
            witnesses.see(record)
            return witnesses.mayComeMore
        }
        let labels = labels(of: witnesses.refs, within: records)
        return suspects.compactMap { suspect in
            var believedToMs = Int64.min
            for (start, range) in witnesses.ranges.sorted(by: { $0.key < $1.key }) {
                let end = start &+ (blockRangeMs &- 1)
                guard suspect.overlaps(minTimeMs: start, maxTimeMs: end) else { continue }
                var (found, asked) = (0, 0)
                for (ref, timeMs) in range.best {
                    guard let labels = labels[ref], suspect.overlaps(minTimeMs: timeMs, maxTimeMs: timeMs) else { continue }
                    asked += 1
                    // What cannot be read is no reason to doubt a block.
                    if blocks.contains(where: { (try? $0.holds(labels, atMs: timeMs)) ?? true }) { found += 1 }
                }
                if found * Self.fewestFoundOf < asked { return Find(block: suspect, believedToMs: believedToMs) }
                if asked > 0 { believedToMs = min(end &+ 1, suspect.maxTimeMs) }
            }
            return nil
        }
    }

    // MARK: The log

    /// Runs `body` on the records of the checkpoint and of the log until it returns false. What is damaged ends its part, as in
    /// the replay, which will say so.
    private func read(_ body: (DecodedRecord) -> Bool) {
        var goesOn = true
        var record = DecodedRecord()
        func read(_ open: () throws(WALError) -> WALReader?) {
            do throws(WALError) {
                guard let reader = try open() else { return }
                while goesOn, try reader.next(&record) { goesOn = body(record) }
            } catch { return }
        }
        let checkpoint = (try? Checkpoint.latest(in: log, files: files)) ?? nil
        read { () throws(WALError) in try checkpoint.map { one throws(WALError) in try WALReader(directory: one.path, files: files) } }
        read { () throws(WALError) in try WALReader(directory: log, first: checkpoint.map { $0.segment + 1 } ?? 0, files: files) }
    }

    /// - Parameter records: how many of the log's are read at most.
    private func labels(of refs: Set<UInt64>, within records: Int) -> [UInt64: LabelSet] {
        var labels: [UInt64: LabelSet] = [:]
        if refs.isEmpty { return labels }
        var left = records
        read { record in
            left -= 1
            for one in record.series where refs.contains(one.ref.rawValue) { labels[one.ref.rawValue] = one.labels }
            return left > 0 && labels.count < refs.count
        }
        return labels
    }
}

extension Block {
    /// Whether the block has a sample of this series and this time, deleted or not.
    fileprivate func holds(_ labels: LabelSet, atMs timeMs: Int64) throws(BlockError) -> Bool {
        guard overlaps(minTimeMs: timeMs, maxTimeMs: timeMs) else { return false }
        let (parts, _) = try beginReading()
        defer { endReading() }
        var columns = SampleColumns()
        for ref in try parts.index.select(labels.map { Matcher($0.name, equals: $0.value) }) {
            let entry = try parts.index.seriesEntry(ref)
            guard parts.index.labelSet(of: entry) == labels else { continue }
            var chunks = try parts.index.chunks(of: entry)
            while let chunk = try chunks.next() {
                if chunk.minTimeMs > timeMs { break }
                if chunk.maxTimeMs < timeMs { continue }
                try parts.chunks.decode(chunk, ulid, timeMs, timeMs, into: &columns)
                if columns.count > 0 { return true }
            }
        }
        return false
    }
}
