import ApusBytes
import ApusModel
import ApusStorage

/// A view of a block for one query: what was deleted before it began is gone, what is deleted later is not.
final class BlockQuerier: Querier {
    fileprivate let block: Block
    private let index: IndexReader
    private let chunks: ChunkFileReader
    private let tombstones: Tombstones
    private let minTimeMs: Int64
    private let maxTimeMs: Int64
    private let isClosed = Locked(false)

    init(block: Block, parts: Block.Parts, tombstones: Tombstones, minTimeMs: Int64, maxTimeMs: Int64) {
        self.block = block
        index = parts.index
        chunks = parts.chunks
        self.tombstones = tombstones
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }

    deinit { close() }

    func close() {
        let wasClosed = isClosed.withLock { closed in
            let before = closed
            closed = true
            return before
        }
        if !wasClosed { block.endReading() }
    }

    /// Runs `body` with its errors as a storage's.
    private func reading<R>(_ body: () throws(BlockError) -> R) throws(StorageError) -> R {
        do throws(BlockError) { return try body() } catch { throw StorageError("block \(block.ulid): \(error.description)") }
    }

    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
        // Refs are in the order of labels: sorted or not is the same work.
        let (minTime, maxTime) = (max(minTimeMs, hints.startMs), min(maxTimeMs, hints.endMs))
        let series = try reading { () throws(BlockError) in
            try BlockSeries.list(index, try index.select(matchers), tombstones, minTime, maxTime)
        }
        return BlockSeriesSet(
            querier: self, ulid: block.ulid, index: index, chunks: chunks, tombstones: tombstones, series: series)
    }

    // Like Prometheus, both look at all series of the block, whatever the querier's time.

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        if matchers.isEmpty { return limited(index.labelNames, limit) }
        return try reading { () throws(BlockError) in
            var symbols = Set<UInt64>()
            for ref in try index.select(matchers) { try index.collectNames(of: try index.seriesEntry(ref), into: &symbols) }
            return try limited(strings(symbols), limit)
        }
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        try reading { () throws(BlockError) in
            if matchers.isEmpty { return try index.labelValues(name, limit: limit > 0 ? limit + 1 : 0) }
            guard !name.isEmpty, let symbol = index.symbols.find(name.bytes.span) else { return [] }
            let refs = try index.select(matchers)
            if let found = try index.values(of: name, among: refs) { return limited(found, limit) }
            var symbols = Set<UInt64>()
            for ref in refs {
                if let value = try index.valueSymbol(of: try index.seriesEntry(ref), name: symbol) { symbols.insert(value) }
            }
            return try limited(strings(symbols), limit)
        }
    }

    private func strings(_ symbols: Set<UInt64>) throws(BlockError) -> [ByteString] {
        // Symbols are numbered in byte order.
        var strings: [ByteString] = []
        strings.reserveCapacity(symbols.count)
        for symbol in symbols.sorted() {
            guard let content = unsafe index.symbols.content(symbol) else {
                throw BlockError(.corrupt, "unknown symbol offset \(symbol) (\(index.path))")
            }
            strings.append(unsafe ByteString(Array(content)))
        }
        return strings
    }

    /// One more than the limit, so that the caller sees that there are more.
    private func limited(_ strings: [ByteString], _ limit: Int) -> [ByteString] {
        limit > 0 && strings.count > limit ? Array(strings[...limit]) : strings
    }
}

/// Where the parts of a series lie in the index: 24 bytes, so that a select of many series holds little.
struct BlockSeries: BitwiseCopyable {
    private let labels: Int
    private let labelCount: UInt32
    private let chunksOffset: UInt32
    private let endOffset: UInt32
    let ref: UInt32

    init?(_ entry: SeriesEntry, ref: UInt32) {
        labels = entry.labels
        guard let count = UInt32(exactly: entry.labelCount), let chunks = UInt32(exactly: entry.chunks &- entry.labels),
            let end = UInt32(exactly: entry.end &- entry.labels)
        else { return nil }
        labelCount = count
        chunksOffset = chunks
        endOffset = end
        self.ref = ref
    }

    var entry: SeriesEntry {
        SeriesEntry(
            labels: labels, labelCount: Int(labelCount), chunks: labels &+ Int(chunksOffset), end: labels &+ Int(endOffset))
    }

    /// Those of `refs` that have a chunk in `[minTime, maxTime]` that is not wholly deleted.
    static func list(
        _ index: IndexReader, _ refs: [UInt32], _ tombstones: Tombstones, _ minTime: Int64, _ maxTime: Int64
    ) throws(BlockError) -> [BlockSeries] {
        var series: [BlockSeries] = []
        series.reserveCapacity(refs.count)
        for ref in refs {
            let entry = try index.seriesEntry(ref)
            let deleted = tombstones[UInt64(ref)]
            var chunks = try index.chunks(of: entry)
            while let chunk = try chunks.next() {
                if chunk.minTimeMs > maxTime { break }
                if chunk.maxTimeMs < minTime || deleted.covers(chunk.minTimeMs, chunk.maxTimeMs) { continue }
                guard let one = BlockSeries(entry, ref: ref) else {
                    throw .corrupt(index.path, entry.labels, "a series of more than 4 GiB")
                }
                series.append(one)
                break
            }
        }
        return series
    }
}

/// The series of one select.
final class BlockSeriesSet: SeriesSet {
    /// Keeps the block open: a set must not outlive its querier's hold.
    private let querier: BlockQuerier
    private let ulid: ULID
    private let index: IndexReader
    private let chunks: ChunkFileReader
    private let tombstones: Tombstones
    private let series: [BlockSeries]

    init(
        querier: BlockQuerier, ulid: ULID, index: IndexReader, chunks: ChunkFileReader, tombstones: Tombstones,
        series: [BlockSeries]
    ) {
        self.querier = querier
        self.ulid = ulid
        self.index = index
        self.chunks = chunks
        self.tombstones = tombstones
        self.series = series
    }

    var count: Int { series.count }

    func labels(at index: Int) -> LabelSet { self.index.labelSet(of: series[index].entry) ?? .empty }

    /// Whether both have the same label sets in the same order, as far as their numbers tell.
    func hasSameLabels(as other: BlockSeriesSet) -> Bool {
        guard series.count == other.series.count, index.hasSameSymbols(as: other.index) else { return false }
        for position in series.indices {
            if !index.hasSameLabels(series[position].entry, as: other.series[position].entry, of: other.index) { return false }
        }
        return true
    }

    func labelReader(keeping names: [ByteString]) -> any LabelReader { BlockLabelReader(index, series, names) }

    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let one = series[index]
        let deleted = tombstones[UInt64(one.ref)]
        if deleted.isEmpty, try decodeByCache(one, minTimeMs, maxTimeMs, &columns) { return }
        do throws(BlockError) {
            var metas = try self.index.chunks(of: one.entry)
            while let meta = try metas.next() {
                if meta.minTimeMs > maxTimeMs { break }
                if meta.maxTimeMs < minTimeMs { continue }
                if deleted.isEmpty {
                    try chunks.decode(meta, ulid, minTimeMs, maxTimeMs, into: &columns)
                    continue
                }
                let (first, last) = (max(minTimeMs, meta.minTimeMs), min(maxTimeMs, meta.maxTimeMs))
                for range in deleted.remainder(of: first, last) {
                    try chunks.decode(meta, ulid, range.lowerBound, range.upperBound, into: &columns)
                }
            }
        } catch { throw StorageError(error.description) }
    }

    /// True when that was all there is to do.
    private func decodeByCache(
        _ one: BlockSeries, _ minTimeMs: Int64, _ maxTimeMs: Int64, _ columns: inout SampleColumns
    ) throws(StorageError) -> Bool {
        guard let cache = querier.block.cache else { return false }
        let number = querier.block.number
        switch cache.find(one.ref, of: number, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs) {
        case .hit(let run):
            run.append(minTimeMs, maxTimeMs, to: &columns)
            return true
        case .miss: return false
        case .wanted:
            let start = columns.count
            let covers: ClosedRange<Int64>?
            do throws(BlockError) { covers = try decodeWhole(one, minTimeMs, maxTimeMs, &columns) } catch {
                throw StorageError(error.description)
            }
            guard let covers, let run = DecodedRun.make(columns, from: start, covers: covers) else {
                columns.truncate(toCount: start)
                return false
            }
            cache.insert(one.ref, of: number, run)
            columns.keepFloats(from: start, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
            return true
        }
    }

    /// Appends the chunks that have samples in a range, each of them whole.
    /// - Returns: what time they are all there is of; nil when they are not worth keeping, and may not all be there.
    private func decodeWhole(
        _ one: BlockSeries, _ minTimeMs: Int64, _ maxTimeMs: Int64, _ columns: inout SampleColumns
    ) throws(BlockError) -> ClosedRange<Int64>? {
        let start = columns.count
        var (lowest, highest) = (Int64.min, Int64.max)
        var lastMaxMs: Int64?
        var metas = try index.chunks(of: one.entry)
        while let meta = try metas.next() {
            // In order and apart, as every writer has them: or else what lies between two is not clear.
            if let lastMaxMs, meta.minTimeMs <= lastMaxMs { return nil }
            if meta.minTimeMs > maxTimeMs {
                highest = meta.minTimeMs &- 1
                break
            }
            lastMaxMs = meta.maxTimeMs
            if meta.maxTimeMs < minTimeMs {
                lowest = meta.maxTimeMs &+ 1
                continue
            }
            // Others may have start timestamps, or histograms, which not every query wants.
            guard try chunks.encoding(of: meta, ulid) == ChunkEncoding.xor.rawValue else { return nil }
            try chunks.decode(meta, ulid, .min, .max, into: &columns)
            if columns.count - start > DecodedRun.maxSamples { return nil }
        }
        return lowest <= minTimeMs && minTimeMs <= maxTimeMs && maxTimeMs <= highest ? lowest...highest : nil
    }
}

/// Reads labels by their symbols, which are numbered in the order of bytes.
private final class BlockLabelReader: LabelReader {
    private let index: IndexReader
    private let series: [BlockSeries]
    private let names: [ByteString]
    /// Those of `names` that some series of the block has.
    private let symbols: [UInt64]
    private var projection = LabelProjection()

    init(_ index: IndexReader, _ series: [BlockSeries], _ names: [ByteString]) {
        self.index = index
        self.series = series
        self.names = names
        symbols = Set(names).compactMap { $0.isEmpty ? nil : index.symbols.find($0.bytes.span) }
    }

    func labels(at index: Int) -> LabelSet {
        if symbols.isEmpty { return .empty }
        let entry = series[index].entry
        guard symbols.count <= LabelProjection.maximumNames, let key = self.index.projectionKey(of: entry, symbols) else {
            return cut(entry)
        }
        return projection.labels(key) { cut(entry) }
    }

    private func cut(_ entry: SeriesEntry) -> LabelSet { index.labelSet(of: entry)?.filtered(names, keep: true) ?? .empty }
}
