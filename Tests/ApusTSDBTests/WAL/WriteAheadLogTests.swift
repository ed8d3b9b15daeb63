import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@Suite("Write-ahead log") struct WriteAheadLogTests {
    private let directory = TestDirectory()
    private let files = FaultyFileSystem()

    @Test("what is appended is in the file when the call returns, series before their samples")
    func appends() throws {
        let log = try open()
        let labels: LabelSet = ["__name__": "up"]
        _ = try log.append(series: [SeriesRecord(ref: ref(1), labels: labels)])
        _ = try log.append(series: [SeriesRecord(ref: ref(2), labels: ["a": "b"])])
        #expect(files.count(.write) == 0)
        _ = try log.append(samples: batch(1...2, 1000))
        #expect(files.count(.write) == 1)
        // Another reader sees it, though nothing was synced.
        #expect(try contents() == ["series 1 2", "samples 1@1000 2@1000"])
        _ = try log.append(tombstones: [TombstoneRecord(ref: ref(1), minTimeMs: 5, maxTimeMs: 6)])
        #expect(try contents().last == "tombstones 1")
        var mixed = batch(3...3, 2000)
        mixed.append(ref(3), exemplar: Exemplar(labels: ["t": "1"], value: 1, timestampMs: 2000))
        mixed.append(ref(3), metadata: MetricMetadata(type: .gauge, help: "h", unit: "u"))
        let custom = HistogramLayout(schema: -53, positiveSpans: [HistogramSpan(offset: 0, length: 2)], customBounds: [1])
        let histogram = try NativeHistogram(layout: custom, count: 3, sum: 1, positive: [1, 2])
        mixed.append(ref(4), timestampMs: 2000, histogram: .stale(isFloat: true))
        mixed.append(ref(5), timestampMs: 2000, histogram: histogram)
        _ = try log.append(samples: mixed)
        #expect(
            try contents().suffix(5) == [
                "metadata 3", "samples 3@2000", "custom buckets histogram samples 5@2000", "float histogram samples 4@2000", "exemplars 3@2000",
            ])
        #expect(files.count(.write) == 3)
    }

    @Test("staged series reach the disk with a sync, and when there are many")
    func staged() throws {
        let log = try open()
        _ = try log.append(series: [SeriesRecord(ref: ref(1), labels: ["a": "b"])])
        #expect(log.sync())
        #expect(try contents() == ["series 1"])
        let long = ByteString(String(repeating: "x", count: 2000))
        for number in 2..<600 { _ = try log.append(series: [SeriesRecord(ref: ref(number), labels: ["a": long])]) }
        #expect(try contents().count == 2)
        #expect(log.close())
        #expect(try contents().count == 3)
    }

    @Test("a start begins a new segment; the log goes on over as many as it needs")
    func segments() throws {
        for start in 0..<3 {
            let log = try open(segmentBytes: 64 << 10, compression: .none)
            #expect(log.position == LogPosition(segment: start * 4, offset: 0))
            // 12,000 bytes a batch.
            for step in 0..<18 { _ = try log.append(samples: batch(1...1090, Int64(start * 100 + step))) }
            #expect(log.statistics.segment == start * 4 + 3)
            #expect(log.statistics.completedPages >= 6)
            #expect(log.close())
        }
        let found = try contents().map { $0.split(separator: "@").last ?? "" }
        #expect(found == (0..<54).map { "\($0 / 18 * 100 + $0 % 18)" })
    }

    @Test("rotating leaves an empty segment alone; truncating keeps the numbers in sequence")
    func truncates() throws {
        let log = try open()
        #expect(try log.rotate() == 0)
        for step in 1...4 {
            _ = try log.append(samples: batch(1...1, Int64(step)))
            #expect(try log.rotate() == step)
        }
        try log.truncate(before: 3)
        #expect(try SegmentFormat.list(directory.path, files) == [3, 4])
        // The segment that is written to stays, whatever is asked.
        try log.truncate(before: 99)
        #expect(try SegmentFormat.list(directory.path, files) == [4])
        #expect(log.statistics.truncations == 2 && log.statistics.truncationsFailed == 0)
        files.fail(.list)
        #expect(throws: WALError.self) { try log.truncate(before: 99) }
        #expect(log.statistics.truncationsFailed == 1)
    }

    @Test("a sync syncs what was written since the last, full segments and the directory included")
    func syncs() throws {
        let log = try open()
        // Those that made the log's own directory durable.
        let opening = files.count(.syncDirectory)
        #expect(opening >= 1)
        #expect(log.sync())
        #expect(files.count(.sync) == 1 && files.count(.syncDirectory) == opening + 1)
        #expect(log.sync())
        #expect(files.count(.sync) == 1)
        _ = try log.append(samples: batch(1...1, 1))
        try log.rotate()
        _ = try log.append(samples: batch(1...1, 2))
        #expect(log.sync())
        #expect(files.count(.sync) == 3 && files.count(.syncDirectory) == opening + 2)
        #expect(log.statistics.syncs.count == 2)
        #expect(log.statistics.syncs.quantile(0.5) >= 0)
    }

    @Test("a full disk suspends the log; nothing torn stays behind, and it goes on in a new segment")
    func fullDisk() throws {
        let log = try open()
        _ = try log.append(samples: batch(1...3, 1))
        files.fail(.write, code: ENOSPC, writtenBytes: 9)
        _ = try log.append(samples: batch(1...3, 2))
        guard case .suspended(_, let error) = log.state else {
            Issue.record("expected a suspended log, is \(log.state)")
            return
        }
        #expect(error.code == ENOSPC)
        // What was written before is whole, though it was never synced.
        #expect(try contents() == ["samples 1@1 2@1 3@1"])
        _ = try log.append(samples: batch(1...3, 3))
        #expect(log.statistics.entriesDropped == 6 && log.statistics.writesFailed == 1)
        #expect(!log.sync() && !log.resume() && !log.resume())
        // Trying leaves nothing behind.
        #expect(try SegmentFormat.list(directory.path, files) == [0])
        files.heal()
        #expect(log.resume() && log.state == .writing)
        #expect(log.position == LogPosition(segment: 1, offset: 0))
        _ = try log.append(samples: batch(1...3, 4))
        #expect(log.close())
        #expect(try contents() == ["samples 1@1 2@1 3@1", "samples 1@4 2@4 3@4"])
    }

    @Test("after a failed sync the log keeps what was synced before, and believes none of the rest")
    func failedSync() throws {
        let log = try open()
        _ = try log.append(samples: batch(1...1, 1))
        #expect(log.sync())
        _ = try log.append(samples: batch(1...1, 2))
        try log.rotate()
        _ = try log.append(samples: batch(1...1, 3))
        files.fail(.sync, path: "00000000", times: 1)
        #expect(!log.sync())
        guard case .suspended = log.state else {
            Issue.record("expected a suspended log, is \(log.state)")
            return
        }
        #expect(try contents() == ["samples 1@1"])
        #expect(log.resume())
        #expect(log.position.segment == 2)
        _ = try log.append(samples: batch(1...1, 4))
        #expect(log.close())
        #expect(try contents() == ["samples 1@1", "samples 1@4"])
        #expect(try SegmentFormat.list(directory.path, files) == [0, 1, 2])
    }

    @Test("when the damage cannot be cut off, the log stays suspended until it can")
    func cannotCut() throws {
        let log = try open()
        _ = try log.append(samples: batch(1...3, 1))
        files.fail(.write, code: ENOSPC, writtenBytes: 9)
        files.fail(.truncate)
        _ = try log.append(samples: batch(1...3, 2))
        #expect(throws: WALError.self) { try contents() }
        #expect(!log.resume())
        files.heal()
        #expect(log.resume())
        #expect(try contents() == ["samples 1@1 2@1 3@1"])
    }

    @Test("a log that cannot begin its next segment is suspended, and later goes on")
    func failedRotation() throws {
        let log = try open()
        _ = try log.append(samples: batch(1...1, 1))
        files.fail(.open, path: "00000001", code: EMFILE)
        try log.rotate()
        #expect(log.state != .writing)
        files.heal()
        #expect(log.resume())
        _ = try log.append(samples: batch(1...1, 2))
        #expect(log.close())
        #expect(try contents() == ["samples 1@1", "samples 1@2"])
    }

    @Test("any call failing once loses no more than what was not synced, and the log reads well")
    func anyCallFails() throws {
        for call in FaultyFileSystem.Call.allCases {
            for after in 0..<8 {
                let files = FaultyFileSystem(SimulatedDisk())
                guard let log = try? WriteAheadLog.open("wal", options: WALOptions(), files: files, time: SystemTime()) else { continue }
                files.fail(call, after: after, times: 1)
                var durable: [String] = []
                var appended: [String] = []
                for step in 1...12 {
                    _ = try log.append(samples: batch(1...2, Int64(step)))
                    appended.append("samples 1@\(step) 2@\(step)")
                    if step % 3 == 0, log.sync() { durable = appended }
                    if step % 4 == 0 { try log.rotate() }
                    if log.state != .writing {
                        _ = log.resume()
                        // The head writes its samples again.
                        for step in 1...step { _ = try log.append(samples: batch(1...2, Int64(step))) }
                    }
                }
                log.close()
                files.heal()
                let found = Set(try logContents("wal", files))
                #expect(found.isSuperset(of: durable), "\(call) after \(after)")
            }
        }
    }

    @Test("a power cut after any change loses nothing that was synced", arguments: 0..<3)
    func powerCuts(seed: Int) throws {
        var generator = Generator(seed: UInt64(seed))
        var damaged = 0
        for at in 0..<90 {
            let disk = SimulatedDisk()
            disk.fault = .powerCut(atChange: at)
            let durable = run(on: disk, steps: 30)
            let after = disk.afterPowerCut(using: &generator)
            damaged += try check(after, has: durable)
        }
        #expect(damaged > 5)
    }

    @Test("a call that fails, and a power cut later, lose nothing that was synced", arguments: [EIO, ENOSPC])
    func failuresAndPowerCuts(code: Int32) throws {
        var generator = Generator(seed: 9)
        for at in 0..<70 {
            let disk = SimulatedDisk()
            disk.fault = .failure(atChange: at, code: code)
            let durable = run(on: disk, steps: 30)
            for _ in 0..<3 { _ = try check(disk.afterPowerCut(using: &generator), has: durable) }
            _ = try check(disk.afterKill(), has: durable)
        }
    }

    /// Appends, syncs and rotates; goes on after failures as a head does. Returns the times of the samples that were synced.
    private func run(on disk: SimulatedDisk, steps: Int) -> Set<Int64> {
        guard let log = try? WriteAheadLog.open("wal", options: WALOptions(compression: .none), files: disk, time: SystemTime()) else { return [] }
        var durable: Set<Int64> = []
        var all: Set<Int64> = []
        for step in 1...steps {
            _ = try? log.append(samples: batch(1...1 + step % 3, Int64(step)))
            all.insert(Int64(step))
            if step % 7 == 0 { _ = try? log.rotate() }
            if log.state != .writing && log.resume() {
                for time in all.sorted() { _ = try? log.append(samples: batch(1...1, time)) }
            }
            if step % 3 == 0 && log.sync() { durable = all }
        }
        return durable
    }

    /// Reads the log as a start does; returns 1 when it had to be repaired.
    private func check(_ disk: SimulatedDisk, has durable: Set<Int64>) throws -> Int {
        var (found, corruption) = try read(disk)
        let repairs = corruption == nil ? 0 : 1
        if let damage = corruption {
            try WALRepair.repair(damage, files: disk)
            (found, corruption) = try read(disk)
        }
        #expect(found.isSuperset(of: durable) && corruption == nil)
        // And it can be written again.
        _ = try WriteAheadLog.open("wal", files: disk, time: SystemTime())
        return repairs
    }

    /// The times of all samples up to the first damage.
    private func read(_ disk: SimulatedDisk) throws -> (found: Set<Int64>, corruption: WALCorruption?) {
        let reader = try WALReader(directory: "wal", files: disk)
        var record = DecodedRecord()
        var found: Set<Int64> = []
        do {
            while try reader.next(&record) { found.formUnion(record.samples.timestampsMs) }
        } catch WALError.corrupt(let corruption) { return (found, corruption) }
        return (found, nil)
    }

    @Test("a closed log refuses")
    func closed() throws {
        let log = try open()
        #expect(log.close())
        #expect(log.state == .closed && !log.resume())
        #expect(throws: AppendError.self) { try log.append(samples: batch(1...1, 1)) }
    }

    @Test("a reader follows the log over its segments, and is told what went before it read it")
    func tail() throws {
        let log = try open(segmentBytes: 64 << 10, compression: .none)
        let tail = WALTailReader(directory: directory.path, from: log.position, files: files)
        var record = DecodedRecord()
        #expect(try !tail.next(&record, before: log.position))
        for step in 0..<40 {
            _ = try log.append(samples: batch(1...1090, Int64(step)))
            if step % 3 == 2 { continue }
            while try tail.next(&record, before: log.position) {}
            #expect(record.samples.timestampsMs.first == Int64(step))
            #expect(tail.position == log.position)
        }
        #expect(tail.lostSegments == 0)
        for step in 40..<80 { _ = try log.append(samples: batch(1...1090, Int64(step))) }
        try log.truncate(before: log.position.segment - 1)
        let behind = WALTailReader(directory: directory.path, from: LogPosition(segment: 1, offset: 0), files: files)
        #expect(try behind.next(&record, before: log.position))
        #expect(behind.lostSegments == log.position.segment - 2)
        #expect(try WALTailReader(directory: directory.path, from: log.position, files: files).next(&record, before: log.position) == false)
    }

    @Test("several threads append, sync and rotate at once")
    func concurrent() async throws {
        let log = try open(segmentBytes: 64 << 10)
        await withTaskGroup(of: Void.self) { group in
            for worker in 0..<4 {
                group.addTask {
                    for step in 0..<100 {
                        _ = try? log.append(samples: batch(worker * 1000...worker * 1000 + 50, Int64(step)))
                        if step % 10 == worker { log.sync() }
                        if step % 25 == worker { _ = try? log.rotate() }
                    }
                }
            }
        }
        #expect(log.close())
        #expect(try contents().count == 400)
    }

    // MARK: Helpers

    private func open(segmentBytes: Int = 1 << 20, compression: WALCompression = .snappy) throws -> WriteAheadLog {
        try WriteAheadLog.open(
            directory.path, options: WALOptions(segmentBytes: segmentBytes, compression: compression), files: files, time: SystemTime())
    }

    private func contents() throws -> [String] { try logContents(directory.path, files) }
}

private func ref(_ number: Int) -> SeriesRef { SeriesRef(rawValue: UInt64(number)) }

/// A sample at `timeMs` for each ref.
private func batch(_ refs: ClosedRange<Int>, _ timeMs: Int64) -> SampleBatch {
    var batch = SampleBatch()
    for number in refs { batch.append(ref(number), timestampMs: timeMs, value: Double(number) * 1.5) }
    return batch
}

/// A line a record: its type, and refs with their times.
func logContents(_ directory: String, _ files: any FileSystem) throws -> [String] {
    let reader = try WALReader(directory: directory, files: files)
    var record = DecodedRecord()
    var lines: [String] = []
    while try reader.next(&record) {
        var line = record.type?.name ?? "unknown"
        for series in record.series { line += " \(series.ref.rawValue)" }
        for (ref, time) in zip(record.samples.refs, record.samples.timestampsMs) { line += " \(ref.rawValue)@\(time)" }
        for sample in record.samples.histograms { line += " \(sample.ref.rawValue)@\(sample.timestampMs)" }
        for sample in record.samples.exemplars { line += " \(sample.ref.rawValue)@\(sample.exemplar.timestampMs)" }
        for entry in record.samples.metadata { line += " \(entry.ref.rawValue)" }
        for tombstone in record.tombstones { line += " \(tombstone.ref.rawValue)" }
        lines.append(line)
    }
    return lines
}
