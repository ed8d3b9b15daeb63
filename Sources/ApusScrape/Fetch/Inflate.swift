import CDeflate

/// Why a body could not be unpacked.
enum InflateError: Error, Equatable {
    case notGzip
    /// Begins as gzip does, and is shorter than the shortest gzip body.
    case truncated
    case corrupt
    case tooLarge
    case outOfMemory
}

/// Unpacks gzip bodies, whole, with libdeflate. One per thread.
@safe final class Inflater {
    private let decompressor: OpaquePointer?
    init() { unsafe decompressor = libdeflate_alloc_decompressor() }
    deinit { unsafe libdeflate_free_decompressor(decompressor) }

    /// Unpacks all members of `body` into `output`.
    /// - Parameter limit: the most bytes that `output` may then hold; one more is an error.
    func gunzip(_ body: BodyBuffer, into output: BodyBuffer, limit: Int) throws(InflateError) {
        guard let decompressor = unsafe decompressor else { throw .outOfMemory }
        guard let input = unsafe body.start, body.count > 0 else { throw .notGzip }
        var offset = 0
        while offset < body.count {
            let left = body.count - offset
            guard left >= 18, unsafe input[offset] == 0x1F, unsafe input[offset + 1] == 0x8B else {
                // What follows the last member is ignored when it is padding, and is an error when it comes first.
                if offset > 0 { throw .corrupt }
                if unsafe input[0] == 0x1F && (left < 2 || input[1] == 0x8B) { throw .truncated }
                throw .notGzip
            }
            // The last four bytes say how long the last member is; it is a hint, since anyone can write anything there.
            let trailer = unsafe UInt32(input[body.count - 4]) | UInt32(input[body.count - 3]) << 8
                | UInt32(input[body.count - 2]) << 16 | UInt32(input[body.count - 1]) << 24
            // Deflate cannot expand by more than 1,032 to one.
            var room = min(Int(trailer), left * 1032) + 1
            while true {
                guard output.count <= limit else { throw .tooLarge }
                room = min(room, limit - output.count + 1)
                guard output.reserve(output.count + room), let start = unsafe output.start else { throw .outOfMemory }
                var used = 0
                var written = 0
                // SAFETY: `left` bytes can be read and `room` bytes written, and neither pointer is kept.
                let result = unsafe libdeflate_gzip_decompress_ex(
                    decompressor, input + offset, left, start + output.count, room, &used, &written)
                if result == LIBDEFLATE_SUCCESS {
                    output.addCount(written)
                    guard output.count <= limit else { throw .tooLarge }
                    guard used > 0 else { throw .corrupt }
                    offset += used
                    break
                }
                guard result == LIBDEFLATE_INSUFFICIENT_SPACE else { throw .corrupt }
                if room > limit - output.count { throw .tooLarge }
                room = max(room * 2, 64 << 10)
            }
        }
    }
}
