import ApusStorage

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
