public import ApusBytes

/// Writes the chunk files of a block. For one thread.
public final class ChunkFileWriter {
    /// At which a file ends, as Prometheus has it.
    public static let defaultMaxBytes = 512 << 20

    private let directory: String
    private let files: any FileSystem
    private let maxBytes: Int
    private var current: FileAppender?
    private var fileCount = 0
    private var head: [UInt8] = []
    /// Bytes of all files.
    public private(set) var sizeBytes = 0

    /// Makes the directory.
    /// - Parameter maxBytes: at which a file ends, at most 4 GiB; one with a single chunk may be longer.
    public init(directory: String, files: any FileSystem, maxBytes: Int = ChunkFileWriter.defaultMaxBytes) throws(BlockError) {
        self.directory = directory
        self.files = files
        self.maxBytes = min(max(maxBytes, 1 << 10), Int(UInt32.max))
        try withFiles { () throws(FileError) in try files.createDirectory(directory) }
    }

    deinit { current?.close() }

    public func append(_ chunk: EncodedChunk) throws(BlockError) -> BlockChunkRef {
        let most = ChunkFile.maxSizeBytes + 1 + chunk.bytes.count + 4
        if let file = current, file.position > ChunkFile.headerBytes, file.position + most > maxBytes { try cut() }
        let file: FileAppender
        if let current { file = current } else { file = try begin() }
        let ref = BlockChunkRef(file: fileCount - 1, offset: file.position)
        head.removeAll(keepingCapacity: true)
        head.appendUvarint(UInt64(chunk.bytes.count))
        head.append(chunk.encoding.rawValue)
        let sum = crc32cOf(encoding: chunk.encoding.rawValue, chunk.bytes)
        let before = file.position
        try file.append(head)
        try file.append(chunk.bytes)
        try file.append(bigEndian: sum)
        sizeBytes += file.position - before
        return ref
    }

    private func crc32cOf(encoding: UInt8, _ bytes: [UInt8]) -> UInt32 {
        let first: [UInt8] = [encoding]
        return unsafe bytes.withUnsafeBytes { unsafe crc32c($0, initial: first.span.crc32c) }
    }

    private func begin() throws(BlockError) -> FileAppender {
        let file = try FileAppender(path: joinPath(directory, ChunkFile.name(fileCount)), files: files)
        fileCount += 1
        var header: [UInt8] = []
        header.append(bigEndian: ChunkFile.magic)
        header.append(contentsOf: [ChunkFile.version, 0, 0, 0])
        try file.append(header)
        sizeBytes += header.count
        current = file
        return file
    }

    private func cut() throws(BlockError) {
        try current?.finish()
        current = nil
    }

    /// All files on the disk, the directory too.
    public func finish() throws(BlockError) {
        try cut()
        try withFiles { () throws(FileError) in try files.syncDirectory(directory) }
    }
}
