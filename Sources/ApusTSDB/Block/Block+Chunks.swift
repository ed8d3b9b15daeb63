extension Block {
    /// The chunks of some series as they lie in the block, tombstones not applied: for tools that look at chunks.
    public func chunks(of refs: [UInt32]) throws(BlockError) -> BlockChunks {
        let (parts, _) = try beginReading()
        return BlockChunks(block: self, parts: parts, refs: refs)
    }
}

/// Chunks one after another, series by series. For one thread.
public final class BlockChunks {
    private let block: Block
    private let parts: Block.Parts
    private let refs: [UInt32]
    private var nextRef = 0
    private var metas: [ChunkMeta] = []
    private var nextMeta = 0

    init(block: Block, parts: Block.Parts, refs: [UInt32]) {
        self.block = block
        self.parts = parts
        self.refs = refs
    }

    deinit { block.endReading() }

    /// The next chunk, its checksum found right; nil behind the last.
    public func next() throws(BlockError) -> EncodedChunk? {
        while nextMeta >= metas.count {
            guard nextRef < refs.count else { return nil }
            metas = try parts.index.series(refs[nextRef]).chunks
            nextRef += 1
            nextMeta = 0
        }
        let meta = metas[nextMeta]
        nextMeta += 1
        return try parts.chunks.encodedChunk(meta)
    }
}

extension ChunkFileReader {
    /// A copy of a chunk.
    func encodedChunk(_ meta: ChunkMeta) throws(BlockError) -> EncodedChunk {
        let mapped = try chunk(meta.ref)
        guard let encoding = ChunkEncoding(rawValue: mapped.encoding) else {
            throw .corrupt(path(of: meta.ref), meta.ref.offset, "unknown chunk encoding \(mapped.encoding)")
        }
        return EncodedChunk(
            encoding: encoding, minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, bytes: unsafe Array(mapped.bytes))
    }
}
