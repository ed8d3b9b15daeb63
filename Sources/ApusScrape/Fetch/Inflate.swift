import CDeflate
import CZlib

/// Why a body could not be unpacked.
enum InflateError: Error, Equatable {
    case empty
    case notGzip
    /// Ends before its end.
    case truncated
    case wrongChecksum
    case corrupt
    case corruptZstd
    case tooLarge
    case outOfMemory

    /// For the targets page, in Go's words where it has some.
    func reason(packedBytes: Int) -> FetchFailure {
        switch self {
        case .empty: FetchFailure("EOF")
        case .notGzip: FetchFailure("gzip: invalid header")
        case .truncated: FetchFailure("unexpected EOF")
        case .wrongChecksum: FetchFailure("gzip: invalid checksum")
        case .corrupt: FetchFailure("flate: corrupt input")
        case .corruptZstd: FetchFailure("zstd: corrupt input")
        case .outOfMemory: FetchFailure("out of memory for a body of \(packedBytes) packed bytes")
        case .tooLarge: .bodySizeLimit
        }
    }
}

/// Unpacks bodies: gzip whole, with libdeflate, and zstd. One per thread.
@safe final class Inflater {
    private let decompressor: OpaquePointer?
    private let zstd = ZstdReader()
    init() { unsafe decompressor = libdeflate_alloc_decompressor() }
    deinit { unsafe libdeflate_free_decompressor(decompressor) }

    /// Unpacks a body that is packed as `coding` says.
    /// - Parameter limit: the most bytes that `output` may then hold; one more is an error.
    func unpack(_ body: BodyBuffer, _ coding: BodyCoding, into output: BodyBuffer, limit: Int) throws(InflateError) {
        guard body.count > 0 else { throw .empty }
        switch coding {
        case .gzip: try gunzip(body, into: output, limit: limit)
        case .zstd: try zstd.unpack(body, into: output, limit: limit)
        case .identity:
            guard body.count <= limit else { throw .tooLarge }
            guard output.reserve(body.count), let start = unsafe body.start, unsafe output.append(start, count: body.count) else { throw .outOfMemory }
        }
    }

    /// Unpacks all members of `body` into `output`.
    /// - Parameter limit: the most bytes that `output` may then hold; one more is an error.
    func gunzip(_ body: BodyBuffer, into output: BodyBuffer, limit: Int) throws(InflateError) {
        guard let decompressor = unsafe decompressor else { throw .outOfMemory }
        guard let input = unsafe body.start, body.count > 0 else { throw .notGzip }
        var offset = 0
        while offset < body.count {
            let left = body.count - offset
            guard left >= 18, unsafe input[offset] == 0x1F, unsafe input[offset + 1] == 0x8B else {
                // Another member must follow the last one, or nothing.
                if offset > 0 && left < 10 { throw .truncated }
                if unsafe input[offset] == 0x1F && (left < 2 || input[offset + 1] == 0x8B) { throw .truncated }
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
                guard result == LIBDEFLATE_INSUFFICIENT_SPACE else {
                    throw unsafe Self.fault(of: input + offset, count: left, limit: limit - output.count)
                }
                if room > limit - output.count { throw .tooLarge }
                room = max(room * 2, 64 << 10)
            }
        }
    }

    /// What is wrong with a member: libdeflate does not say, and zlib, which does, is asked only then. It unpacks into a
    /// small buffer, and at most as much as a good page would be.
    private static func fault(of member: UnsafePointer<UInt8>, count: Int, limit: Int) -> InflateError {
        var stream = unsafe z_stream()
        // 31: the largest window, and gzip's header and trailer.
        guard unsafe inflateInit2_(&stream, 31, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else { return .outOfMemory }
        defer { unsafe inflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: 64 << 10)
        unsafe stream.next_in = UnsafeMutablePointer(mutating: member)
        unsafe stream.avail_in = UInt32(clamping: count)
        var made = 0
        while made <= limit {
            // SAFETY: zlib writes at most `avail_out` bytes and does not write to its input.
            let result = unsafe output.withUnsafeMutableBufferPointer { buffer -> CInt in
                unsafe stream.next_out = buffer.baseAddress
                unsafe stream.avail_out = UInt32(buffer.count)
                return unsafe inflate(&stream, Z_NO_FLUSH)
            }
            made += output.count - Int(unsafe stream.avail_out)
            switch result {
            case Z_OK: if unsafe stream.avail_in == 0 && stream.avail_out > 0 { return .truncated }
            case Z_BUF_ERROR: return .truncated
            case Z_DATA_ERROR:
                guard let message = unsafe stream.msg else { return .corrupt }
                let text = unsafe String(cString: message)
                return text == "incorrect data check" || text == "incorrect length check" ? .wrongChecksum : .corrupt
            default: return .corrupt
            }
        }
        return .tooLarge
    }
}
