import Foundation
import Testing

/// What an operator does with targets: look at them closely, and give them certificates.
@Suite("Scraping, seen by an operator") struct ScrapingTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-scraping-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func write(_ text: String, to name: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func start(_ arguments: [String] = []) throws -> (process: ChildProcess, address: String) {
        let port = Programs.freePort()
        let address = "http://127.0.0.1:\(port)"
        let process = try ChildProcess(
            Programs.apus,
            ["serve", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)"] + arguments, in: folder)
        guard eventually(within: 60, { !process.isRunning || request("GET", address + "/-/ready")?.status == 200 }), process.isRunning else {
            throw RunningSystem.Failure("apus did not become ready:\n\(process.output)")
        }
        return (process, address)
    }

    private func target(_ address: String) -> JSON { request("GET", address + "/api/v1/targets")?.json["data"]["activeTargets"][0] ?? JSON(NSNull()) }

    @Test("shows what relabelling does, and what a target really answers") func looks() throws {
        let pages = try PageServer { "page_number \($0)\n" }
        try write(
            """
            global: {scrape_interval: 30s}
            scrape_configs:
              - job_name: web
                relabel_configs:
                  - {source_labels: [__address__], regex: "(.*):.*", target_label: host}
                  - {source_labels: [host], regex: forbidden, action: drop}
                static_configs: [{targets: ["127.0.0.1:\(pages.port)", "forbidden:80"]}]
            """, to: "prometheus.yml")
        let (process, address) = try start(["--web.enable-admin-api"])
        let labels = encoded(["scrapePool": "web", "labels": "{\"__address__\":\"forbidden:80\"}"])
        let steps = request("GET", address + "/api/v1/targets/relabel_steps?" + labels)?.json["data"]["steps"].list ?? []
        #expect(steps.count == 2 && steps.first?["output"]["host"].string == "forbidden" && steps.last?["keep"].number == 0)
        #expect(steps.first?["rule"]["targetLabel"].string == "host")
        let page = request(
            "GET", address + "/api/v1/targets/page?" + encoded(["scrapePool": "web", "scrapeUrl": "http://127.0.0.1:\(pages.port)/metrics"]))?.json["data"]
        #expect(page?["body"].string?.hasPrefix("page_number") == true && page?["contentType"].string == "text/plain; version=0.0.4")
        #expect(request("GET", address + "/api/v1/targets/page?scrapePool=web&scrapeUrl=x")?.status == 404)
        #expect(process.stop() == 0, "\(process.output)")

        let relabel = try ChildProcess(Programs.apus, ["check", "relabel", "prometheus.yml", "web", "{\"__address__\": \"forbidden:80\"}"], in: folder)
        #expect(relabel.exitStatus() == 4 && relabel.output.contains("dropped"), "\(relabel.output)")
        let discovery = try ChildProcess(Programs.apus, ["check", "service-discovery", "prometheus.yml", "web"], in: folder)
        #expect(discovery.exitStatus() == 0, "\(discovery.output)")
        let found = JSON((try? JSONSerialization.jsonObject(with: Data(discovery.output.utf8))) ?? NSNull()).list
        #expect(found.count == 2 && found.first?["labels"]["host"].string == "127.0.0.1" && found.last?["labels"].object?.isEmpty == true)
        #expect(try ChildProcess(Programs.apus, ["check", "service-discovery", "prometheus.yml", "nobody"], in: folder).exitStatus() == 1)
    }

    @Test("without the admin API nobody sees a target's page") func closed() throws {
        try write("scrape_configs: []\n", to: "prometheus.yml")
        let (process, address) = try start()
        #expect(request("GET", address + "/api/v1/targets/page?scrapePool=a&scrapeUrl=b")?.text.contains("admin APIs disabled") == true)
        #expect(process.stop() == 0)
    }

    @Test("loads a changed configuration by itself") func autoReload() throws {
        try write("global: {scrape_interval: 30s}\n", to: "prometheus.yml")
        let (process, address) = try start(["--config.auto-reload", "--config.auto-reload-interval=100ms"])
        try write("scrape_configs: [{job_name: fresh, static_configs: [{targets: ['127.0.0.1:1']}]}]\n", to: "prometheus.yml")
        #expect(eventually { target(address)["scrapePool"].string == "fresh" }, "\(process.output)")
        #expect(process.stop() == 0)
    }

    // MARK: TLS

    private func openssl(_ arguments: [String]) throws -> Bool {
        let program = URL(filePath: "/usr/bin/openssl")
        return try ChildProcess(program, arguments, in: folder).exitStatus() == 0
    }

    /// A certificate authority, and a certificate for 127.0.0.1 by it.
    private func makeAuthority(_ name: String) throws -> Bool {
        try write("subjectAltName=IP:127.0.0.1\n", to: "san.ext")
        return try openssl(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "\(name)-ca.key", "-out", "\(name)-ca.pem", "-subj", "/CN=\(name)", "-days", "2"])
            && openssl(["req", "-newkey", "rsa:2048", "-nodes", "-keyout", "\(name).key", "-out", "\(name).csr", "-subj", "/CN=server"])
            && openssl([
                "x509", "-req", "-in", "\(name).csr", "-CA", "\(name)-ca.pem", "-CAkey", "\(name)-ca.key", "-CAcreateserial", "-out", "\(name).pem", "-days",
                "2", "-extfile", "san.ext",
            ])
    }

    @Test(
        "trusts its own authority only, sends a client certificate, and takes changed files without a reload",
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")))
    func certificates() throws {
        #expect(try makeAuthority("one") && makeAuthority("two"))
        try write("a_metric 1\n", to: "metrics")
        let port = Programs.freePort()
        // Serves the files of the folder, to those only who have a certificate by the first authority.
        let server = try ChildProcess(
            URL(filePath: "/usr/bin/openssl"),
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", "one.pem", "-key", "one.key", "-CAfile", "one-ca.pem", "-Verify", "1", "-verify_return_error", "-WWW", "-quiet"],
            in: folder)
        let copies = [("one-ca.pem", "ca.pem"), ("one.pem", "client.pem"), ("one.key", "client.key")]
        for (from, to) in copies { try FileManager.default.copyItem(at: folder.appending(path: from), to: folder.appending(path: to)) }
        try write(
            """
            global: {scrape_interval: 200ms, scrape_timeout: 200ms}
            scrape_configs:
              - job_name: tls
                scheme: https
                fallback_scrape_protocol: PrometheusText0.0.4
                tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key}
                static_configs: [{targets: ["127.0.0.1:\(port)"]}]
            """, to: "prometheus.yml")
        let (process, address) = try start()
        #expect(eventually { target(address)["health"].string == "up" }, "\(target(address)) \(server.output)")
        try FileManager.default.removeItem(at: folder.appending(path: "ca.pem"))
        try FileManager.default.copyItem(at: folder.appending(path: "two-ca.pem"), to: folder.appending(path: "ca.pem"))
        #expect(eventually { target(address)["lastError"].string?.contains("certificate") == true }, "\(target(address))")
        try FileManager.default.removeItem(at: folder.appending(path: "ca.pem"))
        #expect(eventually { target(address)["lastError"].string?.contains("unable to read CA cert") == true }, "\(target(address))")
        try FileManager.default.copyItem(at: folder.appending(path: "one-ca.pem"), to: folder.appending(path: "ca.pem"))
        #expect(eventually { target(address)["health"].string == "up" }, "\(target(address))")
        #expect(process.stop() == 0)
        server.stop()
    }
}
