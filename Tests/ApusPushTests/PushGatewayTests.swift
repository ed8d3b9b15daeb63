import ApusMetrics
import ApusModel
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import ApusPush

@Suite("Pushgateway") struct PushGatewayTests {
    /// What a gateway was sent.
    struct Received: Sendable, Equatable {
        var method = ""
        var uri = ""
        var type: String?
        var authorization: String?
        var body = ""
    }

    /// A gateway that takes everything and answers as told.
    private final class Gateway: Sendable {
        let received = Locked<[Received]>([])
        private let channel: any Channel
        var port: Int { channel.localAddress?.port ?? 0 }
        var all: [Received] { received.withLock { $0 } }

        init(status: Int, body: String = "") async throws {
            let received = received
            channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                        try channel.pipeline.syncOperations.addHandler(Handler(received, status, body))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
        }
        func stop() async throws { try await channel.close() }

        private final class Handler: ChannelInboundHandler {
            typealias InboundIn = HTTPServerRequestPart
            typealias OutboundOut = HTTPServerResponsePart
            let received: Locked<[Received]>
            let status: Int
            let body: String
            var current = Received()
            init(_ received: Locked<[Received]>, _ status: Int, _ body: String) {
                (self.received, self.status, self.body) = (received, status, body)
            }
            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                switch unwrapInboundIn(data) {
                case .head(let head):
                    current = Received(
                        method: head.method.rawValue, uri: head.uri, type: head.headers.first(name: "content-type"),
                        authorization: head.headers.first(name: "authorization"))
                case .body(let part): current.body += String(buffer: part)
                case .end:
                    let done = current
                    received.withLock { $0.append(done) }
                    let head = HTTPResponseHead(
                        version: .http1_1, status: .init(statusCode: status), headers: ["Content-Length": String(body.utf8.count)]
                    )
                    context.write(wrapOutboundOut(.head(head)), promise: nil)
                    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
                    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
                }
            }
        }
    }

    private func registry() throws -> MetricRegistry {
        let registry = MetricRegistry()
        try registry.gauge("backup_bytes", help: "B.").set(7)
        return registry
    }

    @Test("put, post and delete go to the group's address")
    func methods() async throws {
        let gateway = try await Gateway(status: 202)
        var push = try PushGateway(
            "127.0.0.1:\(gateway.port)/", job: "nightly backup", grouping: [("instance", "db1"), ("path", "a/b"), ("empty", "")])
        try await push.push(try registry())
        push.credentials = .basic(user: "u", password: "p")
        try await push.add(try registry())
        push.credentials = .bearer("token")
        try await push.delete()
        let uri = "/metrics/job/nightly%20backup/instance/db1/path@base64/YS9i/empty@base64/="
        let page = "# HELP backup_bytes B.\n# TYPE backup_bytes gauge\nbackup_bytes 7\n"
        #expect(gateway.all.map(\.method) == ["PUT", "POST", "DELETE"])
        #expect(gateway.all.allSatisfy { $0.uri == uri })
        #expect(gateway.all.map(\.body) == [page, page, ""])
        #expect(gateway.all.map(\.authorization) == [nil, "Basic dTpw", "Bearer token"])
        #expect(gateway.all[0].type?.hasPrefix("text/plain; version=0.0.4") == true)
        try await gateway.stop()
    }

    @Test("what the gateway does not take is an error with its reason; so is a gateway that is not there")
    func refusals() async throws {
        let gateway = try await Gateway(status: 400, body: "text format parsing error")
        let push = try PushGateway("http://127.0.0.1:\(gateway.port)", job: "j")
        await #expect(throws: PushGateway.Failure.refused(status: 400, url: push.url, body: "text format parsing error")) {
            try await push.push(try registry())
        }
        try await gateway.stop()
        do {
            try await push.delete()
            Issue.record("deleted from a gateway that is not there")
        } catch {
            guard case .unreachable = error else {
                Issue.record(error)
                return
            }
        }
    }

    @Test("labels of the grouping may not be in the metrics, and must be labels")
    func grouping() async throws {
        let registry = try registry()
        try registry.gauge("g", help: "job=\"x\"", labels: .label("text", as: String.self))(",job=\"y\"\n\\").set(1)
        #expect(!LabelSearch("job").isIn(registry.renderText()))
        try registry.gauge("h", help: "H.", labels: .label("a", as: String.self), .label("job", as: String.self))("1", "2").set(1)
        await #expect(throws: PushGateway.Failure.labelIsGrouped("job")) {
            try await PushGateway("127.0.0.1:1", job: "j").push(registry)
        }
        #expect(throws: PushGateway.Failure.emptyJob) { try PushGateway("h", job: "") }
        for name in ["job", "a-b", "", "1a", "__x"] {
            #expect(throws: PushGateway.Failure.badGroupingLabel(name)) {
                try PushGateway("h", job: "j", grouping: [(name, "x")])
            }
        }
        #expect(throws: PushGateway.Failure.badGroupingLabel("a")) {
            try PushGateway("h", job: "j", grouping: [("a", "1"), ("a", "2")])
        }
    }

    @Test("a header cannot bring another one")
    func hostileHeader() async throws {
        var push = try PushGateway("127.0.0.1:1", job: "j")
        push.headers = [("X-A", "b\r\nX-C: d")]
        await #expect(throws: PushGateway.Failure.self) { try await push.delete() }
    }

    @Test("base64", arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("?>", "Pz4=")])
    func encoding(text: String, expected: String) {
        #expect(base64(text) == expected)
        #expect(base64(text, isForURL: true) == expected.filter { $0 != "=" }.replacing("+", with: "-").replacing("/", with: "_"))
    }
}
