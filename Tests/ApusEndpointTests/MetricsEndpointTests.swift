import ApusMetrics
import CZlib
import Glibc
import Testing

@testable import ApusEndpoint

@Suite("Endpoint") struct MetricsEndpointTests {
    private static let page = "# HELP a_total A.\n# TYPE a_total counter\na_total 3\n"

    private func start(_ change: (inout MetricsEndpoint.Limits) -> Void = { _ in }) async throws -> MetricsEndpoint {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        var limits = MetricsEndpoint.Limits()
        change(&limits)
        return try await MetricsEndpoint.start(registry, port: 0, limits: limits)
    }

    @Test("GET gives the page with its content type, with or without a query")
    func get() async throws {
        let endpoint = try await start()
        for path in ["/metrics", "/metrics?name[]=a"] {
            let answer = try await RawClient.get(path, port: endpoint.port)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
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
            ("gzip", true), ("deflate, GZIP", true), ("*", true), ("identity", false), ("gzip;q=0", false), ("gzip; q=0.5", true),
            ("*;q=0", false), ("", false),
        ])
    func acceptEncoding(value: String, expected: Bool) { #expect(acceptsGzip(["Accept-Encoding": value]) == expected) }

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
        let endpoint = try await start { $0.headerBytes = 500 }
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
        let endpoint = try await start { $0.connections = 1 }
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
        let endpoint = try await start { $0.idleMs = 50 }
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

    @Test("a port in use is an error, and leaves nothing behind")
    func portInUse() async throws {
        let endpoint = try await start()
        await #expect(throws: (any Error).self) { try await MetricsEndpoint.start(MetricRegistry(), port: endpoint.port) }
        await endpoint.stop()
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
