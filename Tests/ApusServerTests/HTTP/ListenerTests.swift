import ApusModel
import ApusPromQL
import ApusStorage
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

@testable import ApusServer

@Suite("Connections") struct ListenerTests {
    @Test("an answer has its length and its date, and a connection serves many")
    func keepAlive() async throws {
        try await listening(TestServer()) { port in
            let text = try await exchange(
                port,
                "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n",
                "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                    + "Content-Length: 18\r\n\r\nquery=1%2B1&time=4")
            #expect(text.contains("HTTP/1.1 200 OK\r\n") && text.contains("Content-Length: 30\r\n"))
            #expect(text.contains("Date: Mon, 12 Jan 1970 13:51:40 GMT\r\n"))
            #expect(text.contains("Prometheus Server is Healthy.\n"))
            #expect(text.hasSuffix(#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#))
        }
    }

    @Test("HEAD tells the length and sends no body")
    func head() async throws {
        try await listening(TestServer()) { port in
            let text = try await exchange(port, "HEAD /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.contains("Content-Length: 28\r\n") && text.hasSuffix("\r\n\r\n"))
        }
    }

    @Test("a body over the limit is refused, and its connection closed")
    func largeBody() async throws {
        try await listening(TestServer()) { port in
            let length = ServerOptions.maximumBodyBytes + 1
            let text = try await exchange(
                port,
                "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: \(length)\r\n\r\n",
                String(repeating: "a", count: length))
            // The client may be cut off while it still sends, before it sees the answer.
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 413 "))
            let alive = try await exchange(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(alive.hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test("what is no HTTP, or has endless headers, is refused", arguments: ["garbage\r\n\r\n", "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 2 << 20)])
    func garbage(request: String) async throws {
        try await listening(TestServer()) { port in
            let text = try await exchange(port, request)
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400 ") || text.hasPrefix("HTTP/1.1 431 "))
            let alive = try await exchange(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(alive.hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test("an address in use is named, with the flag that changes it")
    func addressInUse() async throws {
        try await listening(TestServer()) { port in
            let second = try TestServer(change: { $0.listenAddresses = [ListenAddress(host: "127.0.0.1", port: port)] })
            do {
                for service in second.web.services(log: quiet) { try await service.run() }
                Issue.record("two servers on one port")
            } catch let error as ListenError {
                #expect(error.isAddressInUse)
                #expect("\(error)" == "listen tcp 127.0.0.1:\(port): address already in use; choose another with --web.listen-address")
            }
        }
    }

    @Test("a query is stopped when its client hangs up", .timeLimit(.minutes(1)))
    func clientGone() async throws {
        let gate = Gate()
        var engine = EngineOptions()
        engine.maxConcurrency = 1
        // The first query holds the engine's only place, the second waits for it until its client goes.
        let server = try TestServer(engine: engine, storage: BlockedStorage(gate: gate))
        try await listening(server) { port in
            async let first = exchange(port, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await gate.waitForArrival()
            try await hangUp(port, after: "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n")
            let canceled = #"prometheus_http_requests_total{handler="/api/v1/query",code="499"} 1"#
            while await !server.get("/metrics").text.contains(canceled) { await Task.yield() }
            gate.open()
            #expect(try await first.hasPrefix("HTTP/1.1 500 "))
        }
    }

    @Test("stopping waits for requests in flight", .timeLimit(.minutes(1)))
    func gracefulStop() async throws {
        let gate = Gate()
        let server = try TestServer(
            change: { $0.isLifecycleEnabled = true },
            lifecycle: Lifecycle(
                startedMs: 0, isReady: { true },
                reload: {
                    await gate.pass()
                    return nil
                }, quit: {}))
        let port = AsyncStream<Int>.makeStream()
        let group = ServiceGroup(services: server.web.services(log: quiet) { port.continuation.yield($0.port) }, logger: quiet)
        async let running: Void = group.run()
        let bound = try #require(await port.stream.first { _ in true })
        async let answer = exchange(bound, "POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await gate.waitForArrival()
        await group.triggerGracefulShutdown()
        gate.open()
        #expect(try await answer.hasPrefix("HTTP/1.1 200 OK"))
        try await running
    }
}

private let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()

/// Runs `body` with the port on which `server` listens, and stops it.
private func listening(_ server: TestServer, _ body: (Int) async throws -> Void) async throws {
    let port = AsyncStream<Int>.makeStream()
    let group = ServiceGroup(services: server.web.services(log: quiet) { port.continuation.yield($0.port) }, logger: quiet)
    async let running: Void = group.run()
    let bound = try #require(await port.stream.first { _ in true })
    try await body(bound)
    await group.triggerGracefulShutdown()
    try await running
}

private func connect(_ port: Int) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel(wrappingChannelSynchronously: channel) }
    }
}

/// Sends `pieces` and returns all that comes back until the server closes; what came when the connection breaks before.
private func exchange(_ port: Int, _ pieces: String...) async throws -> String {
    try await connect(port).executeThenClose { inbound, outbound in
        var received = ByteBuffer()
        do {
            for piece in pieces { try await outbound.write(ByteBuffer(string: piece)) }
        } catch {}
        do {
            for try await part in inbound { received.writeImmutableBuffer(part) }
        } catch {}
        return String(buffer: received)
    }
}

/// Sends `request` and closes the connection without waiting for the answer.
private func hangUp(_ port: Int, after request: String) async throws {
    try await connect(port).executeThenClose { _, outbound in try await outbound.write(ByteBuffer(string: request)) }
}

/// Holds back who comes until it is opened.
private final class Gate: Sendable {
    private let arrivals = AsyncStream<Void>.makeStream()
    private let openings = AsyncStream<Void>.makeStream()
    private let isOpen = Locked(false)

    func waitForArrival() async { _ = await arrivals.stream.first { _ in true } }
    func open() {
        isOpen.withLock { $0 = true }
        openings.continuation.finish()
    }

    func pass() async {
        arrivals.continuation.yield()
        for await _ in openings.stream {}
    }
    /// For a thread of its own.
    func passBlocking() {
        arrivals.continuation.yield()
        while !isOpen.withLock({ $0 }) { sched_yield() }
    }
}

/// A storage that fails, but not before its gate opens.
private struct BlockedStorage: Queryable {
    let gate: Gate
    func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        gate.passBlocking()
        throw StorageError("closed")
    }
}
