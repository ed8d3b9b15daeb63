import ApusBytes
import ApusModel
import ApusStorage
import Foundation
import Testing

@testable import ApusTSDB

/// A directory of its own for one test, removed afterwards.
final class TemporaryChunks {
    let path: String
    init() { path = NSTemporaryDirectory() + "apus-chunks-" + UUID().uuidString }
    deinit { try? PosixFileSystem().removeTree(path) }

    func open(
        fileBytes: Int = 128 << 20, growthBytes: Int = 128 << 10, readOnly: Bool = false, files: any FileSystem = PosixFileSystem(),
        time: any TimeSource = SystemTime()
    ) throws -> HeadChunkFiles {
        try HeadChunkFiles.open(
            path, files: files, limits: .init(fileBytes: fileBytes, growthBytes: growthBytes), readOnly: readOnly, time: time)
    }
    func file(_ number: Int) -> String { joinPath(path, String(format: "%06d", number)) }
    func bytes(_ number: Int) throws -> [UInt8] { try PosixFileSystem().read(file(number)) }
    func write(_ bytes: [UInt8], _ number: Int) throws {
        try PosixFileSystem().createDirectory(path)
        let file = try PosixFileSystem().open(file(number), .create)
        try file.write(bytes, at: 0)
        file.close()
    }
    var names: [String] { (try? PosixFileSystem().list(path).map(\.name)) ?? [] }
}

/// A chunk as a test wants it.
struct ExampleChunk: Equatable {
    var ref: UInt64 = 1
    var encoding = ChunkEncoding.xor
    var outOfOrder = false
    var minTime: Int64 = 1000
    var maxTime: Int64 = 2000
    var bytes: [UInt8] = [0, 1, 7, 8, 9]

    func append(to files: HeadChunkFiles) -> StoredChunk? {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe files.append(
                ref: SeriesRef(rawValue: ref), encoding: encoding, outOfOrder: outOfOrder, minTimeMs: minTime, maxTimeMs: maxTime, bytes: bytes)
        }
    }

    static func random(_ random: inout Generator) -> ExampleChunk {
        let minTime = Int64(random.below(1_000_000)) - 500_000
        let bytes = (0..<(2 + random.below(random.below(10) == 0 ? 5000 : 200))).map { _ in UInt8(random.below(256)) }
        return ExampleChunk(
            ref: UInt64(1 + random.below(1 << 30)), encoding: ChunkEncoding(rawValue: UInt8(1 + random.below(3))) ?? .xor,
            outOfOrder: random.below(2) == 0, minTime: minTime, maxTime: minTime + Int64(random.below(100_000)), bytes: bytes)
    }
}

/// What a store says of a chunk, the slack behind it read too.
private func read(_ address: UInt, _ count: Int) -> [UInt8] {
    let start = unsafe UnsafeRawPointer(bitPattern: address).unsafelyUnwrapped
    let all = unsafe Array(UnsafeRawBufferPointer(start: start, count: count + SealedChunkStoreLimits.readSlackBytes))
    return Array(all[..<count])
}

private func iterate(_ files: HeadChunkFiles) -> (chunks: [ExampleChunk], refs: [HeadChunkRef], corruption: HeadChunkCorruption?) {
    var chunks: [ExampleChunk] = []
    var refs: [HeadChunkRef] = []
    let corruption = files.iterate { chunk in
        chunks.append(
            ExampleChunk(
                ref: chunk.ref.rawValue, encoding: chunk.encoding, outOfOrder: chunk.isOutOfOrder, minTime: chunk.minTimeMs,
                maxTime: chunk.maxTimeMs, bytes: read(chunk.stored.address, chunk.sizeBytes)))
        refs.append(chunk.stored.chunkRef)
    }
    return (chunks, refs, corruption)
}

@Suite("Head chunk files") struct HeadChunkFilesTests {
    @Test("the bytes are those of the format")
    func layout() throws {
        let directory = TemporaryChunks()
        let files = try directory.open()
        #expect(files.statistics().files == 0)
        let stored = try #require(ExampleChunk(ref: 0x0102, outOfOrder: true, minTime: -1, maxTime: 256).append(to: files))
        #expect(stored.chunkRef == HeadChunkRef(fileNumber: 1, offset: 8))
        #expect(stored.chunkRef.rawValue == 1 << 32 | 8)
        let bytes = try directory.bytes(1)
        #expect(bytes.count == 128 << 10)
        let record: [UInt8] =
            [0, 0, 0, 0, 0, 0, 1, 2] + Array(repeating: 0xFF, count: 8) + [0, 0, 0, 0, 0, 0, 1, 0, 0x81, 5, 0, 1, 7, 8, 9]
        #expect(Array(bytes[..<8]) == [0x01, 0x30, 0xBC, 0x91, 1, 0, 0, 0])
        #expect(Array(bytes[8..<39]) == record)
        let checksum = record.span.crc32c
        #expect(Array(bytes[39..<43]) == [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: checksum >> UInt32($0)) })
        #expect(bytes[43...].allSatisfy { $0 == 0 })
        #expect(read(stored.address, 5) == [0, 1, 7, 8, 9])
    }

    @Test("what was appended is read at once, and again after a restart", arguments: 0..<6)
    func roundTrip(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let directory = TemporaryChunks()
        var expected: [ExampleChunk] = []
        var refs: [HeadChunkRef] = []
        for _ in 0..<3 {
            let files = try directory.open(fileBytes: seed % 2 == 0 ? 20_000 : 128 << 20, growthBytes: 4096)
            let known = iterate(files)
            #expect(known.chunks == expected)
            #expect(known.refs == refs)
            #expect(known.corruption == nil)
            var addresses: [UInt] = []
            for _ in 0..<200 {
                let chunk = ExampleChunk.random(&random)
                let stored = try #require(chunk.append(to: files))
                expected.append(chunk)
                refs.append(stored.chunkRef)
                addresses.append(stored.address)
            }
            for (chunk, address) in zip(expected.suffix(200), addresses) { #expect(read(address, chunk.bytes.count) == chunk.bytes) }
            #expect(refs == refs.sorted())
            try files.sync()
        }
        let files = try directory.open()
        #expect(files.statistics().sizeBytes == (try PosixFileSystem().treeSize(directory.path)))
        #expect((files.statistics().files > 3) == (seed % 2 == 0))
    }

    @Test("a chunk larger than a file, and any chunk after close, are refused")
    func refusals() throws {
        let directory = TemporaryChunks()
        let files = try directory.open(fileBytes: 4096, growthBytes: 4096)
        #expect(ExampleChunk(bytes: Array(repeating: 1, count: 4000)).append(to: files) == nil)
        #expect(ExampleChunk(bytes: Array(repeating: 1, count: 3990)).append(to: files) != nil)
        #expect(ExampleChunk().append(to: files)?.chunkRef.fileNumber == 2)
        try files.close()
        #expect(ExampleChunk().append(to: files) == nil)
    }

    @Test("a file may end with its last chunk, which then has slack of its own")
    func tightEnd() throws {
        let directory = TemporaryChunks()
        let files = try directory.open()
        let chunks = (0..<3).map { ExampleChunk(ref: UInt64(1 + $0), bytes: [0, 1, UInt8($0)]) }
        for chunk in chunks { #expect(chunk.append(to: files) != nil) }
        try directory.write(Array(directory.bytes(1)[..<(8 + 3 * HeadChunkFormat.recordBytes(3))]), 1)
        let again = iterate(try directory.open())
        #expect(again.chunks == chunks)
        #expect(again.corruption == nil)
    }

    @Test("a newest file of zeros is removed, a header with zeros is an empty file")
    func emptyFiles() throws {
        let directory = TemporaryChunks()
        try directory.write(HeadChunkFormat.header + Array(repeating: 0, count: 1000), 1)
        try directory.write(Array(repeating: 0, count: 1000), 2)
        let files = try directory.open()
        #expect(directory.names == ["000001"])
        #expect(iterate(files).chunks.isEmpty)
        #expect(iterate(files).corruption == nil)
        // The number of the file that was removed is not given again.
        #expect(ExampleChunk().append(to: files)?.chunkRef.fileNumber == 3)
    }

    @Test("damage: the files before stay, the damaged one and those after it go", arguments: ["flip", "torn", "magic", "encoding", "times"])
    func damage(_ kind: String) throws {
        let directory = TemporaryChunks()
        var files = try directory.open(fileBytes: 4096, growthBytes: 4096)
        let chunks = (0..<9).map { ExampleChunk(ref: UInt64(1 + $0), bytes: Array(repeating: UInt8($0), count: 1000)) }
        for chunk in chunks { #expect(chunk.append(to: files) != nil) }
        #expect(directory.names == ["000001", "000002", "000003"])
        var bytes = try directory.bytes(2)
        let record = HeadChunkFormat.recordBytes(1000)
        var offset = 8
        switch kind {
        case "flip":
            offset += record
            bytes[offset + 500] ^= 4
        case "torn":
            offset += 2 * record
            bytes.removeLast(bytes.count - (offset + 300))
        case "magic":
            offset = 0
            bytes[1] = 0
        case "encoding": bytes[offset + 24] = 0x77
        default: bytes[offset + 8] = 0x7F
        }
        if kind == "encoding" || kind == "times" {
            let end = offset + record - 4
            let checksum = bytes[offset..<end].span.crc32c
            for (index, shift) in [24, 16, 8, 0].enumerated() { bytes[end + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(shift)) }
        }
        try directory.write(bytes, 2)

        let readOnly = iterate(try directory.open(readOnly: true))
        #expect(readOnly.chunks == Array(chunks[..<3]))
        #expect(directory.names == ["000001", "000002", "000003"])

        files = try directory.open()
        let found = iterate(files)
        #expect(found.chunks == Array(chunks[..<3]))
        #expect(found.corruption?.fileNumber == 2)
        #expect(found.corruption?.offset == offset)
        #expect(files.statistics().corruptions == 1)
        #expect(directory.names == ["000001"])
        #expect(iterate(files).corruption == nil)
        #expect(ExampleChunk().append(to: files) != nil)
    }

    @Test("a missing file is damage, a version from the future is an error")
    func gapsAndVersions() throws {
        let directory = TemporaryChunks()
        try directory.write(HeadChunkFormat.header, 3)
        try directory.write(HeadChunkFormat.header, 5)
        #expect(iterate(try directory.open()).corruption?.fileNumber == 5)
        #expect(directory.names == ["000003"])
        var future = HeadChunkFormat.header
        future[4] = 2
        try directory.write(future, 4)
        #expect(throws: FileError.self) { try directory.open() }
    }

    @Test("no flip of a bit is taken for another chunk, and no prefix of a file")
    func anyDamage() throws {
        let directory = TemporaryChunks()
        let files = try directory.open()
        let chunks = (0..<4).map { ExampleChunk(ref: UInt64(1 + $0), bytes: [0, 1, 2, UInt8($0)]) }
        for chunk in chunks { #expect(chunk.append(to: files) != nil) }
        let whole = Array(try directory.bytes(1)[..<(8 + 4 * HeadChunkFormat.recordBytes(4) + 20)])
        func read(_ bytes: [UInt8]) throws -> [ExampleChunk] {
            try directory.write(bytes, 1)
            return iterate(try directory.open(readOnly: true)).chunks
        }
        for bit in stride(from: 40, to: whole.count * 8, by: 3) {
            var bytes = whole
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            // A file is taken whole or not at all.
            let found = try read(bytes)
            #expect(found.isEmpty || found == chunks, "bit \(bit)")
        }
        for length in 0..<whole.count {
            let found = try read(Array(whole[..<length]))
            #expect(found == Array(chunks[..<found.count]), "length \(length)")
        }
    }

    @Test("the oldest files go when all they hold is old; their bytes can be read until released")
    func truncation() throws {
        let directory = TemporaryChunks()
        let files = try directory.open(fileBytes: 4096, growthBytes: 4096)
        var addresses: [UInt] = []
        for index in 0..<9 {
            let chunk = ExampleChunk(
                minTime: Int64(index * 1000), maxTime: Int64(index * 1000 + 999), bytes: Array(repeating: UInt8(index), count: 1000))
            addresses.append(try #require(chunk.append(to: files)).address)
        }
        #expect(try files.unlink(before: 2999).isEmpty)
        #expect(try files.unlink(before: 9000, keepingFrom: 1).isEmpty)
        let first = try files.unlink(before: 3000)
        #expect(directory.names == ["000002", "000003"])
        #expect(read(addresses[1], 1000) == Array(repeating: 1, count: 1000))
        #expect(first.sizeBytes == 4096)
        first.release()
        // The newest stays, and the next chunk goes to another.
        let second = try files.unlink(before: .max)
        #expect(directory.names == ["000003"])
        #expect(!second.isEmpty)
        #expect(ExampleChunk().append(to: files)?.chunkRef.fileNumber == 4)
        #expect(try !files.unlink(before: .max).isEmpty)
        #expect(directory.names == ["000004"])
        try files.removeAll()
        #expect(directory.names.isEmpty)
        #expect(ExampleChunk().append(to: files)?.chunkRef.fileNumber == 5)
    }

    @Test("when the disk refuses, the chunk is refused, and another file is tried later", arguments: ["open", "truncate", "write", "map"])
    func refusingDisk(_ call: String) throws {
        let directory = TemporaryChunks()
        let disk = RefusingFileSystem()
        let clock = ManualTime()
        let files = try directory.open(files: disk, time: clock)
        let first = ExampleChunk(ref: 1)
        if call == "write" || call == "truncate" { #expect(first.append(to: files) != nil) }
        let large = ExampleChunk(ref: 2, bytes: Array(repeating: 9, count: 200 << 10))
        disk.refuse(call)
        #expect(large.append(to: files) == nil)
        #expect(files.statistics().failure?.code == ENOSPC)
        disk.refuse(nil)
        // Too early; then it is time.
        #expect(large.append(to: files) == nil)
        #expect(files.statistics().chunksRefused == 2)
        clock.advance(ms: 10_000)
        let stored = try #require(large.append(to: files))
        #expect(read(stored.address, large.bytes.count) == large.bytes)
        #expect(files.statistics().failure == nil)
        try files.close()
        let found = iterate(try directory.open())
        #expect(found.corruption == nil)
        #expect(found.chunks.last == large)
        #expect(found.chunks.count == (call == "write" || call == "truncate" ? 2 : 1))
    }
}

/// Time that stands still until it is told to go on.
final class ManualTime: TimeSource {
    private let now = Locked(UInt64(1_000_000_000))
    func wallMs() -> Int64 { Int64(now.withLock { $0 } / 1_000_000) }
    func monotonicNs() -> UInt64 { now.withLock { $0 } }
    func advance(ms: Int64) { now.withLock { $0 += UInt64(ms) * 1_000_000 } }
}

/// A disk that refuses one kind of call while told to; a write that is refused leaves its first ten bytes.
private final class RefusingFileSystem: FileSystem {
    private let disk = PosixFileSystem()
    private let refused = Locked(nil as String?)
    func refuse(_ call: String?) { refused.withLock { $0 = call } }
    fileprivate func check(_ call: String, _ path: String) throws(FileError) {
        if refused.withLock({ $0 == call }) { throw FileError(call, path, code: ENOSPC) }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if case .create = mode { try check("open", path) }
        return RefusingFile(disk: self, file: try disk.open(path, mode))
    }
    func map(_ path: String) throws(FileError) -> any FileMapping { try disk.map(path) }
    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping {
        try check("map", path)
        return try disk.mapGrowing(path, maximum: maximum)
    }
    func list(_ directory: String) throws(FileError) -> [DirectoryEntry] { try disk.list(directory) }
    func status(_ path: String) throws(FileError) -> FileStatus? { try disk.status(path) }
    func createDirectory(_ path: String) throws(FileError) { try disk.createDirectory(path) }
    func rename(_ path: String, to target: String) throws(FileError) { try disk.rename(path, to: target) }
    func hardLink(_ path: String, at target: String) throws(FileError) { try disk.hardLink(path, at: target) }
    func removeFile(_ path: String) throws(FileError) { try disk.removeFile(path) }
    func removeTree(_ path: String) throws(FileError) { try disk.removeTree(path) }
    func syncDirectory(_ path: String) throws(FileError) { try disk.syncDirectory(path) }
    func space(_ path: String) throws(FileError) -> DiskSpace { try disk.space(path) }
    func lock(_ path: String) throws(FileError) -> any FileLock { try disk.lock(path) }
}

private final class RefusingFile: File {
    private let disk: RefusingFileSystem
    private let file: any File
    init(disk: RefusingFileSystem, file: any File) {
        self.disk = disk
        self.file = file
    }
    var path: String { file.path }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int { try unsafe file.read(into: buffer, at: offset) }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        do throws(FileError) { try disk.check("write", path) } catch {
            try unsafe file.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(25)), at: offset)
            throw error
        }
        try unsafe file.write(bytes, at: offset)
    }
    func size() throws(FileError) -> Int { try file.size() }
    func truncate(to sizeBytes: Int) throws(FileError) {
        try disk.check("truncate", path)
        try file.truncate(to: sizeBytes)
    }
    func sync() throws(FileError) { try file.sync() }
    func close() { file.close() }
}
