import ApusBytes
import CSnappy
import CZstd

/// How a log compresses its records. Each says itself how it is compressed, so a log may hold all kinds.
public enum WALCompression: String, Sendable, CaseIterable {
    case none, snappy, zstd
}

/// Compresses records one by one, keeping its buffers.
@safe struct RecordCompressor: ~Copyable, @unchecked Sendable {
    // `@unchecked`: the context belongs to this value alone.
    let compression: WALCompression
    private var output = ByteWriter(capacity: 4096)
    private let zstd: OpaquePointer?

    /// Speed over size, as it runs once per commit.
    private static let zstdLevel: Int32 = 1

    init(_ compression: WALCompression) {
        self.compression = compression
        unsafe zstd = compression == .zstd ? ZSTD_createCCtx() : nil
    }

    deinit { if let zstd = unsafe zstd { _ = unsafe ZSTD_freeCCtx(zstd) } }

    /// Gives memory back that one large record took.
    mutating func trim(to limit: Int) { output.removeAll(keepingAtMost: limit) }

    /// The record compressed, and the flag for its header; the record itself when that is no longer than its compressed
    /// form. Valid until the next call, or as long as `record`.
    @unsafe mutating func compress(_ record: UnsafeRawBufferPointer) -> (bytes: UnsafeRawBufferPointer, flag: UInt8) {
        output.removeAll()
        guard record.count > 0, let start = record.baseAddress else { return unsafe (record, 0) }
        switch compression {
        case .none: return unsafe (record, 0)
        case .snappy:
            var length = snappy_max_compressed_length(record.count)
            output.reserve(length)
            // SAFETY: `length` bytes are reserved at `end`; the call writes no more and says how many.
            let status = unsafe snappy_compress(
                start.assumingMemoryBound(to: CChar.self), record.count, UnsafeMutableRawPointer(output.end).assumingMemoryBound(to: CChar.self),
                &length)
            guard status == SNAPPY_OK, length < record.count else { return unsafe (record, 0) }
            unsafe output.advance(by: length)
            return unsafe (output.bytes, SegmentFormat.snappyFlag)
        case .zstd:
            guard let zstd = unsafe zstd else { return unsafe (record, 0) }
            let most = ZSTD_compressBound(record.count)
            output.reserve(most)
            // SAFETY: `most` bytes are reserved at `end`.
            let length = unsafe ZSTD_compressCCtx(zstd, output.end, most, start, record.count, Self.zstdLevel)
            guard ZSTD_isError(length) == 0, length < record.count else { return unsafe (record, 0) }
            unsafe output.advance(by: length)
            return unsafe (output.bytes, SegmentFormat.zstdFlag)
        }
    }
}

/// Undoes the compression of records, whichever each has. The size a record claims is never trusted: memory grows with
/// what is really there, up to `SegmentFormat.maxRecordBytes`.
@safe struct RecordDecompressor: ~Copyable, @unchecked Sendable {
    // `@unchecked`: the context belongs to this value alone.
    private var output = ByteWriter(capacity: 4096)
    private var zstd: OpaquePointer?
    private let maxRecordBytes: Int

    /// Snappy turns three bytes into at most 64.
    private static let snappyMaxRatio = 22
    private static let zstdFirstGuess = 64 << 10

    init(maxRecordBytes: Int = SegmentFormat.maxRecordBytes) {
        self.maxRecordBytes = maxRecordBytes
        unsafe zstd = nil
    }

    deinit { if let zstd = unsafe zstd { _ = unsafe ZSTD_freeDCtx(zstd) } }

    struct Failure: Error { let reason: String }

    /// The record of `flags` (a fragment's type byte); valid until the next call, or as long as `bytes`.
    @unsafe mutating func decompress(_ bytes: UnsafeRawBufferPointer, flags: UInt8) throws(Failure) -> UnsafeRawBufferPointer {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return unsafe bytes }
        if flags & SegmentFormat.snappyFlag != 0 { return try unsafe snappy(start, bytes.count) }
        if flags & SegmentFormat.zstdFlag != 0 { return try unsafe zstandard(start, bytes.count) }
        return unsafe bytes
    }

    private mutating func snappy(_ start: UnsafeRawPointer, _ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
        let source = unsafe start.assumingMemoryBound(to: CChar.self)
        var length = 0
        guard unsafe snappy_uncompressed_length(source, count, &length) == SNAPPY_OK, length <= count * Self.snappyMaxRatio + 64 else {
            throw Failure(reason: "snappy: corrupt input")
        }
        if length > maxRecordBytes { throw Failure(reason: tooLarge) }
        output.removeAll()
        output.reserve(max(length, 1))
        // SAFETY: `length` bytes are reserved at `end`, which is as many as the input says; the call checks all else.
        let status = unsafe snappy_uncompress(source, count, UnsafeMutableRawPointer(output.end).assumingMemoryBound(to: CChar.self), &length)
        guard status == SNAPPY_OK else { throw Failure(reason: "snappy: corrupt input") }
        unsafe output.advance(by: length)
        return unsafe output.bytes
    }

    private mutating func zstandard(_ start: UnsafeRawPointer, _ count: Int) throws(Failure) -> UnsafeRawBufferPointer {
        if unsafe zstd == nil { unsafe zstd = ZSTD_createDCtx() }
        guard let context = unsafe zstd else { throw Failure(reason: "zstd: no memory for a decoder") }
        _ = unsafe ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        output.removeAll()
        var input = unsafe ZSTD_inBuffer(src: start, size: count, pos: 0)
        // A frame that was begun must end.
        var wanted = 0
        while unsafe input.pos < input.size || wanted > 0 {
            if output.capacity == output.count {
                if output.count >= maxRecordBytes { throw Failure(reason: tooLarge) }
                output.reserve(min(max(Self.zstdFirstGuess, output.count), maxRecordBytes - output.count))
            }
            let room = min(output.capacity, maxRecordBytes) - output.count
            if room <= 0 { throw Failure(reason: tooLarge) }
            let before = unsafe input.pos
            // SAFETY: `room` bytes are free at `end`.
            var target = unsafe ZSTD_outBuffer(dst: output.end, size: room, pos: 0)
            unsafe wanted = ZSTD_decompressStream(context, &target, &input)
            if ZSTD_isError(wanted) != 0 { throw unsafe Failure(reason: "zstd: " + String(cString: ZSTD_getErrorName(wanted))) }
            unsafe output.advance(by: target.pos)
            if unsafe input.pos == before && target.pos == 0 { throw Failure(reason: "zstd: unexpected end of input") }
        }
        return unsafe output.bytes
    }

    private var tooLarge: String { "record of more than \(maxRecordBytes) bytes" }
}
