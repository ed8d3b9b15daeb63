import ApusBytes
import ApusModel
import ApusStorage
import Foundation
import Testing

@testable import ApusTSDB

/// One flipped bit anywhere in a data directory: nothing false is ever shown, what is missing was noticed and named, and
/// it is missing only where the file is about.
@Suite("Flipped bits") struct BitFlipTests {
    /// Every n-th byte by default; a thorough run sets 1.
    static let stride = max(1, Int(ProcessInfo.processInfo.environment["APUS_TEST_FLIP_STRIDE"] ?? "") ?? 211)

    /// A directory with all there can be in one, and what it holds.
    private struct Picture {
        let disk: SimulatedDisk
        let options: DatabaseOptions
        let truth: [LabelSet: [PlainSample]]
        /// With what was deleted: a log that is damaged may have lost the deletes.
        let stored: [LabelSet: [PlainSample]]
        let blocks: [BlockMeta]
        /// Times that belong together: those of each block, and those behind all of them.
        let windows: [ClosedRange<Int64>]

        init() throws {
            var random = Generator(seed: 77)
            let life = try DatabaseLife(windowMs: 15_000, isSnapshotEnabled: false)
            for step in 0..<95 {
                life.now += 800
                try life.scrape(&random, series: step / 30..<9, histograms: true)
                if step % 6 == 5 { try life.appendLate(&random, series: 4..<7, windowMs: 9_000) }
                if step == 45 || step == 70 { life.database.runPass() }
                if step == 60 { try life.restart(.killed, &random) }
            }
            // In blocks and in the head.
            var stored = life.naive
            try life.delete([Matcher("job", equals: "job1")], life.now - 60_000...life.now - 55_000)
            try life.delete([Matcher("job", equals: "job2")], life.now - 4_000...life.now - 2_000)
            life.now += 800
            try life.scrape(&random, series: 3..<9, histograms: true)
            try life.appendLate(&random, series: 4..<7, windowMs: 4_000)
            options = life.options
            truth = life.naive.select([], .min ... .max)
            for (labels, samples) in life.naive.series { stored.series[labels, default: [:]].merge(samples) { $1 } }
            self.stored = stored.select([], .min ... .max)
            blocks = life.database.blockMetas
            let end = blocks.map(\.maxTimeMs).max() ?? .min
            windows = Set(blocks.map { $0.minTimeMs...($0.maxTimeMs - 1) }).sorted { $0.lowerBound < $1.lowerBound } + [end ... .max]
            #expect(try life.difference() == nil)
            try life.database.close()
            disk = life.disk
        }

        /// The truth in a window.
        func expected(_ window: ClosedRange<Int64>) -> [LabelSet: [PlainSample]] {
            truth.mapValues { $0.filter { window.contains($0.time) } }.filter { !$0.value.isEmpty }
        }
    }

    private static func isTrue(_ found: [LabelSet: [PlainSample]], _ truth: [LabelSet: [PlainSample]]) -> Bool {
        found.allSatisfy { labels, samples in
            guard let known = truth[labels] else { return false }
            var rest = known[...]
            // In order, each of them among those that are true.
            return samples.allSatisfy { sample in
                guard let place = rest.firstIndex(of: sample) else { return false }
                rest = rest[(place + 1)...]
                return true
            }
        }
    }

    private func look(at path: String, byte: Int, _ picture: Picture) throws {
        let disk = picture.disk.copy()
        disk.flip(bit: byte * 8 + (byte &* 5) % 8, of: path)
        let observer = RecordingObserver()
        let place = "\(path) at \(byte)"
        let parts = path.split(separator: "/").map(String.init)
        func names(_ text: String) -> Bool { text.contains(parts[1]) }
        let database: Database
        do throws(DatabaseError) {
            database = try Database.open(DatabaseLife.directory, options: picture.options, files: disk, observer: observer)
        } catch {
            #expect(names(error.description), "\(place): refused, and the error does not say where: \(error)")
            return
        }
        var noticed = observer.problems.contains { names($0) }
        var missing: [ClosedRange<Int64>] = []
        for window in picture.windows {
            do {
                let querier = try database.querier(minTimeMs: window.lowerBound, maxTimeMs: window.upperBound)
                defer { querier.close() }
                let found = try readPlain(querier, [], window)
                let isTrue = Self.isTrue(found, picture.stored)
                #expect(isTrue, "\(place): a sample that nobody stored, in \(window)")
                if found != picture.expected(window) { missing.append(window) }
            } catch {
                noticed = noticed || names("\(error)")
                missing.append(window)
            }
        }
        if missing.isEmpty { return }
        #expect(noticed, "\(place): samples are missing in \(missing), and nobody says so: \(observer.lines)")
        if let block = picture.blocks.first(where: { $0.ulid.description == parts[1] }) {
            let own = block.minTimeMs...(block.maxTimeMs - 1)
            #expect(missing.allSatisfy { $0.overlaps(own) }, "\(place): \(missing) is beyond the block")
        } else if parts[1] == "chunks_head" {
            Issue.record("\(place): the log has it all, and \(missing) is missing")
        } else {
            #expect(!missing.contains { $0.upperBound < .max && parts[1] == "wal" && !Self.hasLate(picture, $0) }, "\(place): \(missing) is in blocks")
        }
        try database.close()
    }

    /// Whether some samples of a window may be in the head still, since they came late.
    private static func hasLate(_ picture: Picture, _ window: ClosedRange<Int64>) -> Bool {
        window.upperBound >= (picture.blocks.map(\.maxTimeMs).max() ?? 0) - 15_000
    }

    @Test("are noticed, named and confined, in whatever file", arguments: ["wal", "wbl", "chunks_head", "index", "chunks", "tombstones"])
    func everywhere(_ kind: String) throws {
        let picture = try Picture()
        let paths = picture.disk.files.filter { $0.split(separator: "/").contains(Substring(kind)) }
        #expect(!paths.isEmpty, "no \(kind) in \(picture.disk.files)")
        // Files of chunks are made longer ahead of what is in them.
        for path in paths {
            let size = min(try #require(try picture.disk.status(path)).sizeBytes, 16 << 10)
            var byte = 0
            while byte < size {
                try look(at: path, byte: byte, picture)
                // Heads of files and records, where most of what matters is, more closely.
                byte += byte < 48 ? max(1, Self.stride / 40) : Self.stride
            }
        }
    }
}
