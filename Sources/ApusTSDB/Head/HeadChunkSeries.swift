import ApusBytes
import ApusModel
import ApusStorage

extension Head {
    /// The in-order samples in `[minTimeMs, maxTimeMs]`, without those that are deleted, as chunks: what a block is
    /// written from. Series in the order of their labels.
    ///
    /// Chunks are read one series after the other, as they are then; samples appended meanwhile may be in it or not. The
    /// set is a reader: what it may still read is not freed before it goes.
    public func chunkSeries(minTimeMs: Int64, maxTimeMs: Int64) -> any ChunkSeriesSet {
        HeadChunkSeries(self, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }
}

final class HeadChunkSeries: ChunkSeriesSet {
    private let head: Head
    private let minTime: Int64
    private let maxTime: Int64
    private let epoch: UInt64
    private let oldestPeriod: Int64
    private let selection: Selection
    private var position = -1
    private(set) var chunks: [EncodedChunk] = []
    /// Copy of an open chunk, and samples to be encoded again.
    private var scratch: [UInt8]
    private var columns = SampleColumns(histograms: true)

    /// Series listed in one hold of the lock.
    static let blocksASlice = 16

    init(_ head: Head, minTimeMs: Int64, maxTimeMs: Int64) {
        self.head = head
        let state = head.state
        let begun = head.locked { state.beginReading() }
        (epoch, oldestPeriod) = begun
        minTime = max(minTimeMs, state.start(of: begun.oldestPeriod))
        maxTime = maxTimeMs
        scratch = Array(repeating: 0, count: HeadState.largeScratchBytes)
        var selection = Self.list(head, minTime: minTime, maxTime: maxTime)
        selection.labels.sort(&selection.views)
        self.selection = selection
    }

    deinit { head.endReading(epoch: epoch) }

    private static func list(_ head: Head, minTime: Int64, maxTime: Int64) -> Selection {
        let state = head.state
        while true {
            var views: [SeriesView] = []
            let labels = head.locked { state.labels }
            var slot = 0
            var isDone = false
            while !isDone {
                isDone = head.locked {
                    // The label store was replaced: offsets found so far are in another one.
                    if state.labels !== labels { return true }
                    slot = unsafe state.series.forEachLive(from: slot, blocks: blocksASlice) { slot, entry in
                        // SAFETY: `forEachLive` lends the series in use.
                        let one = unsafe entry.pointee
                        if one.mayHaveSamples(in: minTime, maxTime) { views.append(SeriesView(slot, one)) }
                    }
                    return slot >= state.series.nextSlot
                }
            }
            if let selection = head.locked({ state.labels === labels ? state.selection(views) : nil }) { return selection }
        }
    }

    var labels: LabelSet {
        guard selection.views.indices.contains(position) else { return .empty }
        return selection.labels.labelSet(at: selection.views[position].labelOffset)
    }

    func next() throws(StorageError) -> Bool {
        guard position + 1 < selection.views.count else { return false }
        position += 1
        chunks.removeAll()
        try collect(selection.views[position])
        return true
    }
}

extension HeadChunkSeries {
    private struct Open {
        let sizeBytes: Int
        let minTime: Int64
        let maxTime: Int64
        /// The chunk, when it is one of histograms; of floats it is in the scratch.
        var histograms: EncodedChunk?
    }

    private func collect(_ view: SeriesView) throws(StorageError) {
        if minTime > maxTime { return }
        let state = head.state
        let (sealed, open) = head.locked { copyOpen(view) }
        var found: [SealedChunk] = []
        var address = sealed
        while let chunk = SealedChunk(address: address), chunk.maxTime >= minTime {
            if chunk.minTime <= maxTime { found.append(chunk) }
            address = chunk.previous(oldestPeriod: oldestPeriod, periodOf: state.period(of:))
        }
        let deleted = selection.tombstones[view.slot]
        for chunk in found.reversed() {
            guard let encoding = ChunkEncoding(rawValue: chunk.encoding) else {
                throw StorageError("a chunk in the head has the unknown encoding \(chunk.encoding)")
            }
            let range = chunk.minTime...max(chunk.minTime, chunk.maxTime)
            if isWhole(range, deleted) {
                chunks.append(
                    EncodedChunk(
                        encoding: encoding, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, bytes: unsafe Array(chunk.data)))
            } else {
                for wanted in parts(of: range, deleted) {
                    try state.decode(chunk, limit: .max, minTime: wanted.lowerBound, maxTime: wanted.upperBound, into: &columns)
                }
                encodeColumns()
            }
        }
        guard let open, open.minTime <= maxTime, open.maxTime >= minTime else { return }
        let range = open.minTime...max(open.minTime, open.maxTime)
        if let chunk = open.histograms {
            if isWhole(range, deleted) {
                chunks.append(chunk)
            } else {
                for wanted in parts(of: range, deleted) {
                    try state.decode(chunk, limit: .max, minTime: wanted.lowerBound, maxTime: wanted.upperBound, into: &columns)
                }
                encodeColumns()
            }
            return
        }
        if isWhole(range, deleted) {
            chunks.append(
                EncodedChunk(
                    encoding: .xor, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, bytes: Array(scratch[..<open.sizeBytes])))
            return
        }
        let count = Int(scratch[0]) << 8 | Int(scratch[1])
        for wanted in parts(of: range, deleted) {
            var failure: StorageError?
            unsafe scratch.withUnsafeBytes { buffer in
                guard let base = buffer.baseAddress else { return }
                do throws(StorageError) {
                    try unsafe state.decode(
                        base, sizeBytes: open.sizeBytes, count: count, limit: .max, minTime: wanted.lowerBound,
                        maxTime: wanted.upperBound, into: &columns)
                } catch { failure = error }
            }
            if let failure { throw failure }
        }
        encodeColumns()
    }

    /// Finds the newest sealed chunk and copies the open one into the scratch. Under the lock.
    private func copyOpen(_ view: SeriesView) -> (sealed: UInt, open: Open?) {
        let state = head.state
        guard let entry = unsafe state.series.pointer(Int(view.slot)) else { return (0, nil) }
        let sealed = unsafe entry.pointee.sealed
        if unsafe entry.pointee.open == 0 {
            guard let chunk = unsafe state.tabledChunk(of: entry.pointee, view.slot) else { return (sealed, nil) }
            return (sealed, Open(sizeBytes: chunk.bytes.count, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs, histograms: chunk))
        }
        guard let cell = unsafe UnsafeMutableRawPointer(bitPattern: entry.pointee.open) else { return (sealed, nil) }
        let size = unsafe min(entry.pointee.xor.sizeBytes, Int(entry.pointee.capacity), scratch.count - chunkReadSlackBytes)
        // SAFETY: the cell holds `size` bytes, at least the two of the count.
        unsafe cell.storeBytes(of: entry.pointee.xor.count.bigEndian, as: UInt16.self)
        unsafe scratch.withUnsafeMutableBytes { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: cell, count: size)) }
        let first = unsafe state.firstTime(of: cell, sizeBytes: size)
        return (sealed, Open(sizeBytes: size, minTime: first, maxTime: unsafe entry.pointee.xor.time))
    }

    private func isWhole(_ range: ClosedRange<Int64>, _ deleted: TimeRanges?) -> Bool {
        range.lowerBound >= minTime && range.upperBound <= maxTime && deleted?.overlaps(range) != true
    }

    private func parts(of range: ClosedRange<Int64>, _ deleted: TimeRanges?) -> [ClosedRange<Int64>] {
        let wanted = max(range.lowerBound, minTime)...min(range.upperBound, maxTime)
        return deleted?.gaps(in: wanted) ?? [wanted]
    }

    private func encodeColumns() {
        chunks.append(contentsOf: encodeChunks(columns, samplesPerChunk: head.options.samplesPerChunk))
        columns.removeAll()
    }
}
