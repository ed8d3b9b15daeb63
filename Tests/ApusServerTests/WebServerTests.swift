import ApusBytes
import ApusModel
import ApusRegex
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Routing, pages and headers") struct WebServerTests {
    @Test("every path of the API has its preflight, and other methods are refused with those it has")
    func methods() async throws {
        let server = try TestServer()
        for route in Route.all where route.isAPI {
            let path = route.path.replacing(":name", with: "job")
            let preflight = await server.web.respond(to: ServerRequest(method: .options, target: path, headers: [.origin: "http://x"]))
            #expect(preflight.status == .noContent && preflight.headers[.accessControlAllowOrigin] == "http://x", "\(path)")
            let refused = await server.web.respond(to: ServerRequest(method: .patch, target: path))
            #expect(refused.status == .methodNotAllowed, "\(path)")
            let allowed = (route.methods.map(\.rawValue) + ["OPTIONS"]).sorted().joined(separator: ", ")
            #expect(refused.headers[.allow] == allowed, "\(path)")
        }
    }

    @Test("unknown paths are not found", arguments: ["/api/v1/nope", "/api/v1/status/nope", "/nope", "/api/v1/label//values", "/api/v1/label/a/b/values"])
    func unknown(path: String) async throws {
        let response = try await TestServer().get(path)
        #expect(response.status == .notFound && response.text == "404 page not found\n")
    }

    @Test(
        "origins are allowed by pattern",
        arguments: [(nil, "http://a.example", "http://a.example"), ("http://a\\..*", "http://a.example", "http://a.example"), ("http://a", "http://a.example", nil)]
            as [(String?, String, String?)])
    func crossOrigin(pattern: String?, origin: String, allowed: String?) async throws {
        let regex = try pattern.map { try AnchoredRegex(ByteString($0)) }
        let server = try TestServer(change: { $0.corsOrigin = regex })
        let response = await server.get("/api/v1/query?query=1", headers: [.origin: origin])
        #expect(response.headers[.accessControlAllowOrigin] == allowed)
        #expect(response.headers[.accessControlAllowMethods] == "GET, POST, OPTIONS")
        #expect(response.headers[.accessControlAllowHeaders] == "Accept, Authorization, Content-Type, Origin")
        #expect(response.headers[.accessControlExposeHeaders] == "Date")
        #expect(response.headers[.vary] == "Origin")
        let plain = await server.get("/api/v1/query?query=1")
        #expect(plain.headers[.accessControlAllowMethods] == nil && plain.headers[.vary] == "Origin")
    }

    @Test("long answers are compressed for those who take that")
    func compression() async throws {
        let server = try TestServer()
        let target = "/api/v1/query_range?query=up&start=1000000&end=1000300&step=15"
        let plain = await server.get(target)
        let gzipped = await server.get(target, headers: [.acceptEncoding: "gzip, deflate"])
        #expect(plain.headers[.contentEncoding] == nil)
        #expect(gzipped.headers[.contentEncoding] == "gzip" && gzipped.body.count < plain.body.count)
        #expect(ContentCoding.gzip.compressed(plain.body) == gzipped.body)
    }

    @Test("probes and version")
    func probes() async throws {
        let server = try TestServer()
        #expect(await server.get("/-/healthy").text == "Prometheus Server is Healthy.\n")
        #expect(await server.get("/-/ready").text == "Prometheus Server is Ready.\n")
        #expect(await server.get("/version").text.hasPrefix(#"{"version":"3.14.0","#))
        let starting = try TestServer(lifecycle: Lifecycle(startedMs: 0, isReady: { false }, reload: { nil }, quit: {}))
        #expect(await starting.get("/-/ready").status == .serviceUnavailable)
        #expect(await starting.get("/-/healthy").status == .ok)
    }

    @Test("reload and quit: only when enabled, only by POST or PUT", arguments: ["/-/reload", "/-/quit"])
    func lifecycle(path: String) async throws {
        let calls = Locked<[String]>([])
        let lifecycle = Lifecycle(
            startedMs: 0, isReady: { true },
            reload: {
                calls.withLock { $0.append("/-/reload") }
                return nil
            }, quit: { calls.withLock { $0.append("/-/quit") } })
        let off = try TestServer(lifecycle: lifecycle)
        let forbidden = await off.post(path, "")
        #expect(forbidden.status == .forbidden && forbidden.text == "Lifecycle API is not enabled.")
        let on = try TestServer(change: { $0.isLifecycleEnabled = true }, lifecycle: lifecycle)
        let wrong = await on.get(path)
        #expect(wrong.status == .methodNotAllowed && wrong.text == "Only POST or PUT requests allowed")
        #expect(calls.withLock { $0 } == [])
        #expect(await on.post(path, "").status == .ok)
        #expect(await on.web.respond(to: ServerRequest(method: .put, target: path)).status == .ok)
        #expect(calls.withLock { $0 } == [path, path])
    }

    @Test("a reload that fails says why")
    func failedReload() async throws {
        let server = try TestServer(
            change: { $0.isLifecycleEnabled = true },
            lifecycle: Lifecycle(startedMs: 0, isReady: { true }, reload: { "broken" }, quit: {}))
        let response = await server.post("/-/reload", "")
        #expect(response.status == .internalServerError && response.text == "failed to reload config: broken\n")
    }

    @Test("federation gives the newest samples with their times")
    func federation() async throws {
        let server = try TestServer()
        let page = await server.get("/federate?match[]=up&match[]=requests_total&match[]=%7Bjob=%22api%22%7D&match[]=%7B%22a.b%22%7D")
        #expect(page.status == .ok)
        #expect(
            page.text == """
                # TYPE a_b untyped
                a_b{c_d="é",instance=""} 0.1 1000300000
                # TYPE requests_total untyped
                requests_total{code="200",instance=""} 300 1000300000
                # TYPE up untyped
                up{instance="a:1",job="api"} 1 1000300000
                up{instance="b:1",job="api"} 0 1000300000

                """)
        #expect(await server.get("/federate").body.isEmpty)
        let bad = await server.get("/federate?match[]=up%7B")
        #expect(bad.status == .badRequest && bad.text == "1:4: parse error: unexpected end of input inside braces\n")
    }

    @Test("its own metrics count its requests")
    func ownMetrics() async throws {
        let server = try TestServer()
        _ = await server.get("/api/v1/label/job/values")
        _ = await server.get("/api/v1/query?query=")
        let page = await server.get("/metrics").text
        for line in [
            #"prometheus_http_requests_total{handler="/api/v1/label/:name/values",code="200"} 1"#,
            #"prometheus_http_requests_total{handler="/api/v1/query",code="400"} 1"#, "prometheus_tsdb_head_series 5", "prometheus_ready 1",
            "prometheus_config_last_reload_successful 0", #"prometheus_http_request_duration_seconds_count{handler="/api/v1/query"} 1"#,
            "prometheus_engine_queries_concurrent_max 20",
        ] {
            #expect(page.contains(line + "\n"), "\(line)\n\(page)")
        }
    }

    @Test("the web interface is served with its headers and known by its tag")
    func assets() async throws {
        let server = try TestServer()
        for path in WebAssets.pagePaths {
            let page = await server.get(path)
            #expect(page.status == .ok && page.headers[.contentType]?.hasPrefix("text/html") == true, "\(path)")
            #expect(page.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'self'") == true)
        }
        let page = await server.get("/")
        let tag = try #require(page.headers[.eTag])
        let again = await server.get("/", headers: [.ifNoneMatch: tag])
        #expect(again.status == .notModified && again.body.isEmpty)
        let zipped = await server.get("/", headers: [.acceptEncoding: "gzip"])
        #expect(zipped.headers[.contentEncoding] == "gzip" && zipped.body.count < page.body.count)
        #expect(await server.post("/", "").status == .methodNotAllowed)
    }
}
