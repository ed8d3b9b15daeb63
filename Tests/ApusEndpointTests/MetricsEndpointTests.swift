import ApusMetrics
import CZlib
import CZstd
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import RawHTTP
import ServiceLifecycle
import Synchronization
import Testing

@testable import ApusEndpoint

@Suite("Endpoint") struct MetricsEndpointTests {
    private static let page = "# HELP a_total A.\n# TYPE a_total counter\na_total 3\n"

    private func start(_ change: (inout EndpointOptions) -> Void = { _ in }) async throws -> MetricsEndpoint {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        var options = EndpointOptions()
        change(&options)
        return try await MetricsEndpoint.start(registry, port: 0, options: options)
    }

    @Test("GET gives the page with its content type, with or without a query")
    func get() async throws {
        let endpoint = try await start()
        for path in ["/metrics", "/metrics?x=1"] {
            let answer = try await RawClient.get(path, port: endpoint.port)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
            #expect(answer.headers["content-length"] == String(Self.page.utf8.count))
            #expect(answer.headers["content-encoding"] == nil)
            #expect(answer.body == Self.page)
        }
        await endpoint.stop()
    }

    @Test("HEAD gives the headers of GET and no body")
    func head() async throws {
        let endpoint = try await start()
        let answer = try await RawClient.send(
            "HEAD /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", port: endpoint.port)
        #expect(answer.status == 200)
        #expect(answer.headers["content-length"] == String(Self.page.utf8.count))
        #expect(answer.bytes.isEmpty)
        await endpoint.stop()
    }

    @Test("gzip for who asks")
    func compressed() async throws {
        let endpoint = try await start()
        let request = "GET /metrics HTTP/1.1\r\nHost: t\r\nAccept-Encoding: br;q=1, gzip;q=0.8\r\nConnection: close\r\n\r\n"
        let answer = try await RawClient.send(request, port: endpoint.port)
        #expect(answer.headers["content-encoding"] == "gzip")
        #expect(String(decoding: inflated(answer.bytes), as: UTF8.self) == Self.page)
        await endpoint.stop()
    }

    @Test(
        "Accept-Encoding is read as it is meant",
        arguments: [
            ("gzip", "gzip"), ("deflate, GZIP", "gzip"), ("*", "gzip"), ("identity", nil), ("gzip;q=0", nil),
            ("gzip; q=0.5", "gzip"),
            ("*;q=0", nil), ("", nil), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1, zstd;q=0.9", "gzip"),
            ("zstd;q=0,gzip;q=0.1", "gzip"),
            ("gzip;q=0.5, identity;q=0.9", nil), ("gzip;q=x", nil), (";;,,q=1", nil), ("gzip;q=0, *", nil),
        ])
    func acceptEncoding(value: String, expected: String?) { #expect(ContentCoding(accepted: value)?.rawValue == expected) }

    @Test("other paths, other methods and health")
    func routes() async throws {
        let endpoint = try await start()
        let missing = try await RawClient.get("/other", port: endpoint.port)
        #expect(missing.status == 404)
        #expect(missing.body.contains("/metrics"))
        let posted = try await RawClient.send(
            "POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", port: endpoint.port)
        #expect(posted.status == 405)
        #expect(posted.headers["allow"] == "GET, HEAD")
        #expect(try await RawClient.get("/-/healthy", port: endpoint.port).body == "Healthy.\n")
        await endpoint.stop()
    }

    @Test("a header that is too long is answered with 431")
    func longHeader() async throws {
        let endpoint = try await start { $0.limits.headerBytes = 500 }
        let request = "GET /metrics HTTP/1.1\r\nHost: t\r\nX-Long: \(String(repeating: "x", count: 600))\r\n\r\n"
        #expect(try await RawClient.send(request, port: endpoint.port).status == 431)
        #expect(try await RawClient.get("/metrics", port: endpoint.port).status == 200)
        await endpoint.stop()
    }

    @Test("what is not HTTP is refused and the next request is answered")
    func nonsense() async throws {
        let endpoint = try await start()
        _ = try? await RawClient.send("\u{1}\u{2}nonsense\r\n\r\n", port: endpoint.port)
        #expect(try await RawClient.get("/metrics", port: endpoint.port).status == 200)
        await endpoint.stop()
    }

    @Test("two requests on one connection, as a scraper keeps it")
    func keepAlive() async throws {
        let endpoint = try await start()
        let two = "GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\nGET /-/healthy HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        let answer = try await RawClient.send(two, port: endpoint.port)
        #expect(answer.body.hasPrefix("Healthy.\n"))
        #expect(answer.body.hasSuffix("Healthy.\n"))
        #expect(answer.body.contains("HTTP/1.1 200 OK"))
        await endpoint.stop()
    }

    @Test("connections beyond the limit are closed, and served again when there is room")
    func connectionLimit() async throws {
        let endpoint = try await start { $0.limits.connections = 1 }
        let held = try RawClient.connect(port: endpoint.port)
        // An answer on it proves that it was admitted.
        try RawClient.write("GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\n", to: held)
        var byte: UInt8 = 0
        #expect(unsafe read(held, &byte, 1) == 1)
        await #expect(throws: (any Error).self) { try await RawClient.get("/metrics", port: endpoint.port) }
        close(held)
        var answer: RawClient.Answer?
        while answer == nil { answer = try? await RawClient.get("/metrics", port: endpoint.port) }
        #expect(answer?.status == 200)
        await endpoint.stop()
    }

    @Test("a silent connection is closed")
    func idle() async throws {
        let endpoint = try await start { $0.limits.idleMs = 50 }
        await #expect(throws: (any Error).self) { try await RawClient.send("GET /metr", port: endpoint.port) }
        await endpoint.stop()
    }

    @Test("stop lets an answer under way finish, closes idle connections and frees the port")
    func stop() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        try registry.gauge("slow", help: "Waits.") {
            gate.enter()
            return 7
        }
        let endpoint = try await MetricsEndpoint.start(registry, port: 0)
        let idle = try RawClient.connect(port: endpoint.port)
        async let answer = RawClient.send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n", port: endpoint.port)
        await gate.untilEntered()
        async let stopped: Void = endpoint.stop()
        while !endpoint.connections.isClosing { await Task.yield() }
        gate.open()
        let page = try await answer
        #expect(page.body.hasSuffix("slow 7\n"))
        #expect(page.headers["connection"] == "close")
        await stopped
        #expect(RawClient.readAll(idle).isEmpty)
        close(idle)
        #expect(throws: (any Error).self) { close(try RawClient.connect(port: endpoint.port)) }
        await endpoint.stop()
    }

    @Test("stopping does not wait for a collector that hangs longer than it is told to")
    func stopWhileHanging() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        try registry.gauge("slow", help: "Waits.") {
            gate.enter()
            return 7
        }
        var options = EndpointOptions()
        options.limits.stopMs = 20
        let endpoint = try await MetricsEndpoint.start(registry, port: 0, options: options)
        let client = try RawClient.connect(port: endpoint.port)
        try RawClient.write("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n", to: client)
        await gate.untilEntered()
        await endpoint.stop()
        close(client)
        gate.open()
        while endpoint.responder.scrapesInFlight > 0 { await Task.yield() }
    }

    @Test("a port in use is an error, and leaves nothing behind")
    func portInUse() async throws {
        let endpoint = try await start()
        await #expect(throws: (any Error).self) { try await MetricsEndpoint.start(MetricRegistry(), port: endpoint.port) }
        await endpoint.stop()
    }

    @Test("zstd for who asks, and none where it is turned off")
    func zstd() async throws {
        let request = "GET /metrics HTTP/1.1\r\nHost: t\r\nAccept-Encoding: gzip, zstd\r\nConnection: close\r\n\r\n"
        let endpoint = try await start()
        let answer = try await RawClient.send(request, port: endpoint.port)
        #expect(answer.headers["content-encoding"] == "zstd")
        #expect(answer.headers["vary"] == "Accept, Accept-Encoding")
        var plain = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe plain.withUnsafeMutableBytes { output in
            unsafe answer.bytes.withUnsafeBytes { input in
                unsafe ZSTD_decompress(output.baseAddress, output.count, input.baseAddress, input.count)
            }
        }
        #expect(String(decoding: plain[..<min(count, plain.count)], as: UTF8.self) == Self.page)
        await endpoint.stop()
        let without = try await start { $0.compresses = false }
        #expect(try await RawClient.send(request, port: without.port).headers["content-encoding"] == nil)
        await without.stop()
    }

    @Test("one scrape more than the limit is answered with 503, and counted")
    func inFlightLimit() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        try registry.gauge("slow", help: "Waits.") {
            gate.enter()
            return 7
        }
        var options = EndpointOptions()
        options.limits.scrapesInFlight = 1
        options.instruments = true
        let endpoint = try await MetricsEndpoint.start(registry, port: 0, options: options)
        async let first = RawClient.get("/metrics", port: endpoint.port)
        await gate.untilEntered()
        let refused = try await RawClient.get("/metrics", port: endpoint.port)
        #expect(refused.status == 503)
        #expect(refused.body == "Limit of concurrent requests reached (1), try again later.\n")
        #expect(try await RawClient.get("/-/healthy", port: endpoint.port).status == 200)
        gate.open()
        #expect(try await first.status == 200)
        while endpoint.responder.scrapesInFlight > 0 { await Task.yield() }
        async let last = RawClient.get("/metrics", port: endpoint.port)
        await gate.untilEntered()
        gate.open()
        let page = try await last.body
        #expect(page.contains("promhttp_metric_handler_requests_total{code=\"200\"} 1\n"))
        #expect(page.contains("promhttp_metric_handler_requests_total{code=\"500\"} 0\n"))
        #expect(page.contains("promhttp_metric_handler_requests_total{code=\"503\"} 1\n"))
        #expect(page.contains("promhttp_metric_handler_requests_in_flight 1\n"))
        #expect(page.contains("promhttp_metric_handler_errors_total{cause=\"encoding\"} 0\n"))
        await endpoint.stop()
    }

    @Test("a scrape that takes too long is answered with 503, and its place is free again when it ends")
    func scrapeTimeout() async throws {
        let registry = MetricRegistry()
        let gate = Gate()
        try registry.gauge("slow", help: "Waits.") {
            gate.enter()
            return 7
        }
        var options = EndpointOptions()
        options.limits.scrapeMs = 20
        let endpoint = try await MetricsEndpoint.start(registry, port: 0, options: options)
        let late = try await RawClient.get("/metrics", port: endpoint.port)
        #expect(late.status == 503)
        #expect(late.body == "Exceeded configured timeout of 20ms.\n")
        // On a busy machine it may have been too late to begin at all.
        #expect(endpoint.responder.scrapesInFlight <= 1)
        gate.open()
        while endpoint.responder.scrapesInFlight > 0 { await Task.yield() }
        await endpoint.stop()
    }

    @Test("a query begins behind the question mark, whatever stands there")
    func queries() {
        let request = EndpointRequest(target: "/metrics?\u{342}=1?2")
        #expect(request.path == "/metrics")
        #expect(Array(request.query.utf8) == Array("\u{342}=1?2".utf8))
        #expect(EndpointRequest(target: "/metrics").query.isEmpty)
    }

    @Test("name[] gives the families asked for, by their names or their series'")
    func nameFilter() async throws {
        let registry = MetricRegistry()
        for name in ["a_total", "b_total", "c"] { try registry.counter(name, help: "#{\n HELP").increment() }
        try registry.histogram("h_seconds", help: "H.", buckets: [1]).observe(0.5)
        let endpoint = try await MetricsEndpoint.start(registry, port: 0)
        func names(_ query: String) async throws -> [String] {
            try await RawClient.get("/metrics" + query, port: endpoint.port).body.split(separator: "\n")
                .filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) }
        }
        #expect(try await names("?name[]=b_total&name[]=h_seconds_bucket") == ["b_total", "h_seconds"])
        #expect(try await names("?name%5B%5D=c") == ["c"])
        #expect(try await names("?name[]=%63&other=b_total") == ["c"])
        #expect(try await names("?name[]=") == [])
        #expect(try await names("?name[]=%zz") == [])
        #expect(try await names("?names=c") == ["a_total", "b_total", "c", "h_seconds"])
        let many = (0...1000).map { "name[]=\($0)" }.joined(separator: "&")
        #expect(try await RawClient.get("/metrics?" + many, port: endpoint.port).status == 400)
        await endpoint.stop()
    }

    @Test("the format is the one asked for, of those offered; name[] works in each")
    func formats() async throws {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        try registry.counter("b_total", help: "B.").increment()
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
        func get(_ accept: String, port: Int) async throws -> RawClient.Answer {
            try await RawClient.send(
                "GET /metrics?name[]=a_total HTTP/1.1\r\nHost: t\r\nAccept: \(accept)\r\nConnection: close\r\n\r\n", port: port)
        }
        let endpoint = try await MetricsEndpoint.start(registry, port: 0)
        let open = try await get(prometheus, port: endpoint.port)
        #expect(open.headers["content-type"]?.hasPrefix("application/openmetrics-text; version=1.0.0") == true)
        #expect(open.body == "# HELP a A.\n# TYPE a counter\na_total 3\n# EOF\n")
        let protobuf = try await get(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", port: endpoint.port)
        #expect(protobuf.headers["content-type"]?.hasPrefix("application/vnd.google.protobuf") == true)
        #expect(protobuf.bytes.count < 60 && !protobuf.bytes.isEmpty)
        #expect(try await get("image/png", port: endpoint.port).body == Self.page)
        await endpoint.stop()
        var options = EndpointOptions()
        options.formats = [.text]
        let textOnly = try await MetricsEndpoint.start(registry, port: 0, options: options)
        #expect(try await get(prometheus, port: textOnly.port).body == Self.page)
        await textOnly.stop()
    }

    @Test("asynchronous collectors are waited for")
    func asyncCollectors() async throws {
        let registry = MetricRegistry()
        registry.collectAsync(timeoutMs: 600_000) { sink in
            await Task.yield()
            sink.gauge("later", help: "L.", 5)
        }
        let endpoint = try await MetricsEndpoint.start(registry, port: 0)
        for path in ["/metrics", "/metrics?name[]=later"] {
            #expect(try await RawClient.get(path, port: endpoint.port).body == "# HELP later L.\n# TYPE later gauge\nlater 5\n")
        }
        await endpoint.stop()
    }

    @Test("the answer says when the process was started")
    func processStart() async throws {
        let endpoint = try await start()
        let answer = try await RawClient.get("/metrics", port: endpoint.port)
        let seconds = try #require(answer.headers["process-start-time-unix"].flatMap { Double($0) })
        #expect(seconds <= Double(time(nil)) && seconds > Double(time(nil)) - 1e7)
        await endpoint.stop()
    }

    @Test("a header that does not end, and an answer that is not read, close the connection")
    func slowClients() async throws {
        let endpoint = try await start {
            $0.limits.headerMs = 50
            $0.limits.answerMs = 50
        }
        let dripping = try RawClient.connect(port: endpoint.port)
        try RawClient.write("GET /metrics HTTP/1.1\r\nX-", to: dripping)
        #expect(RawClient.readAll(dripping).isEmpty)
        close(dripping)
        await endpoint.stop()

        let registry = MetricRegistry()
        let wide = try registry.gauge("wide", help: "W.", labels: .label("i", as: String.self))
        // More than the buffers of both sockets hold.
        let padding = String(repeating: "x", count: 20_000)
        for index in 0..<400 { wide("\(index)\(padding)").set(1) }
        // The connection may be there and gone between two looks at it; that a page was made stays.
        let wasScraped = Atomic(false)
        try registry.gauge("scraped", help: "S.") {
            wasScraped.store(true, ordering: .releasing)
            return 1
        }
        var options = EndpointOptions()
        options.limits.answerMs = 100
        let large = try await MetricsEndpoint.start(registry, port: 0, options: options)
        let deaf = try RawClient.connect(port: large.port)
        try RawClient.write("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n", to: deaf)
        while !wasScraped.load(ordering: .acquiring) { await Task.yield() }
        while large.connections.count > 0 { await Task.yield() }
        close(deaf)
        await large.stop()
    }

    @Test("as a service it runs until the group stops")
    func service() async throws {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        let (ports, started) = AsyncStream.makeStream(of: Int.self)
        let service = MetricsService(registry, port: 0) { started.yield($0.port) }
        let group = ServiceGroup(configuration: .init(services: [service], logger: Logger(label: "test")))
        try await withThrowingTaskGroup { tasks in
            tasks.addTask { try await group.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            #expect(try await RawClient.get("/metrics", port: port).body == Self.page)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            #expect(throws: (any Error).self) { close(try RawClient.connect(port: port)) }
        }
    }

    @Test("beside other handlers of a pipeline, it takes its own requests and lets the others pass")
    func inPipeline() async throws {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        let responder = try ScrapeResponder(registry)
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(MetricsChannelHandler(responder, passesOthersOn: true))
                    try pipeline.addHandler(OwnHandler())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        #expect(try await RawClient.get("/metrics", port: port).body == Self.page)
        #expect(try await RawClient.get("/else", port: port).body == "own")
        try await server.close()
    }

    private final class OwnHandler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .end = unwrapInboundIn(data) else { return }
            let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["Connection": "close", "Content-Length": "3"])
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "own")))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            context.close(promise: nil)
        }
    }

    private func inflated(_ bytes: [UInt8]) -> [UInt8] {
        var stream = unsafe z_stream()
        guard unsafe czlib_inflate_init(&stream, 15 + 16) == Z_OK else { return [] }
        defer { unsafe inflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: 1 << 20)
        let count = unsafe input.withUnsafeMutableBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                unsafe stream.next_in = input.baseAddress
                unsafe stream.avail_in = UInt32(input.count)
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = UInt32(output.count)
                return unsafe inflate(&stream, Z_FINISH) == Z_STREAM_END ? Int(stream.total_out) : 0
            }
        }
        return Array(output[..<count])
    }
}

/// Holds a thread until it is opened.
@safe private final class Gate: @unchecked Sendable {
    // `@unchecked`: semaphores are made to be shared; the memory is never freed, since a waiter may outlive the test.
    private let entered = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let opened = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    init() {
        unsafe sem_init(entered, 0, 0)
        unsafe sem_init(opened, 0, 0)
    }
    func enter() {
        unsafe sem_post(entered)
        unsafe sem_wait(opened)
    }
    func open() { unsafe sem_post(opened) }
    func untilEntered() async { while unsafe sem_trywait(entered) != 0 { await Task.yield() } }
}
