import ApusModel
import ApusStorage

/// Stands in for a log while what it lost is written to it again: what the head appends meanwhile waits here, since for a
/// reader older samples must come first.
///
///     head ─▶ ResumedLog ─▶ (waits)                    log ◀─ series and samples of the head
///     head ─▶ ResumedLog ─────────────────────────────▶ log
final class ResumedLog: CommitLog {
    private struct State {
        var waiting: [MemoryLog.Entry] = []
        var isOpen = false
    }
    private let log: WriteAheadLog
    private let state = Locked(State())

    init(_ log: WriteAheadLog) { self.log = log }

    func append(series: [SeriesRecord]) throws(AppendError) -> LogPosition {
        try pass(.series(series)) { (log) throws(AppendError) in try log.append(series: series) }
    }
    func append(samples: borrowing SampleBatch) throws(AppendError) -> LogPosition {
        let batch = copy samples
        return try pass(.samples(batch)) { (log) throws(AppendError) in try log.append(samples: batch) }
    }
    func append(tombstones: [TombstoneRecord]) throws(AppendError) -> LogPosition {
        try pass(.tombstones(tombstones)) { (log) throws(AppendError) in try log.append(tombstones: tombstones) }
    }

    private func pass(
        _ entry: MemoryLog.Entry, _ write: (WriteAheadLog) throws(AppendError) -> LogPosition
    ) throws(AppendError) -> LogPosition {
        try state.withLock { state throws(AppendError) in
            if state.isOpen { return try write(log) }
            state.waiting.append(entry)
            return log.position
        }
    }

    /// Writes what waits, and lets everything pass from now on.
    func open() throws(AppendError) {
        try state.withLock { state throws(AppendError) in
            state.isOpen = true
            let waiting = state.waiting
            state.waiting = []
            for entry in waiting {
                switch entry {
                case .series(let series): _ = try log.append(series: series)
                case .samples(let batch): _ = try log.append(samples: batch)
                case .tombstones(let tombstones): _ = try log.append(tombstones: tombstones)
                }
            }
        }
    }
}

extension Head {
    /// Samples run behind the wall clock by the length of a scrape, and those of a slow exporter by more.
    private static let resumeMarginMs: Int64 = 600_000
    /// Samples appended to the log at once.
    private static let resumeBatch = 16_384

    /// Appends to a log that was given up for a while what it lost since: all series, what is deleted, and the samples
    /// from a while before `sinceMs` on. Those that it has already a replay skips. Not together with a truncation.
    func logAgain(_ log: WriteAheadLog, sinceMs: Int64) throws(AppendError) {
        let resumed = ResumedLog(log)
        use(log: resumed)
        defer { use(log: log) }
        do throws(AppendError) {
            try logSeries(log)
            let (from, overflow) = sinceMs.subtractingReportingOverflow(Self.resumeMarginMs)
            try logSamples(log, fromMs: overflow ? .min : from)
        } catch {
            try? resumed.open()
            throw error
        }
        try resumed.open()
    }

    private func logSeries(_ log: WriteAheadLog) throws(AppendError) {
        var slot = 0
        while true {
            var refs: [SeriesRef] = []
            let (records, isDone) = locked { () -> ([SeriesRecord], Bool) in
                slot = unsafe state.series.forEachLive(from: slot, blocks: HeadChunkSeries.blocksASlice) { slot, _ in
                    refs.append(state.ref(of: slot))
                }
                let records = refs.compactMap { ref in state.labels(of: ref).map { SeriesRecord(ref: ref, labels: $0) } }
                return (records, slot >= state.series.nextSlot)
            }
            if !records.isEmpty { _ = try log.append(series: records) }
            if isDone { break }
        }
        let deleted = locked {
            state.tombstones.flatMap { slot, times in
                times.ranges.map { TombstoneRecord(ref: state.ref(of: slot), minTimeMs: $0.lowerBound, maxTimeMs: $0.upperBound) }
            }
        }
        if !deleted.isEmpty { _ = try log.append(tombstones: deleted) }
    }

    private func logSamples(_ log: WriteAheadLog, fromMs: Int64) throws(AppendError) {
        do {
            let querier = try querier(minTimeMs: fromMs, maxTimeMs: .max)
            defer { querier.close() }
            let set = try querier.select([], hints: SelectHints(startMs: fromMs, endMs: .max), sorted: false)
            var columns = SampleColumns(histograms: true)
            var batch = SampleBatch()
            for index in 0..<set.count {
                columns.removeAll()
                try set.decode(index, minTimeMs: fromMs, maxTimeMs: .max, into: &columns)
                if columns.count == 0 { continue }
                let ref = try seriesRef(for: set.labels(at: index))
                for sample in 0..<columns.count {
                    if let histogram = columns.histogram(at: sample) {
                        batch.append(ref, timestampMs: columns.timestampMs(at: sample), histogram: histogram)
                    } else {
                        batch.append(ref, timestampMs: columns.timestampMs(at: sample), value: columns.value(at: sample))
                    }
                }
                if batch.count + batch.histograms.count >= Self.resumeBatch {
                    _ = try log.append(samples: batch)
                    batch.removeAll()
                }
            }
            if !batch.isEmpty { _ = try log.append(samples: batch) }
        } catch let error as AppendError { throw error } catch { throw .unavailable("samples of the head can't be read: \(error)") }
    }
}
