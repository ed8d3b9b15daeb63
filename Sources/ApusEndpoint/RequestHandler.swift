import ApusMetrics
import NIOCore
import NIOHTTP1

/// What is served where.
struct Routes: Sendable {
    enum Target { case metrics, health, none }
    let registry: MetricRegistry
    let path: String

    func target(of uri: String) -> Target {
        let requested = uri.prefix { $0 != "?" }
        if requested == path { return .metrics }
        return requested == "/-/healthy" ? .health : .none
    }
}

/// Answers the requests of one connection.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let routes: Routes
    private let connections: Connections
    private var head: HTTPRequestHead?

    init(routes: Routes, connections: Connections) {
        self.routes = routes
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            connections.beginRequest(context.channel)
            self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context: context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ request: HTTPRequestHead, context: ChannelHandlerContext) {
        var headers = HTTPHeaders()
        var status = HTTPResponseStatus.ok
        var body: [UInt8] = []
        let target = routes.target(of: request.uri)
        if target != .none && request.method != .GET && request.method != .HEAD {
            status = .methodNotAllowed
            headers.add(name: "Allow", value: "GET, HEAD")
            body = Array("Method not allowed: use GET or HEAD.\n".utf8)
        } else {
            switch target {
            case .metrics: routes.registry.render(into: &body)
            case .health: body = Array("Healthy.\n".utf8)
            case .none:
                status = .notFound
                body = Array("Not found: metrics are at \(routes.path).\n".utf8)
            }
        }
        let isPage = status == .ok && target == .metrics
        headers.add(name: "Content-Type", value: isPage ? routes.registry.contentType : "text/plain; charset=utf-8")
        if isPage {
            headers.add(name: "Vary", value: "Accept-Encoding")
            if acceptsGzip(request.headers), let compressed = gzip(body) {
                headers.add(name: "Content-Encoding", value: "gzip")
                body = compressed
            }
        }
        headers.add(name: "Content-Length", value: String(body.count))

        let closes = connections.isClosing || !request.isKeepAlive
        if closes {
            headers.add(name: "Connection", value: "close")
        } else if request.version.minor == 0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        let response = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        // HEAD tells the length that GET would send, and sends nothing.
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        let written = context.eventLoop.makePromise(of: Void.self)
        let (connections, channel) = (connections, context.channel)
        // Busy until the last byte is out: stopping must not cut an answer short.
        written.futureResult.whenComplete { _ in
            if connections.endRequest(channel) || closes { channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }
}

/// Whether a client takes gzip: it names it, or `*`, and not with the weight 0.
func acceptsGzip(_ headers: HTTPHeaders) -> Bool {
    var any = false
    for coding in headers[canonicalForm: "accept-encoding"] {
        let parts = coding.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
        guard let name = parts.first, name == "gzip" || name == "*" else { continue }
        let isRefused = parts.dropFirst().contains { $0.hasPrefix("q=") && Double($0.dropFirst(2)) ?? 0 <= 0 }
        if name == "gzip" { return !isRefused }
        any = !isRefused
    }
    return any
}
