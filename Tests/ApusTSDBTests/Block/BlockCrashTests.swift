import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Power cuts, failing calls and full disks while a block is written or changed.
@Suite("Block, when the disk fails") struct BlockCrashTests {
    private static let series = (0..<40).map { (index: Int) -> PlainSeries in
        let samples = (0..<30).map { (n: Int) -> (time: Int64, bits: UInt64) in (time: Int64(n * 10), bits: UInt64(n * index)) }
        return PlainSeries(labels: ["n": ByteString(String(index))], samples: samples)
    }

    private static func write(on disk: SimulatedDisk) throws -> BlockMeta? {
        try writeBlock(
            PlainSource(series), into: "data", ulid: anyULID, minTimeMs: 0, maxTimeMs: 1000, files: disk, maxChunkFileBytes: 2048)
    }

    private static func newDisk() throws -> SimulatedDisk {
        let disk = SimulatedDisk()
        try disk.createDirectory("data")
        try disk.syncDirectory(".")
        return disk
    }

    /// Nil when there is no block of that name, its samples when there is.
    private static func samples(on disk: SimulatedDisk) throws -> Int? {
        guard try disk.exists("data/\(anyULID)") else { return nil }
        let block = try Block.open("data/\(anyULID)", files: disk)
        let querier = try block.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        return try readAll(querier, [], .min ... .max).reduce(0) { $0 + $1.samples.count }
    }

    private static func changesOfWriting() throws -> (before: Int, after: Int) {
        let disk = try newDisk()
        let before = disk.changes
        _ = try write(on: disk)
        return (before, disk.changes)
    }

    @Test("after a power cut at any call there is the whole block or none")
    func powerCut() throws {
        let (before, after) = try Self.changesOfWriting()
        #expect(after > before + 20)
        for change in before..<after {
            let disk = try Self.newDisk()
            disk.fault = .powerCut(atChange: change)
            #expect(throws: BlockError.self) { try Self.write(on: disk) }
            for seed in 0..<4 {
                var random = Generator(seed: UInt64(seed))
                let found = try Self.samples(on: disk.afterPowerCut(using: &random))
                #expect(found == nil || found == 1200, "change \(change), seed \(seed)")
            }
        }
        var random = Generator(seed: 9)
        let disk = try Self.newDisk()
        _ = try Self.write(on: disk)
        #expect(try Self.samples(on: disk.afterPowerCut(using: &random)) == 1200)
    }

    @Test("a failing call is an error, and the next attempt succeeds")
    func failure() throws {
        let (before, after) = try Self.changesOfWriting()
        for change in before..<after {
            let disk = try Self.newDisk()
            disk.fault = .failure(atChange: change, code: 5)
            do { _ = try Self.write(on: disk) } catch let error as BlockError {
                guard case .file(let cause) = error.reason else {
                    Issue.record("\(error)")
                    continue
                }
                #expect(cause.code == 5)
            }
            disk.fault = .none
            try disk.removeTree("data/\(anyULID)")
            _ = try Self.write(on: disk)
            #expect(try Self.samples(on: disk) == 1200, "change \(change)")
            #expect(try disk.list("data").map(\.name) == [anyULID.description])
        }
    }

    @Test("a deletion is there as a whole or not at all")
    func deletion() throws {
        func start() throws -> (SimulatedDisk, Block) {
            let disk = try Self.newDisk()
            _ = try Self.write(on: disk)
            return (disk, try Block.open("data/\(anyULID)", files: disk))
        }
        func delete(_ block: Block) throws {
            try block.delete([[Matcher("n", equals: "3")], [Matcher("n", equals: "4")]], minTimeMs: 0, maxTimeMs: 95)
        }
        let (whole, block) = try start()
        let before = whole.changes
        try delete(block)
        let after = whole.changes
        for change in before..<after {
            let (disk, block) = try start()
            disk.fault = .powerCut(atChange: change)
            #expect(throws: BlockError.self) { try delete(block) }
            for seed in 0..<4 {
                var random = Generator(seed: UInt64(seed))
                let found = try Self.samples(on: disk.afterPowerCut(using: &random))
                #expect(found == 1200 || found == 1180, "change \(change), seed \(seed)")
            }
        }
    }
}
