import ApusBytes
import ApusModel
import ApusStorage
import Foundation
import Testing

@testable import ApusTSDB

/// A scripted life of a database on a disk that fails at one certain call, and what must be true after the restart:
/// all that was stored before the last sync is there, and what is there was stored.
@Suite("Crashes") struct CrashTests {
    /// Every n-th call is cut by default; a thorough run sets 1.
    static let every = max(1, Int(ProcessInfo.processInfo.environment["APUS_TEST_CRASH_STRIDE"] ?? "") ?? 13)

    struct Point: Hashable {
        let series: Int
        let time: Int64
    }

    /// What the script did, as far as it came.
    struct Record {
        /// Every sample that was ever offered.
        var offered: [Point: Double] = [:]
        /// Those that were stored when the disk last confirmed a sync, and not deleted since.
        var durable: Set<Point> = []
        /// Stored since the last sync.
        var pending: [Point] = []
        /// Ranges of series whose deletion was confirmed.
        var deleted: [(series: Int, range: ClosedRange<Int64>)] = []
        /// Ranges whose deletion was begun: they may be there or not.
        var doubtful: [(series: Int, range: ClosedRange<Int64>)] = []
    }

    static let minute: Int64 = 60_000
    static let start: Int64 = 1_700_000_040_000

    static func options() -> DatabaseOptions {
        DatabaseOptions(
            settings: DatabaseSettings(retentionMs: 0, outOfOrderWindowMs: 3 * minute), minBlockDurationMs: 2 * minute,
            maxBlockDurationMs: 18 * minute, walSegmentBytes: 64 << 10, samplesPerChunk: 10, hasThreads: false, maintenanceIntervalMs: 1)
    }

    static func labels(_ series: Int) -> LabelSet {
        LabelSet([Label("__name__", "life"), Label("series", ByteString("\(series)")), Label("parity", series % 2 == 0 ? "even" : "odd")])
    }

    static func value(_ point: Point) -> Double { Double(point.series) * 1e9 + Double(point.time % 1_000_000_007) }

    /// Wall time is that of the samples; every look at the other clock finds a second gone.
    final class ScriptedTime: TimeSource {
        private let state = Locked((wallMs: CrashTests.start, ns: UInt64(0)))
        func set(_ wallMs: Int64) { state.withLock { $0.wallMs = wallMs } }
        func wallMs() -> Int64 { state.withLock { $0.wallMs } }
        func monotonicNs() -> UInt64 {
            state.withLock { state in
                state.ns += 1_000_000_000
                return state.ns
            }
        }
    }

    static func open(_ disk: SimulatedDisk, _ time: ScriptedTime = ScriptedTime()) throws -> Database {
        try Database.open("data", options: options(), files: disk, time: time, observer: SilentObserver())
    }

    /// The life: 40 rounds of appends, some out of order, series that come and go, two deletions, a clean stop and a start.
    static func live(on disk: SimulatedDisk, seed: UInt64, into record: inout Record) throws {
        var random = Generator(seed: seed)
        let time = ScriptedTime()
        var database = try open(disk, time)
        var now = start
        for round in 0..<40 {
            var deleted: (series: Int, range: ClosedRange<Int64>)?
            for _ in 0..<3 {
                now += 5_000
                time.set(now)
                var batch = SampleBatch()
                var points: [Point] = []
                for series in 0..<8 where series < 6 || round / 10 % 2 == series % 2 {
                    points.append(Point(series: series, time: now + Int64(series)))
                }
                let late = Point(series: 1, time: now - 30_000 - Int64(random.below(60_000)))
                if late.time > start, record.offered[late] == nil { points.append(late) }
                for point in points {
                    record.offered[point] = value(point)
                    batch.append(try database.seriesRef(for: labels(point.series)), timestampMs: point.time, value: value(point))
                }
                let outcome = try database.append(batch)
                if disk.isOff { return }
                let rejected = Set(outcome.rejections.map(\.index))
                for (index, point) in points.enumerated() where !rejected.contains(index) { record.pending.append(point) }
            }
            if round == 12 || round == 30 {
                let series = round % 5
                let range = (now - 4 * minute)...(now - minute)
                record.doubtful.append((series, range))
                record.durable = record.durable.filter { !($0.series == series && range.contains($0.time)) }
                record.pending.removeAll { $0.series == series && range.contains($0.time) }
                try database.deleteSeries(
                    [[Matcher("series", equals: ByteString("\(series)"))]], minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
                if disk.isOff { return }
                deleted = (series, range)
            }
            database.maintain(nowMs: now)
            if disk.isOff { return }
            // What is deleted in the head is as durable as what is appended to it.
            if let deleted { record.deleted.append(deleted) }
            record.durable.formUnion(record.pending)
            record.pending = []
            if round == 20 {
                try database.close()
                if disk.isOff { return }
                database = try open(disk, time)
            }
        }
        try database.close()
    }

    /// All samples of a database.
    static func content(_ database: Database) throws -> [Point: UInt64] {
        var result: [Point: UInt64] = [:]
        let querier = try database.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let set = try querier.select([Matcher("__name__", equals: "life")], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        var columns = SampleColumns()
        for index in 0..<set.count {
            let series = Int(set.labels(at: index)["series"].map { $0.description } ?? "") ?? -1
            columns.removeAll()
            try set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns)
            var last = Int64.min
            for sample in 0..<columns.count {
                let time = columns.timestampMs(at: sample)
                #expect(time > last, "samples out of order, or twice")
                last = time
                result[Point(series: series, time: time)] = columns.value(at: sample).bitPattern
            }
        }
        return result
    }

    /// What is wrong with a database that was opened again.
    static func problems(_ content: [Point: UInt64], _ record: Record) -> [String] {
        var problems: [String] = []
        let lost = record.durable.filter { content[$0] == nil }
        if !lost.isEmpty { problems.append("\(lost.count) of \(record.durable.count) synced samples are lost, such as \(lost.first.map { "\($0)" } ?? "")") }
        for (point, bits) in content {
            if record.offered[point]?.bitPattern != bits { problems.append("\(point) has a value that nobody stored") }
            if record.deleted.contains(where: { $0.series == point.series && $0.range.contains(point.time) }) {
                problems.append("\(point) was deleted and is back")
            }
        }
        return problems
    }

    @Test("the whole life, without a fault, and the restart")
    func faultless() throws {
        let disk = SimulatedDisk()
        var record = Record()
        try Self.live(on: disk, seed: 1, into: &record)
        #expect(disk.files.contains { $0.hasSuffix("/index") }, "no block was written: \(disk.files)")
        let database = try Self.open(disk.afterKill())
        #expect(Self.problems(try Self.content(database), record) == [])
        #expect(record.durable.count > 600)
        try database.close()
    }

    @Test("power cut at each changing call in turn: nothing synced is lost, nothing false is there", arguments: 0..<4)
    func powerCuts(part: Int) throws {
        let whole = SimulatedDisk()
        var complete = Record()
        try Self.live(on: whole, seed: 1, into: &complete)
        let calls = whole.changes
        #expect(calls > 200)
        var random = Generator(seed: UInt64(part))
        for call in stride(from: part * Self.every / 4, to: calls, by: Self.every) {
            let disk = SimulatedDisk()
            disk.fault = .powerCut(atChange: call)
            var record = Record()
            // It may end early, with an error: that is what a disk without power gives.
            try? Self.live(on: disk, seed: 1, into: &record)
            for (restart, after) in [disk.afterPowerCut(using: &random), disk.afterKill()].enumerated() {
                let database: Database
                do { database = try Self.open(after) } catch {
                    Issue.record("call \(call), restart \(restart): does not open: \(error)")
                    continue
                }
                let problems = Self.problems(try Self.content(database), record)
                #expect(problems == [], "call \(call) of \(calls), \(disk.failedCall), \(restart == 0 ? "power cut" : "kill")")
                try database.close()
            }
        }
    }

    @Test("one call that fails in the middle of a life: the database goes on and loses nothing")
    func singleFailures() throws {
        let whole = SimulatedDisk()
        var complete = Record()
        try Self.live(on: whole, seed: 2, into: &complete)
        for call in stride(from: 20, to: whole.changes, by: Self.every * 3) {
            let disk = SimulatedDisk()
            disk.fault = .failure(atChange: call, code: 5)
            var record = Record()
            do { try Self.live(on: disk, seed: 2, into: &record) } catch { continue }
            let database = try Self.open(disk.afterKill())
            let problems = Self.problems(try Self.content(database), record)
            #expect(problems == [], "call \(call), \(disk.failedCall), failed")
            try database.close()
        }
    }

    @Test("a full disk: appends and queries go on in memory, and it recovers without a restart", arguments: [true, false])
    func fullDisk(isFull: Bool) throws {
        let disk = SimulatedDisk()
        let time = ScriptedTime()
        let database = try Self.open(disk, time)
        var stored: [Point: UInt64] = [:]
        var now = Self.start
        func append(rounds: Int) throws {
            for _ in 0..<rounds {
                now += 5_000
                time.set(now)
                var batch = SampleBatch()
                for series in 0..<4 {
                    let point = Point(series: series, time: now)
                    batch.append(try database.seriesRef(for: Self.labels(series)), timestampMs: now, value: Self.value(point))
                    stored[point] = Self.value(point).bitPattern
                }
                #expect(try database.append(batch).rejections.isEmpty)
            }
            database.maintain(nowMs: now)
        }
        try append(rounds: 20)
        disk.fault = isFull ? .full : .readOnly
        try append(rounds: 60)
        #expect(try Self.content(database) == stored, "queries go on while the disk refuses")
        disk.fault = .none
        try append(rounds: 5)
        try append(rounds: 5)
        #expect(try Self.content(database) == stored)
        let again = try Self.open(disk.afterKill())
        #expect(try Self.content(again) == stored, "after the recovery all is on the disk again")
        try again.close()
    }
}
