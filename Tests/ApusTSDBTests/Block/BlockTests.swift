import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Series in plain arrays, as a source of blocks and as the model for their queries.
struct PlainSeries {
    var labels: LabelSet
    var samples: [(time: Int64, bits: UInt64)]
}

final class PlainSource: ChunkSeriesSet {
    private let series: [PlainSeries]
    private let samplesPerChunk: Int
    private var position = -1
    init(_ series: [PlainSeries], samplesPerChunk: Int = 120) {
        self.series = series.sorted { $0.labels < $1.labels }
        self.samplesPerChunk = samplesPerChunk
    }
    func next() throws(StorageError) -> Bool {
        position += 1
        return position < series.count
    }
    var labels: LabelSet { series[position].labels }
    var chunks: [EncodedChunk] {
        var columns = SampleColumns()
        for sample in series[position].samples {
            columns.append(timestampMs: sample.time, value: Double(bitPattern: sample.bits))
        }
        return encodeChunks(columns, samplesPerChunk: samplesPerChunk)
    }
}

let anyULID = ULID(high: 0x018E_0000_0000_0000, low: 7)

/// Writes series to a block and opens it.
func makeBlock(
    _ series: [PlainSeries], in directory: TestDirectory, samplesPerChunk: Int = 120, maxChunkFileBytes: Int = 512 << 20,
    ulid: ULID = anyULID, cache: DecodedCache? = nil
) throws -> Block {
    let meta = try writeBlock(
        PlainSource(series, samplesPerChunk: samplesPerChunk), into: directory.path, ulid: ulid, minTimeMs: 0, maxTimeMs: 100_000,
        files: PosixFileSystem(), maxChunkFileBytes: maxChunkFileBytes)
    let block = try Block.open(directory.file(ulid.description), files: PosixFileSystem(), cache: cache)
    #expect(meta == block.meta)
    return block
}

private func read(_ block: Block, _ matchers: [Matcher], _ range: ClosedRange<Int64>) throws -> [PlainSeries] {
    let querier = try block.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
    defer { querier.close() }
    return try readAll(querier, matchers, range).map { PlainSeries(labels: $0.labels, samples: $0.samples) }
}

/// One line a sample.
private func text(_ series: [PlainSeries]) -> [String] {
    series.flatMap { one in one.samples.map { "\(one.labels) \($0.time) \($0.bits)" } }
}

private func copyFile(_ from: String, _ to: String, _ change: ([UInt8]) -> [UInt8] = { $0 }) throws {
    let file = try PosixFileSystem().open(to, .create)
    try file.write(change(try PosixFileSystem().read(from)), at: 0)
    file.close()
}

@Suite("Block") struct BlockTests {
    static func someSeries() -> [PlainSeries] {
        (0..<5).map { (index: Int) -> PlainSeries in
            let odd: ByteString = index % 2 == 1 ? "yes" : ""
            let labels: LabelSet = ["__name__": "m", "i": ByteString(String(index)), "odd": odd]
            let samples = (0..<300).map { (n: Int) -> (time: Int64, bits: UInt64) in
                (time: Int64(n * 100 + index), bits: Double(n * index).bitPattern)
            }
            return PlainSeries(labels: labels, samples: samples)
        }
    }

    @Test("what was written is read")
    func roundTrip() throws {
        let directory = TestDirectory()
        let series = Self.someSeries()
        let block = try makeBlock(series, in: directory)
        #expect(text(try read(block, [], .min ... .max)) == text(series))
        #expect(block.meta.statistics.series == 5)
        #expect(block.meta.statistics.samples == 1500)
        #expect(block.meta.statistics.floatSamples == 1500)
        #expect(block.meta.statistics.chunks == 15)
        #expect(block.meta.compaction.sources == [anyULID])
        #expect(try block.sizeBytes == PosixFileSystem().treeSize(block.directory))
        let some = try read(block, [Matcher("odd", equals: "yes")], 1000...1300)
        #expect(some.map { $0.samples.map(\.time) } == [[1001, 1101, 1201], [1003, 1103, 1203]])
        #expect(try read(block, [], 50_000...60_000).isEmpty)
    }

    @Test("without samples there is no block, and nothing is left behind")
    func empty() throws {
        let directory = TestDirectory()
        let none = try writeBlock(
            PlainSource([]), into: directory.path, ulid: anyULID, minTimeMs: 0, maxTimeMs: 1, files: PosixFileSystem())
        #expect(none == nil)
        #expect(try PosixFileSystem().list(directory.path).isEmpty)
    }

    @Test("a writer that is stopped leaves nothing")
    func cancel() throws {
        let directory = TestDirectory()
        let series = (0..<2000).map { PlainSeries(labels: ["n": ByteString(String($0))], samples: [(1, 1)]) }
        #expect(throws: BlockError(.cancelled, "writing of block \(anyULID) was stopped")) {
            try writeBlock(
                PlainSource(series), into: directory.path, ulid: anyULID, minTimeMs: 0, maxTimeMs: 2, files: PosixFileSystem()
            ) { progress in
                #expect(progress.seriesCount == 1024)
                return false
            }
        }
        #expect(try PosixFileSystem().list(directory.path).isEmpty)
    }

    @Test("several chunk files")
    func chunkFiles() throws {
        let directory = TestDirectory()
        var random = Generator(seed: 5)
        let series = (0..<20).map { index in
            PlainSeries(labels: ["n": ByteString(String(index))], samples: (0..<100).map { (Int64($0), random.next() >> 12) })
        }
        let block = try makeBlock(series, in: directory, maxChunkFileBytes: 2048)
        let names = try PosixFileSystem().list(joinPath(block.directory, "chunks")).map(\.name)
        #expect(names.count > 5 && names[0] == "000001" && names[4] == "000005")
        #expect(text(try read(block, [], .min ... .max)) == text(series.sorted { $0.labels < $1.labels }))
    }

    // MARK: Deleting

    @Test("what is deleted is gone at once, after opening again, and from a rewritten block")
    func deleting() throws {
        let directory = TestDirectory()
        var series = Self.someSeries()
        let block = try makeBlock(series, in: directory)
        let before = try block.querier(minTimeMs: .min, maxTimeMs: .max)
        try block.delete([[Matcher("i", equals: "1")], [Matcher("i", equals: "3")]], minTimeMs: 5000, maxTimeMs: 19_000)
        try block.delete([[Matcher("i", equals: "4")]], minTimeMs: .min, maxTimeMs: .max)
        for index in [1, 3] { series[index].samples.removeAll { (5000...19_000).contains($0.time) } }
        #expect(
            text(try readAll(before, [], .min ... .max).map { PlainSeries(labels: $0.labels, samples: $0.samples) })
                == text(Self.someSeries()))
        before.close()
        series.remove(at: 4)
        #expect(text(try read(block, [], .min ... .max)) == text(series))
        #expect(block.meta.statistics.tombstones == 3)
        #expect(try block.sizeBytes == PosixFileSystem().treeSize(block.directory))
        let again = try Block.open(block.directory, files: PosixFileSystem())
        #expect(again.meta == block.meta)
        #expect(text(try read(again, [], .min ... .max)) == text(series))

        let rewritten = ULID(high: 1, low: 1)
        let source = try again.chunkSeries(minTimeMs: 100, maxTimeMs: 24_999)
        _ = try writeBlock(
            source, into: directory.path, ulid: rewritten, minTimeMs: 100, maxTimeMs: 25_000, files: PosixFileSystem())
        let clean = try Block.open(directory.file(rewritten.description), files: PosixFileSystem())
        for index in series.indices { series[index].samples.removeAll { !(100..<25_000).contains($0.time) } }
        #expect(text(try read(clean, [], .min ... .max)) == text(series))
        #expect(clean.tombstones.isEmpty)
        #expect(clean.meta.statistics.samples == UInt64(series.reduce(0) { $0 + $1.samples.count }))
    }

    @Test("deleting what is not there writes nothing")
    func deleteNothing() throws {
        let directory = TestDirectory()
        let block = try makeBlock(Self.someSeries(), in: directory)
        try block.delete([[Matcher("i", equals: "9")]], minTimeMs: 0, maxTimeMs: 10_000)
        try block.delete([[Matcher("i", equals: "1")]], minTimeMs: 90_000, maxTimeMs: 95_000)
        #expect(block.tombstones.isEmpty)
    }

    // MARK: Closing

    @Test("a closed block lets its last querier finish, and takes no new one")
    func closing() throws {
        let directory = TestDirectory()
        let block = try makeBlock(Self.someSeries(), in: directory)
        let first = try block.querier(minTimeMs: 0, maxTimeMs: 100_000)
        let second = try block.querier(minTimeMs: 0, maxTimeMs: 100_000)
        let flag = Locked(false)
        block.close { flag.withLock { $0 = true } }
        #expect(throws: StorageError.self) { try block.querier(minTimeMs: 0, maxTimeMs: 1) }
        first.close()
        first.close()
        #expect(!flag.withLock { $0 })
        try PosixFileSystem().removeTree(block.directory)
        #expect(try readAll(second, [], 0...100_000).count == 5)
        second.close()
        #expect(flag.withLock { $0 })
    }

    @Test("a linked block is the same block")
    func link() throws {
        let directory = TestDirectory()
        let block = try makeBlock(Self.someSeries(), in: directory)
        let parent = directory.file("snapshot")
        try block.link(into: parent)
        let linked = try Block.open(joinPath(parent, block.ulid.description), files: PosixFileSystem())
        #expect(linked.meta == block.meta)
        #expect(text(try read(linked, [], .min ... .max)) == text(Self.someSeries()))
    }

    // MARK: Damage

    @Test("a directory without a readable meta.json is no block")
    func badMeta() throws {
        let directory = TestDirectory()
        let block = try makeBlock(Self.someSeries(), in: directory)
        let path = joinPath(block.directory, "meta.json")
        try copyFile(path, path) { Array($0.prefix($0.count / 2)) }
        #expect(
            throws: BlockError(
                .meta, "unexpected end of JSON input (\(path), offset \((try PosixFileSystem().read(path)).count))")
        ) {
            try Block.open(block.directory, files: PosixFileSystem())
        }
        try PosixFileSystem().removeFile(path)
        #expect(throws: BlockError(.meta, "open \(path): no such file or directory")) {
            try Block.open(block.directory, files: PosixFileSystem())
        }
    }

    @Test("missing chunk files are found when a chunk is read")
    func noChunks() throws {
        let directory = TestDirectory()
        let path = try makeBlock(Self.someSeries(), in: directory).directory
        try PosixFileSystem().removeFile(joinPath(path, "chunks/000001"))
        let block = try Block.open(path, files: PosixFileSystem())
        let querier = try block.querier(minTimeMs: 0, maxTimeMs: 100_000)
        #expect(try querier.labelValues("i", [], limit: 0).count == 5)
        let set = try querier.select([], hints: SelectHints(startMs: 0, endMs: 100_000), sorted: true)
        var message = ""
        do throws(StorageError) {
            var columns = SampleColumns()
            try set.decode(0, minTimeMs: 0, maxTimeMs: 100_000, into: &columns)
        } catch { message = error.description }
        #expect(message == "cannot populate chunk 8 from block \(anyULID): segment index 0 out of range")
    }

    @Test("a flipped bit in a chunk is an error that names block, file and offset")
    func flippedChunk() throws {
        let directory = TestDirectory()
        let path = try makeBlock(Self.someSeries(), in: directory).directory
        let file = joinPath(path, "chunks/000001")
        let whole = try PosixFileSystem().read(file)
        let expected = text(Self.someSeries())
        var random = Generator(seed: 11)
        for _ in 0..<200 {
            let position = 8 + random.below(whole.count - 8)
            try copyFile(file, file) { _ in
                var bytes = whole
                bytes[position] ^= 1 << UInt8(random.below(8))
                return bytes
            }
            let block = try Block.open(path, files: PosixFileSystem())
            do {
                #expect(text(try read(block, [], .min ... .max)) == expected, "byte \(position)")
                Issue.record("byte \(position) can be changed without notice")
            } catch let error as StorageError {
                #expect(error.description.contains(anyULID.description) && error.description.contains(file), "\(error)")
            }
        }
    }

    @Test("no bytes of an index crash a query, right checksum or not")
    func hostileIndex() throws {
        let directory = TestDirectory()
        let path = try makeBlock(Self.someSeries(), in: directory).directory
        let file = joinPath(path, "index")
        let whole = try PosixFileSystem().read(file)
        var random = Generator(seed: 12)
        for _ in 0..<1500 {
            var bytes = whole
            for _ in 0...random.below(3) { bytes[5 + random.below(bytes.count - 5)] = UInt8(truncatingIfNeeded: random.next()) }
            repairChecksums(&bytes)
            try copyFile(file, file) { _ in bytes }
            guard let block = try? Block.open(path, files: PosixFileSystem()) else { continue }
            for matchers in [
                [], [Matcher("i", equals: "1")], [try Matcher("i", .regex, "[1-3]"), try Matcher("odd", .notRegex, "y.+")],
            ] {
                _ = try? read(block, matchers, 0...20_000)
            }
            let querier = try block.querier(minTimeMs: 0, maxTimeMs: 100)
            _ = try? querier.labelNames([Matcher("i", equals: "1")], limit: 0)
            _ = try? querier.labelValues("i", [try Matcher("odd", .notEqual, "")], limit: 0)
            querier.close()
            if let source = try? block.chunkSeries(minTimeMs: 0, maxTimeMs: 1000) { while (try? source.next()) == true {} }
        }
    }

    /// Makes the checksums of an index right again, wherever its sections are still found.
    private func repairChecksums(_ bytes: inout [UInt8]) {
        let toc = bytes.count - 52
        func be(_ offset: Int, _ size: Int) -> Int? {
            guard offset >= 0, offset <= bytes.count - size else { return nil }
            return Int(truncatingIfNeeded: bytes[offset..<offset + size].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        func set(_ range: Range<Int>) {
            guard range.lowerBound >= 0, range.upperBound + 4 <= bytes.count else { return }
            var sum: [UInt8] = []
            sum.append(bigEndian: Array(bytes[range]).span.crc32c)
            bytes.replaceSubrange(range.upperBound..<range.upperBound + 4, with: sum)
        }
        func section(_ start: Int) -> Int? {
            guard let size = be(start, 4), size < bytes.count, start + 4 <= bytes.count - size else { return nil }
            set(start + 4..<start + 4 + size)
            return start + 8 + size
        }
        set(toc..<toc + 48)
        guard let symbols = be(toc, 8), let series = be(toc + 8, 8), let postings = be(toc + 32, 8), let table = be(toc + 40, 8)
        else { return }
        _ = section(symbols)
        _ = section(table)
        var next: Int? = (postings &+ 3) / 4 * 4
        while let start = next, start < table { next = section(start) }
        var start = series
        while start >= 0, start < min(postings, bytes.count - 1) {
            start = (start + 15) / 16 * 16
            guard start < bytes.count else { break }
            let size = Int(bytes[start])
            set(start + 1..<start + 1 + size)
            start += 5 + size
        }
        set(toc..<toc + 48)
    }
}
