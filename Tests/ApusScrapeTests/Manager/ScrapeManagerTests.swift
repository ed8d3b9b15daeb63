import ApusBytes
import ApusConfig
import ApusModel
import Glibc
import Testing

@testable import ApusScrape

/// The whole way, over sockets: a server in this process, the manager, a fake store.
@Suite struct ScrapeManagerTests {
    private func config(_ targets: [String], _ configure: (inout ScrapeConfig) -> Void = { _ in }) -> PrometheusConfig {
        var job = ScrapeConfig(jobName: "test")
        job.scrapeIntervalMs = 200
        job.scrapeTimeoutMs = 200
        job.discovery.staticConfigs = [
            TargetGroup(targets: targets.map { ["__address__": ByteString($0)] }, labels: .empty, source: "0")
        ]
        configure(&job)
        var config = PrometheusConfig()
        config.scrapeConfigs = [job]
        return config
    }

    /// A job a path of one server, named by the path.
    private func config(
        _ server: TestServer, paths: [String], timeoutMs: Int64, _ configure: (inout ScrapeConfig) -> Void = { _ in }
    ) -> PrometheusConfig {
        var config = PrometheusConfig()
        for path in paths {
            var job = ScrapeConfig(jobName: path)
            job.metricsPath = path
            (job.scrapeIntervalMs, job.scrapeTimeoutMs) = (timeoutMs, timeoutMs)
            job.discovery.staticConfigs = [TargetGroup(targets: [["__address__": ByteString(server.address)]], source: "0")]
            configure(&job)
            config.scrapeConfigs.append(job)
        }
        return config
    }

    private func status(_ manager: ScrapeManager) -> TargetStatus? { manager.targets().active.first }

    @Test func scrapesAPageAgainAndAgain() throws {
        let server = try TestServer { _ in .page("# TYPE a counter\na 1\nb{x=\"y\"} 2\n") }
        defer { server.stop() }
        let store = FakeStore()
        let manager = ScrapeManager(store: store)
        manager.apply(config([server.address]))
        try manager.start()
        defer { manager.stop() }
        let up: LabelSet = ["__name__": "up", "instance": ByteString(server.address), "job": "test"]
        #expect(eventually { store.samples(up).count >= 3 })
        #expect(store.samples(up).allSatisfy { $0.value == 1 })
        #expect(eventually { status(manager)?.health == .up })
        #expect(status(manager)?.scrapeUrl == "http://\(server.address)/metrics")
        #expect(manager.metadata(metric: "a").first?.metadata.type == .counter)
        #expect(manager.statistics().scrapes >= 3)
        let request = try #require(server.requests.first)
        #expect(request.headers["accept"]?.hasPrefix("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,") == true)
        #expect(request.headers["accept-encoding"] == "gzip")
        #expect(request.headers["user-agent"] == "Prometheus/3.14.0 (Apus)")
        #expect(request.headers["x-prometheus-scrape-timeout-seconds"] == "0.2")
    }

    @Test func answersThatAreNotPages() throws {
        let line = Array(repeating: UInt8(ascii: "x"), count: 10 << 20)
        let server = try TestServer { request in
            switch request.path {
            case "/missing": .bytes([], status: "404 Not Found", headers: [])
            case "/silent": TestServer.Reply(bytes: [], hangs: true)
            case "/slow":
                TestServer.Reply(bytes: Array("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\na 1\n".utf8), hangs: true)
            case "/garbage": .bytes([0, 255, 1, 254, 10], headers: ["Content-Type: text/plain"])
            case "/line": .bytes(line, headers: ["Content-Type: text/plain"])
            case "/endless":
                TestServer.Reply(
                    bytes: Array("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n".utf8),
                    endless: Array(repeating: UInt8(ascii: "\n"), count: 4096))
            case "/endlesserror":
                TestServer.Reply(
                    bytes: Array("HTTP/1.1 500 Internal Server Error\r\n\r\n".utf8),
                    endless: Array(repeating: UInt8(ascii: "\n"), count: 65536))
            case "/closed": TestServer.Reply(bytes: Array("nonsense\r\n\r\n".utf8))
            case "/gzip": .bytes(Array(repeating: 7, count: 40), headers: ["Content-Type: text/plain", "Content-Encoding: gzip"])
            case "/redirect": .bytes([], status: "302 Found", headers: ["Location: /metrics"])
            case "/loop": .bytes([], status: "302 Found", headers: ["Location: /loop"])
            default: .page("ok 1\n")
            }
        }
        defer { server.stop() }
        let base = "http://\(server.address)"
        let expected: [String: String] = [
            "/missing": "server returned HTTP status 404 Not Found",
            "/silent": "Get \"\(base)/silent\": context deadline exceeded",
            "/slow": "context deadline exceeded",
            "/garbage": "1:1: expected a valid start token, got \"\\x00\" while parsing: \"\\x00\"",
            "/line": "body size limit exceeded",
            "/endless": "body size limit exceeded",
            "/endlesserror": "server returned HTTP status 500 Internal Server Error",
            "/gzip": "gzip: invalid header",
            "/redirect": "",
            "/loop": "Get \"/loop\": stopped after 10 redirects",
            "/metrics": "",
        ]
        let config = config(server, paths: expected.keys.sorted(), timeoutMs: 4000) { job in
            // Only who runs into its timeout has a short one: a busy machine may be slow to answer.
            if ["/silent", "/slow"].contains(job.metricsPath) { (job.scrapeIntervalMs, job.scrapeTimeoutMs) = (1000, 900) }
            job.limits.bodySizeBytes = 1 << 20
        }
        let manager = ScrapeManager(store: FakeStore())
        manager.apply(config)
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { manager.targets().active.allSatisfy { $0.health != .unknown } })
        for target in manager.targets().active {
            #expect(target.lastError == expected[target.scrapePool], "\(target.scrapePool)")
        }
    }

    /// More than one of libcurl's handles takes.
    @Test func manyTargets() throws {
        let server = try TestServer { _ in .page("a 1\n") }
        defer { server.stop() }
        let store = FakeStore()
        let manager = ScrapeManager(store: store)
        let count = FetchMulti.transferLimit + 40
        manager.apply(
            config([]) { job in
                (job.scrapeIntervalMs, job.scrapeTimeoutMs) = (2000, 2000)
                job.discovery.staticConfigs = [
                    TargetGroup(
                        targets: (0..<count).map { ["__address__": ByteString(server.address), "n": ByteString("\($0)")] }, source: "0")
                ]
            })
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { manager.targets().active.count { $0.health == .up } == count })
        // Half of them go, and the rest goes on.
        manager.apply(config([server.address]))
        let up: LabelSet = ["__name__": "up", "instance": ByteString(server.address), "job": "test"]
        #expect(eventually { store.samples(up).count >= 3 })
    }

    /// Goal: small pages are stored by the thread that fetched them, and only when nothing speaks against it. Each first page
    /// goes to a worker, since nothing is known of what it takes.
    @Test("a small page is stored where it was fetched", arguments: [
        (limitUs: 1_000_000, mayStall: false, extraBytes: 0, isQuick: true), (1_000_000, true, 0, false), (0, false, 0, false),
        (1_000_000, false, QuickScrapes.maxPackedBytes, false),
    ])
    func quickPages(limitUs: Int, mayStall: Bool, extraBytes: Int, isQuick: Bool) throws {
        let page = "a 1\n# " + String(repeating: "x", count: extraBytes) + "\nb 2\n"
        let server = try TestServer { _ in .page(page) }
        defer { server.stop() }
        let store = FakeStore(mayStall: mayStall)
        var options = ScrapeOptions()
        options.quickLimitUs = limitUs
        let manager = ScrapeManager(store: store, options: options)
        manager.apply(config([server.address]))
        try manager.start()
        defer { manager.stop() }
        let b: LabelSet = ["__name__": "b", "instance": ByteString(server.address), "job": "test"]
        // On a busy machine an answer may come too late, and leave a staleness marker.
        func values() -> [Double] { store.samples(b).map(\.value).filter { !StaleNaN.isStale($0) } }
        #expect(eventually { values().count >= 4 && (!isQuick || store.threads.contains(FetchThread.threadName)) })
        #expect(store.threads.first == "scrape-store")
        #expect(store.threads.contains(FetchThread.threadName) == isQuick, "\(store.threads)")
        #expect(values().allSatisfy { $0 == 2 })
    }

    /// Goal: a page that is taken in many turns is whole, beside others that are too.
    @Test func largePagesInTurns() throws {
        let lines = 14_000
        let page = (0..<lines).map {
            "a_metric_of_a_large_page_whose_lines_are_long_so_that_it_needs_no_more_of_them_than_it_must{number=\"\($0)\"} \($0)\n"
        }.joined()
        #expect(page.utf8.count > 5 * Transfer.turnBytes)
        let server = try TestServer { request in
            guard request.path == "/chunked" else { return .page(page) }
            let bytes = Array(page.utf8)
            var body: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: 50_000) {
                let chunk = bytes[start..<min(start + 50_000, bytes.count)]
                body += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
            }
            return TestServer.Reply(
                bytes: Array("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n".utf8) + body
                    + Array("0\r\n\r\n".utf8))
        }
        defer { server.stop() }
        let store = FakeStore()
        let manager = ScrapeManager(store: store)
        manager.apply(config(server, paths: ["/one", "/two", "/chunked"], timeoutMs: 4000))
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { manager.targets().active.allSatisfy { $0.health != .unknown } })
        #expect(manager.targets().active.map(\.lastError) == ["", "", ""])
        for path in ["/one", "/two", "/chunked"] {
            let reports = store.samples(["__name__": "scrape_samples_scraped", "instance": ByteString(server.address), "job": ByteString(path)])
            #expect(reports.first?.value == Double(lines), "\(path)")
        }
    }

    /// Goal: an answer without end is ended by its limit also when the limit is met by what was kept between two turns, of whose
    /// refusal libcurl says nothing later. Method: heads that fill libcurl's buffer, so that four turns are as long as the limit.
    @Test func limitsBetweenTurns() throws {
        let server = try TestServer { request in
            let status = request.path.hasPrefix("/error") ? "500 Internal Server Error" : "200 OK"
            var head = "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\nX-Padding: "
            head += String(repeating: "x", count: Transfer.bufferBytes - head.utf8.count - 4) + "\r\n\r\n"
            return TestServer.Reply(bytes: Array(head.utf8), endless: Array(repeating: UInt8(ascii: "\n"), count: 4 * Transfer.bufferBytes))
        }
        defer { server.stop() }
        #expect(Transfer.drainLimit == 4 * Transfer.turnBytes && Transfer.turnBytes % Transfer.bufferBytes == 0)
        let config = config(server, paths: (0..<6).flatMap { ["/error\($0)", "/page\($0)"] }, timeoutMs: 5000) { job in
            job.limits.bodySizeBytes = Int64(4 * Transfer.turnBytes)
        }
        let manager = ScrapeManager(store: FakeStore())
        manager.apply(config)
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { manager.targets().active.allSatisfy { $0.health != .unknown } })
        for target in manager.targets().active {
            let expected =
                target.scrapePool.hasPrefix("/error") ? "server returned HTTP status 500 Internal Server Error" : "body size limit exceeded"
            #expect(target.lastError == expected, "\(target.scrapePool)")
        }
    }

    /// Pages that take long wait for each other, and nobody else waits for them.
    @Test func heavyPagesKeepNobody() throws {
        let line = "big_page_of_many_lines{number=\"0\"} 1\n"
        let page = String(repeating: line, count: ScrapeEngine.heavyBytes / line.utf8.count + 1)
        let server = try TestServer { request in request.path == "/heavy" ? .page(page) : .page("a 1\n") }
        defer { server.stop() }
        let store = BlockedStore()
        let config = config(server, paths: ["/heavy", "/light"], timeoutMs: 100) { job in
            if job.metricsPath == "/heavy" { (job.scrapeIntervalMs, job.scrapeTimeoutMs) = (2000, 2000) }
        }
        let manager = ScrapeManager(store: store)
        manager.apply(config)
        try manager.start()
        // Let go before the manager waits for its workers.
        defer { manager.stop() }
        defer { store.release() }
        #expect(eventually { store.isHolding })
        let before = store.lightBatches
        #expect(eventually { store.lightBatches > before + 2 })
        #expect(store.isHolding)
    }

    @Test func aClosedPortIsRefused() throws {
        let server = try TestServer { _ in .page("") }
        let address = server.address
        server.stop()
        let manager = ScrapeManager(store: FakeStore())
        manager.apply(config([address]))
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { status(manager)?.health == .down })
        #expect(status(manager)?.lastError == "Get \"http://\(address)/metrics\": dial tcp \(address): connect: connection refused")
    }

    @Test func credentialsStayWithTheirHost() throws {
        let other = try TestServer { _ in .page("a 1\n") }
        defer { other.stop() }
        let elsewhere = other.address
        let server = try TestServer { request in
            request.path == "/metrics?q=a+b"
                ? .bytes([], status: "302 Found", headers: ["Location: /again"])
                : .bytes([], status: "307 Temporary Redirect", headers: ["Location: http://\(elsewhere)/"])
        }
        defer { server.stop() }
        let manager = ScrapeManager(store: FakeStore())
        manager.apply(config([server.address]) {
            $0.params = ["q": ["a b"]]
            $0.http.basicAuth = HTTPClientConfig.BasicAuth()
            $0.http.basicAuth?.username = "user"
            $0.http.basicAuth?.password = "pass"
            var values = HTTPHeaderValues()
            values.values = ["1"]
            $0.http.headers = ["X-Extra": values]
        })
        try manager.start()
        defer { manager.stop() }
        #expect(eventually { status(manager)?.health == .up })
        #expect(server.requests.prefix(2).map(\.path) == ["/metrics?q=a+b", "/again"])
        #expect(server.requests.prefix(2).allSatisfy { $0.headers["authorization"] == "Basic dXNlcjpwYXNz" && $0.headers["x-extra"] == "1" })
        let forwarded = try #require(other.requests.first)
        #expect(forwarded.headers["authorization"] == nil)
        #expect(forwarded.headers["x-extra"] == nil)
        #expect(forwarded.headers["accept"] != nil)
    }

    @Test func aRemovedTargetEndsAfterTwoTicks() throws {
        let server = try TestServer { _ in .page("a 1\n") }
        defer { server.stop() }
        let store = FakeStore()
        let manager = ScrapeManager(store: store)
        manager.apply(config([server.address]))
        try manager.start()
        defer { manager.stop() }
        let series: LabelSet = ["__name__": "a", "instance": ByteString(server.address), "job": "test"]
        #expect(eventually { !store.samples(series).isEmpty })
        manager.apply(config([]))
        #expect(manager.targets().active.isEmpty)
        #expect(eventually { store.samples(series).last.map { StaleNaN.isStale($0.value) } ?? false })
    }

    @Test func targetsComeAndGoWithTheirFile() throws {
        let server = try TestServer { _ in .page("a 1\n") }
        defer { server.stop() }
        var template = Array("/tmp/apus-file-sd-XXXXXX".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) }
        #expect(unsafe made != nil)
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = directory + "/targets.json"
        func write(_ text: String) {
            let temporary = path + ".new"
            guard let file = unsafe fopen(temporary, "w") else { return }
            unsafe fputs(text, file)
            unsafe fclose(file)
            unsafe rename(temporary, path)
        }
        defer {
            unsafe unlink(path)
            unsafe rmdir(directory)
        }
        let manager = ScrapeManager(store: FakeStore())
        manager.apply(config([]) {
            var files = FileSDConfig()
            files.files = [directory + "/*.json"]
            $0.discovery.fileSDConfigs = [files]
        })
        try manager.start()
        defer { manager.stop() }
        #expect(manager.targets().active.isEmpty)
        write("[{\"targets\": [\"\(server.address)\"], \"labels\": {\"env\": \"x\"}}]")
        #expect(eventually { status(manager)?.health == .up })
        #expect(status(manager)?.labels["env"] == "x")
        #expect(status(manager)?.discoveredLabels["__meta_filepath"] == ByteString(path))
        write("[{\"targets\": [")
        #expect(manager.targets().active.count == 1)
        write("[]")
        #expect(eventually { manager.targets().active.isEmpty })
    }

    @Test func aReloadThatChangesNothingKeepsTheLoops() throws {
        let manager = ScrapeManager(store: FakeStore())
        let first = config(["h:1", "h:2"])
        manager.apply(first)
        let before = manager.targets().active.map(\.scrapeUrl)
        manager.apply(first)
        #expect(manager.targets().active.map(\.scrapeUrl) == before)
        #expect(manager.statistics().pools.first?.syncs == 2)
    }
}
