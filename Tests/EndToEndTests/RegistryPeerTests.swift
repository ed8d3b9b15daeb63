import ApusCollectors
import ApusEndpoint
import ApusEndpointTLS
import ApusMetrics
import ApusNIOMetrics
import ApusSwiftMetrics
import ApusWebConfig
import Foundation
import NIOPosix
import PEMFixtures
import Testing

/// The registry library as Prometheus's own programs see it.
@Suite("Registry and Prometheus") struct RegistryPeerTests {
    private static func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-registry-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    /// A registry with everything that the library can show.
    private static func everything() throws -> MetricRegistry {
        let registry = MetricRegistry(
            exemplarProvider: { [("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")] }, exemplarIntervalMs: 0)
        registry.registerProcessMetrics()
        let both = try registry.histogram(
            "both_seconds", help: "Classic and native.", buckets: [0.5, 1], native: NativeBuckets())
        let native = try registry.histogram("native_seconds", help: "Native only.", buckets: .none, native: NativeBuckets())
        for value in 1...100 {
            both.observe(Double(value) / 50)
            native.observe(Double(value) / 50)
        }
        registry.registerAllocatorMetrics()
        try registry.registerRuntimeMetrics()
        _ = try TaskProbe(registry)
        let factory = RegistryMetricsFactory(registry)
        factory.makeCounter(label: "hb.requests", dimensions: [("route", "/\"\\\n"), ("status", "200")]).increment(by: 7)
        factory.makeCounter(label: "hb.requests", dimensions: [("error", "timeout")]).increment(by: 1)
        factory.makeTimer(label: "http.server.request.duration", dimensions: [("le", "x")]).recordNanoseconds(30_000_000)
        try registry.counter("shop_orders_total", help: "Orders taken.").increment(by: 3)
        return registry
    }

    @Test(
        "promtool finds nothing to say about the page",
        .enabled(if: Programs.promtool != nil, "there is no promtool on PATH or in APUS_PEERS"))
    func lint() async throws {
        let promtool = try #require(Programs.promtool)
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let registry = try Self.everything()
        let group: MultiThreadedEventLoopGroup = try {
            let loops = try EventLoopMetrics(registry)
            return MultiThreadedEventLoopGroup(numberOfThreads: 1, metricsDelegate: loops)
        }()
        try await group.next().submit {}.get()
        let page = folder.appending(path: "page.prom")
        try registry.writeTextFile(page.path)
        let check = try ChildProcess(
            URL(filePath: "/bin/sh"), ["-c", "exec '\(promtool.path)' check metrics < '\(page.path)'"], in: folder)
        #expect(check.exitStatus() == 0, "\(check.output)")
        #expect(check.output == "")
        try await group.shutdownGracefully()
    }

    @Test(
        "Prometheus scrapes the endpoint over TLS with a password, and reads what was counted",
        .enabled(if: Programs.prometheus3 != nil, "there is no prometheus 3 on PATH or in APUS_PEERS"))
    func scrape() async throws {
        let prometheus = try #require(Programs.prometheus3)
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        try write("server.crt", TestCertificates.serverCertificate)
        try write("server.key", TestCertificates.serverKey)
        // The password is "secret".
        try write(
            "web.yml",
            """
            tls_server_config:
              cert_file: server.crt
              key_file: server.key
            basic_auth_users:
              alice: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW

            """)
        let registry = try Self.everything()
        let endpoint = try await MetricsEndpoint.start(
            registry, port: 0, security: try WebConfigSecurity(folder.appending(path: "web.yml").path))
        try write(
            "prometheus.yml",
            """
            scrape_configs:
              - job_name: registry
                scrape_interval: 1s
                scheme: https
                tls_config: {insecure_skip_verify: true}
                basic_auth: {username: alice, password: secret}
                static_configs: [{targets: ["127.0.0.1:\(endpoint.port)"]}]

            """)
        let port = Programs.freePort()
        let server = try ChildProcess(
            prometheus,
            [
                "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)",
                "--enable-feature=native-histograms,exemplar-storage",
            ], in: folder)
        func value(_ query: String) -> Double? {
            request("GET", "http://127.0.0.1:\(port)/api/v1/query?" + encoded(["query": query]))?.json["data"]["result"][0][
                "value"][1].string
                .flatMap { Double($0) }
        }
        #expect(eventually { value("up{job=\"registry\"}") == 1 }, "\(server.output)")
        #expect(eventually { value("shop_orders_total") == 3 })
        #expect(value("sum(hb_requests_total)") == 8)
        #expect(value("hb_requests_total{route=\"/\\\"\\\\\\n\"}") == 7)
        #expect(value("http_server_request_duration_seconds_count{exported_le=\"x\"}") == 1)
        #expect(value("count({__name__=~\"process_.+\"}) > 10") != nil)
        // Native histograms, with their buckets.
        #expect(value("histogram_count(native_seconds)") == 100)
        let median = value("histogram_quantile(0.5, native_seconds)") ?? .nan
        #expect(abs(median - 1) < 0.1, "\(median)")
        #expect(value("histogram_count(both_seconds)") == 100)
        let now = Date.now.timeIntervalSince1970
        let exemplars = request(
            "GET",
            "http://127.0.0.1:\(port)/api/v1/query_exemplars?"
                + encoded(["query": "{__name__=~\".*_seconds.*\"}", "start": "\(now - 600)", "end": "\(now + 600)"]))
        #expect(exemplars?.text.contains("4bf92f3577b34da6a3ce929d0e0e4736") == true, "\(exemplars?.text ?? "")")
        server.stop()
        await endpoint.stop()
    }

    @Test(
        "a wrong web configuration is refused in the words of promtool",
        .enabled(
            if: Programs.promtool != nil && Programs.prometheus3 != nil,
            "there is no promtool of Prometheus 3 on PATH or in APUS_PEERS"),
        arguments: [
            "", "tls_config:\n  x: 1\n", "tls_server_config:\n  cert_filse: x\n  other: 1\n",
            "tls_server_config:\n  min_version: TLS1.2\n",
            "tls_server_config:\n  cipher_suites: [TLS_X]\n", "tls_server_config:\n  curve_preferences: [P256]\n",
            "http_server_config:\n  headers:\n    X-Test: 1\n", "http_server_config:\n  headers:\n    X-Frame-Options: never\n",
            "basic_auth_users:\n  a: secret\n", "basic_auth_users:\n  a: \(String(repeating: "x", count: 60))\n",
            "basic_auth_users:\n  a: $6$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrWx\n",
            "basic_auth_users:\n  a: $2b$40$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
            "basic_auth_users:\n  a: $2b$xx$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
            "tls_server_config:\n  client_auth_type: NoClientCert\n", "tls_server_config:\n  cert: x\n",
            "tls_server_config: {cert_file: /nowhere/a.crt, key: k}\n",
            "tls_server_config: {cert_file: s.crt, key_file: /nowhere/a.key}\n",
            "tls_server_config: {cert_file: s.crt, key_file: s.key}\n",
            "tls_server_config: {cert_file: s.crt, key_file: s.key, client_ca_file: s.crt}\n",
            "tls_server_config: {cert_file: s.crt, key_file: s.key, client_auth_type: Foo}\n", "tls_server_config: 1\n",
            "basic_auth_users: [1]\n", "http_server_config: {http2: maybe}\n", "tls_server_config: {cert_file: [a]}\n", "- 1\n",
            "tls_server_config: {cert_file: s.crt, key_file: other.key}\n",
            "tls_server_config: {cert_file: s.key, key_file: s.key}\n",
            "tls_server_config: {cert_file: s.crt, key_file: s.crt}\n",
            "tls_server_config: {cert_file: web.yml, key_file: s.key}\n",
            "tls_server_config: {cert_file: s.crt, key_file: web.yml}\n",
        ])
    func webConfig(text: String) throws {
        let promtool = try #require(Programs.promtool)
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
        }
        try write("s.crt", TestCertificates.serverCertificate)
        try write("s.key", TestCertificates.serverKey)
        try write("other.key", TestCertificates.otherKey)
        try write("web.yml", text)
        let check = try ChildProcess(promtool, ["check", "web-config", folder.appending(path: "web.yml").path], in: folder)
        _ = check.exitStatus()
        var ours = "SUCCESS"
        do {
            let config = try WebConfig.load(folder.appending(path: "web.yml").path)
            if config.tls.isEnabled { _ = try TLSServerContext(config.tls) }
        } catch { ours = "FAILED: \(error)" }
        let theirs = check.output.replacing(folder.appending(path: "web.yml").path + " ", with: "", maxReplacements: 1)
        #expect(theirs.trimmingCharacters(in: .whitespacesAndNewlines) == ours)
    }
}
