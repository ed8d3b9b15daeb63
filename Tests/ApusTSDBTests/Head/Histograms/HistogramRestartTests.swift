import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// A head over a directory, and how it comes back.
private func start(_ directory: TestDirectory, chunkRangeMs: Int64) throws -> (head: Head, report: HeadReplay.Report) {
    let files: any FileSystem = PosixFileSystem()
    let wal = directory.file("wal")
    let chunkFiles = try HeadChunkFiles.open(directory.file("chunks_head"), files: files, limits: .init(fileBytes: 8192, growthBytes: 4096))
    let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: chunkRangeMs, chunkFiles: chunkFiles))
    let replay = HeadReplay(head, minValidTimeMs: .min)
    #expect(chunkFiles.iterate { replay.load($0) } == nil)
    let log = try WriteAheadLog.open(wal, options: WALOptions(segmentBytes: 32768), files: files, time: SystemTime())
    try replay.run(try WALReader(directory: wal, checkpoint: nil, first: 0, files: files))
    let report = replay.finish()
    head.use(log: log)
    return (head, report)
}

private func readAll(_ head: Head) throws -> [(time: Int64, bits: UInt64, histogram: NativeHistogram?)] {
    let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
    let set = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
    var columns = SampleColumns(histograms: true)
    for index in 0..<set.count { try set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns) }
    return (0..<columns.count).map { (columns.timestampMs(at: $0), columns.value(at: $0).bitPattern, columns.histogram(at: $0)) }
}

@Suite("Histograms across restarts") struct HistogramRestartTests {
    @Test("a killed head comes back with its histograms", arguments: 0..<8)
    func comesBack(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed) &+ 31)
        let directory = TestDirectory()
        var (head, _) = try start(directory, chunkRangeMs: 600_000)
        let ref = try head.seriesRef(for: ["__name__": "h"])
        var time: Int64 = 1_700_000_000_000
        var layout = randomLayout(&random)
        var model: [(time: Int64, bits: UInt64, histogram: NativeHistogram?)] = []
        for step in 0..<300 {
            time += 5_000 + Int64(random.below(5_000))
            var batch = SampleBatch()
            switch random.below(8) {
            case 0:
                batch.append(ref, timestampMs: time, value: Double(step))
                model.append((time, Double(step).bitPattern, nil))
            case 1:
                batch.append(ref, timestampMs: time, value: StaleNaN.value)
                model.append((time, StaleNaN.bits, (model.last?.histogram).map { .stale(isFloat: $0.isFloat) }))
            default:
                if random.below(10) == 0 { layout = randomLayout(&random) }
                let one = try randomHistogram(&random, layout, isFloat: seed % 2 == 1)
                batch.append(ref, timestampMs: time, histogram: one)
                model.append((time, one.sum.bitPattern, one))
            }
            #expect(try head.append(batch).appended == 1)
            if random.below(60) == 0 || step == 299 {
                let report: HeadReplay.Report
                (head, report) = try start(directory, chunkRangeMs: 600_000)
                head.checkInvariants()
                #expect(report.unknownRefs == 0 && report.unreadableHistograms == 0)
                // The newest sample once more is no error, whether it lies in a mapped chunk or in the log.
                let again = try head.append(batch)
                #expect(again.appended == 0 && again.rejections.isEmpty, "step \(step): \(again)")
            }
        }
        let found = try readAll(head)
        #expect(found.map(\.time) == model.map(\.time))
        #expect(found.map(\.bits) == model.map(\.bits))
        for (one, sample) in zip(found, model) { #expect(one.histogram.map(buckets) == sample.histogram.map(buckets)) }
    }
}
