import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Database against dictionaries") struct DatabaseLifeTests {
    /// Histories; more by `APUS_HISTORIES`.
    static var histories: [Int] {
        let text = unsafe getenv("APUS_HISTORIES").map { unsafe String(cString: $0) }
        return Array(0..<(text.flatMap { Int($0) } ?? 24)) + found
    }
    /// Once failed: a file of the head's chunks that a killed process had not synced, torn when a later one was whole.
    private static let found = [239, 269, 1476, 1500, 1553, 1669, 1881]

    /// Goal: no order of scrapes, late samples, deletes, compactions, clean and unclean restarts shows anything but what was
    /// taken and not deleted. Method: random steps on a database and on dictionaries, from a seed that a failure prints.
    @Test("answers as dictionaries", arguments: histories) func life(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let windowMs: Int64 = seed % 2 == 0 ? 0 : 25_000
        var settings = DatabaseSettings(retentionMs: 0)
        if seed % 5 > 2 { settings.formats = ChunkFormats(usesXOR2: true, keepsStarts: seed % 5 == 4, keepsHistogramStarts: seed % 10 == 4) }
        let life = try DatabaseLife(windowMs: windowMs, settings: settings, isSnapshotEnabled: seed / 3 % 2 == 0)
        life.changesEncoding = seed % 5 == 3
        let hasHistograms = seed % 3 == 0
        for step in 0..<120 {
            let place = "seed \(seed) step \(step)"
            let choice = random.below(20)
            life.observer.log(.debug, "step", [("choice", String(choice))])
            switch choice {
            case 0: life.now += Int64(random.below(8000))
            case 1 where windowMs > 0: try life.appendLate(&random, series: 0..<12, windowMs: windowMs)
            case 2:
                let matchers = [Matcher("job", equals: ByteString("job\(random.below(3))"))]
                let start = life.now - Int64(random.below(60_000))
                try life.delete(matchers, start...start + Int64(random.below(20_000)))
            case 3, 4: life.database.runPass()
            case 5: try life.restart(DatabaseLife.Restart.allCases[random.below(3)], &random)
            case 6: try life.database.cleanTombstones()
            default:
                for _ in 0..<1 + random.below(5) {
                    life.now += 500 + Int64(random.below(500))
                    try life.scrape(&random, series: (step / 30) * 2..<12, histograms: hasHistograms)
                }
            }
            life.database.head.checkInvariants()
            let range = random.below(2) == 0 ? Int64.min ... .max : life.now - Int64(random.below(80_000))...life.now
            let matchers = random.below(2) == 0 ? [] : [Matcher("__name__", equals: ByteString("metric_\(random.below(4))"))]
            var difference = try life.difference(matchers, range, sorted: random.below(2) == 0)
            if (3...6).contains(choice) { difference = try difference ?? life.difference() }
            #expect(difference == nil, "\(place), \(life.observer.lines.suffix(30))")
            if difference != nil { return }
        }
        // After a power cut the newest file of the head's chunks may be torn, and the log behind what was synced.
        let problems = life.observer.problems.filter { !$0.contains("chunks_head") && !$0.contains("WAL") && !$0.contains("WBL") }
        #expect(problems.isEmpty, "seed \(seed)")
        try life.database.close()
    }

    /// Goal: a power cut anywhere in a pass of maintenance loses nothing that was synced before, and brings back nothing
    /// that was deleted. Method: the same history again and again, with the power going at the n-th change of the disk.
    @Test("a power cut at any change of a pass", arguments: 0..<4) func powerCuts(_ part: Int) throws {
        func prepare() throws -> DatabaseLife {
            var random = Generator(seed: 7)
            let life = try DatabaseLife(windowMs: 15_000)
            for step in 0..<60 {
                life.now += 700
                try life.scrape(&random, series: 0..<6, histograms: true)
                if step % 10 == 9 { try life.appendLate(&random, series: 0..<6, windowMs: 12_000) }
                if step == 25 || step == 45 { life.database.runPass() }
            }
            try life.delete([Matcher("job", equals: "job1")], life.now - 30_000...life.now - 10_000)
            life.now += 1_000
            try life.scrape(&random, series: 0..<6, histograms: true)
            life.database.sync()
            return life
        }
        let reference = try prepare()
        let before = reference.disk.changes
        reference.database.runPass()
        try reference.database.cleanTombstones()
        #expect(try reference.difference() == nil)
        let after = reference.disk.changes
        #expect(after > before + 100)
        for change in stride(from: before + part, to: after, by: 4) {
            var random = Generator(seed: UInt64(change))
            let life = try prepare()
            life.disk.fault = .powerCut(atChange: change)
            life.database.runPass()
            try? life.database.cleanTombstones()
            life.disk = life.disk.afterPowerCut(using: &random)
            life.database = try Database.open(DatabaseLife.directory, options: life.options, files: life.disk, observer: life.observer)
            let difference = try life.difference()
            #expect(difference == nil, "power cut at change \(change)")
            if difference != nil { return }
            // And it goes on from there.
            life.now += 1000
            try life.scrape(&random, series: 0..<6, histograms: true)
            life.database.runPass()
            #expect(try life.difference() == nil, "after a power cut at change \(change)")
        }
    }
}
