import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// What a database does beside storing: locks, leftovers, reading only, memory mode, copies, what it counts.
@Suite("Database") struct DatabaseTests {
    private static let options = DatabaseOptions(
        settings: DatabaseSettings(retentionMs: 0), minBlockDurationMs: 10_000, maxBlockDurationMs: 90_000, samplesPerChunk: 10,
        hasThreads: false, maintenanceIntervalMs: 1)
    private static let start: Int64 = 1_700_000_000_000

    private func open(_ disk: SimulatedDisk, _ options: DatabaseOptions = Self.options, _ observer: any DatabaseObserver = SilentObserver())
        throws(DatabaseError) -> Database
    {
        try Database.open("data", options: options, files: disk, observer: observer)
    }

    /// Appends one sample a second to some series.
    private func fill(_ database: Database, seconds: Range<Int64>, series: Range<Int> = 0..<3) throws {
        for second in seconds {
            var batch = SampleBatch()
            for number in series {
                let ref = try database.seriesRef(for: ["__name__": "m", "i": ByteString("\(number)")])
                batch.append(ref, timestampMs: Self.start + second * 1000, value: Double(second) + Double(number) / 10)
            }
            let outcome = try database.append(batch)
            try #require(outcome.rejections.isEmpty)
        }
    }

    private func content(_ database: Database) throws -> [LabelSet: [PlainSample]] {
        let querier = try database.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        return try readPlain(querier, [], .min ... .max, sorted: true)
    }

    /// Why something is refused; nil when it is not.
    private func reason(_ body: () throws(DatabaseError) -> Void) -> DatabaseError.Reason? {
        do throws(DatabaseError) {
            try body()
            return nil
        } catch { return error.reason }
    }

    @Test("one process has a directory, unless it was told not to lock it")
    func locking() throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        #expect(reason { () throws(DatabaseError) in _ = try open(disk) } == .locked)
        try database.close()
        try open(disk).close()

        let free = SimulatedDisk()
        var options = Self.options
        options.hasLockFile = false
        let first = try open(free, options)
        #expect(!free.files.contains("data/lock"))
        try open(free, options).close()
        try first.close()
    }

    @Test("what a crash left is removed, and nothing else")
    func leftovers() throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        try fill(database, seconds: 0..<30)
        database.runPass()
        try database.close()
        let ulid = ULID(high: 7, low: 9).description
        for name in ["\(ulid).tmp-for-creation", "\(ulid).tmp-for-deletion", "\(ulid).tmp", "chunk_snapshot.000001.0000000002.tmp", "queries"] {
            try disk.createDirectory("data/\(name)")
            try disk.replace("data/\(name)/file", with: [1])
        }
        try disk.replace("data/apus_snapshot.tmp", with: [1, 2, 3])
        try disk.replace("data/notes.tmp", with: [1])
        try disk.createDirectory("data/wal/checkpoint.00000000.tmp")
        try disk.replace("data/wal/checkpoint.00000000.tmp/00000000", with: [1])
        let observer = RecordingObserver()
        let again = try open(disk, Self.options, observer)
        let left = disk.files.filter { $0.contains("tmp") || $0.contains("queries") }
        #expect(left == ["data/notes.tmp", "data/queries/file"])
        #expect(observer.problems == [])
        #expect(try content(again).values.map(\.count) == [30, 30, 30])
        try again.close()
    }

    @Test("opened for reading only, all is there, and nothing on the disk changes")
    func readOnly() throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        try fill(database, seconds: 0..<47)
        database.runPass()
        try fill(database, seconds: 47..<60)
        let expected = try content(database)
        let copy = disk.afterKill()
        let before = copy.changes
        let reader = try Database.openReadOnly("data", options: Self.options, files: copy)
        #expect(try content(reader) == expected)
        #expect(reader.isReadOnly)
        #expect(reason { () throws(DatabaseError) in _ = try reader.deleteSeries([[]], minTimeMs: .min, maxTimeMs: .max) } == .unsupported)
        #expect(reason { () throws(DatabaseError) in _ = try reader.snapshot(includingHead: true) } == .unsupported)
        reader.maintain(nowMs: Self.start)
        try reader.close()
        #expect(copy.changes == before)
        // A directory that is not there is not made.
        #expect(throws: DatabaseError.self) { try Database.openReadOnly("nowhere", options: Self.options, files: copy) }
        #expect(copy.changes == before)
    }

    @Test("a copy holds blocks and head, and is a database", arguments: [true, false])
    func snapshots(includingHead: Bool) throws {
        let disk = SimulatedDisk()
        let observer = RecordingObserver()
        var options = Self.options
        options.settings.outOfOrderWindowMs = 20_000
        let database = try open(disk, options, observer)
        try fill(database, seconds: 0..<47)
        database.runPass()
        #expect(database.blockMetas.count > 1)
        var late = SampleBatch()
        late.append(try database.seriesRef(for: ["__name__": "late"]), timestampMs: Self.start + 50_000, value: 1)
        #expect(try database.append(late).rejections == [])
        try fill(database, seconds: 51..<60)
        var older = SampleBatch()
        older.append(try database.seriesRef(for: ["__name__": "late"]), timestampMs: Self.start + 45_500, value: 2)
        #expect(try database.append(older).rejections == [])
        try database.deleteSeries([[Matcher("i", equals: "2")]], minTimeMs: Self.start + 5000, maxTimeMs: Self.start + 55_000)
        let expected = try content(database)
        let blocks = database.blockMetas
        let name = try database.snapshot(includingHead: includingHead)
        #expect(database.blockMetas == blocks)
        #expect(try content(database) == expected)
        // What happens afterwards does not reach the copy.
        try database.deleteSeries([[]], minTimeMs: .min, maxTimeMs: .max)
        let copy = try Database.open("data/snapshots/\(name)", options: options, files: disk, observer: observer)
        let end = try #require(blocks.map(\.maxTimeMs).max())
        let wanted = includingHead ? expected : expected.mapValues { $0.filter { $0.time < end } }.filter { !$0.value.isEmpty }
        #expect(try content(copy) == wanted)
        try copy.close()
        try database.close()
        #expect(observer.problems == [])
    }

    @Test("in memory: appends, queries, deletes; what is older than the retention goes; nothing is on any disk")
    func memory() throws {
        var options = Self.options
        options.settings.retentionMs = 25_000
        options.settings.outOfOrderWindowMs = 8_000
        let database = Database.inMemory(options: options)
        try fill(database, seconds: 0..<60)
        var late = SampleBatch()
        late.append(try database.seriesRef(for: ["__name__": "m", "i": "0"]), timestampMs: Self.start + 58_500, value: -1)
        #expect(try database.append(late).rejections == [])
        #expect(try content(database)[["__name__": "m", "i": "0"]]?.count == 61)
        database.maintain(nowMs: Self.start)
        // Whole periods of ten seconds, and the newest sample is at 59 s.
        let times = try content(database)[["__name__": "m", "i": "1"]]?.map { ($0.time - Self.start) / 1000 }
        #expect(times == Array(30..<60))
        try database.deleteSeries([[Matcher("i", equals: "1")]], minTimeMs: .min, maxTimeMs: .max)
        #expect(try content(database)[["__name__": "m", "i": "1"]] == nil)
        #expect(reason { () throws(DatabaseError) in _ = try database.snapshot(includingHead: true) } == .unsupported)
        #expect(throws: DatabaseError.self) { try database.cleanTombstones() }
        #expect(database.statistics().wal == nil)
        try database.close()
    }

    @Test("in memory with a limit: the oldest samples make room, the newest stay")
    func memoryLimit() throws {
        var options = Self.options
        options.memoryLimitBytes = 1
        let observer = RecordingObserver()
        let database = Database.inMemory(options: options, observer: observer)
        try fill(database, seconds: 0..<60)
        database.maintain(nowMs: Self.start)
        let times = try content(database)[["__name__": "m", "i": "1"]]?.map { ($0.time - Self.start) / 1000 }
        #expect(times == Array(50..<60))
        #expect(observer.problems.contains { $0.contains("its oldest samples go") })
        try fill(database, seconds: 60..<62)
        try database.close()
    }

    @Test("the shapes of chunks are counted when they get into a block, and not when blocks are merged")
    func chunkShapes() throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        try fill(database, seconds: 0..<37)
        database.compactHead()
        let chunks = database.blockMetas.reduce(0) { $0 + Int($1.statistics.chunks) }
        let samples = database.blockMetas.reduce(0) { $0 + Int($1.statistics.samples) }
        var shapes = database.statistics().chunkShapes
        #expect(chunks > 0)
        #expect(shapes.samples.counts.reduce(0, +) == UInt64(chunks))
        #expect(shapes.samples.sum == Double(samples))
        #expect(shapes.sizeBytes.counts.reduce(0, +) == UInt64(chunks))
        #expect(shapes.rangeMs.sum > 0)
        #expect(shapes.sizeBytes.upperBounds[..<3] == [32, 48, 72])
        #expect(shapes.samples.upperBounds.count == 12 && shapes.rangeMs.upperBounds.last == 100 * 262_144)
        // 10 samples: above 9, up to 13.5.
        #expect(shapes.samples.counts[3] > 0)
        let before = shapes
        try fill(database, seconds: 37..<90)
        database.compactHead()
        shapes = database.statistics().chunkShapes
        #expect(shapes != before)
        database.compactBlocks()
        #expect(database.blockMetas.contains { $0.compaction.level > 1 })
        #expect(database.statistics().chunkShapes == shapes)
        try database.close()
    }

    // MARK: Retention rules

    private static let rules = [
        RetentionRule(matchers: [Matcher("i", equals: "2")], retentionMs: 0),
        RetentionRule(matchers: [Matcher("__name__", equals: "m")], retentionMs: 12_000),
    ]

    /// Seconds of which a series has samples.
    private func seconds(_ database: Database, _ number: Int) throws -> [Int64] {
        try content(database)[["__name__": "m", "i": ByteString("\(number)")]]?.map { ($0.time - Self.start) / 1000 } ?? []
    }

    @Test("retention rules reach the head: the first that matches counts, and a restart forgets nothing of it", arguments: [true, false])
    func rulesInTheHead(isOnDisk: Bool) throws {
        var options = Self.options
        options.minBlockDurationMs = 80_000
        options.settings.retentionRules = Self.rules
        let disk = SimulatedDisk()
        let database = isOnDisk ? try open(disk, options) : Database.inMemory(options: options)
        try fill(database, seconds: 0..<60, series: 0..<4)
        database.runPass()
        // Steps of an eighth of 80 s, down from 59 − 12 s.
        #expect(try seconds(database, 1) == Array(40..<60))
        #expect(try seconds(database, 2) == Array(0..<60))
        let marked = database.statistics().retention.headSeriesMarked
        #expect(marked == 3)
        database.runPass()
        #expect(database.statistics().retention.headSeriesMarked == marked, "nothing has moved")
        try fill(database, seconds: 60..<64, series: 0..<4)
        database.runPass()
        #expect(try seconds(database, 3) == Array(50..<64))
        guard isOnDisk else { return }
        let again = try open(disk.afterKill(), options)
        #expect(try seconds(again, 3) == Array(50..<64))
        #expect(try seconds(again, 2) == Array(0..<64))
        try again.close()
    }

    @Test("retention rules in blocks: marked, counted, and gone from the disk when a block is written anew")
    func rulesInBlocks() throws {
        var options = Self.options
        options.settings.retentionRules = Self.rules
        let disk = SimulatedDisk()
        let database = try open(disk, options)
        try fill(database, seconds: 0..<60)
        database.runPass()
        #expect(database.blockMetas.count > 0)
        #expect(try seconds(database, 1).first.map { $0 >= 30 } == true)
        #expect(try seconds(database, 2) == Array(0..<60))
        #expect(database.statistics().retention.blocksMarked > 0)
        try database.cleanTombstones()
        #expect(database.blockMetas.filter { $0.maxTimeMs <= Self.start + 30_000 }.allSatisfy { $0.statistics.series == 1 })
        // Without rules what is left stays.
        var settings = options.settings
        settings.retentionRules = []
        database.apply(settings)
        let left = try seconds(database, 1)
        try fill(database, seconds: 60..<120)
        database.runPass()
        #expect(try seconds(database, 1).starts(with: left))
        #expect(database.statistics().retention.rules == 0)
        try database.close()
    }

    // MARK: Deletes and late samples

    @Test("a late sample in a deleted range is seen, also after a kill, a clean stop and in a block", arguments: 0..<3)
    func lateAfterDelete(restart: Int) throws {
        var options = Self.options
        options.settings.outOfOrderWindowMs = 30_000
        var disk = SimulatedDisk()
        var database = try open(disk, options)
        try fill(database, seconds: 0..<14)
        try database.deleteSeries([[Matcher("i", equals: "1")]], minTimeMs: Self.start + 2000, maxTimeMs: Self.start + 8000)
        let ref = try database.seriesRef(for: ["__name__": "m", "i": "1"])
        var late = SampleBatch()
        late.append(ref, timestampMs: Self.start + 4500, value: 7)
        // At the very time of a sample that was deleted.
        late.append(ref, timestampMs: Self.start + 6000, value: 8)
        #expect(try database.append(late).appended == 2)
        let expected: [Double] = [0.1, 1.1, 7, 8, 9.1, 10.1, 11.1, 12.1, 13.1]
        func values() throws -> [Double] { try content(database)[["__name__": "m", "i": "1"]]?.map { Double(bitPattern: $0.bits) } ?? [] }
        #expect(try values() == expected)
        switch restart {
        case 0: disk = disk.afterKill()
        case 1: try database.close()
        default:
            try fill(database, seconds: 14..<40)
            database.compactHead()
            #expect(database.blockMetas.contains { $0.isFromOutOfOrder })
            #expect(try Array(values().prefix(9)) == expected)
            disk = disk.afterKill()
        }
        database = try open(disk, options)
        #expect(try Array(values().prefix(9)) == expected)
        try database.close()
    }

    @Test("a late staleness marker of a series of histograms is a histogram")
    func lateStaleness() throws {
        var options = Self.options
        options.settings.outOfOrderWindowMs = 30_000
        let database = try open(SimulatedDisk(), options)
        let ref = try database.seriesRef(for: ["__name__": "h"])
        for second: Int64 in [1, 2, 5] {
            var batch = SampleBatch()
            batch.append(ref, timestampMs: Self.start + second * 1000, histogram: try plainHistogram(3))
            _ = try database.append(batch)
        }
        var late = SampleBatch()
        late.append(ref, timestampMs: Self.start + 3000, value: StaleNaN.value)
        #expect(try database.append(late).appended == 1)
        let samples = try #require(try content(database)[["__name__": "h"]])
        #expect(samples.count == 4)
        #expect(samples.map { $0.histogram != nil } == [true, true, true, true])
        #expect(samples[2].histogram?.isStale == true)
        try database.close()
    }

    // MARK: Who appends may have to wait

    private final class Onlooker: DatabaseObserver {
        let database = Locked<Database?>(nil)
        let seen = Locked<[Bool]>([])
        func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)]) {
            guard message == "write block", let database = database.withLock({ $0 }) else { return }
            seen.withLock { $0.append(database.mayStall) }
        }
        func replayProgress(_ progress: ReplayProgress) {}
    }

    @Test("while it maintains itself, and while somebody has the head, appends may have to wait")
    func stalling() throws {
        let onlooker = Onlooker()
        let database = try open(SimulatedDisk(), Self.options, onlooker)
        onlooker.database.withLock { $0 = database }
        defer { onlooker.database.withLock { $0 = nil } }
        try fill(database, seconds: 0..<40)
        #expect(!database.mayStall)
        database.runPass()
        #expect(onlooker.seen.withLock { $0 } == [true, true, true])
        #expect(!database.mayStall)
        #expect(database.head.locked { database.mayStall })
        #expect(!database.mayStall)
        try database.close()
    }

    // MARK: A disk that refuses

    /// Goal: what came while the log was given up is written to it again however old its timestamp was when it came, and
    /// exemplars too. Method: fill the disk, append, make room, and kill.
    @Test("after a full disk old timestamps and exemplars are in the log again")
    func oldTimesAfterFullDisk() throws {
        var options = Self.options
        options.settings.maxExemplars = 10
        options.minBlockDurationMs = 7_200_000
        let disk = SimulatedDisk()
        let database = try open(disk, options)
        try fill(database, seconds: 3000..<3003, series: 0..<2)
        database.sync()
        disk.fault = .full
        // An exporter that is three quarters of an hour behind, in order by itself.
        let old = try database.seriesRef(for: ["__name__": "old"])
        for step: Int64 in 0..<3 {
            var batch = SampleBatch()
            batch.append(old, timestampMs: Self.start + 400_000 + step * 1000, value: Double(step))
            batch.append(old, exemplar: Exemplar(labels: ["trace": "t"], value: Double(step), timestampMs: Self.start + 400_000 + step * 1000))
            let outcome = try database.append(batch)
            #expect(outcome.rejections == [] && outcome.appended == 1)
        }
        database.runPass()
        #expect(database.statistics().suspension != nil)
        disk.fault = .none
        database.runPass()
        #expect(database.statistics().suspension == nil)
        let expected = try content(database)
        let again = try open(disk.afterKill(), options)
        #expect(try content(again) == expected)
        #expect(again.exemplars(matchers: [[]], minTimeMs: .min, maxTimeMs: .max).flatMap(\.1).map(\.value) == [0, 1, 2])
        try again.close()
    }
}
