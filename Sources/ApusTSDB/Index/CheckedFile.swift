import ApusBytes

/// A mapped file of sections, each read within its bounds and held against its checksum.
@safe final class CheckedFile: @unchecked Sendable {
    // `@unchecked`: nothing changes after `init`; the mapping is read-only.
    let path: String
    private let mapping: any FileMapping
    let base: UnsafeRawPointer
    let count: Int

    init(path: String, files: some FileSystem) throws(BlockError) {
        self.path = path
        mapping = try withFiles { () throws(FileError) in try files.map(path) }
        let bytes = unsafe mapping.bytes
        count = bytes.count
        // Without bytes an address that is never read.
        unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8).unsafelyUnwrapped
    }

    /// A reader of `[start, end)`; its offsets count from `start`. Not to be used beyond the life of the file.
    func reader(_ start: Int, _ end: Int) throws(BlockError) -> ByteReader {
        guard start >= 0, start <= end, end <= count else { throw .corrupt(path, start, "invalid size") }
        return unsafe ByteReader(UnsafeRawBufferPointer(start: base + start, count: end &- start))
    }

    /// The content of a section: length as u32, content, CRC-32C of the content.
    func section(at offset: UInt64, verify: Bool = true) throws(BlockError) -> Range<Int> {
        guard let offset = Int(exactly: offset), offset >= 0, offset <= count &- 4 else {
            throw .corrupt(path, Int(clamping: offset), "invalid size")
        }
        // SAFETY: four bytes from `offset` on lie in the file.
        let length = Int(UInt32(bigEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        return try content(start: offset &+ 4, length: length, verify: verify)
    }

    /// The content of an entry: length as uvarint, content, CRC-32C of the content.
    @inline(__always)
    func entry(at offset: Int) throws(BlockError) -> Range<Int> {
        guard offset >= 0, offset < count else { throw .corrupt(path, offset, "invalid size") }
        // SAFETY: the byte at `offset` lies in the file.
        let first = unsafe base.load(fromByteOffset: offset, as: UInt8.self)
        if first < 0x80 { return try content(start: offset &+ 1, length: Int(first), verify: true) }
        var reader = try reader(offset, min(count, offset &+ 10))
        guard let length = try? reader.uvarint(), let length = Int(exactly: length) else {
            throw .corrupt(path, offset, "invalid size")
        }
        return try content(start: offset &+ reader.offset, length: length, verify: true)
    }

    private func content(start: Int, length: Int, verify: Bool) throws(BlockError) -> Range<Int> {
        guard length <= count &- start &- 4 else { throw .corrupt(path, start, "invalid size") }
        if verify {
            // SAFETY: content and checksum lie in the file, tested just above.
            let sum = unsafe crc32c(UnsafeRawBufferPointer(start: base + start, count: length))
            let expected = UInt32(bigEndian: unsafe base.loadUnaligned(fromByteOffset: start &+ length, as: UInt32.self))
            if sum != expected { throw .corrupt(path, start, "invalid checksum") }
        }
        return start..<start &+ length
    }

    /// Bytes of a range that a reader of this file gave. Valid as long as the file.
    func bytes(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
        let range = range.clamped(to: 0..<count)
        return unsafe UnsafeBufferPointer(
            start: (base + range.lowerBound).assumingMemoryBound(to: UInt8.self), count: range.count)
    }

    func byteString(_ range: Range<Int>) -> ByteString { unsafe ByteString(Array(bytes(range))) }

    func compare(_ range: Range<Int>, _ other: Span<UInt8>) -> Int {
        let mine = unsafe bytes(range)
        return unsafe compareBytes(mine.span, other)
    }

    /// Calls `body` with a reader's mistakes told as the file's. `start` is where the reader began.
    func decoding<R>(_ start: Int, _ body: () throws(ByteReaderError) -> R) throws(BlockError) -> R {
        do throws(ByteReaderError) { return try body() } catch { throw .corrupt(path, start &+ error.offset, "invalid size") }
    }
}
