import CZlib

/// `bytes` as a gzip member (RFC 1952), or nil if zlib fails, for lack of memory.
func gzip(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = unsafe z_stream()
    // 15 bits of window, + 16 for the gzip frame. Level 1: a page is repetition, which every level finds.
    guard unsafe czlib_deflate_init(&stream, 1, 15 + 16) == Z_OK else { return nil }
    defer { unsafe deflateEnd(&stream) }
    guard let inputCount = UInt32(exactly: bytes.count) else { return nil }
    let bound = unsafe deflateBound(&stream, UInt(bytes.count))
    return unsafe bytes.withUnsafeBufferPointer { input -> [UInt8]? in
        var isComplete = false
        let output = unsafe [UInt8](unsafeUninitializedCapacity: Int(bound)) { output, count in
            // SAFETY: zlib reads `avail_in` and writes at most `avail_out` bytes, the sizes of the two buffers, whose
            // addresses it does not keep beyond this closure. It declares its input mutable but only reads it.
            unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            unsafe stream.avail_in = inputCount
            unsafe stream.next_out = output.baseAddress
            unsafe stream.avail_out = UInt32(clamping: output.count)
            isComplete = unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END
            count = unsafe Int(stream.total_out)
        }
        return isComplete ? output : nil
    }
}
