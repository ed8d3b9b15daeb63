import ApusBytes
import ApusModel
import ApusStorage
import Foundation
import Synchronization
import Testing

@testable import ApusTSDB

@Suite("Database under threads") struct DatabaseThreadsTests {
    private static let start: Int64 = 1_700_000_000_000
    private static let seriesPerWriter = 4

    private final class Shared: Sendable {
        let writersLeft: Atomic<Int>
        /// The round each writer is at; one that has ended is past all.
        let rounds: Mutex<[Int]>
        let failures = Mutex<[String]>([])
        init(writers: Int) {
            writersLeft = Atomic(writers)
            rounds = Mutex([Int](repeating: 0, count: writers))
        }

        /// Waits until no writer is far behind: half a block's range after the newest sample, older ones are out of bounds.
        func begin(_ round: Int, of writer: Int) {
            while !rounds.withLock({ rounds in
                rounds[writer] = round
                return rounds.allSatisfy { round - $0 < 10 }
            }) { sched_yield() }
        }
        func end(of writer: Int) {
            rounds.withLock { $0[writer] = .max }
            writersLeft.subtract(1, ordering: .releasing)
        }
        func fail(_ text: String) { failures.withLock { $0.append(text) } }
        var isOver: Bool { writersLeft.load(ordering: .acquiring) == 0 }
    }

    private static func labels(_ writer: Int, _ series: Int) -> LabelSet {
        ["__name__": "m", "series": ByteString("\(series)"), "writer": ByteString("\(writer)")]
    }

    /// Appends rounds of one sample a series; a sample's value is its number in its series.
    private static func write(_ database: Database, _ writer: Int, rounds: Int, _ shared: Shared) {
        defer { shared.end(of: writer) }
        do {
            for round in 0..<rounds {
                shared.begin(round, of: writer)
                let time = start + Int64(round) * 80 + Int64(writer) * 40
                var batch = SampleBatch()
                for series in 0..<seriesPerWriter { batch.append(try database.seriesRef(for: labels(writer, series)), timestampMs: time, value: Double(round)) }
                let outcome = try database.append(batch)
                if !outcome.rejections.isEmpty { shared.fail("round \(round): \(outcome.rejections)") }
            }
        } catch { shared.fail("\(error)") }
    }

    /// How many samples each series has, which must be its first ones without a gap.
    private static func read(_ database: Database, _ shared: Shared) -> [LabelSet: Int] {
        do {
            let querier = try database.querier(minTimeMs: .min, maxTimeMs: .max)
            defer { querier.close() }
            var result: [LabelSet: Int] = [:]
            for (labels, samples) in try readPlain(querier) {
                let numbers = samples.map { Double(bitPattern: $0.bits) }
                if numbers != (0..<numbers.count).map(Double.init) {
                    let gap = numbers.indices.first { numbers[$0] != Double($0) } ?? 0
                    shared.fail("\(labels): \(numbers[gap]) is number \(gap) of \(numbers.count)")
                }
                result[labels] = numbers.count
            }
            return result
        } catch {
            shared.fail("\(error)")
            return [:]
        }
    }

    private func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let group = DispatchGroup()
        for role in 0..<count {
            group.enter()
            Thread.detachNewThread {
                body(role)
                group.leave()
            }
        }
        group.wait()
    }

    /// Goal: readers see every series from its first sample on without a gap, whatever is written, compacted and copied
    /// meanwhile; and all of it is there after a kill. Method: two writers, two readers, a compactor, and one who copies.
    @Test("writers, readers, compactions and copies at once", arguments: [true, false])
    func atOnce(isOnDisk: Bool) throws {
        let options = DatabaseOptions(
            settings: DatabaseSettings(retentionMs: 0), minBlockDurationMs: 4_000, maxBlockDurationMs: 36_000, samplesPerChunk: 12,
            hasThreads: false, maintenanceIntervalMs: 1)
        let disk = SimulatedDisk()
        let database = isOnDisk ? try Database.open("data", options: options, files: disk) : Database.inMemory(options: options)
        let (writers, rounds) = (2, 300)
        let shared = Shared(writers: writers)
        // Threads of their own: writers wait for each other, and a pool may have one thread for all.
        inThreads(writers + 4) { role in
            switch role {
            case 0..<writers: Self.write(database, role, rounds: rounds, shared)
            case writers, writers + 1:
                var seen: [LabelSet: Int] = [:]
                repeat {
                    let now = Self.read(database, shared)
                    for (labels, count) in seen where now[labels] ?? 0 < count { shared.fail("\(labels) had \(count) samples and has \(now[labels] ?? 0)") }
                    seen = now
                } while !shared.isOver
            case writers + 2:
                repeat { database.runPass() } while !shared.isOver
            default:
                repeat {
                    database.sync()
                    _ = database.statistics()
                    if isOnDisk, let name = try? database.snapshot(includingHead: true) { try? disk.removeTree("data/snapshots/\(name)") }
                } while !shared.isOver
            }
        }
        #expect(shared.failures.withLock { $0.prefix(5) } == [])
        let expected = Dictionary(
            uniqueKeysWithValues: (0..<writers).flatMap { writer in (0..<Self.seriesPerWriter).map { (Self.labels(writer, $0), rounds) } })
        #expect(Self.read(database, shared) == expected)
        guard isOnDisk else { return }
        database.runPass()
        #expect(!database.blockMetas.isEmpty)
        let again = try Database.open("data", options: options, files: disk.afterKill())
        #expect(Self.read(again, shared) == expected)
        #expect(shared.failures.withLock { $0.prefix(5) } == [])
        try again.close()
    }
}
