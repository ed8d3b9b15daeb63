public import ApusStorage

/// Appends the samples of a mapped chunk in `[minTimeMs, maxTimeMs]`.
func decode(
    _ chunk: borrowing MappedChunk, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns
) throws(ChunkError) {
    guard let encoding = ChunkEncoding(rawValue: chunk.encoding) else {
        throw ChunkError("invalid chunk encoding \"\(chunk.encoding)\"")
    }
    try unsafe decodeChunk(
        encoding, chunk.bytes, readableSlack: chunk.readableSlack, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
}

extension ChunkFileReader {
    /// Appends the samples of a chunk in `[minTimeMs, maxTimeMs]`.
    func decode(
        _ meta: ChunkMeta, _ ulid: ULID, _ minTimeMs: Int64, _ maxTimeMs: Int64, into columns: inout SampleColumns
    ) throws(BlockError) {
        let chunk = try chunk(meta, of: ulid)
        do throws(ChunkError) {
            try ApusTSDB.decode(chunk, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
        } catch {
            throw .corrupt(
                path(of: meta.ref), meta.ref.offset,
                "cannot iterate chunk \(meta.ref.rawValue) of block \(ulid): \(error.description)")
        }
    }

    /// Not every byte is an encoding we know.
    func encoding(of meta: ChunkMeta, _ ulid: ULID) throws(BlockError) -> UInt8 { try chunk(meta, of: ulid).encoding }

    func chunk(_ meta: ChunkMeta, of ulid: ULID) throws(BlockError) -> MappedChunk {
        do throws(BlockError) {
            return try chunk(meta.ref)
        } catch { throw error.during("cannot populate chunk \(meta.ref.rawValue) from block \(ulid)") }
    }

    /// Appends all samples of a chunk; for tools.
    public func appendSamples(of ref: BlockChunkRef, into columns: inout SampleColumns) throws(BlockError) {
        let chunk = try chunk(ref)
        do throws(ChunkError) {
            try ApusTSDB.decode(chunk, minTimeMs: .min, maxTimeMs: .max, into: &columns)
        } catch { throw .corrupt(path(of: ref), ref.offset, error.description) }
    }
}
