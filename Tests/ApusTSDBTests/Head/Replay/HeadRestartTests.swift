import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// A head with its log and chunk files in a directory, as the database has it; and how it comes back.
private final class Disk {
    let directory = TestDirectory()
    let files: any FileSystem = PosixFileSystem()
    let options: HeadOptions
    var head: Head
    var log: WriteAheadLog
    var chunkFiles: HeadChunkFiles
    var minValidTimeMs = Int64.min
    var report = HeadReplay.Report()

    init(_ options: HeadOptions) throws {
        self.options = options
        (head, log, chunkFiles, report) = try Self.start(directory, files, options, .min)
    }

    /// Ends in order, and starts again without a replay.
    func stopAndStart() throws {
        #expect(log.close())
        let path = directory.file(HeadSnapshot.fileName)
        let isWritten = try HeadSnapshot.write(head, to: path, files: files) { () throws(FileError) in try identity() }
        #expect(isWritten)
        try chunkFiles.close()
        let now = try identity()
        chunkFiles = try Self.openChunkFiles(directory, files)
        var options = options
        options.chunkFiles = chunkFiles
        head = try HeadSnapshot.load(path, options: options, identity: now, files: files)
        #expect(try !files.exists(path))
        log = try Self.openLog(directory, files)
        head.use(log: log)
        report = HeadReplay.Report()
    }

    func identity() throws(FileError) -> HeadSnapshot.Identity {
        try HeadSnapshot.Identity(
            directories: [directory.file("wal"), directory.file("chunks_head")], minValidTimeMs: minValidTimeMs, files: files)
    }

    private static func openChunkFiles(_ directory: TestDirectory, _ files: any FileSystem) throws -> HeadChunkFiles {
        try HeadChunkFiles.open(directory.file("chunks_head"), files: files, limits: .init(fileBytes: 8192, growthBytes: 4096))
    }

    private static func openLog(_ directory: TestDirectory, _ files: any FileSystem) throws -> WriteAheadLog {
        try WriteAheadLog.open(directory.file("wal"), options: WALOptions(segmentBytes: 32768), files: files, time: SystemTime())
    }

    /// Ends without a word to anyone, and starts again.
    func restart() throws { (head, log, chunkFiles, report) = try Self.start(directory, files, options, minValidTimeMs) }

    private static func start(
        _ directory: TestDirectory, _ files: any FileSystem, _ options: HeadOptions, _ minValidTimeMs: Int64
    ) throws -> (Head, WriteAheadLog, HeadChunkFiles, HeadReplay.Report) {
        let wal = directory.file("wal")
        let chunkFiles = try openChunkFiles(directory, files)
        var options = options
        options.chunkFiles = chunkFiles
        let head = Head(options: options)
        let replay = HeadReplay(head, minValidTimeMs: minValidTimeMs)
        let corruption = chunkFiles.iterate { replay.load($0) }
        #expect(corruption == nil)
        let log = try openLog(directory, files)
        let checkpoint = try Checkpoint.latest(in: wal, files: files)
        let reader = try WALReader(
            directory: wal, checkpoint: checkpoint?.path, first: (checkpoint?.segment ?? -1) + 1, files: files)
        try replay.run(reader)
        let report = replay.finish()
        head.use(log: log)
        return (head, log, chunkFiles, report)
    }

    /// As after a compaction up to `timeMs`.
    func truncate(before timeMs: Int64) throws {
        minValidTimeMs = max(minValidTimeMs, timeMs)
        head.setMinValidTime(timeMs)
        head.truncate(before: timeMs)
        head.keepForReaders(try chunkFiles.unlink(before: timeMs))
        let wal = directory.file("wal")
        let last = try log.rotate() - 1
        let first = (try Checkpoint.latest(in: wal, files: files)?.segment ?? -1) + 1
        // Upstream's two thirds: later segments stay.
        let through = first + (last - first) * 2 / 3
        if through <= first { return }
        _ = try Checkpoint.write(in: wal, through: through, minTimeMs: timeMs, files: files) { head.keepSeries($0, segment: through) }
        try log.truncate(before: through + 1)
        try Checkpoint.remove(before: through, in: wal, files: files)
        head.forgetCollected(upTo: through)
    }
}

@Suite("Head restarts") struct HeadRestartTests {
    private typealias Sample = (time: Int64, bits: UInt64)

    /// Goal: what a head holds and what comes back after a kill are the same, whatever was appended, deleted, truncated
    /// and collected before; and writers may keep their refs. Method: random steps against a dictionary, with real logs
    /// and chunk files.
    @Test("a killed head comes back as it was", arguments: 0..<10)
    func comesBack(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed) &+ 900)
        let range: Int64 = 10_000
        var options = HeadOptions(
            retentionMs: 0, chunkRangeMs: range, samplesPerChunk: 4 + random.below(20), firstRef: seed % 3 == 0 ? 1 << 36 : 1)
        if seed % 2 == 0 { options.labelRebuildPairs = 16 }
        let disk = try Disk(options)
        var model: [LabelSet: [Sample]] = [:]
        var refs: [LabelSet: SeriesRef] = [:]
        var now: Int64 = 1_700_000_000_000
        var bound = Int64.min
        for step in 0..<70 {
            let place = "seed \(seed) step \(step)"
            switch random.below(14) {
            case 0:
                if random.below(2) == 0 { try disk.restart() } else { try disk.stopAndStart() }
                disk.head.checkInvariants()
                #expect(disk.report.unknownRefs == 0, "\(place): \(disk.report)")
                for (labels, ref) in refs where model[labels]?.isEmpty == false {
                    // Another ref only when the log names two.
                    let now = try disk.head.seriesRef(for: labels)
                    #expect(now == ref || disk.report.duplicateSeries > 0 && disk.head.labels(of: ref) == nil, "\(place)")
                    refs[labels] = now
                }
                for (labels, ref) in refs where disk.head.labels(of: ref) != labels { refs[labels] = nil }
            case 1:
                bound = (now - Int64(random.below(Int(range) * 2))) / range * range
                bound = max(bound, disk.minValidTimeMs)
                try disk.truncate(before: bound)
                for labels in model.keys { model[labels]?.removeAll { $0.time < bound } }
                for (labels, ref) in refs where model[labels]?.isEmpty != false && disk.head.labels(of: ref) == nil { refs[labels] = nil }
            case 2:
                let low = now - Int64(random.below(20_000))
                let high = low + Int64(random.below(10_000))
                let value = ByteString("\(random.below(4))")
                try disk.head.delete([Matcher("k", equals: value)], minTimeMs: low, maxTimeMs: high)
                for labels in model.keys where labels["k"] == value { model[labels]?.removeAll { $0.time >= low && $0.time <= high } }
            default:
                var batch = SampleBatch()
                // A log that drops what it is given, and then goes on.
                let isSuspended = random.below(6) == 0
                if isSuspended { disk.head.use(log: nil) }
                now += Int64(random.below(1500))
                for _ in 0..<random.below(60) {
                    let labels: LabelSet = ["__name__": "m", "i": ByteString("\(random.below(20 + step))"), "k": ByteString("\(random.below(4))")]
                    let ref = try disk.head.seriesRef(for: labels)
                    if let known = refs[labels] { #expect(known == ref, "\(place)") }
                    refs[labels] = ref
                    let time = now - Int64(random.below(800))
                    let value = random.below(3) == 0 ? 1 : Double(random.below(1000)) / 7
                    batch.append(ref, timestampMs: time, value: value)
                }
                let outcome = try disk.head.append(batch)
                let rejected = Set(outcome.rejections.map(\.index))
                let labelsOf = Dictionary(uniqueKeysWithValues: refs.map { ($1, $0) })
                var stored = 0
                for index in 0..<batch.count where !rejected.contains(index) {
                    guard let labels = labelsOf[batch.refs[index]] else { continue }
                    let sample = (batch.timestampsMs[index], batch.values[index].bitPattern)
                    // The same sample again is no error and not stored.
                    if let last = model[labels]?.last, last == sample { continue }
                    model[labels, default: []].append(sample)
                    stored += 1
                }
                #expect(stored <= outcome.appended, "\(place)")
                if isSuspended { try disk.head.relog(sinceMs: now - 800, into: disk.log) }
            }
            disk.head.checkInvariants()
            try compare(disk.head, model, &random, now, place)
        }
    }

    private func compare(
        _ head: Head, _ model: [LabelSet: [Sample]], _ random: inout Generator, _ now: Int64, _ place: String
    ) throws {
        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let all = try readAll(querier, [], Int64.min...Int64.max).filter { !$0.samples.isEmpty }
        let expected = model.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
        #expect(all.map(\.labels) == expected.map(\.key), "\(place)")
        for (mine, theirs) in zip(all, expected) {
            #expect(mine.samples.map(\.time) == theirs.value.map(\.time), "\(place) \(mine.labels)")
            #expect(mine.samples.map(\.bits) == theirs.value.map(\.bits), "\(place) \(mine.labels)")
        }
        // What a block would be written from.
        let low = random.below(3) == 0 ? Int64.min : now - Int64(random.below(20_000))
        let high = random.below(3) == 0 ? Int64.max : low.addingReportingOverflow(Int64(random.below(15_000))).partialValue
        let set = head.chunkSeries(minTimeMs: low, maxTimeMs: high)
        var columns = SampleColumns()
        var found: [(labels: LabelSet, samples: [Sample])] = []
        while try set.next() {
            columns.removeAll()
            var previous = Int64.min
            for chunk in set.chunks {
                let first = columns.count
                try chunk.decode(into: &columns)
                #expect(columns.count - first == chunk.count && chunk.count > 0, "\(place)")
                #expect(columns.timestampMs(at: first) == chunk.minTimeMs && chunk.minTimeMs > previous, "\(place)")
                #expect(columns.timestampMs(at: columns.count - 1) == chunk.maxTimeMs, "\(place)")
                previous = chunk.maxTimeMs
            }
            if columns.count == 0 { continue }
            found.append((set.labels, (0..<columns.count).map { (columns.timestampMs(at: $0), columns.value(at: $0).bitPattern) }))
        }
        let cut = expected.map { ($0.key, $0.value.filter { $0.time >= low && $0.time <= high }) }.filter { !$0.1.isEmpty }
        #expect(found.map(\.labels) == cut.map(\.0), "\(place)")
        for (mine, theirs) in zip(found, cut) { #expect(mine.samples.map(\.time) == theirs.1.map(\.time), "\(place)") }
    }
}
