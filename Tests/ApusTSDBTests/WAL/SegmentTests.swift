import ApusBytes
import Testing

@testable import ApusTSDB

@Suite("WAL segments") struct SegmentTests {
    private let files = SimulatedDisk()
    private let directory = "wal"

    init() throws { try files.createDirectory(directory) }

    private func file(_ name: String) -> String { joinPath(directory, name) }

    @Test("fragments of a real server are read, whichever way they are compressed", arguments: recordVectors.filter { !$0.framed.isEmpty })
    func vectors(vector: RecordVector) throws {
        try files.replace(file("00000000"), with: bytes(hex: vector.framed))
        #expect(try records(directory) == [bytes(hex: vector.record)])
    }

    @Test("framing without compression is what a real server writes", arguments: recordVectors.filter { $0.framed.hasPrefix("01") })
    func framing(vector: RecordVector) {
        var output = ByteWriter()
        frame(bytes(hex: vector.record), 0, 0, &output)
        #expect(output.array == bytes(hex: vector.framed))
    }

    @Test("records of all sizes come back, in every compression", arguments: WALCompression.allCases)
    func roundTrip(compression: WALCompression) throws {
        var generator = Generator(seed: 3)
        var written: [[UInt8]] = []
        let writer = SegmentWriter(directory: directory, segmentBytes: 256 << 10, compression: compression, files: files)
        try writer.open(4)
        for round in 0..<400 {
            // Around the size of a page's rest, where records are cut.
            let rest = SegmentFormat.pageRest(writer.position.offset)
            let size =
                switch round % 4 {
                case 0: max(0, rest - 7 + generator.below(5) - 2)
                case 1: generator.below(200)
                case 2: generator.below(20) == 0 ? generator.below(200_000) : generator.below(3000)
                default: max(0, rest - 7 - generator.below(9))
                }
            let noise = generator.below(2) == 0
            let record = (0..<size).map { noise ? UInt8(truncatingIfNeeded: generator.next()) : UInt8($0 % 7) }
            written.append(record)
            try add(record, writer)
            if generator.below(3) == 0 { try writer.flush() }
        }
        try writer.flush()
        #expect(try records(directory) == written)
        let segments = try SegmentFormat.list(directory, files)
        #expect(segments.count > 5 && segments[0] == 4)
        for segment in segments {
            let size = try files.status(SegmentFormat.path(directory, segment))?.sizeBytes ?? 0
            #expect(size <= 256 << 10)
            #expect(size % SegmentFormat.pageSizeBytes == 0 || segment == segments.last)
        }
    }

    @Test("a segment cut anywhere gives a prefix of its records, and a repair keeps those")
    func cuts() throws {
        let (content, written) = try sample()
        var generator = Generator(seed: 5)
        var damaged = 0
        for _ in 0..<300 {
            let end = generator.below(content.count)
            try files.replace(file("00000000"), with: Array(content[..<end]))
            damaged += try checkPrefix(written)
        }
        #expect(damaged > 250)
    }

    @Test("a flipped bit anywhere gives a prefix of the records, and a repair keeps those")
    func flips() throws {
        let (content, written) = try sample()
        var generator = Generator(seed: 6)
        var damaged = 0
        for _ in 0..<300 {
            var bytes = content
            bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
            try files.replace(file("00000000"), with: bytes)
            damaged += try checkPrefix(written)
        }
        #expect(damaged > 290)
    }

    @Test("random bytes are no records, and no crash")
    func garbage() throws {
        var generator = Generator(seed: 8)
        for _ in 0..<200 {
            let content = (0..<generator.below(300)).map { _ in UInt8(generator.below(generator.below(2) == 0 ? 5 : 256)) }
            try files.replace(file("00000000"), with: content)
            _ = try checkPrefix(nil)
        }
    }

    @Test("damage is named as upstream names it")
    func reasons() throws {
        let fragment = bytes(hex: recordVectors.first { $0.framed.hasPrefix("01") }?.framed ?? "")
        #expect(fragment.count > 20)
        func reason(_ content: [UInt8]) throws -> String? {
            try files.replace(file("00000000"), with: content)
            do { _ = try records(directory) } catch WALError.corrupt(let corruption) { return corruption.reason }
            return nil
        }
        func with(_ bytes: [UInt8], _ index: Int, _ value: UInt8) -> [UInt8] {
            var copy = bytes
            copy[index] = value
            return copy
        }
        #expect(try reason(fragment) == nil)
        #expect(try reason([]) == nil)
        #expect(try reason(fragment + [UInt8](repeating: 0, count: 100)) == nil)
        #expect(try reason(fragment + fragment) == nil)
        #expect(try reason(with(fragment, 10, fragment[10] ^ 1))?.hasPrefix("unexpected checksum") == true)
        #expect(try reason(fragment + [0, 0, 1]) == "unexpected non-zero byte in padded page")
        #expect(try reason(with(fragment, 0, 2)) == "last record is torn")
        #expect(try reason(with(fragment, 0, 2) + fragment) == "unexpected full record")
        #expect(try reason(with(fragment, 0, 2) + with(fragment, 0, 2)) == "unexpected first record")
        #expect(try reason(with(fragment, 0, 3)) == "unexpected middle record")
        #expect(try reason(with(fragment, 0, 4)) == "unexpected last record")
        #expect(try reason(with(fragment, 0, 5)) == "unexpected record type 5")
        #expect(try reason([1, 0xFF, 0xFF, 0, 0, 0, 0]) == "invalid record size 65535")
        #expect(try reason(Array(fragment.dropLast())) == "record is torn: \(fragment.count - 1) of \(fragment.count) bytes")
        #expect(try reason([1, 0, 0]) == "record header is torn: 3 of 7 bytes")
        #expect(try reason(with(fragment, 0, 9)) == "snappy: corrupt input")
        #expect(try reason(with(fragment, 0, 17))?.hasPrefix("zstd: ") == true)
    }

    @Test("sizes that a record claims are not believed")
    func bombs() throws {
        var decompressor = RecordDecompressor(maxRecordBytes: 100_000)
        // Snappy: a length of 4 GiB, and nothing behind.
        #expect(throws: RecordDecompressor.Failure.self) { try decompress([0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0], 8, &decompressor) }
        let zeros = [UInt8](repeating: 0, count: 100_001)
        for compression in [WALCompression.snappy, .zstd] {
            var compressor = RecordCompressor(compression)
            let (large, flag) = compress(zeros, &compressor)
            #expect(large.count < 10_000)
            #expect(throws: RecordDecompressor.Failure.self) { try decompress(large, flag, &decompressor) }
            let (small, _) = compress(Array(zeros.dropLast()), &compressor)
            #expect(try decompress(small, flag, &decompressor).count == 100_000)
            // Cut anywhere, it is an error.
            for end in 1..<min(small.count, 60) {
                #expect(throws: RecordDecompressor.Failure.self) { try decompress(Array(small[..<end]), flag, &decompressor) }
            }
        }
    }

    @Test("a gap between segments is refused")
    func gap() throws {
        for name in ["00000002", "00000004", "checkpoint.00000001", "junk", "0000000x", "5"] { try files.replace(file(name), with: []) }
        #expect(throws: WALError.notSequential(directory: directory, missing: 3)) { try WALReader(directory: directory, files: files) }
        try files.replace(file("00000003"), with: [])
        #expect(try SegmentFormat.list(directory, files) == [2, 3, 4])
        #expect(try SegmentFormat.list(file("none"), files) == [])
    }

    // MARK: Helpers

    private func sample() throws -> (content: [UInt8], written: [[UInt8]]) {
        var generator = Generator(seed: 4)
        let writer = SegmentWriter(directory: directory, segmentBytes: 1 << 20, compression: .snappy, files: files)
        try writer.open(0)
        var written: [[UInt8]] = []
        for round in 0..<60 {
            let size = round % 10 == 0 ? 40_000 : generator.below(1500)
            written.append((0..<size).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
            try add(written[round], writer)
        }
        try writer.flush()
        return (try files.read(file("00000000")), written)
    }

    /// Reads segment 0; what comes must be a prefix of `written`. After a repair the same comes, without damage.
    private func checkPrefix(_ written: [[UInt8]]?) throws -> Int {
        let reader = try WALReader(directory: directory, files: files)
        var found: [[UInt8]] = []
        do {
            while try reader.next() { found.append(unsafe [UInt8](reader.record)) }
        } catch WALError.corrupt(let corruption) {
            if let written { #expect(found == Array(written.prefix(found.count))) }
            try WALRepair.repair(corruption, files: files)
            #expect(try records(directory) == found)
            return 1
        }
        if let written { #expect(found == Array(written.prefix(found.count))) }
        return 0
    }

    private func records(_ directory: String) throws -> [[UInt8]] {
        let reader = try WALReader(directory: directory, files: files)
        var found: [[UInt8]] = []
        while try reader.next() { found.append(unsafe [UInt8](reader.record)) }
        return found
    }

    private func add(_ record: [UInt8], _ writer: SegmentWriter) throws {
        try unsafe record.withUnsafeBytes { try unsafe writer.add($0) }
    }

    private func frame(_ record: [UInt8], _ flags: UInt8, _ offset: Int, _ output: inout ByteWriter) {
        unsafe record.withUnsafeBytes { unsafe SegmentFormat.frame($0, flags: flags, offset: offset, into: &output) }
    }

    private func compress(_ record: [UInt8], _ compressor: inout RecordCompressor) -> ([UInt8], UInt8) {
        unsafe record.withUnsafeBytes { buffer in
            let (bytes, flag) = unsafe compressor.compress(buffer)
            return (unsafe [UInt8](bytes), flag)
        }
    }

    private func decompress(_ bytes: [UInt8], _ flag: UInt8, _ decompressor: inout RecordDecompressor) throws -> [UInt8] {
        try unsafe bytes.withUnsafeBytes { unsafe [UInt8](try decompressor.decompress($0, flags: flag)) }
    }
}
