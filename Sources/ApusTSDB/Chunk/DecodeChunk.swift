public import ApusStorage

/// Appends the samples of a chunk of any encoding that lie in `[minTimeMs, maxTimeMs]`; on an error nothing is appended.
///
/// Any bytes are safe. Histograms are left out when the columns do not want them.
/// - Parameter bytes: the chunk from its sample count on, without length, encoding and checksum.
/// - Parameter readableSlack: bytes that can be read behind the chunk, whatever they hold. With fewer than
///   `chunkReadSlackBytes` the chunk is copied first.
/// - Parameter limit: decode no more than the first so many samples.
@unsafe public func decodeChunk(
    _ encoding: ChunkEncoding, _ bytes: UnsafeRawBufferPointer, readableSlack: Int = 0, limit: Int = .max, minTimeMs: Int64 = .min,
    maxTimeMs: Int64 = .max, into columns: inout SampleColumns
) throws(ChunkError) {
    if !columns.wantsHistograms && !encoding.isFloat { return }
    if readableSlack >= chunkReadSlackBytes, let base = bytes.baseAddress {
        return try unsafe decodeChunk(encoding, base, bytes.count, limit, minTimeMs, maxTimeMs, &columns)
    }
    let padded = unsafe [UInt8](unsafeUninitializedCapacity: bytes.count + chunkReadSlackBytes) { buffer, count in
        // SAFETY: the capacity is the chunk's size and the slack.
        let target = UnsafeMutableRawBufferPointer(buffer)
        unsafe target.copyMemory(from: bytes)
        for index in bytes.count..<bytes.count + chunkReadSlackBytes { unsafe target[index] = 0 }
        count = bytes.count + chunkReadSlackBytes
    }
    // The closure cannot throw a type of its own, so the result says what happened.
    let result: Result<Void, ChunkError> = unsafe padded.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return .success(()) }
        do throws(ChunkError) {
            return .success(try unsafe decodeChunk(encoding, base, bytes.count, limit, minTimeMs, maxTimeMs, &columns))
        } catch { return .failure(error) }
    }
    try result.get()
}

/// - Parameter base: `sizeBytes` bytes of chunk and the slack.
private func decodeChunk(
    _ encoding: ChunkEncoding, _ base: UnsafeRawPointer, _ sizeBytes: Int, _ limit: Int, _ minTimeMs: Int64, _ maxTimeMs: Int64,
    _ columns: inout SampleColumns
) throws(ChunkError) {
    let before = columns.count
    do throws(ChunkError) {
        switch encoding {
        case .xor:
            try unsafe decodeXORChunk(base, sizeBytes: sizeBytes, limit: limit, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
        case .xor2:
            var decoder = try unsafe XOR2Decoder(base, sizeBytes: sizeBytes)
            try decoder.decode(limit: limit, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
        case .histogram, .floatHistogram, .histogramWithStart, .floatHistogramWithStart:
            var decoder = try unsafe HistogramDecoder(base, sizeBytes: sizeBytes, isFloat: encoding.isFloatHistogram, hasStart: encoding.hasStart)
            try decoder.decode(limit: limit, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
        }
    } catch {
        columns.truncate(toCount: before)
        throw error
    }
}

/// The samples of an XOR chunk that lie in a range.
/// - Parameter base: `sizeBytes` bytes of chunk and the slack.
/// - Parameter count: samples, where the caller knows better than the header.
@inline(__always)
func decodeXORChunk(
    _ base: UnsafeRawPointer, sizeBytes: Int, count: Int? = nil, limit: Int, minTimeMs: Int64, maxTimeMs: Int64,
    into columns: inout SampleColumns
) throws(ChunkError) {
    if sizeBytes < 2 { throw ChunkError("chunk is shorter than its header") }
    // SAFETY: there are two bytes.
    let count = unsafe count ?? Int(base.load(as: UInt8.self)) << 8 | Int(base.load(fromByteOffset: 1, as: UInt8.self))
    // A sample takes two bits or more. Checked first, so that 3 bytes cannot ask for room for 65535 samples.
    if count > sizeBytes &* 4 { throw ChunkError("chunk of \(sizeBytes) bytes cannot hold \(count) samples") }
    try unsafe columns.appendUninitialized(maximum: min(count, max(0, limit))) { (times, values) throws(ChunkError) -> Int in
        // SAFETY: the caller vouches for the slack, and the columns have the room.
        var end = try unsafe decodeXOR(base, sizeBytes: sizeBytes, count: count, limit: limit, times: times, values: values)
        while unsafe end > 0 && times[end &- 1] > maxTimeMs { end &-= 1 }
        var start = 0
        // A chunk holds hours or a moment more than is wanted: seldom anything in between.
        if unsafe end > 0 && times[0] < minTimeMs {
            var high = end
            while start < high {
                let middle = (start &+ high) &>> 1
                if unsafe times[middle] < minTimeMs { start = middle &+ 1 } else { high = middle }
            }
        }
        if start > 0 {
            // SAFETY: both ranges lie in the room; `update` allows overlap.
            unsafe times.update(from: times + start, count: end &- start)
            unsafe values.update(from: values + start, count: end &- start)
        }
        return end &- start
    }
}

extension EncodedChunk {
    /// Appends the samples that lie in a range; on an error nothing is appended.
    public func decode(minTimeMs: Int64 = .min, maxTimeMs: Int64 = .max, into columns: inout SampleColumns) throws(ChunkError) {
        let result: Result<Void, ChunkError> = unsafe bytes.withUnsafeBytes { buffer in
            do throws(ChunkError) {
                return .success(try unsafe decodeChunk(encoding, buffer, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns))
            } catch { return .failure(error) }
        }
        try result.get()
    }
}
