import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB

extension Fuzz {
    /// A file of `chunks_head` of any bytes gives chunks that lie in it and can be read with their slack, or is damaged.
    ///
    /// The first byte says whether the rest is a file, or a record whose checksum is put right first: by chance none ever is.
    static func headChunks(_ input: [UInt8]) {
        guard let mode = input.first else { return }
        var bytes = Array(input.dropFirst())
        if mode & 1 != 0 {
            let checksum = bytes.span.crc32c
            bytes = [0x01, 0x30, 0xBC, 0x91, 1, 0, 0, 0] + bytes
            for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: checksum >> shift)) }
        }
        if mode & 2 != 0 { bytes.append(contentsOf: repeatElement(0, count: 100)) }
        guard let files = try? HeadChunkFiles.open("chunks_head", files: OneHeadFile(bytes: bytes), readOnly: true) else { return }
        let head = Head()
        var chunks = 0
        let corruption = files.iterate { chunk in
            chunks += 1
            guard chunk.minTimeMs <= chunk.maxTimeMs, chunk.sizeBytes >= 2, chunk.sizeBytes <= bytes.count else { fatalError("\(chunk)") }
            var columns = SampleColumns(histograms: true)
            guard let start = UnsafeRawPointer(bitPattern: chunk.stored.address) else { fatalError("no address") }
            try? decodeChunk(
                chunk.encoding, UnsafeRawBufferPointer(start: start, count: chunk.sizeBytes),
                readableSlack: SealedChunkStoreLimits.readSlackBytes, into: &columns)
            head.loadOutOfOrder(chunk)
        }
        if corruption != nil && chunks > 0 { fatalError("chunks of a damaged file") }
        readLate(head, chunks, files)
    }

    /// Series of chunks of any samples: a query gets them in order of time, or an error.
    private static func readLate(_ head: Head, _ chunks: Int, _ files: HeadChunkFiles) {
        if chunks == 0 { return }
        guard let ref = try? head.seriesRef(for: ["a": "b"]), let report = try? head.replayOutOfOrder(nil, current: { _ in ref }),
            report.unknownChunks == 0, let querier = try? head.querier(minTimeMs: .min, maxTimeMs: .max)
        else { fatalError("chunks that were found are not loaded") }
        defer { querier.close() }
        guard let set = try? querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true) else { fatalError("select") }
        var columns = SampleColumns(histograms: true)
        for index in 0..<set.count { try? set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns) }
        guard columns.count <= 65_535 * chunks else { fatalError("\(columns.count) samples of \(chunks) chunks") }
        _ = files.statistics()
    }
}

/// A directory with one file.
final class OneHeadFile: FileSystem {
    private let bytes: [UInt8]
    init(bytes: [UInt8]) { self.bytes = bytes }

    private final class Mapping: FileMapping, @unchecked Sendable {
        // `@unchecked`: nothing changes after `init`.
        let path = "000001"
        let bytes: UnsafeRawBufferPointer
        init(_ content: [UInt8]) {
            // To the byte, so that the sanitizer sees what is read beyond.
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 8)
            copy.copyBytes(from: content)
            bytes = UnsafeRawBufferPointer(copy)
        }
        deinit { bytes.deallocate() }
    }

    private func refuse(_ operation: String) throws(FileError) -> Never { throw FileError(operation, "", code: 38) }
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File { try refuse("open") }
    func map(_ path: String) throws(FileError) -> any FileMapping { Mapping(bytes) }
    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping { try refuse("map") }
    func list(_ directory: String) throws(FileError) -> [DirectoryEntry] { [DirectoryEntry(name: "000001", isDirectory: false)] }
    func status(_ path: String) throws(FileError) -> FileStatus? { FileStatus(sizeBytes: bytes.count, isDirectory: false, modifiedMs: 0) }
    func createDirectory(_ path: String) throws(FileError) {}
    func rename(_ path: String, to target: String) throws(FileError) { try refuse("rename") }
    func hardLink(_ path: String, at target: String) throws(FileError) { try refuse("link") }
    func removeFile(_ path: String) throws(FileError) { try refuse("unlink") }
    func removeTree(_ path: String) throws(FileError) { try refuse("unlink") }
    func syncDirectory(_ path: String) throws(FileError) {}
    func space(_ path: String) throws(FileError) -> DiskSpace { try refuse("statvfs") }
    func lock(_ path: String) throws(FileError) -> any FileLock { try refuse("lock") }
}
