import ApusBytes
import ApusModel
import ApusStorage

/// The series of one select.
final class HeadSeriesSet: SeriesSet {
    /// Keeps the epoch: a set must not outlive its querier's hold.
    private let querier: HeadQuerier
    private let head: Head
    private let selection: Selection
    private let oldestPeriod: Int64
    /// Whether any series has samples out of order; seldom.
    private let hasOutOfOrder: Bool

    init(querier: HeadQuerier, head: Head, _ selection: Selection, oldestPeriod: Int64) {
        self.querier = querier
        self.head = head
        self.selection = selection
        self.oldestPeriod = oldestPeriod
        hasOutOfOrder = head.locked { !head.state.outOfOrder.isEmpty }
    }

    var count: Int { selection.views.count }

    func labels(at index: Int) -> LabelSet { selection.labels.labelSet(at: selection.views[index].labelOffset) }

    func labelReader(keeping names: [ByteString]) -> any LabelReader {
        // To look for a symbol is to read what a writer may be changing.
        let symbols = head.locked { Set(names).compactMap { selection.labels.symbols.find($0.bytes.span) } }
        return HeadLabelReader(selection, names, symbols)
    }

    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        if minTimeMs > maxTimeMs { return }
        let view = selection.views[index]
        let deleted = selection.tombstones[view.slot]
        // Where the samples of each chunk begin; noted for the merge only.
        var chunkStarts = [columns.count]
        let minTime = max(minTimeMs, head.state.start(of: oldestPeriod))
        if minTime <= maxTimeMs {
            for range in deleted?.gaps(in: minTime...maxTimeMs) ?? [minTime...maxTimeMs] {
                try decode(view, range, &chunkStarts, into: &columns)
            }
        }
        if hasOutOfOrder {
            try head.mergeOutOfOrder(view.slot, minTimeMs...maxTimeMs, deleted: deleted, chunkStarts: chunkStarts, into: &columns)
        }
    }

    /// Appends what came in order, deleted or not.
    func decode(_ view: SeriesView, _ range: ClosedRange<Int64>, into columns: inout SampleColumns) throws(StorageError) {
        var chunkStarts: [Int] = []
        try decode(view, range, &chunkStarts, into: &columns)
    }

    private func decode(
        _ view: SeriesView, _ range: ClosedRange<Int64>, _ chunkStarts: inout [Int], into columns: inout SampleColumns
    ) throws(StorageError) {
        let state = head.state
        let (minTime, maxTime) = (range.lowerBound, range.upperBound)
        var chunks: [UInt] = []
        var address = view.sealed
        // From the newest back to the first that ends before the range.
        while let chunk = SealedChunk(address: address), chunk.maxTime >= minTime {
            if chunk.minTime <= maxTime { chunks.append(address) }
            address = chunk.previous(oldestPeriod: oldestPeriod, periodOf: state.period(of:))
        }
        for address in chunks.reversed() {
            guard let chunk = SealedChunk(address: address) else { continue }
            if hasOutOfOrder { chunkStarts.append(columns.count) }
            try state.decode(chunk, limit: .max, minTime: minTime, maxTime: maxTime, into: &columns)
        }
        if view.openCount == 0 { return }
        if hasOutOfOrder { chunkStarts.append(columns.count) }
        if try !decodeOpen(view, range, HeadState.scratchBytes, into: &columns) {
            _ = try decodeOpen(view, range, HeadState.largeScratchBytes, into: &columns)
        }
    }

    /// Decodes what was the open chunk; false when it is larger than the scratch.
    private func decodeOpen(
        _ view: SeriesView, _ range: ClosedRange<Int64>, _ scratchBytes: Int, into columns: inout SampleColumns
    ) throws(StorageError) -> Bool {
        let state = head.state
        return try unsafe withUnsafeTemporaryAllocation(byteCount: scratchBytes, alignment: 8) { scratch throws(StorageError) -> Bool in
            let (minTime, maxTime) = (range.lowerBound, range.upperBound)
            switch head.locked({ unsafe state.openChunk(of: view, oldestPeriod: oldestPeriod, into: scratch) }) {
            case .none: break
            case .tooLarge: return false
            case .copied(let size):
                guard let base = scratch.baseAddress else { return false }
                try unsafe state.decode(
                    base, sizeBytes: size, count: Int(view.openCount), limit: .max, minTime: minTime, maxTime: maxTime, into: &columns)
            case .encoded(let chunk):
                try state.decode(chunk, limit: Int(view.openCount), minTime: minTime, maxTime: maxTime, into: &columns)
            case .sealed(let address):
                guard let chunk = SealedChunk(address: address) else { break }
                try state.decode(chunk, limit: Int(view.openCount), minTime: minTime, maxTime: maxTime, into: &columns)
            }
            return true
        }
    }
}

/// Reads labels by the numbers of their pairs.
private final class HeadLabelReader: LabelReader {
    private let selection: Selection
    private let names: [ByteString]
    /// Of those of `names` that the head knows.
    private let symbols: [UInt32]
    private var projection = LabelProjection()

    init(_ selection: Selection, _ names: [ByteString], _ symbols: [UInt32]) {
        self.selection = selection
        self.names = names
        self.symbols = symbols
    }

    func labels(at index: Int) -> LabelSet {
        if symbols.isEmpty { return .empty }
        let labels = selection.labels
        let offset = selection.views[index].labelOffset
        guard symbols.count <= LabelProjection.maximumNames else { return cut(offset) }
        var key = LabelProjection.Key()
        for unsafe pair in unsafe labels.run(at: offset) {
            let name = labels.name(of: pair)
            for position in 0..<symbols.count where symbols[position] == name { key.values[position] = pair }
        }
        return projection.labels(key) { cut(offset) }
    }

    private func cut(_ offset: UInt32) -> LabelSet { selection.labels.labelSet(at: offset).filtered(names, keep: true) }
}
