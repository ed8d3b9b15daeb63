import Foundation
import Synchronization
import Testing

/// What an operator does with the storage of a running server.
@Suite("The server's storage", .serialized) struct StorageTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-storage-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func query(_ server: DirectoryServer, _ expression: String) -> [JSON] {
        request("POST", server.address + "/api/v1/query", form: ["query": expression])?.json["data"]["result"].list ?? []
    }

    private func metric(_ server: DirectoryServer, _ name: String) -> Double? {
        let page = request("GET", server.address + "/metrics")?.text ?? ""
        return page.split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    @Test("deletes series for good, and takes snapshots that open") func adminAPI() throws {
        let target = try LifeTarget()
        let server = try DirectoryServer(Programs.apus, in: folder, target: target, arguments: ["--web.enable-admin-api"])
        #expect(server.live(5, of: target))
        let admin = server.address + "/api/v1/admin/tsdb/"
        let snapshot = try #require(request("POST", admin + "snapshot", form: [:])?.json["data"]["name"].string)
        let copy = try ChildProcess(Programs.apus, ["tsdb", "dump", "--match=life{series=\"1\"}", "data/snapshots/\(snapshot)"], in: folder)
        #expect(copy.exitStatus() == 0 && copy.output.contains("{__name__=\"life\", instance=\"127.0.0.1:\(target.port)\""), "\(copy.output)")

        #expect(request("POST", admin + "delete_series", form: ["match[]": "life{series=\"1\"}"])?.status == 204)
        #expect(query(server, "count(life{series=\"2\"})").count == 1)
        let before = target.nowMs
        #expect(server.live(3, of: target))
        // What came after is there, what came before is not; also after a kill.
        let live = try server.history(of: target)
        let times = live.samples["life/1"].map { Array($0.keys) } ?? []
        #expect(!times.isEmpty && times.allSatisfy { $0 >= before - 1000 })
        #expect(server.kill())
        let again = try DirectoryServer(Programs.apus, in: folder, target: target)
        let history = try again.history(of: target)
        #expect((history.samples["life/1"] ?? [:]).keys.allSatisfy { $0 >= before - 1000 })
        #expect(history.losses(since: live).isEmpty && history.lies.isEmpty)
        #expect(again.process.stop() == 0)
    }

    @Test("takes over what a reload changes") func reload() throws {
        let target = try LifeTarget()
        let server = try DirectoryServer(Programs.apus, in: folder, target: target, arguments: ["--web.enable-lifecycle"])
        let file = folder.appending(path: "prometheus.yml")
        let configuration = try String(contentsOf: file, encoding: .utf8)
        #expect(metric(server, "prometheus_tsdb_exemplar_max_exemplars") == 0)
        try configuration.replacingOccurrences(
            of: "storage: {tsdb: {out_of_order_time_window: 30s}}",
            with: "storage: {exemplars: {max_exemplars: 500}, tsdb: {out_of_order_time_window: 1m, retention: {time: 3h, size: 5GB}}}"
        ).write(to: file, atomically: true, encoding: .utf8)
        #expect(request("POST", server.address + "/-/reload", form: [:])?.status == 200)
        #expect(metric(server, "prometheus_tsdb_exemplar_max_exemplars") == 500)
        #expect(metric(server, "prometheus_tsdb_retention_limit_seconds") == 10_800)
        #expect(metric(server, "prometheus_tsdb_retention_limit_bytes") == Double(5 << 30))
        // A selector that is none: the reload says so, and what was in force stays.
        try configuration.replacingOccurrences(
            of: "storage: {tsdb: {", with: "storage: {tsdb: {retention: {rules: [{match: '{', time: 1h}]}, "
        ).write(to: file, atomically: true, encoding: .utf8)
        let refused = request("POST", server.address + "/-/reload", form: [:])
        #expect(refused?.status == 500 && refused?.text.contains("storage.tsdb.retention.rules") == true, "\(refused?.text ?? "")")
        #expect(metric(server, "prometheus_tsdb_retention_limit_seconds") == 10_800)
        #expect(server.process.stop() == 0)
    }

    /// Ten thousand new series a scrape, and beside it a target that behaves.
    @Test("a cardinality bomb does not bring it down, and what was recorded goes on") func cardinalityBomb() throws {
        let scrapes = Mutex(0)
        let bomb = try PageServer { _ in
            let scrape = scrapes.withLock { count in
                count += 1
                return count
            }
            return (0..<10_000).map { "bomb{scrape=\"\(scrape)\",id=\"\($0)-which-is-never-seen-again\"} 1\n" }.joined()
        }
        let target = try LifeTarget()
        let port = Programs.freePort()
        let address = "http://127.0.0.1:\(port)"
        try """
        global: {scrape_interval: 200ms, scrape_timeout: 200ms}
        scrape_configs:
          - job_name: life
            static_configs: [{targets: ["127.0.0.1:\(target.port)"]}]
          - job_name: bomb
            static_configs: [{targets: ["127.0.0.1:\(bomb.port)"]}]
        """.write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let server = try ChildProcess(
            Programs.apus,
            ["serve", "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:\(port)", "--memory.limit=32MB"], in: folder)
        #expect(eventually { request("GET", address + "/metrics")?.text.contains("apus_memory_step{step=\"refuse_series\"} 1") == true })
        // The scrape that is refused says why.
        #expect(
            eventually {
                let targets = request("GET", address + "/api/v1/targets")?.json["data"]["activeTargets"].list ?? []
                return targets.contains { $0["lastError"].string?.contains("--memory.limit") == true }
            })
        let before = target.scrapes
        #expect(eventually { target.scrapes >= before + 5 })
        let up = request("POST", address + "/api/v1/query", form: ["query": "count_over_time(life{series=\"0\"}[2s])"])
        #expect(up?.status == 200 && up?.json["data"]["result"].list.count == 1, "\(up?.text ?? "no answer")")
        #expect(server.output.contains("refusing new series"))
        #expect(server.stop() == 0)
    }
}
