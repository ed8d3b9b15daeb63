import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Starts from the snapshot that a clean stop leaves, and what may come between stop and start.
@Suite("Fast start") struct FastStartTests {
    private static let path = joinPath(DatabaseLife.directory, HeadSnapshot.fileName)

    /// Floats, histograms, late samples in full and in open chunks, series that ended, a delete, a block.
    private func someLife(_ seed: UInt64, windowMs: Int64 = 20_000) throws -> (DatabaseLife, Generator) {
        var random = Generator(seed: seed)
        let life = try DatabaseLife(windowMs: windowMs)
        for step in 0..<50 {
            life.now += 900
            try life.scrape(&random, series: step / 20 * 2..<12, histograms: true)
            if step % 4 == 3, windowMs > 0 { try life.appendLate(&random, series: 4..<7, windowMs: windowMs) }
            if step == 24 { life.database.runPass() }
        }
        try life.delete([Matcher("job", equals: "job1")], life.now - 12_000...life.now - 6_000)
        life.now += 1000
        try life.scrape(&random, series: 4..<12, histograms: true)
        return (life, random)
    }

    private func tookSnapshot(_ life: DatabaseLife) -> Bool {
        life.observer.lines.last { $0.contains("snapshot of a clean stop") || $0.contains("WAL replay completed") }?
            .contains("snapshot of a clean stop") ?? false
    }

    private func open(_ life: DatabaseLife) throws {
        life.database = try Database.open(DatabaseLife.directory, options: life.options, files: life.disk, observer: life.observer)
    }

    @Test("a clean stop is followed by a start from its snapshot, and all is there", arguments: 0..<8)
    func cleanStop(seed: UInt64) throws {
        var (life, random) = try someLife(seed, windowMs: seed % 2 == 0 ? 20_000 : 0)
        for _ in 0..<3 {
            try life.restart(.clean, &random)
            #expect(tookSnapshot(life), "\(life.observer.lines.filter { $0.contains("napshot") })")
            #expect(!life.disk.files.contains(Self.path), "it stayed behind")
            life.database.head.checkInvariants()
            #expect(try life.difference() == nil)
            life.now += 1000
            try life.scrape(&random, series: 2..<12, histograms: true)
            #expect(try life.difference() == nil)
        }
        #expect(life.observer.problems == [])
        // And blocks are made of it as of any head.
        life.now += 40_000
        try life.scrape(&random, series: 0..<12, histograms: true)
        life.database.runPass()
        #expect(try life.difference() == nil)
        life.database.head.checkInvariants()
    }

    @Test("a kill after a fast start, before and after new samples, is replayed right", arguments: 0..<8)
    func killed(seed: UInt64) throws {
        for rounds in [0, 1, 40] {
            var (life, random) = try someLife(seed, windowMs: seed % 2 == 0 ? 20_000 : 0)
            try life.restart(.clean, &random)
            #expect(tookSnapshot(life))
            for _ in 0..<rounds {
                life.now += 700
                try life.scrape(&random, series: 3..<14, histograms: true)
                if seed % 2 == 0 { try life.appendLate(&random, series: 4..<7, windowMs: 20_000) }
            }
            try life.restart(.killed, &random)
            #expect(!tookSnapshot(life))
            #expect(try life.difference() == nil, "\(rounds) rounds")
            life.database.head.checkInvariants()
            try life.restart(.clean, &random)
            #expect(tookSnapshot(life))
            #expect(try life.difference() == nil, "\(rounds) rounds")
            #expect(life.observer.problems == [])
        }
    }

    /// Goal: what another server did in between is never lost to a snapshot that is older. Method: put the snapshot back
    /// after a run that knew nothing of it, each way such a run can end.
    @Test("after another run in between it is not used", arguments: ["nothing", "samples", "compaction", "kill"])
    func another(_ kind: String) throws {
        var (life, random) = try someLife(5)
        try life.database.close()
        let snapshot = try life.disk.read(Self.path)
        try life.disk.removeFile(Self.path)
        try open(life)
        if kind != "nothing" {
            life.now += 1000
            try life.scrape(&random, series: 0..<12, histograms: true)
        }
        if kind == "compaction" {
            life.now += 40_000
            try life.scrape(&random, series: 0..<12, histograms: true)
            life.database.runPass()
        }
        if kind == "kill" { life.disk = life.disk.afterKill() } else { try life.database.close() }
        try life.disk.replace(Self.path, with: snapshot)
        try open(life)
        #expect(!tookSnapshot(life))
        #expect(!life.disk.files.contains(Self.path))
        #expect(try life.difference() == nil)
    }

    @Test("beside a newer or another block it is not used")
    func blocks() throws {
        let (life, _) = try someLife(6)
        try life.database.close()
        // As when somebody moves the newest block away: its samples come back from the log as far as that has them.
        let newest = try #require(try life.disk.list(DatabaseLife.directory).filter { ULID($0.name.utf8) != nil }.map(\.name).max())
        try life.disk.rename(joinPath(DatabaseLife.directory, newest), to: joinPath(DatabaseLife.directory, "away"))
        try open(life)
        #expect(!tookSnapshot(life))
    }

    @Test("damaged anywhere, it is left out and the log replayed")
    func damaged() throws {
        let (life, _) = try someLife(7)
        try life.database.close()
        let size = try #require(try life.disk.status(Self.path)).sizeBytes
        for byte in stride(from: 0, to: size, by: max(1, size / 40)) {
            let disk = life.disk.copy()
            disk.flip(bit: byte * 8 + byte % 8, of: Self.path)
            let database = try Database.open(DatabaseLife.directory, options: life.options, files: disk, observer: life.observer)
            life.database = database
            #expect(!tookSnapshot(life), "byte \(byte)")
            #expect(try life.difference() == nil, "byte \(byte)")
        }
    }

    @Test("switched off, none is written, and one that is there is removed")
    func switchedOff() throws {
        var (life, random) = try someLife(8)
        try life.database.close()
        life.options.isSnapshotEnabled = false
        try open(life)
        #expect(!tookSnapshot(life))
        #expect(!life.disk.files.contains(Self.path))
        #expect(try life.difference() == nil)
        try life.restart(.clean, &random)
        #expect(!life.disk.files.contains(Self.path))
        #expect(!tookSnapshot(life))
    }

    @Test("a tool that reads leaves it alone")
    func readOnly() throws {
        let (life, _) = try someLife(9)
        try life.database.close()
        life.database = try Database.openReadOnly(DatabaseLife.directory, options: life.options, files: life.disk, observer: life.observer)
        #expect(try life.difference() == nil)
        try life.database.close()
        #expect(life.disk.files.contains(Self.path))
        try open(life)
        #expect(tookSnapshot(life))
        #expect(try life.difference() == nil)
    }

    @Test("a disk that is full at the stop leaves no half of one")
    func full() throws {
        let (life, _) = try someLife(10)
        life.database.sync()
        life.disk.fault = .full
        try? life.database.close()
        life.disk.fault = .none
        #expect(!life.disk.files.contains { $0.contains(HeadSnapshot.fileName) })
        try open(life)
        #expect(try life.difference() == nil)
    }

    @Test("exemplars and metadata come with it")
    func companions() throws {
        let (life, _) = try someLife(11)
        var settings = life.options.settings
        settings.maxExemplars = 100
        life.options.settings = settings
        life.database.apply(settings)
        let ref = try life.database.seriesRef(for: life.labels(3))
        var batch = SampleBatch()
        batch.append(ref, timestampMs: life.now + 1, value: 4)
        batch.append(ref, metadata: MetricMetadata(type: .counter, help: "what", unit: "s"))
        batch.append(ref, exemplar: Exemplar(labels: ["trace": "a"], value: 2, timestampMs: life.now))
        #expect(try life.database.append(batch).rejections == [])
        try life.database.close()
        try open(life)
        #expect(tookSnapshot(life))
        #expect(life.database.head.metadata(of: ref) == MetricMetadata(type: .counter, help: "what", unit: "s"))
        #expect(life.database.exemplars(matchers: [[]], minTimeMs: .min, maxTimeMs: .max).flatMap(\.1).map(\.value) == [2])
    }
}
