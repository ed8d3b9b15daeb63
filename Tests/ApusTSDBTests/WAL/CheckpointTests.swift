import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("WAL checkpoints") struct CheckpointTests {
    private let directory = TestDirectory()
    private let files = FaultyFileSystem()

    @Test("a checkpoint keeps what is still needed")
    func keeps() throws {
        let log = try writeLog()
        let statistics = try Checkpoint.write(in: directory.path, through: 1, minTimeMs: 1000, files: files) { $0.rawValue != 2 }
        #expect(try checkpointContents() == [
            "series 1 3", "samples 1@1000", "samples 1@1500 3@1500", "histogram samples 1@1000", "custom buckets histogram samples 3@1500",
            "float histogram samples 3@2000", "exemplars 1@1001", "tombstones 1", "metadata 1 3",
        ])
        #expect(statistics.series == .init(total: 3, dropped: 1) && statistics.samples == .init(total: 9, dropped: 3))
        #expect(statistics.exemplars == .init(total: 2, dropped: 1) && statistics.tombstones == .init(total: 2, dropped: 1))
        #expect(statistics.metadata == .init(total: 4, dropped: 2))
        // The newest metadata.
        let reader = try WALReader(directory: Checkpoint.path(in: directory.path, through: 1), files: files)
        var record = DecodedRecord()
        var metadata: [SampleBatch.SeriesMetadata] = []
        while try reader.next(&record) { metadata += record.samples.metadata }
        #expect(metadata.map(\.metadata.help) == ["new", "three"])
        log.close()
    }

    @Test("a second one takes in the first, and what is obsolete goes")
    func second() throws {
        let log = try writeLog()
        try Checkpoint.write(in: directory.path, through: 1, minTimeMs: 1000, files: files) { _ in true }
        try log.truncate(before: 2)
        try log.rotate()
        _ = try log.append(samples: batch(5, 3000))
        try log.rotate()
        try files.createDirectory(directory.file("checkpoint.00000099.tmp"))
        try Checkpoint.write(in: directory.path, through: log.position.segment - 1, minTimeMs: 2000, files: files) { $0.rawValue == 1 }
        let latest = try #require(try Checkpoint.latest(in: directory.path, files: files))
        #expect(latest.segment == log.position.segment - 1)
        try Checkpoint.remove(before: latest.segment, in: directory.path, files: files)
        try log.truncate(before: latest.segment + 1)
        #expect(
            try files.list(directory.path).map(\.name) == [
                SegmentFormat.name(latest.segment + 1), "checkpoint." + SegmentFormat.name(latest.segment),
            ])
        #expect(try checkpointContents() == ["series 1", "float histogram samples 3@2000", "samples 5@3000", "metadata 1"])
        // Read as a start does: the checkpoint and then the segments behind it.
        _ = try log.append(samples: batch(6, 4000))
        let reader = try WALReader(directory: directory.path, checkpoint: latest.path, first: latest.segment + 1, files: files)
        var record = DecodedRecord()
        var count = 0
        while try reader.next(&record) { count += 1 }
        #expect(count == 5 && reader.segment == latest.segment + 1 && reader.segmentCount == 2)
    }

    @Test("damage in what it reads stops it and leaves nothing behind")
    func damage() throws {
        let log = try writeLog()
        log.close()
        var content = try files.read(directory.file("00000001"))
        content[20] ^= 1
        try files.replace(directory.file("00000001"), with: content)
        #expect(throws: WALError.self) { try Checkpoint.write(in: directory.path, through: 1, minTimeMs: 0, files: files) { _ in true } }
        #expect(try Checkpoint.latest(in: directory.path, files: files) == nil)
        #expect(try files.list(directory.path).map(\.name) == ["00000000", "00000001", "00000002"])
    }

    @Test("a segment that is missing, or not there yet, stops it")
    func gaps() throws {
        let log = try writeLog()
        #expect(throws: WALError.self) { try Checkpoint.write(in: directory.path, through: 7, minTimeMs: 0, files: files) { _ in true } }
        try Checkpoint.write(in: directory.path, through: 0, minTimeMs: 0, files: files) { _ in true }
        #expect(throws: WALError.self) { try Checkpoint.write(in: directory.path, through: 0, minTimeMs: 0, files: files) { _ in true } }
        try log.truncate(before: 2)
        #expect(throws: WALError.self) { try Checkpoint.write(in: directory.path, through: 2, minTimeMs: 0, files: files) { _ in true } }
    }

    @Test("a failing call leaves the last checkpoint as it was", arguments: [.open, .write, .sync, .rename, .syncDirectory, .createDirectory] as [FaultyFileSystem.Call])
    func failures(call: FaultyFileSystem.Call) throws {
        let log = try writeLog()
        log.close()
        try Checkpoint.write(in: directory.path, through: 0, minTimeMs: 0, files: files) { _ in true }
        files.fail(call, path: ".tmp", times: 1)
        #expect(throws: WALError.self) { try Checkpoint.write(in: directory.path, through: 1, minTimeMs: 0, files: files) { _ in true } }
        #expect(try Checkpoint.latest(in: directory.path, files: files)?.segment == 0)
        #expect(try files.list(directory.path).allSatisfy { !$0.name.hasSuffix(".tmp") })
    }

    @Test("start timestamps survive where a whole record is kept")
    func startTimestamps() throws {
        var writer = ByteWriter()
        writer.u8(11)
        for value in [5, 1000, 400] as [Int64] { writer.varint(value) }
        writer.f64(1)
        let segments = SegmentWriter(directory: directory.path, segmentBytes: 1 << 20, compression: .none, files: files)
        try segments.open(0)
        let record = writer.array
        try unsafe record.withUnsafeBytes { try unsafe segments.add($0) }
        try segments.flush()
        try Checkpoint.write(in: directory.path, through: 0, minTimeMs: 0, files: files) { _ in true }
        let reader = try WALReader(directory: Checkpoint.path(in: directory.path, through: 0), files: files)
        var decoded = DecodedRecord()
        #expect(try reader.next(&decoded))
        #expect(decoded.type == .samplesV2 && decoded.samples.startTimestampsMs == [400])
    }

    // MARK: Helpers

    /// Segments 0 and 1 with something of every type around 1000 ms, and an empty segment 2.
    private func writeLog() throws -> WriteAheadLog {
        let log = try WriteAheadLog.open(directory.path, files: files, time: SystemTime())
        _ = try log.append(series: (1...3).map { SeriesRecord(ref: ref($0), labels: ["n": ByteString("\($0)")]) })
        var first = batch(1, 999)
        first.append(ref(1), timestampMs: 1000, value: 2)
        first.append(ref(1), metadata: MetricMetadata(type: .gauge, help: "old"))
        first.append(ref(2), metadata: MetricMetadata(type: .gauge, help: "two"))
        _ = try log.append(samples: first)
        var second = batch(1, 1500)
        second.append(ref(3), timestampMs: 1500, value: 1)
        _ = try log.append(samples: second)
        try log.rotate()
        let layout = HistogramLayout(positiveSpans: [HistogramSpan(offset: 0, length: 1)])
        let custom = HistogramLayout(schema: -53, positiveSpans: [HistogramSpan(offset: 0, length: 1)], customBounds: [1])
        var third = SampleBatch()
        for time in [999, 1000] as [Int64] {
            third.append(ref(1), timestampMs: time, histogram: try NativeHistogram(layout: layout, count: 3, sum: 1, positive: [3]))
        }
        for time in [900, 1500] as [Int64] {
            third.append(ref(3), timestampMs: time, histogram: try NativeHistogram(layout: custom, count: 3, sum: 1, positive: [3]))
        }
        third.append(ref(3), timestampMs: 2000, histogram: .stale(isFloat: true))
        for time in [999, 1001] as [Int64] {
            third.append(ref(1), exemplar: Exemplar(labels: ["t": "1"], value: 1, timestampMs: time))
        }
        third.append(ref(1), metadata: MetricMetadata(type: .counter, help: "new"))
        third.append(ref(3), metadata: MetricMetadata(type: .counter, help: "three"))
        _ = try log.append(samples: third)
        _ = try log.append(tombstones: [
            TombstoneRecord(ref: ref(1), minTimeMs: 0, maxTimeMs: 1000), TombstoneRecord(ref: ref(1), minTimeMs: 0, maxTimeMs: 999),
        ])
        try log.rotate()
        return log
    }

    private func checkpointContents() throws -> [String] {
        let latest = try #require(try Checkpoint.latest(in: directory.path, files: files))
        return try logContents(latest.path, files)
    }

    private func ref(_ number: Int) -> SeriesRef { SeriesRef(rawValue: UInt64(number)) }

    private func batch(_ number: Int, _ timeMs: Int64) -> SampleBatch {
        var batch = SampleBatch()
        batch.append(ref(number), timestampMs: timeMs, value: 1)
        return batch
    }
}
