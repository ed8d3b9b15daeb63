import ApusBytes
import ApusConfig
import ApusModel
import Glibc
import Testing

@testable import ApusScrape

@Suite("Providers of targets") struct ProviderTests {
    private static let time = SystemTime()

    private static func http(_ server: TestServer, _ configure: (inout HTTPSDConfig) -> Void = { _ in }) -> HTTPDiscovery {
        var config = HTTPSDConfig()
        config.url = "http://\(server.address)/targets"
        configure(&config)
        return HTTPDiscovery(config: config, userAgent: "test/1", time: time)
    }
    private static func json(_ text: String, type: String = "application/json") -> TestServer.Reply { .page(text, type: type) }

    @Test func httpLists() throws {
        let server = try TestServer { _ in Self.json(#"[{"targets": ["a:1", "b:2"], "labels": {"team": "x"}}, {"targets": []}]"#) }
        defer { server.stop() }
        let update = try Self.http(server).refresh()
        let url = ByteString("http://\(server.address)/targets")
        #expect(update.isComplete && update.groups.count == 2)
        #expect(update.groups[0].targets == [["__address__": "a:1"], ["__address__": "b:2"]])
        #expect(update.groups[0].labels == ["__meta_url": url, "team": "x"])
        let request = try #require(server.requests.first)
        #expect(request.headers["x-prometheus-refresh-interval-seconds"] == "60" && request.headers["accept"] == "application/json")
    }

    @Test(arguments: [
        ("[]", "text/plain", "unsupported content type \"text/plain\""), ("- targets: []", "application/json", "invalid character"),
        ("[{\"target\": []}]", "application/json; charset=utf-8", "field target not known"),
    ])
    func httpFaults(body: String, type: String, reason: String) throws {
        let server = try TestServer { _ in Self.json(body, type: type) }
        defer { server.stop() }
        do throws(DiscoveryFailure) {
            _ = try Self.http(server).refresh()
            Issue.record("was accepted")
        } catch { #expect(error.description.contains(reason), "\(error)") }
    }

    @Test func httpStatus() throws {
        let server = try TestServer { _ in .bytes([], status: "503 Service Unavailable", headers: []) }
        defer { server.stop() }
        do throws(DiscoveryFailure) { _ = try Self.http(server).refresh() } catch {
            #expect(error.description == "server returned HTTP status 503 Service Unavailable")
        }
    }

    @Test func dnsTargets() throws {
        var config = DNSSDConfig()
        config.names = ["gone.test"]
        config.type = .a
        config.port = 9100
        let discovery = DNSDiscovery(config: config, resolver: DNSResolver(path: "/nonexistent/resolv.conf"))
        let update = try discovery.refresh()
        #expect(!update.isComplete && update.failedLookups == 1)
        #expect(update.problems == ["could not load resolv.conf: open /nonexistent/resolv.conf: no such file or directory"])
    }

    /// Says what the test wants it to say.
    private final class Script: DiscoveryProvider {
        static let mechanism = "script"
        let refreshIntervalMs: Int64 = 20
        let answers: Locked<Result<[String], DiscoveryFailure>>
        let asked = Locked(0)
        init(_ targets: [String]) { answers = Locked(.success(targets)) }
        func refresh() throws(DiscoveryFailure) -> DiscoveryUpdate {
            asked.withLock { $0 += 1 }
            var update = DiscoveryUpdate()
            let targets = try answers.withLock { $0 }.get()
            update.groups = [TargetGroup(targets: targets.map { ["__address__": ByteString($0)] }, source: "s")]
            return update
        }
    }

    @Test("keeps the last targets when a provider fails, and tells of changes only") func failing() {
        let changes = Locked(0)
        let runner = DiscoveryRunner(time: Self.time, debounceMs: 0, log: { _, _, _ in }) { changes.withLock { $0 += 1 } }
        let script = Script(["a:1"])
        let key = ProviderConfig.http(HTTPSDConfig())
        runner.use(key, provider: script)
        runner.start()
        defer { runner.stop() }
        #expect(eventually { runner.groups(of: key).first?.targets.count == 1 && changes.withLock { $0 } == 1 })
        script.answers.withLock { $0 = .failure(DiscoveryFailure("down")) }
        #expect(eventually { (runner.statistics.first?.failures ?? 0) >= 2 })
        #expect(runner.groups(of: key).first?.targets.count == 1)
        script.answers.withLock { $0 = .success(["a:1", "b:1"]) }
        #expect(eventually { changes.withLock { $0 } == 2 })
        let before = script.asked.withLock { $0 }
        #expect(eventually { script.asked.withLock { $0 } > before + 2 })
        #expect(changes.withLock { $0 } == 2 && runner.groups(of: key).first?.targets.count == 2)
        runner.use([], options: ScrapeOptions())
        #expect(runner.groups(of: key).isEmpty)
    }

    @Test("a job scrapes what HTTP lists, through a token server") func wholeWay() throws {
        let pages = try TestServer { _ in .page("a 1\n") }
        defer { pages.stop() }
        let tokens = try TestServer { request in
            // Credentials in the header are refused: the second try has them in the form.
            if request.headers["authorization"] != nil { return .bytes([], status: "401 Unauthorized", headers: []) }
            let isRight = request.body == "grant_type=client_credentials&scope=a+b&client_id=me&client_secret=s%26t&audience=x"
            return isRight ? Self.json(#"{"access_token": "tok", "token_type": "bearer", "expires_in": 3600}"#) : .bytes([], status: "400 Bad", headers: [])
        }
        defer { tokens.stop() }
        let lists = try TestServer { _ in Self.json("[{\"targets\": [\"\(pages.address)\"]}]") }
        defer { lists.stop() }
        var job = ScrapeConfig(jobName: "j")
        job.scrapeIntervalMs = 100
        job.scrapeTimeoutMs = 100
        var oauth2 = HTTPClientConfig.OAuth2()
        oauth2.clientID = "me"
        oauth2.clientSecret = "s&t"
        oauth2.scopes = ["a", "b"]
        oauth2.endpointParams = ["audience": "x"]
        oauth2.tokenURL = "http://\(tokens.address)/token"
        job.http.oauth2 = oauth2
        var list = HTTPSDConfig()
        list.url = "http://\(lists.address)/"
        job.discovery.httpSDConfigs = [list]
        var config = PrometheusConfig()
        config.scrapeConfigs = [job]
        let store = FakeStore()
        let manager = ScrapeManager(store: store)
        manager.apply(config)
        try manager.start()
        defer { manager.stop() }
        let up: LabelSet = ["__name__": "up", "instance": ByteString(pages.address), "job": "j"]
        #expect(eventually { store.samples(up).filter { $0.value == 1 }.count >= 3 })
        #expect(pages.requests.allSatisfy { $0.headers["authorization"] == "Bearer tok" })
        // One token for all scrapes.
        #expect(tokens.requests.count == 2)
        #expect(manager.statistics().discovery.receivedUpdates >= 1)
        #expect(manager.statistics().pools.first?.discovered == 1)
    }

    @Test("a scrape without a token says why") func noToken() throws {
        let tokens = try TestServer { _ in .bytes([], status: "403 Forbidden", headers: []) }
        defer { tokens.stop() }
        var oauth2 = HTTPClientConfig.OAuth2()
        oauth2.tokenURL = "http://\(tokens.address)/token"
        let store = TokenStore(time: Self.time, userAgent: "t")
        do throws(CredentialError) { _ = try store.fetch(oauth2, timeoutMs: 5000) } catch {
            #expect(error.description == "oauth2: cannot fetch token: server returned HTTP status 403 Forbidden")
        }
    }

    @Test("credentials stay with their host when a redirect leads elsewhere") func redirects() throws {
        let other = try TestServer { _ in .page("a 1\n") }
        defer { other.stop() }
        let first = try TestServer { request in
            request.path == "/metrics" ? .bytes([], status: "302 Found", headers: ["Location: /here"])
                : .bytes([], status: "307 Temporary Redirect", headers: ["Location: http://\(other.address)/there"])
        }
        defer { first.stop() }
        var client = HTTPClientConfig()
        client.authorization = HTTPClientConfig.Authorization()
        client.authorization?.credentials = "tok"
        let request = FetchRequest(
            key: 1, url: "http://\(first.address)/metrics", headers: ["X-Public: 1"], privateHeaders: try makePrivateHeaders(client),
            timeoutMs: 5000, bodyLimit: 1000, client: client)
        guard case .page = fetchAndWait(request, time: Self.time) else {
            Issue.record("no page")
            return
        }
        #expect(first.requests.map { $0.headers["authorization"] } == ["Bearer tok", "Bearer tok"])
        #expect(other.requests.map { $0.headers["authorization"] } == [nil] && other.requests.first?.headers["x-public"] == "1")
    }
}

@Suite("Shards") struct ShardTests {
    private static func hash(_ index: Int) -> UInt64 {
        var z = UInt64(index) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return z ^ (z >> 31)
    }
    private static func owner(_ target: UInt64, of count: Int) -> Int? {
        let owners = (1...count).filter { Shard("\($0)/\(count)")?.owns(target) == true }
        return owners.count == 1 ? owners.first : nil
    }

    @Test("each target has one server, shares are even, and one more server takes its share and moves nothing else", arguments: 1...9)
    func shares(count: Int) {
        let targets = (0..<3000).map(Self.hash)
        var shares = [Int](repeating: 0, count: count + 2)
        var moved = 0
        for target in targets {
            guard let before = Self.owner(target, of: count), let after = Self.owner(target, of: count + 1) else {
                Issue.record("target \(target) has no server or several")
                return
            }
            shares[before] += 1
            if before != after {
                moved += 1
                #expect(after == count + 1)
            }
        }
        let even = Double(targets.count) / Double(count)
        #expect(shares[1...count].allSatisfy { abs(Double($0) - even) < even * 0.2 + 1 }, "\(shares)")
        let wanted = Double(targets.count) / Double(count + 1)
        #expect(abs(Double(moved) - wanted) < wanted * 0.2)
    }

    @Test(arguments: ["", "1", "0/1", "2/1", "1/0", "a/2", "1/2/3", "-1/2", "1/10001"]) func nonsense(_ text: String) {
        #expect(Shard(text) == nil)
    }

    @Test func dropsTheRest() {
        var config = ScrapeConfig(jobName: "j")
        config.discovery.staticConfigs = [TargetGroup(targets: (0..<100).map { ["__address__": ByteString("h\($0):1")] }, source: "0")]
        let parts = (1...3).map { TargetSet(groups: config.staticConfigs, config: config, shard: Shard("\($0)/3")) }
        #expect(parts.map(\.active.count).reduce(0, +) == 100 && parts.allSatisfy { $0.active.count + $0.droppedCount == 100 })
        #expect(Set(parts.flatMap { $0.active.map(\.url) }).count == 100)
    }
}

@Suite("Scrape failure log") struct FailureLogTests {
    @Test func linesOfJSON() throws {
        let path = "/tmp/apus-failures-\(getpid())-\(UInt64.random(in: 0 ... .max)).log"
        defer { unsafe unlink(path) }
        let log = FailureLog()
        #expect(log.write(path, timeMs: 1_700_000_000_123, message: "a \"b\"\n\u{1}", scrapePool: "p", target: "http://x/") == nil)
        log.reopen()
        #expect(log.write(path, timeMs: 0, message: "c", scrapePool: "p", target: "t") == nil)
        let text = String(decoding: try #require(readFile(path, limit: 10_000)), as: UTF8.self)
        let lines = text.split(separator: "\n")
        #expect(
            lines.first
                == #"{"time":"2023-11-14T22:13:20.123Z","level":"ERROR","msg":"a \"b\"\n\u0001","scrape_pool":"p","target":"http://x/"}"#)
        #expect(lines.count == 2 && lines.last?.hasPrefix(#"{"time":"1970-01-01T00:00:00.000Z""#) == true)
        #expect(log.write("/nonexistent/x", timeMs: 0, message: "", scrapePool: "", target: "") == "open /nonexistent/x: no such file or directory")
        #expect(log.write("/nonexistent/x", timeMs: 0, message: "", scrapePool: "", target: "") == nil)
        #expect(formatRFC3339(951_782_400_000) == "2000-02-29T00:00:00.000Z" && formatRFC3339(-1) == "1969-12-31T23:59:59.999Z")
    }
}
