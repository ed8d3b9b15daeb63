import ApusBytes
import ApusStorage
import ApusTSDB
import Glibc

/// The files of a block.
extension Fuzz {
    static let blockTargets: [String: @Sendable ([UInt8]) -> Void] = [
        "index": index, "chunk-file": chunkFile, "tombstones": tombstones, "block-meta": blockMeta,
    ]

    /// An index of any bytes is refused, or answers questions with values or errors. Its checksums are made right first,
    /// since no input would get past them.
    static func index(_ input: [UInt8]) {
        var bytes = input
        repairIndexChecksums(&bytes)
        guard let index = try? IndexReader(path: "index", files: OneFile(bytes: bytes)) else { return }
        let names = index.labelNames
        for name in names.prefix(4) {
            let values = (try? index.labelValues(name, limit: 8)) ?? []
            for value in values { _ = try? index.postings(name, value) }
            guard let some = try? Matcher(name, .regex, "a.*|.*b"), let none = try? Matcher(name, .notRegex, "[a-m].*") else {
                continue
            }
            _ = try? index.select([some])
            _ = try? index.select([Matcher("job", equals: "a"), none])
        }
        for ref in ((try? index.allPostings()) ?? []).prefix(64) { _ = try? index.series(ref) }
        _ = try? index.allSymbols()
    }

    /// Chunks at any offset of a chunk file of any bytes are samples or errors.
    static func chunkFile(_ input: [UInt8]) {
        guard
            let reader = try? ChunkFileReader(
                directory: "chunks", files: OneFile(bytes: [0x85, 0xBD, 0x40, 0xDD, 1, 0, 0, 0] + input))
        else { fatalError("a chunk file with a right header is not opened") }
        var columns = SampleColumns(histograms: true)
        for offset in 0..<min(input.count + 12, 256) {
            columns.removeAll()
            try? reader.appendSamples(of: BlockChunkRef(file: 0, offset: offset), into: &columns)
        }
    }

    /// Tombstones that are read are written and read as the same.
    static func tombstones(_ input: [UInt8]) {
        var bytes: [UInt8] = [0x01, 0x30, 0xBA, 0x30, 1]
        bytes += input
        appendBigEndian(input.span.crc32c, to: &bytes)
        guard let tombstones = try? Tombstones(encoded: bytes) else { return }
        guard let again = try? Tombstones(encoded: tombstones.encoded), again == tombstones else {
            fatalError("tombstones do not survive writing")
        }
    }

    /// What is read as meta.json is written and read as the same.
    static func blockMeta(_ input: [UInt8]) {
        guard let meta = try? BlockMeta(json: input) else { return }
        guard let again = try? BlockMeta(json: meta.json), again == meta else { fatalError("meta.json does not survive writing") }
    }
}

private func appendBigEndian(_ value: UInt32, to bytes: inout [UInt8]) {
    for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
}

/// Makes the checksums of an index right, wherever its sections are found.
private func repairIndexChecksums(_ bytes: inout [UInt8]) {
    guard bytes.count >= 57 else { return }
    func number(_ offset: Int, _ size: Int) -> Int? {
        guard offset >= 0, offset <= bytes.count - size else { return nil }
        return Int(exactly: bytes[offset..<offset + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    func repair(_ range: Range<Int>) {
        guard range.lowerBound >= 0, range.upperBound + 4 <= bytes.count else { return }
        var sum: [UInt8] = []
        appendBigEndian(bytes.span.extracting(range).crc32c, to: &sum)
        bytes.replaceSubrange(range.upperBound..<range.upperBound + 4, with: sum)
    }
    func section(_ start: Int) -> Int? {
        guard let size = number(start, 4), size <= bytes.count - start - 8 else { return nil }
        repair(start + 4..<start + 4 + size)
        return start + 8 + size
    }
    let toc = bytes.count - 52
    guard let symbols = number(toc, 8), let series = number(toc + 8, 8), let postings = number(toc + 32, 8),
        let table = number(toc + 40, 8)
    else { return }
    _ = section(symbols)
    var next: Int? = postings <= bytes.count ? (postings + 3) / 4 * 4 : nil
    while let start = next, start < table { next = section(start) }
    _ = section(table)
    var start = series
    while start >= 0, start < min(postings, toc) {
        start = (start + 15) / 16 * 16
        guard start < toc else { break }
        let size = Int(bytes[start])
        repair(start + 1..<start + 1 + size)
        start += 5 + size
    }
    repair(toc..<toc + 48)
}

/// A file system of one file, of any name, in memory.
private struct OneFile: FileSystem {
    let bytes: [UInt8]

    private final class Mapping: FileMapping, @unchecked Sendable {
        let path: String
        let bytes: UnsafeRawBufferPointer
        init(_ path: String, _ content: [UInt8]) {
            self.path = path
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
            copy.copyBytes(from: content)
            bytes = UnsafeRawBufferPointer(copy)
        }
        deinit { bytes.deallocate() }
    }

    private func refused(_ path: String) -> FileError { FileError("call", path, code: ENOTSUP) }

    func map(_ path: String) throws(FileError) -> any FileMapping { Mapping(path, bytes) }
    func list(_ directory: String) throws(FileError) -> [DirectoryEntry] { [DirectoryEntry(name: "000001", isDirectory: false)] }
    func status(_ path: String) throws(FileError) -> FileStatus? {
        FileStatus(sizeBytes: bytes.count, isDirectory: false, modifiedMs: 0)
    }
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File { throw refused(path) }
    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping { throw refused(path) }
    func createDirectory(_ path: String) throws(FileError) { throw refused(path) }
    func rename(_ path: String, to target: String) throws(FileError) { throw refused(path) }
    func hardLink(_ path: String, at target: String) throws(FileError) { throw refused(path) }
    func removeFile(_ path: String) throws(FileError) { throw refused(path) }
    func removeTree(_ path: String) throws(FileError) { throw refused(path) }
    func syncDirectory(_ path: String) throws(FileError) { throw refused(path) }
    func space(_ path: String) throws(FileError) -> DiskSpace { throw refused(path) }
    func lock(_ path: String) throws(FileError) -> any FileLock { throw refused(path) }
}
