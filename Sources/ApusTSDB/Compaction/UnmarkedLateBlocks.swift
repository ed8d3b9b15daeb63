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
/// So the newest blocks that were merged are held against the log before it is replayed: of each block range some samples
/// that came in order are looked for in the blocks. Where the head was written to a block they are there; where they are
/// not, the block's end says nothing.
///
/// Reads the log up to where no sample in order can be of the blocks' time any more, twice; nothing at all when the newest
/// block is as the head wrote it, which is the usual case without an out-of-order window.
struct UnmarkedLateBlocks {
    /// Samples that are looked for in a block range, each of another series.
    static let witnessLimit = 64
    /// A block with fewer of them than one of this number has none: those few came late, or twice.
    static let fewestFoundOf = 4

    /// The log's directory.
    let log: String
    let files: any FileSystem
    let blockRangeMs: Int64

    /// A sample that came in order, as far as the log tells.
    private struct Witness {
        var timeMs: Int64
        /// The log has an earlier sample of the series before it.
        var isConfirmed = false
    }
    /// By start of the block range, then by ref.
    private typealias Witnesses = [Int64: [UInt64: Witness]]

    /// Those of `blocks` that need the hint.
    func find(in blocks: [Block]) -> [Block] {
        let inOrder = blocks.filter { !$0.meta.isFromOutOfOrder }
        let settledMs = inOrder.filter { $0.meta.compaction.level <= 1 }.map(\.maxTimeMs).max() ?? .min
        let suspects = inOrder.filter { $0.meta.compaction.level > 1 && $0.maxTimeMs > settledMs }
        guard let first = suspects.map({ max($0.minTimeMs, settledMs) }).min(), let last = suspects.map(\.maxTimeMs).max(), first < last
        else { return [] }
        let witnesses = collect(first..<last)
        let labels = labels(of: Set(witnesses.values.flatMap(\.keys)))
        return suspects.filter { suspect in
            witnesses.contains { start, range in
                guard suspect.overlaps(minTimeMs: start, maxTimeMs: start &+ (blockRangeMs &- 1)) else { return false }
                let confirmed = range.filter(\.value.isConfirmed)
                var found = 0
                var asked = 0
                for (ref, witness) in confirmed.isEmpty ? range : confirmed {
                    guard let labels = labels[ref], suspect.overlaps(minTimeMs: witness.timeMs, maxTimeMs: witness.timeMs) else { continue }
                    asked += 1
                    // What cannot be read is no reason to doubt a block.
                    if inOrder.contains(where: { (try? $0.holds(labels, atMs: witness.timeMs)) ?? true }) { found += 1 }
                }
                return found * Self.fewestFoundOf < asked
            }
        }
    }

    // MARK: The log

    /// Runs `body` on the records of checkpoint and log until it returns false, they end, or one is damaged: the replay will
    /// say so.
    private func read(_ body: (DecodedRecord) -> Bool) {
        do throws(WALError) {
            let checkpoint = try Checkpoint.latest(in: log, files: files)
            let reader = try WALReader(
                directory: log, checkpoint: checkpoint?.path, first: checkpoint.map { $0.segment + 1 } ?? 0, files: files)
            var record = DecodedRecord()
            while try reader.next(&record) { if !body(record) { return } }
        } catch { return }
    }

    private func collect(_ times: Range<Int64>) -> Witnesses {
        var witnesses: Witnesses = [:]
        var confirmed: [Int64: Int] = [:]
        var newestMs = Int64.min
        // The block range of the last sample, and whether it has all the witnesses it needs: then a sample costs two comparisons.
        var start = Int64.max
        var isComplete = false
        func see(_ ref: SeriesRef, _ timeMs: Int64) {
            newestMs = max(newestMs, timeMs)
            // What is older was late when it came.
            guard times.contains(timeMs), timeMs >= oldestInOrder(newestMs) else { return }
            if timeMs < start || timeMs &- start >= blockRangeMs {
                start = alignedDown(timeMs, to: blockRangeMs)
                isComplete = confirmed[start, default: 0] >= Self.witnessLimit
            }
            if isComplete { return }
            if let known = witnesses[start]?[ref.rawValue] {
                if timeMs <= known.timeMs { return }
                if !known.isConfirmed {
                    confirmed[start, default: 0] += 1
                    isComplete = confirmed[start, default: 0] >= Self.witnessLimit
                }
                witnesses[start]?[ref.rawValue] = Witness(timeMs: timeMs, isConfirmed: true)
            } else if witnesses[start]?.count ?? 0 < Self.witnessLimit {
                witnesses[start, default: [:]][ref.rawValue] = Witness(timeMs: timeMs)
            }
        }
        read { record in
            for (ref, timeMs) in zip(record.samples.refs, record.samples.timestampsMs) { see(ref, timeMs) }
            for sample in record.samples.histograms { see(sample.ref, sample.timestampMs) }
            return oldestInOrder(newestMs) < times.upperBound
        }
        return witnesses
    }

    /// The oldest time that a sample may have to be taken as one in order, beside a newest one.
    private func oldestInOrder(_ newestMs: Int64) -> Int64 {
        let (bound, overflow) = newestMs.subtractingReportingOverflow(blockRangeMs / 2)
        return overflow ? .min : bound
    }

    private func labels(of refs: Set<UInt64>) -> [UInt64: LabelSet] {
        var labels: [UInt64: LabelSet] = [:]
        if refs.isEmpty { return labels }
        read { record in
            for one in record.series where refs.contains(one.ref.rawValue) { labels[one.ref.rawValue] = one.labels }
            return labels.count < refs.count
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
