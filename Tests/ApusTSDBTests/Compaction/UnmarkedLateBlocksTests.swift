import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Merged blocks that say nothing of late samples: which of them a start may believe.
@Suite("Unmarked blocks of late samples") struct UnmarkedLateBlocksTests {
    private static let options = DatabaseOptions(
        settings: DatabaseSettings(retentionMs: 0, outOfOrderWindowMs: 30_000), minBlockDurationMs: 10_000, maxBlockDurationMs: 90_000,
        samplesPerChunk: 10, hasThreads: false, maintenanceIntervalMs: 1)
    private static let start: Int64 = 1_700_000_000_000

    private func open(_ disk: SimulatedDisk) throws(DatabaseError) -> Database { try Database.open("data", options: Self.options, files: disk) }

    private func labels(_ target: Int, _ number: Int) -> LabelSet {
        ["__name__": "m", "i": ByteString("\(number)"), "target": ByteString("\(target)")]
    }

    /// Appends one sample a second to the series of some targets, a batch each.
    private func fill(_ database: Database, seconds: Range<Int64>, targets: Int = 1, series: Int = 3) throws {
        for second in seconds {
            for target in 0..<targets {
                var batch = SampleBatch()
                for number in 0..<series {
                    let ref = try database.seriesRef(for: labels(target, number))
                    batch.append(ref, timestampMs: Self.start + second * 1000, value: Double(second) + Double(number) / 10)
                }
                let outcome = try database.append(batch)
                try #require(outcome.rejections.isEmpty)
            }
        }
    }

    private func late(_ database: Database, _ target: Int, _ numbers: Range<Int>, atMs times: [Int64]) throws {
        var batch = SampleBatch()
        for number in numbers {
            let ref = try database.seriesRef(for: labels(target, number))
            for time in times { batch.append(ref, timestampMs: Self.start + time, value: 7) }
        }
        #expect(try database.append(batch).rejections == [])
    }

    private func content(_ database: Database) throws -> [LabelSet: [PlainSample]] {
        let querier = try database.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        return try readPlain(querier, [], .min ... .max, sorted: true)
    }

    /// Goal: blocks of late samples that another server merged without saying so hide nothing of the log. Method: two
    /// blocks of late samples, of a time whose samples in order are in the head, are merged and lose their hint; then kills.
    /// Mixed, the block also has an earlier time, whole but for what was deleted there, which must stay away.
    @Test("a merged block of late samples without its hint hides nothing that the log has", arguments: [false, true])
    func lateOnly(isMixed: Bool) throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        try fill(database, seconds: 0..<26)
        database.compactHead()
        #expect(database.blockMetas.map(\.maxTimeMs) == [Self.start + 10_000])
        for part: Int64 in 0..<2 {
            // Of the block's time as well, and of what only the head has.
            try late(database, 0, 0..<2, atMs: (isMixed ? [8200 + part * 100] : []) + [12_200 + part * 100])
            database.writeOutOfOrder()
        }
        if isMixed { try database.deleteSeries([[Matcher("i", equals: "2")]], minTimeMs: .min, maxTimeMs: Self.start + 5500) }
        let merged = database.blocks.filter { isMixed || $0.meta.isFromOutOfOrder }
        #expect(merged.count == (isMixed ? 5 : 2))
        let compactor = Compactor(
            directory: "data", files: disk, maxChunkFileBytes: Self.options.maxChunkFileBytes, samplesPerChunk: 10, isCancelled: { false })
        try database.replace(merged, with: try compactor.write(merged, ulid: database.newULID()))
        let block = try #require(database.blocks.first { $0.meta.compaction.level > 1 })
        try block.updateCompaction { $0.hints = [] }
        let expected = try content(database)
        #expect(expected.values.contains { $0.contains { $0.time == Self.start + 14_000 } })

        // As a tool sees it, without a change; as a server does; and after that one's kill.
        let killed = disk.afterKill()
        #expect(try content(try Database.openReadOnly("data", options: Self.options, files: killed)) == expected)
        #expect(try !BlockMeta.read(directory: block.directory, files: killed).isFromOutOfOrder)
        let again = try open(killed)
        #expect(try content(again) == expected)
        #expect(try BlockMeta.read(directory: block.directory, files: killed).isFromOutOfOrder)
        let third = try open(killed.afterKill())
        #expect(try content(third) == expected)
        try fill(third, seconds: 26..<60)
        third.runPass()
        let afterwards = try content(third)
        for (labels, samples) in expected {
            #expect(afterwards[labels]?.count == samples.count + 34)
            #expect(afterwards[labels]?.prefix(samples.count).elementsEqual(samples) == true)
        }
        try third.close()
    }

    /// Goal: a block that the head went into is believed, whatever is missing of it since. Method: most of the series are deleted,
    /// of some targets altogether: in the block, which then is written anew, or while the head still has them.
    @Test("what was deleted of a merged block does not come back from the log", arguments: [true, false])
    func complete(isDeletedInBlock: Bool) throws {
        let disk = SimulatedDisk()
        let database = try open(disk)
        let deleted = [[try Matcher("target", .regex, "[0-3]")], [try Matcher("i", .regex, "[5-9]")]]
        try fill(database, seconds: 0..<14, targets: 8, series: 20)
        try late(database, 7, 0..<2, atMs: [4200])
        if !isDeletedInBlock { try database.deleteSeries(deleted, minTimeMs: .min, maxTimeMs: Self.start + 9_999) }
        try fill(database, seconds: 14..<26, targets: 8, series: 20)
        database.runPass()
        #expect(database.blockMetas.map(\.compaction.level) == [2])
        if isDeletedInBlock { try database.deleteSeries(deleted, minTimeMs: .min, maxTimeMs: Self.start + 9_999) }
        let expected = try content(database)
        let again = try open(disk.afterKill())
        #expect(again.blockMetas.allSatisfy { !$0.isFromOutOfOrder })
        #expect(try content(again) == expected)
        try again.cleanTombstones()
        let third = try open(disk.afterKill())
        #expect(third.blockMetas.allSatisfy { !$0.isFromOutOfOrder })
        #expect(try content(third) == expected)
        try third.close()
    }

    /// Goal: the witnesses are of many targets, and not those that were deleted. Method: records as a log has them.
    @Test func witnesses() throws {
        var witnesses = LogWitnesses(times: 1000..<3000, rangeMs: 1000)
        func see(_ refs: Range<Int>, _ timeMs: Int64) {
            var record = DecodedRecord()
            for ref in refs { record.samples.append(SeriesRef(rawValue: UInt64(ref)), timestampMs: timeMs, value: 1) }
            witnesses.see(record)
        }
        for target in 0..<40 { see(target * 100..<target * 100 + 100, 1100) }
        #expect(witnesses.refs.count == LogWitnesses.limit)
        #expect(Set(witnesses.refs.map { $0 / 100 }).count == LogWitnesses.limit / LogWitnesses.newInRecord)
        #expect(witnesses.ranges[1000]?.best.count == LogWitnesses.limit, "none is confirmed, so all of them")
        for target in 0..<10 { see(target * 100..<target * 100 + 100, 1200) }
        #expect(witnesses.ranges[1000]?.best.map(\.timeMs) == Array(repeating: 1200, count: 20))
        var record = DecodedRecord()
        record.tombstones = [
            TombstoneRecord(ref: SeriesRef(rawValue: 0), minTimeMs: 0, maxTimeMs: 1200),
            TombstoneRecord(ref: SeriesRef(rawValue: 100), minTimeMs: 0, maxTimeMs: 1199),
        ]
        witnesses.see(record)
        #expect(witnesses.ranges[1000]?.best.count == 19)
        // Older than what may still come in order: it came late.
        see(5000..<5010, 2900)
        see(6000..<6010, 2300)
        #expect(witnesses.ranges[2000]?.best.map(\.ref).sorted() == [5000, 5001])
        #expect(witnesses.mayComeMore)
        see(5000..<5010, 3499)
        #expect(witnesses.mayComeMore)
        see(5000..<5010, 3500)
        #expect(!witnesses.mayComeMore)
    }
}
