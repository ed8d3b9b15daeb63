import ApusBytes
import ApusModel
public import ApusStorage

extension Head {
    /// Writes to a log that was out of order for a while what it may lack, and makes it the head's log: all series with
    /// metadata and deletes, the samples in order from `sinceMs` on that are not deleted, and all exemplars.
    ///
    /// Until all of it is written appends go on and are not logged. What the log drops again meanwhile is its to tell: look
    /// at its state afterwards. A replay takes samples that are in the log twice once.
    public func relog(sinceMs: Int64, into log: any CommitLog) throws(AppendError) {
        var failure: AppendError?
        maintenance.withLock { _ in
            do throws(AppendError) { try Relog(self, log, sinceMs: sinceMs).run() } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// One run of `Head.relog`, under `maintenance`: no series is collected meanwhile.
private final class Relog {
    private let head: Head
    private let log: any CommitLog
    private let since: Int64
    /// Time of the newest sample written, by slot; of series not yet met `Int64.min`.
    private var written: [Int64] = []
    private let firstSlot: Int

    private var columns = SampleColumns(histograms: true)
    /// Copy of an open chunk.
    private var scratch = [UInt8](repeating: 0, count: HeadState.largeScratchBytes)

    private static let blocksASlice = 2

    init(_ head: Head, _ log: any CommitLog, sinceMs: Int64) {
        self.head = head
        self.log = log
        since = sinceMs
        firstSlot = head.locked { head.state.series.firstSlot }
    }

    func run() throws(AppendError) {
        head.use(log: nil)
        do throws(AppendError) {
            var slot = 0
            try inSlices { () throws(AppendError) in
                slot = try writeSeries(from: slot, blocks: Self.blocksASlice)
                return slot
            }
            let end = slot
            slot = 0
            try inSlices { () throws(AppendError) in
                slot = try writeSamples(from: slot, blocks: Self.blocksASlice, newFrom: since)
                return slot
            }
            // What came in the meantime: little, and in one hold, so that the log misses nothing.
            try head.locked { () throws(AppendError) in
                _ = try writeSeries(from: end, blocks: .max)
                _ = try writeSamples(from: 0, blocks: .max, newFrom: .min)
                try writeExemplars()
                head.state.log = log
            }
        } catch {
            // It refuses: appends are to learn of it.
            head.use(log: log)
            throw error
        }
    }

    /// Runs `body`, which returns the slot it came to, until that is the last.
    private func inSlices(_ body: () throws(AppendError) -> Int) throws(AppendError) {
        var failure: AppendError?
        head.slices {
            do throws(AppendError) { return try body() < head.state.series.nextSlot } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
    }

    // MARK: Under the lock

    private func writeSeries(from slot: Int, blocks: Int) throws(AppendError) -> Int {
        let state = head.state
        var records: [SeriesRecord] = []
        var metadata = SampleBatch()
        var tombstones: [TombstoneRecord] = []
        let next = unsafe state.series.forEachLive(from: slot, blocks: blocks) { slot, entry in
            let ref = state.ref(of: slot)
            // SAFETY: `forEachLive` lends the series in use.
            records.append(SeriesRecord(ref: ref, labels: unsafe state.labels.labelSet(at: entry.pointee.labelOffset)))
            if let known = state.metadata[slot] { metadata.append(ref, metadata: known) }
            for range in state.tombstones[slot]?.ranges ?? [] {
                tombstones.append(TombstoneRecord(ref: ref, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound))
            }
        }
        if !records.isEmpty { _ = try log.append(series: records) }
        if !metadata.metadata.isEmpty { _ = try log.append(samples: metadata) }
        if !tombstones.isEmpty { _ = try log.append(tombstones: tombstones) }
        return min(next, state.series.nextSlot)
    }

    /// Writes the samples that are not written yet.
    /// - Parameter start: of the series that are met for the first time, samples from this time on.
    private func writeSamples(from slot: Int, blocks: Int, newFrom start: Int64) throws(AppendError) -> Int {
        let state = head.state
        var batch = SampleBatch()
        var failure: StorageError?
        let next = unsafe state.series.forEachLive(from: slot, blocks: blocks) { slot, entry in
            // SAFETY: `forEachLive` lends the series in use.
            let one = unsafe entry.pointee
            let time = writtenTime(slot)
            // What comes while this goes on is not logged, however old it is: from the first pass on, all is written.
            let first = time == .min ? start : time &+ 1
            if failure != nil || time == .max || !one.hasSamples { return }
            note(slot, one.xor.time)
            if !one.mayHaveSamples(in: first, .max) { return }
            do throws(StorageError) { try append(slot, one, from: first, to: &batch) } catch { failure = error }
        }
        if let failure { throw .unavailable("cannot write the log again: \(failure)") }
        if !batch.isEmpty { _ = try log.append(samples: batch) }
        return min(next, state.series.nextSlot)
    }

    /// Adds a series' samples from `start` on to a batch.
    private func append(_ slot: UInt32, _ series: MemSeries, from start: Int64, to batch: inout SampleBatch) throws(StorageError) {
        let state = head.state
        let oldest = state.oldestPeriod
        columns.removeAll()
        var found: [SealedChunk] = []
        var address = series.sealed
        while let chunk = SealedChunk(address: address), chunk.maxTime >= start {
            found.append(chunk)
            address = chunk.previous(oldestPeriod: oldest, periodOf: state.period(of:))
        }
        for chunk in found.reversed() { try state.decode(chunk, limit: .max, minTime: start, maxTime: .max, into: &columns) }
        let view = SeriesView(slot, series)
        let open = unsafe scratch.withUnsafeMutableBytes { unsafe state.openChunk(of: view, oldestPeriod: oldest, into: $0) }
        switch open {
        case .copied(let size):
            let result: Result<Void, StorageError> = unsafe scratch.withUnsafeBytes { buffer in
                guard let base = buffer.baseAddress else { return .success(()) }
                do throws(StorageError) {
                    return .success(
                        try unsafe state.decode(
                            base, sizeBytes: size, count: Int(view.openCount), limit: .max, minTime: start, maxTime: .max, into: &columns))
                } catch { return .failure(error) }
            }
            try result.get()
        case .encoded(let chunk): try state.decode(chunk, limit: .max, minTime: start, maxTime: .max, into: &columns)
        case .none, .tooLarge, .sealed: break
        }
        let ref = state.ref(of: slot)
        // What is deleted must not come behind its deletion: a replay takes that for a sample that came later.
        let deleted = state.tombstones[slot]
        for run in columns.runs {
            for index in run.range {
                if let deleted, deleted.contains(columns.timestampMs(at: index)) { continue }
                let startMs = columns.startTimestampMs(at: index)
                if run.kind == .float {
                    batch.append(ref, timestampMs: columns.timestampMs(at: index), value: columns.value(at: index), startTimestampMs: startMs)
                } else if let histogram = columns.histogram(at: index) {
                    batch.append(ref, timestampMs: columns.timestampMs(at: index), histogram: histogram, startTimestampMs: startMs)
                }
            }
        }
    }

    private func writeExemplars() throws(AppendError) {
        let state = head.state
        var batch = SampleBatch()
        for (labels, exemplar) in state.exemplars.all() {
            if let ref = state.knownRef(of: labels) { batch.append(ref, exemplar: exemplar) }
        }
        if !batch.exemplars.isEmpty { _ = try log.append(samples: batch) }
    }

    private func writtenTime(_ slot: UInt32) -> Int64 {
        let index = Int(slot) - firstSlot
        return written.indices.contains(index) ? written[index] : .min
    }

    private func note(_ slot: UInt32, _ time: Int64) {
        let index = Int(slot) - firstSlot
        if index < 0 { return }
        if written.count <= index { written.append(contentsOf: repeatElement(.min, count: index + 1 - written.count)) }
        written[index] = time
    }
}
