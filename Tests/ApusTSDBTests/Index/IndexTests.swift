import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Writes bytes to a file and opens them as an index.
private func reader(_ bytes: [UInt8], in directory: TestDirectory, name: String = "index") throws -> IndexReader {
    let file = try PosixFileSystem().open(directory.file(name), .create)
    try file.write(bytes, at: 0)
    file.close()
    return try IndexReader(path: directory.file(name), files: PosixFileSystem())
}

private func uint64(_ bytes: [UInt8], _ offset: Int) -> Int {
    Int(bytes[offset..<offset + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
}

/// What 3.14 would have written instead of `bytes`: the same without the label indices.
private func withoutLabelIndices(_ bytes: [UInt8]) -> [UInt8] {
    let toc = (0..<6).map { uint64(bytes, bytes.count - 52 + $0 * 8) }
    let (labelIndices, labelIndicesTable, postings, postingsTable) = (toc[2], toc[3], toc[4], toc[5])
    var result = Array(bytes[..<labelIndices])
    result += [UInt8](repeating: 0, count: (4 - result.count % 4) % 4)
    let start = (postings + 3) / 4 * 4
    let shift = UInt64(start - result.count)
    result += bytes[start..<labelIndicesTable]
    let newTable = result.count
    var table = Array(bytes[postingsTable + 4..<postingsTable + 8])
    var offset = postingsTable + 8
    while offset < bytes.count - 56 {
        let entry = offset
        offset += 1
        for _ in 0..<2 {
            guard let length = decodeUvarint(bytes.span, at: &offset) else { break }
            offset += Int(length)
        }
        table += bytes[entry..<offset]
        guard let place = decodeUvarint(bytes.span, at: &offset) else { break }
        table.appendUvarint(place - shift)
    }
    result.append(bigEndian: UInt32(table.count))
    result += table
    result.append(bigEndian: table.span.crc32c)
    let tocStart = result.count
    for field in [toc[0], toc[1], labelIndices, newTable, labelIndices, newTable] { result.append(bigEndian: UInt64(field)) }
    result.append(bigEndian: Array(result[tocStart...]).span.crc32c)
    return result
}

@Suite("Index") struct IndexTests {
    static let all: [UInt32] = [12, 14, 16, 18, 20, 22, 24, 26]

    @Test("reads what Prometheus wrote")
    func golden() throws {
        let directory = TestDirectory()
        let index = try reader(BlockVectors.index, in: directory)
        #expect(index.version == 2)
        #expect(index.symbolCount == 19)
        #expect(index.labelNames == ["__name__", "instance", "job"])
        #expect(try index.labelValues("job") == ["job0", "job1"])
        #expect(try index.labelValues("none") == [])
        #expect(try index.labelValues("") == [])
        #expect(try index.allPostings() == Self.all)
        #expect(try index.postings("job", "job1") == [18, 22, 24])
        #expect(try index.postings("job", "job2") == [])
        let (labels, chunks) = try index.series(20)
        #expect(labels == ["__name__": "m_requests_total", "instance": "host-0:9100", "job": "job0"])
        #expect(
            chunks == [
                ChunkMeta(ref: BlockChunkRef(rawValue: 532), minTimeMs: 1_704_073_800_000, maxTimeMs: 1_704_074_370_000)
            ])
    }

    @Test("writes what Prometheus writes", arguments: [BlockVectors.index, BlockVectors.smallIndex])
    func rewrite(_ bytes: [UInt8]) throws {
        let directory = TestDirectory()
        let index = try reader(bytes, in: directory)
        let path = directory.file("rewritten")
        let writer = try IndexWriter(path: path, files: PosixFileSystem())
        for symbol in try index.allSymbols() { writer.add(symbol: symbol) }
        for ref in try index.allPostings() {
            let (labels, chunks) = try index.series(ref)
            try writer.add(labels: labels, chunks: chunks)
        }
        let size = try writer.finish()
        let written = try PosixFileSystem().read(path)
        #expect(written == withoutLabelIndices(bytes))
        #expect(size == written.count)
        #expect(try PosixFileSystem().list(directory.path).map(\.name) == ["index", "rewritten"])
    }

    @Test("every flipped bit under a checksum is found")
    func flips() throws {
        let directory = TestDirectory()
        let bytes = BlockVectors.index
        let whole = try reader(bytes, in: directory, name: "whole")
        for position in bytes.indices {
            var damaged = bytes
            damaged[position] ^= 1 << UInt8(position % 8)
            guard let index = try? reader(damaged, in: directory) else { continue }
            // What lies between the sections nobody reads; all else is right or an error.
            for ref in (try? index.allPostings()) ?? Self.all {
                guard let series = try? index.series(ref) else { continue }
                let expected = try whole.series(ref)
                #expect(series.labels == expected.labels && series.chunks == expected.chunks, "byte \(position)")
            }
        }
    }

    @Test("every truncation is an error")
    func truncations() {
        let directory = TestDirectory()
        for count in 0..<BlockVectors.index.count {
            #expect(throws: BlockError.self) { try reader(Array(BlockVectors.index[..<count]), in: directory) }
        }
    }

    @Test("errors are in Prometheus's words")
    func errors() throws {
        let directory = TestDirectory()
        func message(_ bytes: [UInt8]) -> String {
            do {
                _ = try reader(bytes, in: directory)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message([1, 2]).hasPrefix("index header: invalid size"))
        #expect(message([1, 2, 3, 4, 5]).hasPrefix("invalid magic number 1020304"))
        var bytes = BlockVectors.index
        bytes[4] = 9
        #expect(message(bytes).hasPrefix("unknown index file version 9"))
        #expect(message(Array(BlockVectors.index[..<554])).hasPrefix("read TOC: read TOC: invalid checksum"))
        bytes = BlockVectors.index
        bytes[20] ^= 1
        #expect(message(bytes).hasPrefix("read symbols: invalid checksum"))
    }

    @Test("an index of version 1, whose table is not sorted")
    func version1() throws {
        let directory = TestDirectory()
        let index = try reader(Self.version1Bytes(), in: directory)
        #expect(index.labelNames == ["a", "b"])
        #expect(try index.labelValues("a") == ["1", "2"])
        let all = try index.allPostings()
        #expect(all.count == 2)
        #expect(try all.map { try index.series($0).labels } == [["a": "1", "b": "1"], ["a": "2"]])
        #expect(try index.select([Matcher("a", equals: "2")]) == [all[1]])
        #expect(try index.select([Matcher("b", .notRegex, "1")]) == [all[1]])
        #expect(try index.series(all[0]).chunks == [ChunkMeta(ref: BlockChunkRef(rawValue: 8), minTimeMs: -5, maxTimeMs: 7)])
    }

    /// Series and symbols are named by their offsets, and the pairs stand in any order.
    private static func version1Bytes() -> [UInt8] {
        func section(_ content: [UInt8]) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(bigEndian: UInt32(content.count))
            bytes += content
            bytes.append(bigEndian: content.span.crc32c)
            return bytes
        }
        func entry(_ content: [UInt8]) -> [UInt8] {
            var bytes: [UInt8] = [UInt8(content.count)]
            bytes += content
            bytes.append(bigEndian: content.span.crc32c)
            return bytes
        }
        var bytes: [UInt8] = [0xBA, 0xAA, 0xD7, 0x00, 1]
        // Offsets 13, 15, 17, 19.
        bytes += section([0, 0, 0, 4, 1, 0x31, 1, 0x32, 1, 0x61, 1, 0x62])
        let series = bytes.count
        let first = UInt32(bytes.count)
        bytes += entry([2, 17, 13, 19, 13, 1, 9, 12, 8])
        let second = UInt32(bytes.count)
        bytes += entry([1, 17, 15, 0])
        let postings = bytes.count
        var table: [UInt8] = [0, 0, 0, 4]
        func list(_ name: String, _ value: String, _ refs: [UInt32]) {
            table.append(2)
            table.append(UInt8(name.utf8.count))
            table += name.utf8
            table.append(UInt8(value.utf8.count))
            table += value.utf8
            table.appendUvarint(UInt64(bytes.count))
            var content: [UInt8] = []
            content.append(bigEndian: UInt32(refs.count))
            for ref in refs { content.append(bigEndian: ref) }
            bytes += section(content)
        }
        list("b", "1", [first])
        list("a", "2", [second])
        list("", "", [first, second])
        list("a", "1", [first])
        let tableStart = bytes.count
        bytes += section(table)
        let tocStart = bytes.count
        for field in [5, series, 0, 0, postings, tableStart] { bytes.append(bigEndian: UInt64(field)) }
        bytes.append(bigEndian: Array(bytes[tocStart...]).span.crc32c)
        return bytes
    }

    @Test("what cannot be written in order is refused")
    func order() throws {
        let directory = TestDirectory()
        let writer = try IndexWriter(path: directory.file("index"), files: PosixFileSystem())
        try writer.add(labels: ["a": "2"], chunks: [])
        #expect(throws: BlockError.self) { try writer.add(labels: ["a": "1"], chunks: []) }
        #expect(throws: BlockError.self) { try writer.add(labels: ["a": "2"], chunks: []) }
        func meta(_ ref: UInt64, _ range: ClosedRange<Int64>) -> ChunkMeta {
            ChunkMeta(ref: BlockChunkRef(rawValue: ref), minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
        }
        #expect(throws: BlockError.self) { try writer.add(labels: ["a": "3"], chunks: [meta(8, 1...5), meta(9, 5...6)]) }
        #expect(throws: BlockError.self) { try writer.add(labels: ["a": "3"], chunks: [meta(9, 1...5), meta(8, 6...7)]) }
    }

    @Test("an index of many values finds each")
    func manyValues() throws {
        let directory = TestDirectory()
        let writer = try IndexWriter(path: directory.file("index"), files: PosixFileSystem())
        // 3 × 32 + 1 values: the last stands alone behind a remembered one. Order of bytes, not of numbers.
        let values = (0..<97).map { ByteString(String($0)) }.sorted()
        for value in values { try writer.add(labels: ["n": value, "z": "x"], chunks: []) }
        _ = try writer.finish()
        let index = try IndexReader(path: directory.file("index"), files: PosixFileSystem())
        #expect(try index.labelValues("n") == values)
        #expect(try index.labelValues("n", limit: 5) == Array(values[..<5]))
        let all = try index.allPostings()
        #expect(all.count == 97)
        for (position, value) in values.enumerated() {
            #expect(try index.postings("n", value) == [all[position]])
            #expect(try index.postings("n", value + "x") == [])
            #expect(try index.series(all[position]).labels == ["n": value, "z": "x"])
        }
        #expect(try index.postings("n", "") == [])
        #expect(try index.select([Matcher("n", .regex, "9.*"), Matcher("z", equals: "x")]).count == 8)
        #expect(try index.select([Matcher("n", .notRegex, "9.+|1")]).count == 89)
    }

    @Test("an index without series")
    func empty() throws {
        let directory = TestDirectory()
        let writer = try IndexWriter(path: directory.file("index"), files: PosixFileSystem())
        _ = try writer.finish()
        let index = try IndexReader(path: directory.file("index"), files: PosixFileSystem())
        #expect(index.labelNames == [])
        #expect(try index.allPostings() == [])
        #expect(try index.select([Matcher("a", .regex, ".*")]) == [])
    }
}
