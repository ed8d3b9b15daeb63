import ApusModel
import ApusStorage

extension Block {
    /// The series with the samples in `[minTimeMs, maxTimeMs]`, both ends included, without those that are deleted: what
    /// a block is written from. Chunks that stay whole are passed on as they are, others are encoded again.
    ///
    /// The set is a reader of the block until it goes away.
    public func chunkSeries(minTimeMs: Int64, maxTimeMs: Int64) throws(BlockError) -> any ChunkSeriesSet {
        try BlockChunkSeries(self, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }
}

final class BlockChunkSeries: ChunkSeriesSet {
    private let block: Block
    private let parts: Block.Parts
    private let tombstones: Tombstones
    private let minTimeMs: Int64
    private let maxTimeMs: Int64
    private let refs: [UInt32]
    private var position = 0
    private var columns = SampleColumns(histograms: true)

    private(set) var labels = LabelSet.empty
    private(set) var chunks: [EncodedChunk] = []

    init(_ block: Block, minTimeMs: Int64, maxTimeMs: Int64) throws(BlockError) {
        let (parts, tombstones) = try block.beginReading()
        do throws(BlockError) { refs = try parts.index.allPostings() } catch {
            block.endReading()
            throw error
        }
        self.block = block
        self.parts = parts
        self.tombstones = tombstones
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }

    deinit { block.endReading() }

    func next() throws(StorageError) -> Bool {
        do throws(BlockError) { return try advance() } catch { throw StorageError("block \(block.ulid): \(error.description)") }
    }

    /// To the next series that has a chunk in the range.
    private func advance() throws(BlockError) -> Bool {
        while position < refs.count {
            let ref = refs[position]
            position += 1
            let entry = try parts.index.seriesEntry(ref)
            let deleted = tombstones[UInt64(ref)]
            chunks.removeAll(keepingCapacity: true)
            var metas = try parts.index.chunks(of: entry)
            while let meta = try metas.next() {
                if meta.minTimeMs > maxTimeMs { break }
                if meta.maxTimeMs >= minTimeMs { try append(meta, deleted) }
            }
            if chunks.isEmpty { continue }
            guard let found = parts.index.labelSet(of: entry) else {
                throw .corrupt(parts.index.path, entry.labels, "read series: unknown symbol offset")
            }
            labels = found
            return true
        }
        chunks = []
        labels = .empty
        return false
    }

    private func append(_ meta: ChunkMeta, _ deleted: [DeletedInterval]) throws(BlockError) {
        if deleted.covers(meta.minTimeMs, meta.maxTimeMs) { return }
        let isWhole =
            meta.minTimeMs >= minTimeMs && meta.maxTimeMs <= maxTimeMs && !deleted.overlaps(meta.minTimeMs, meta.maxTimeMs)
        if isWhole {
            let chunk = try parts.chunks.chunk(meta, of: block.ulid)
            guard let encoding = ChunkEncoding(rawValue: chunk.encoding) else {
                throw .corrupt(parts.chunks.path(of: meta.ref), meta.ref.offset, "invalid chunk encoding \"\(chunk.encoding)\"")
            }
            chunks.append(
                EncodedChunk(
                    encoding: encoding, minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, bytes: unsafe Array(chunk.bytes)))
            return
        }
        columns.removeAll()
        for range in deleted.remainder(of: max(minTimeMs, meta.minTimeMs), min(maxTimeMs, meta.maxTimeMs)) {
            try parts.chunks.decode(meta, block.ulid, range.lowerBound, range.upperBound, into: &columns)
        }
        chunks.append(contentsOf: encodeChunks(columns))
    }
}
