import ApusEndpoint
import ApusHummingbird
import ApusMetrics
import ApusTracing
import Hummingbird
import Instrumentation
import NIOCore
import RawHTTP
import Testing

@Suite("Hummingbird") struct HummingbirdTests {
    private struct Teapot: Error {}

    /// Throws every answer away that comes from further in.
    private struct Forgetful: RouterMiddleware {
        func handle(
            _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            let response = try await next(request, context)
            return request.uri.path == "/forgotten" ? Response(status: .gone) : response
        }
    }

    /// Runs a server around `body`, which gets its port.
    private func serve(
        _ registry: MetricRegistry, outermost: Spans? = nil, _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let router = Router()
        var options = RequestMetricsOptions()
        options.durationBuckets = [60]
        options.sizeBuckets = [10, 1_000]
        if let outermost { router.add(middleware: outermost) }
        router.add(middleware: Forgetful())
        router.add(middleware: try RequestMetricsMiddleware(registry, options: options))
        router.get("/forgotten") { _, _ in "never seen" }
        router.get("/users/{id}") { _, context in "user \(context.parameters.get("id") ?? "")" }
        router.post("/orders") { _, _ -> Response in throw HTTPError(.conflict, message: "sold out") }
        router.get("/broken") { _, _ -> Response in throw Teapot() }
        router.get("/stream") { _, _ in
            Response(
                status: .ok,
                body: ResponseBody { writer in
                    for _ in 0..<3 { try await writer.write(ByteBuffer(string: "12345678")) }
                    try await writer.finish(nil)
                })
        }
        router.addMetrics(try ScrapeResponder(registry))
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        let app = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { bound.yield($0.localAddress?.port ?? 0) })
        try await withThrowingTaskGroup { group in
            group.addTask { try await app.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port)
            group.cancelAll()
        }
    }

    @Test("requests are counted by method, route and code, timed and measured")
    func middleware() async throws {
        let registry = MetricRegistry()
        try await serve(registry) { port in
            for id in 1...3 { #expect(try await RawClient.get("/users/\(id)", port: port).body == "user \(id)") }
            let order = "POST /orders HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\nConnection: close\r\n\r\n01234567890123456789"
            #expect(try await RawClient.send(order, port: port).status == 409)
            #expect(try await RawClient.get("/broken", port: port).status == 500)
            #expect(try await RawClient.get("/nowhere", port: port).status == 404)
            _ = try await RawClient.get("/stream", port: port)
            #expect(try await RawClient.get("/forgotten", port: port).status == 410)
        }
        let page = String(decoding: registry.renderText(), as: UTF8.self)
        for line in [
            "http_requests_total{method=\"get\",route=\"/users/{id}\",code=\"200\"} 3",
            "http_requests_total{method=\"post\",route=\"/orders\",code=\"409\"} 1",
            "http_requests_total{method=\"get\",route=\"/broken\",code=\"500\"} 1",
            "http_requests_total{method=\"get\",route=\"none\",code=\"404\"} 1",
            "http_request_duration_seconds_count{method=\"get\",route=\"/users/{id}\"} 3",
            "http_response_size_bytes_sum{method=\"get\",route=\"/users/{id}\"} 18",
            "http_response_size_bytes_sum{method=\"get\",route=\"/stream\"} 24",
            "http_requests_total{method=\"get\",route=\"/forgotten\",code=\"200\"} 1", "http_requests_in_flight 0",
        ] {
            #expect(page.contains(line + "\n"), "\(line)")
        }
    }

    /// A span for each request, as `TracingMiddleware` has them with a tracer: current until the answer is returned.
    private struct Spans: RouterMiddleware {
        enum Key: ServiceContextKey { typealias Value = TraceExemplars.Identity }

        func handle(
            _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
        ) async throws -> Response {
            var span = ServiceContext.topLevel
            span[Key.self] = .init(traceID: "4bf92f3577b34da6a3ce929d0e0e4736", spanID: "00f067aa0ba902b7")
            return try await ServiceContext.$current.withValue(span) { try await next(request, context) }
        }
    }

    @Test("requests in a span leave its identity with what is counted, though the body is written when the span has ended")
    func exemplars() async throws {
        let registry = MetricRegistry(exemplarProvider: TraceExemplars.provider { $0[Spans.Key.self] })
        try await serve(registry, outermost: Spans()) { port in
            _ = try await RawClient.get("/stream", port: port)
            #expect(try await RawClient.get("/broken", port: port).status == 500)
        }
        var page: [UInt8] = []
        registry.render(into: &page, as: .openMetrics)
        let lines = String(decoding: page, as: UTF8.self).split(separator: "\n")
        let exemplar = " # {span_id=\"00f067aa0ba902b7\",trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} "
        for prefix in [
            "http_requests_total{method=\"get\",route=\"/stream\",code=\"200\"} 1",
            "http_requests_total{method=\"get\",route=\"/broken\",code=\"500\"} 1",
            "http_request_duration_seconds_bucket{method=\"get\",route=\"/stream\",le=\"60.0\"} 1",
            "http_response_size_bytes_bucket{method=\"get\",route=\"/stream\",le=\"1000.0\"} 1",
        ] {
            #expect(lines.contains { $0.hasPrefix(prefix + exemplar) }, "\(prefix)")
        }
    }

    @Test("the page is a route like any other")
    func adapter() async throws {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        try await serve(registry) { port in
            let answer = try await RawClient.get("/metrics?name[]=a_total", port: port)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(answer.body == "# HELP a_total A.\n# TYPE a_total counter\na_total 3\n")
            let gzip = "GET /metrics HTTP/1.1\r\nHost: t\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
            #expect(try await RawClient.send(gzip, port: port).headers["content-encoding"] == "gzip")
            let head = try await RawClient.send("HEAD /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", port: port)
            #expect(head.bytes.isEmpty)
            #expect(try await RawClient.get("/-/healthy", port: port).status == 200)
        }
    }
}
