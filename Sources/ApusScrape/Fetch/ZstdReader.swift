import CZstd

/// Unpacks zstd bodies, of one frame or several. Keeps its context, which is made at the first body.
@safe final class ZstdReader {
    private var context: OpaquePointer?
    /// 8 MiB of window, all that HTTP allows (RFC 9659): a frame can ask for gigabytes.
    static let maxWindowLog: Int32 = 23

    init() { unsafe context = nil }
    deinit { unsafe ZSTD_freeDCtx(context) }

    /// - Parameter limit: the most bytes that `output` may then hold; one more is an error.
    func unpack(_ body: BodyBuffer, into output: BodyBuffer, limit: Int) throws(InflateError) {
        if unsafe context == nil { unsafe context = ZSTD_createDCtx() }
        guard let context = unsafe context else { throw .outOfMemory }
        guard let start = unsafe body.start else { throw .empty }
        unsafe ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters)
        unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.maxWindowLog)
        var input = unsafe ZSTD_inBuffer(src: start, size: body.count, pos: 0)
        var room = max(body.count * 4, 64 << 10)
        var missing = 1
        while true {
            guard output.count <= limit else { throw .tooLarge }
            room = min(room, limit - output.count + 1)
            guard output.reserve(output.count + room), let end = unsafe output.start else { throw .outOfMemory }
            var target = unsafe ZSTD_outBuffer(dst: end + output.count, size: room, pos: 0)
            // SAFETY: `body.count` bytes can be read and `room` bytes written, and neither pointer is kept.
            missing = unsafe ZSTD_decompressStream(context, &target, &input)
            if ZSTD_isError(missing) != 0 { throw .corruptZstd }
            output.addCount(unsafe target.pos)
            // All is out when a frame is at its end, or when nothing more fills what room there is.
            if unsafe input.pos == input.size && (missing == 0 || target.pos < room) { break }
            if unsafe target.pos == room { room = room * 2 }
        }
        guard output.count <= limit else { throw .tooLarge }
        guard missing == 0 else { throw .truncated }
    }
}
