import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB
import Foundation
import Testing

/// One data directory, in turn under a real Prometheus and under the database in this process: every kind of sample,
/// exemplars, samples out of order, deletes, compactions, clean stops and kills.
@Suite("A directory shared with Prometheus") struct PeerDirectoryTests {
    /// How often each takes over; a nightly run sets more.
    static let rounds = Int(ProcessInfo.processInfo.environment["APUS_TEST_ALTERNATIONS"] ?? "") ?? 4

    private final class Life {
        let folder: URL
        let target: HistogramTarget
        let startMs = Int(Date.now.timeIntervalSince1970 * 1000) - 10_000
        var data: URL { folder.appending(path: "data") }

        init() throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "apus-peer-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            target = try HistogramTarget()
        }
        deinit { try? FileManager.default.removeItem(at: folder) }

        private static let options = DatabaseOptions(
            settings: DatabaseSettings(retentionMs: 0, outOfOrderWindowMs: 60_000, maxExemplars: 10_000), minBlockDurationMs: 10_000,
            maxBlockDurationMs: 90_000, hasThreads: false, maintenanceIntervalMs: 1)

        // MARK: Prometheus

        func startPrometheus(_ program: URL, on path: String = "data") throws -> (process: ChildProcess, address: String) {
            let port = Programs.freePort()
            let address = "http://127.0.0.1:\(port)"
            try """
            global: {scrape_interval: 100ms, scrape_timeout: 100ms, scrape_protocols: [PrometheusProto]}
            storage: {tsdb: {out_of_order_time_window: 60s}, exemplars: {max_exemplars: 10000}}
            scrape_configs:
              - job_name: histograms
                convert_classic_histograms_to_nhcb: true
                static_configs: [{targets: ["127.0.0.1:\(target.port)"]}]
            """.write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
            let process = try ChildProcess(
                program,
                [
                    "--config.file=prometheus.yml", "--storage.tsdb.path=\(path)", "--web.listen-address=127.0.0.1:\(port)",
                    "--storage.tsdb.min-block-duration=10s", "--storage.tsdb.max-block-duration=90s",
                    "--storage.tsdb.retention.time=100y", "--web.enable-admin-api", "--enable-feature=native-histograms,exemplar-storage",
                ], in: folder)
            guard eventually(within: 60, { !process.isRunning || request("GET", address + "/-/ready")?.status == 200 }), process.isRunning else {
                throw RunningSystem.Failure("prometheus did not become ready:\n\(process.output)")
            }
            return (process, address)
        }

        /// Lets Prometheus look at the directory, scrape, and delete; returns what it has in the end.
        func prometheusPhase(_ program: URL, round: Int, after before: DirectoryContents?) throws -> DirectoryContents {
            let (process, address) = try startPrometheus(program)
            let started = try DirectoryContents(from: address, sinceMs: startMs)
            if let before { try #require(started.differences(from: before) == [], "Prometheus, round \(round): \(process.output.suffix(3000))") }
            let goal = target.scrapes + 30
            try #require(eventually(within: 60) { target.scrapes >= goal })
            if round % 2 == 1 {
                let end = Double(started.newestMs) / 1000
                let form = ["match[]": "{__name__=~\"pb_gauge|pb_integers|ap_float\"}", "start": "\(end - 3)", "end": "\(end - 1)"]
                try #require(request("POST", address + "/api/v1/admin/tsdb/delete_series", form: form)?.status == 204)
            }
            var seen = try DirectoryContents(from: address, sinceMs: startMs)
            for name in ["pb_integers", "pb_floats", "pb_gauges", "pb_custom", "pb_mixed"] {
                let column = seen.samples.first { $0.key.contains("__name__=\(name)\"") }?.value ?? [:]
                try #require(column.values.contains { if case .histogram = $0 { true } else { false } }, "no histograms of \(name): \(process.output)")
            }
            try #require(!seen.exemplars.isEmpty)
            if round % 3 == 0 {
                process.signal(SIGKILL)
                try #require(process.exitStatus() != nil)
                // A killed Prometheus may lose what came out of order: its markers can name chunks that were still in a buffer.
                for name in seen.samples.keys where name.contains("_late") { seen.samples[name] = nil }
            } else {
                try #require(process.stop() == 0, "\(process.output)")
            }
            return seen
        }

        // MARK: Apus

        func open() throws -> Database { try Database.open(data.path, options: Self.options) }

        /// Takes the directory over, compares, appends samples of every kind, deletes, compacts in every other round; then
        /// closes, or leaves what a kill would.
        func apusPhase(_ prometheus: URL, round: Int, after before: DirectoryContents?) throws -> DirectoryContents {
            let left = folder.appending(path: "left")
            try? FileManager.default.removeItem(at: left)
            if before != nil { try FileManager.default.copyItem(at: data, to: left) }
            let database = try open()
            if let before {
                func differences(from other: DirectoryContents) throws -> [String] {
                    try DirectoryContents(database).differences(from: other).filter {
                        // Of late samples we may have more than a killed Prometheus has shown.
                        !($0.contains("_late") && $0.contains("not there"))
                    }
                }
                let found = try differences(from: before)
                if !found.isEmpty {
                    // Whether a Prometheus started again finds them tells where to look: a failure it is in any case.
                    let (process, address) = try startPrometheus(prometheus, on: "left")
                    var restarted = try DirectoryContents(from: address, sinceMs: startMs)
                    process.signal(SIGKILL)
                    // It has scraped meanwhile.
                    for name in restarted.samples.keys {
                        let column = (restarted.samples[name] ?? [:]).filter { $0.key <= before.newestMs }
                        restarted.samples[name] = column.isEmpty ? nil : column
                    }
                    restarted.exemplars = before.exemplars
                    try #require(process.exitStatus() != nil)
                    let still = try differences(from: restarted)
                    try #require(found == [], "Apus, round \(round); beside a Prometheus started again on the same: \(still)")
                }
            }
            try append(to: database, round)
            if round % 2 == 0 {
                let newest = Int64(try DirectoryContents(database).newestMs)
                try database.deleteSeries(
                    [[try Matcher("__name__", .regex, "ap_floats|pb_floats")]], minTimeMs: newest - 2_500, maxTimeMs: newest - 1_500)
            }
            if round % 2 == 1 { database.maintain(nowMs: Int64(Date.now.timeIntervalSince1970 * 1000)) }
            let seen = try DirectoryContents(database)
            if round % 3 == 1 {
                // What a kill leaves: all that was written, nothing that closing writes.
                let copy = folder.appending(path: "copy")
                try FileManager.default.copyItem(at: data, to: copy)
                try database.close()
                try FileManager.default.removeItem(at: data)
                try FileManager.default.moveItem(at: copy, to: data)
            } else {
                try database.close()
            }
            return seen
        }

        private func append(to database: Database, _ round: Int) throws {
            let now = Int64(Date.now.timeIntervalSince1970 * 1000)
            let base = max(now - 1_000, Int64(try DirectoryContents(database).newestMs) + 1)
            func ref(_ name: String) throws -> SeriesRef { try database.seriesRef(for: LabelSet([Label("__name__", ByteString(name)), Label("by", "apus")])) }
            let exponential = [0, 1].map { step in
                HistogramLayout(
                    schema: 3, zeroThreshold: 1e-6,
                    positiveSpans: [HistogramSpan(offset: -4, length: 2), HistogramSpan(offset: Int32(2 + step), length: 1)],
                    negativeSpans: [HistogramSpan(offset: 1, length: 1)])
            }
            let custom = HistogramLayout(
                schema: -53, zeroThreshold: 0, positiveSpans: [HistogramSpan(offset: 0, length: 4)], customBounds: [0.5, 1, 2.5])
            for step in 0..<25 {
                let time = base + Int64(step) * 40
                let unit = UInt64(step % 12 + 1 + round)
                let number = Double(unit)
                var batch = SampleBatch()
                let float = try ref("ap_float")
                batch.append(float, timestampMs: time, value: Double(time % 977) / 3)
                batch.append(float, exemplar: Exemplar(labels: ["trace_id": ByteString("\(round)-\(step)")], value: number, timestampMs: time))
                let layout = exponential[step / 10 % 2]
                let integers = try NativeHistogram(
                    layout: layout, count: unit * 5, zeroCount: unit, sum: number, positive: [unit, unit, unit], negative: [unit])
                batch.append(try ref("ap_integers"), timestampMs: time, histogram: integers)
                batch.append(
                    try ref("ap_floats"), timestampMs: time,
                    histogram: try NativeHistogram(
                        layout: layout, isFloat: true, countWord: (number * 5.5).bitPattern, zeroCountWord: (number * 1.5).bitPattern,
                        sum: number / 3, words: [number, number, number, number].map(\.bitPattern)))
                batch.append(
                    try ref("ap_gauges"), timestampMs: time,
                    histogram: try NativeHistogram(
                        layout: layout, hint: .gauge, count: (13 - unit % 13) * 5, zeroCount: 13 - unit % 13, sum: -number,
                        positive: [13 - unit % 13, 13 - unit % 13, 13 - unit % 13], negative: [13 - unit % 13]))
                batch.append(
                    try ref("ap_custom"), timestampMs: time,
                    histogram: try NativeHistogram(layout: custom, count: unit * 4, sum: number, positive: [unit, unit, unit, unit]))
                if step / 5 % 2 == 0 {
                    batch.append(try ref("ap_mixed"), timestampMs: time, value: step % 5 == 4 ? StaleNaN.value : number)
                } else {
                    batch.append(try ref("ap_mixed"), timestampMs: time, histogram: integers)
                }
                batch.append(try ref("ap_late"), timestampMs: time - Int64(step % 7) * 300, value: number)
                batch.append(try ref("ap_late_integers"), timestampMs: time - Int64(step % 5) * 310, histogram: integers)
                let outcome = try database.append(batch)
                try #require(outcome.rejections.isEmpty, "\(outcome.rejections)")
            }
        }
    }

    @Test(
        "takes turns with Prometheus, and every sample of every kind is there",
        .enabled(if: Programs.prometheus3 != nil, "there is no prometheus 3 on PATH or in APUS_PEERS"))
    func turns() throws {
        let prometheus = try #require(Programs.prometheus3)
        let life = try Life()
        var seen: DirectoryContents?
        for round in 0..<Self.rounds {
            seen = try life.prometheusPhase(prometheus, round: round, after: seen)
            seen = try life.apusPhase(prometheus, round: round, after: seen)
        }
        let last = try life.open()
        let differences = try DirectoryContents(last).differences(from: try #require(seen))
        #expect(differences == [])
        #expect(!last.blockMetas.isEmpty, "nothing was compacted, so the test has shown less than it says")
        try last.close()
    }
}
