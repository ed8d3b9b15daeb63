import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

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

    @Test("a large answer arrives whole, and so does the next", .timeLimit(.minutes(1)))
    func largeAnswer() async throws {
        try await listening(TestServer()) { port in
            // About 11,000 points of 40 bytes for each of 8 series.
            let values = (1...8).map { "label_replace(vector(time()/7),%22a%22,%22\($0)%22,%22%22,%22%22)" }.joined(separator: "%20or%20")
            let request = "GET /api/v1/query_range?query=\(values)&start=0&end=109990&step=10 HTTP/1.1\r\nHost: x\r\n"
            let text = try await exchange(port, request + "\r\n", request + "Connection: close\r\n\r\n")
            let answers = text.components(separatedByHeader: "HTTP/1.1 200 OK\r\n")
            #expect(answers.count == 2)
            for answer in answers {
                let length = try #require(answer.firstMatch(of: /Content-Length: (\d+)/).flatMap { Int($0.1) })
                let body = answer.utf8.suffix(length)
                #expect(length > 2 << 20 && answer.utf8.count > length)
                #expect(body.starts(with: #"{"status":"success""#.utf8) && body.last == UInt8(ascii: "}"))
            }
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

    @Test("a body that comes a byte at a time is cut off after the read timeout", .timeLimit(.minutes(5)))
    func slowBody() async throws {
        try await listening(TestServer(change: { $0.readTimeoutMs = 1000 })) { port in
            let text = try await connect(port).executeThenClose { inbound, outbound in
                // Each byte waits for another connection's answer, so that they trickle. They end when the connection does.
                let sender = Task {
                    try await outbound.write(
                        ByteBuffer(
                            string: "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                + "Content-Length: 9000000\r\n\r\n"))
                    while !Task.isCancelled {
                        _ = try? await exchange(port, "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        try await outbound.write(ByteBuffer(string: "x"))
                    }
                }
                var received = ByteBuffer()
                do {
                    for try await part in inbound { received.writeImmutableBuffer(part) }
                } catch {}
                sender.cancel()
                _ = await sender.result
                return String(buffer: received)
            }
            #expect(!text.contains("200 OK"))
        }
    }

    @Test("connections over the limit wait until there is room", .timeLimit(.minutes(1)))
    func connectionLimit() async throws {
        try await listening(TestServer(change: { $0.maximumConnections = 2 })) { port in
            let request = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            let (first, second) = (try await connect(port), try await connect(port))
            let waiting = try await first.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "GET /-/healthy HTTP/1.1\r\n"))
                return try await second.executeThenClose { _, other in
                    try await other.write(ByteBuffer(string: "GET /-/healthy HTTP/1.1\r\n"))
                    return Task { try await exchange(port, request) }
                }
            }
            // The two that held the places are gone.
            #expect(try await waiting.value.hasPrefix("HTTP/1.1 200 OK"))
            #expect(try await exchange(port, request).hasPrefix("HTTP/1.1 200 OK"))
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
        let server = try TestServer()
        try await listening(server) { port in
            // Eleven thousand medians of a day of seconds take minutes when nobody stops them.
            let query = "quantile_over_time(0.5,vector(1)%5B1d:1s%5D)&start=0&end=110000&step=10"
            try await connect(port).executeThenClose { _, outbound in
                try await outbound.write(ByteBuffer(string: "GET /api/v1/query_range?query=\(query) HTTP/1.1\r\nHost: x\r\n\r\n"))
                while await !server.get("/metrics").text.contains("prometheus_engine_queries 1\n") {}
            }
            while await server.get("/metrics").text.contains("prometheus_engine_queries 1\n") {}
            let canceled = #"prometheus_http_requests_total{handler="/api/v1/query_range",code="499"} 1"#
            while await !server.get("/metrics").text.contains(canceled) {}
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

extension String {
    /// What stands behind each occurrence of `header`.
    fileprivate func components(separatedByHeader header: String) -> [String] {
        var result: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: header) {
            rest = rest[range.upperBound...]
            result.append(String(rest[..<(rest.firstRange(of: header)?.lowerBound ?? rest.endIndex)]))
        }
        return result
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

/// Holds back who comes until it is opened.
private final class Gate: Sendable {
    private let arrivals = AsyncStream<Void>.makeStream()
    private let openings = AsyncStream<Void>.makeStream()

    func waitForArrival() async { _ = await arrivals.stream.first { _ in true } }
    func open() { openings.continuation.finish() }

    func pass() async {
        arrivals.continuation.yield()
        for await _ in openings.stream {}
    }
}
