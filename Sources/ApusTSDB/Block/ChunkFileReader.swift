public import ApusBytes

/// A chunk as it lies in a mapped file, its checksum found right. Valid as long as the reader.
@safe struct MappedChunk {
    /// Not every byte is an encoding we know.
    let encoding: UInt8
    /// From the sample count on.
    let bytes: UnsafeRawBufferPointer
    /// Bytes of anything that may be read behind `bytes`.
    let readableSlack: Int
}

/// The chunk files of a block, mapped. Safe for any bytes and from several threads.
public final class ChunkFileReader: Sendable {
    private let files: [CheckedFile]
    /// Bytes of all files.
    public let sizeBytes: Int

    /// Opens all files whose name is a number, in order of name. None is no error: reading a chunk is.
    public init(directory: String, files system: some FileSystem) throws(BlockError) {
        var opened: [CheckedFile] = []
        var size = 0
        for entry in try withFiles({ () throws(FileError) in try system.list(directory) }) {
            if entry.name.isEmpty || !entry.name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { continue }
            let file = try CheckedFile(path: joinPath(directory, entry.name), files: system)
            guard file.count >= ChunkFile.headerBytes else {
                throw .corrupt(file.path, 0, "invalid segment header in segment \(opened.count): invalid size")
            }
            var reader = try file.reader(0, ChunkFile.headerBytes)
            let (magic, version) = try file.decoding(0) { () throws(ByteReaderError) in (try reader.u32(), try reader.u8()) }
            if magic != ChunkFile.magic { throw .corrupt(file.path, 0, "invalid magic number \(String(magic, radix: 16))") }
            if version != ChunkFile.version { throw .corrupt(file.path, 4, "invalid chunk format version \(version)") }
            opened.append(file)
            size += file.count
        }
        files = opened
        sizeBytes = size
    }

    /// Finds a chunk and checks its checksum.
    func chunk(_ ref: BlockChunkRef) throws(BlockError) -> MappedChunk {
        guard ref.file < files.count else { throw BlockError(.corrupt, "segment index \(ref.file) out of range") }
        let file = files[ref.file]
        let start = ref.offset
        if start > file.count &- ChunkFile.maxSizeBytes {
            throw .corrupt(
                file.path, start,
                "segment doesn't include enough bytes to read the chunk size data field - required:\(start + ChunkFile.maxSizeBytes), available:\(file.count)"
            )
        }
        var reader = try file.reader(start, file.count)
        guard let size = try? reader.uvarint(), reader.offset <= ChunkFile.maxSizeBytes else {
            throw .corrupt(file.path, start, "reading chunk length failed with 0")
        }
        let content = start &+ reader.offset
        // Encoding, data, checksum.
        guard size <= UInt64(max(0, file.count &- content &- 5)) else {
            throw .corrupt(
                file.path, start,
                "segment doesn't include enough bytes to read the chunk - required:\(UInt64(content) &+ size &+ 5), available:\(file.count)"
            )
        }
        let dataSize = Int(size)
        let end = content &+ 1 &+ dataSize
        // SAFETY: encoding, data and checksum lie in the file, tested just above.
        let sum = unsafe crc32c(UnsafeRawBufferPointer(start: file.base + content, count: 1 &+ dataSize))
        let expected = unsafe UInt32(bigEndian: file.base.loadUnaligned(fromByteOffset: end, as: UInt32.self))
        if sum != expected {
            throw .corrupt(
                file.path, start, "checksum mismatch expected:\(String(expected, radix: 16)), actual:\(String(sum, radix: 16))")
        }
        let encoding = unsafe file.base.load(fromByteOffset: content, as: UInt8.self)
        return unsafe MappedChunk(
            encoding: encoding, bytes: UnsafeRawBufferPointer(start: file.base + (content &+ 1), count: dataSize),
            readableSlack: file.count &- end)
    }

    /// The path of a file, for errors.
    func path(of ref: BlockChunkRef) -> String { ref.file < files.count ? files[ref.file].path : "" }
}
