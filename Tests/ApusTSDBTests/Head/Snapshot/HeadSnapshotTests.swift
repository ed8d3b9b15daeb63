import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("Head snapshots") struct HeadSnapshotTests {
    private let directory = TestDirectory()
    private let files = PosixFileSystem()
    private var path: String { directory.file(HeadSnapshot.fileName) }
    private static let options = HeadOptions(retentionMs: 0, chunkRangeMs: 100_000, samplesPerChunk: 10)

    private func identity(_ minValidTimeMs: Int64 = 0) throws(FileError) -> HeadSnapshot.Identity {
        try HeadSnapshot.Identity(directories: [directory.file("wal")], minValidTimeMs: minValidTimeMs, files: files)
    }

    /// Floats in sealed and open chunks, a histogram, deletes, metadata, exemplars; everything in memory.
    private func someHead() throws -> Head {
        let head = Head(options: Self.options)
        _ = head.exemplars.resize(to: 100)
        var batch = SampleBatch()
        for series in 0..<200 {
            let ref = try head.seriesRef(for: ["__name__": ByteString("m\(series % 7)"), "i": ByteString("\(series)")])
            for step in 0..<(series % 40) { batch.append(ref, timestampMs: Int64(step) * 10_000, value: Double(step * series) / 3) }
            if series == 3 {
                batch.append(ref, metadata: MetricMetadata(type: .counter, help: "what", unit: "s"))
                batch.append(ref, exemplar: Exemplar(labels: ["trace": "a"], value: 2, timestampMs: 17))
            }
        }
        let histogram = try head.seriesRef(for: ["__name__": "h"])
        let layout = HistogramLayout(schema: 0, positiveSpans: [HistogramSpan(offset: 0, length: 2)])
        batch.append(histogram, timestampMs: 5000, histogram: try NativeHistogram(layout: layout, count: 3, sum: 1, positive: [1, 2]))
        _ = try head.append(batch)
        try head.delete([Matcher("__name__", equals: "m2")], minTimeMs: 20_000, maxTimeMs: 60_000)
        return head
    }

    private func contents(_ head: Head) throws -> [String] {
        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let set = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        var columns = SampleColumns(histograms: true)
        return try (0..<set.count).map { index in
            columns.removeAll()
            try set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns)
            let samples = (0..<columns.count).map { "\(columns.timestampMs(at: $0)) \(columns.value(at: $0).bitPattern)" }
            return "\(set.labels(at: index)) \(samples)"
        }
    }

    private func write(_ head: Head) throws {
        let isWritten = try HeadSnapshot.write(head, to: path, files: files) { () throws(FileError) in try identity() }
        #expect(isWritten)
    }

    private func load(_ identity: HeadSnapshot.Identity) throws(SnapshotError) -> Head {
        try HeadSnapshot.load(path, options: Self.options, maxExemplars: 100, identity: identity, files: files)
    }

    @Test("a head comes back whole, and goes on")
    func comesBack() throws {
        let before = try someHead()
        let expected = try contents(before)
        try write(before)
        let head = try load(try identity())
        head.checkInvariants()
        #expect(try contents(head) == expected)
        let three = try head.seriesRef(for: ["__name__": "m3", "i": "3"])
        #expect(three == (try before.seriesRef(for: ["__name__": "m3", "i": "3"])))
        #expect(head.metadata(of: three) == MetricMetadata(type: .counter, help: "what", unit: "s"))
        #expect(head.exemplars.all().map(\.exemplar.timestampMs) == [17])
        #expect(head.statistics().minTimeMs == before.statistics().minTimeMs)
        #expect(head.statistics().maxTimeMs == before.statistics().maxTimeMs)
        // New series do not take refs that were given; old ones take samples.
        let new = try head.seriesRef(for: ["__name__": "new"])
        #expect(before.labels(of: new) == nil)
        var batch = SampleBatch()
        batch.append(three, timestampMs: 390_000, value: 1)
        batch.append(new, timestampMs: 390_000, value: 1)
        #expect(try head.append(batch).appended == 2)
        head.truncate(before: 300_000)
        head.checkInvariants()
        #expect(try !files.exists(path), "whoever loads it removes it")
    }

    @Test("is not used beside other files, or blocks")
    func identities() throws {
        for change in 0..<3 {
            try files.createDirectory(directory.file("wal"))
            try files.replace(directory.file("wal/00000001"), with: [1, 2, 3])
            try write(try someHead())
            switch change {
            case 0: try files.replace(directory.file("wal/00000001"), with: [1, 2, 3, 4])
            case 1: try files.replace(directory.file("wal/00000002"), with: [])
            default: break
            }
            let now = try identity(change == 2 ? 7 : 0)
            #expect(throws: SnapshotError.self) { try load(now) }
            #expect(try !files.exists(path))
        }
    }

    @Test("a damaged one is not used, at whatever byte")
    func damaged() throws {
        try write(try someHead())
        let good = try files.read(path)
        var random = Generator(seed: 3)
        for _ in 0..<200 {
            var bad = good
            switch random.below(3) {
            case 0: bad.removeLast(1 + random.below(good.count))
            case 1: bad.append(0)
            default: bad[random.below(bad.count)] ^= UInt8(1 << random.below(8))
            }
            try files.replace(path, with: bad)
            let now = try identity()
            #expect(throws: SnapshotError.self) { try load(now) }
        }
    }

    /// Goal: a file whose checksum is right but whose contents are not cannot stop the process. Method: change bytes, make
    /// the checksums anew, load, and look at all that is there.
    @Test("wrong contents under a right checksum do no harm")
    func hostile() throws {
        try write(try someHead())
        let good = try files.read(path)
        var random = Generator(seed: 11)
        for _ in 0..<400 {
            var bad = good
            for _ in 0..<(1 + random.below(3)) {
                bad[SnapshotWriter.headerBytes + random.below(bad.count - SnapshotWriter.headerBytes)] = UInt8(truncatingIfNeeded: random.next())
            }
            Self.sign(&bad)
            try files.replace(path, with: bad)
            guard let head = try? load(try identity()) else { continue }
            _ = try? contents(head)
            _ = head.statistics()
        }
    }

    private static func sign(_ file: inout [UInt8]) {
        func store(_ value: UInt32, at offset: Int) {
            for index in 0..<4 { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
        }
        store(Array(file[SnapshotWriter.headerBytes...]).span.crc32c, at: 24)
        store(Array(file[..<28]).span.crc32c, at: 28)
    }

    @Test("a full disk leaves no snapshot")
    func failure() throws {
        let faulty = FaultyFileSystem()
        faulty.fail(.write)
        let head = try someHead()
        #expect(throws: FileError.self) {
            try HeadSnapshot.write(head, to: path, files: faulty) { () throws(FileError) in try identity() }
        }
        #expect(try !files.exists(path))
    }
}
