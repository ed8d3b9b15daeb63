import Foundation
import Testing

/// What was stored stays stored: through kills, clean stops, and changes between Prometheus and Apus on one directory.
@Suite("Durability") struct DurabilityTests {
    static let prometheus = Programs.prometheus
    /// How often; a nightly run sets more.
    static let kills = Int(ProcessInfo.processInfo.environment["APUS_TEST_KILLS"] ?? "") ?? 6
    static let alternations = Int(ProcessInfo.processInfo.environment["APUS_TEST_ALTERNATIONS"] ?? "") ?? 10

    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-durable-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test("kill -9 under load loses nothing that a query has shown")
    func kills() throws {
        let folder = try folder()
        let target = try LifeTarget()
        var before: SampleHistory?
        var random = SplitMix(state: 42)
        for round in 0..<Self.kills {
            let server = try DirectoryServer(Programs.apus, in: folder, target: target)
            let started = try server.history(of: target)
            if let before { try #require(started.losses(since: before) == [], "round \(round): \(server.process.output)") }
            try #require(started.lies == [], "round \(round)")
            try #require(server.live(5 + Int(random.next() % 60), of: target), "no scrapes in round \(round): \(server.process.output)")
            before = try server.history(of: target)
            try #require((before?.count ?? 0) > started.count)
            #expect(server.kill())
        }
        try? FileManager.default.removeItem(at: folder)
    }

    @Test("a clean stop loses nothing, and the next start has it all")
    func cleanStops() throws {
        let folder = try folder()
        let target = try LifeTarget()
        var before: SampleHistory?
        for _ in 0..<3 {
            let server = try DirectoryServer(Programs.apus, in: folder, target: target)
            let started = try server.history(of: target)
            if let before { try #require(started.losses(since: before) == [], "\(server.process.output)") }
            #expect(server.live(80, of: target))
            before = try server.history(of: target)
            #expect(server.process.stop() == 0, "\(server.process.output)")
        }
        try? FileManager.default.removeItem(at: folder)
    }

    @Test(
        "Prometheus and Apus take turns on one directory, killed and stopped, with compactions in between",
        .enabled(if: Programs.prometheus != nil, "there is no prometheus on PATH or in APUS_PEERS"))
    func alternation() throws {
        let prometheus = try #require(Self.prometheus)
        let folder = try folder()
        let target = try LifeTarget()
        var before: SampleHistory?
        for round in 0..<Self.alternations {
            let program = round % 2 == 0 ? prometheus : Programs.apus
            let server = try DirectoryServer(program, in: folder, target: target)
            let started = try server.history(of: target)
            if let before {
                try #require(started.losses(since: before) == [], "round \(round), \(program.lastPathComponent): \(server.process.output)")
            }
            try #require(started.lies == [], "round \(round), \(program.lastPathComponent)")
            try #require(server.live(50, of: target), "no scrapes in round \(round): \(server.process.output)")
            var seen = try server.history(of: target)
            // Killed in every third round, so that each kind is killed and stopped.
            if round % 3 == 0 {
                #expect(server.kill())
                // A killed Prometheus may lose what came out of order: its markers can name chunks that were still in a buffer.
                if program == prometheus { seen.samples["late/0"] = nil }
            } else {
                #expect(server.process.stop() == 0, "\(server.process.output)")
            }
            before = seen
        }
        let blocks = try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "data").path).filter { $0.count == 26 }
        #expect(!blocks.isEmpty, "nothing was compacted, so the test has shown less than it says")
        try? FileManager.default.removeItem(at: folder)
    }
}

/// A small random generator with a seed (Steele et al., 2014), so that a failure can be seen again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
