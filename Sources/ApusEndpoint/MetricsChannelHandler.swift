public import NIOCore
public import NIOHTTP1

/// Answers requests for metrics in a pipeline of SwiftNIO, behind its HTTP decoder. Requests for other paths go on to the
/// next handler, if this one is told to let them; so a server that has its own handlers gets a metrics page by adding one.
///
///     let responder = try ScrapeResponder(registry)
///     // in each connection's initialiser
///     try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
///     try channel.pipeline.syncOperations.addHandler(MetricsChannelHandler(responder, passesOthersOn: true))
///
/// The pipeline must bring one request at a time, as it does with NIO's pipelining assistance.
public final class MetricsChannelHandler: ChannelInboundHandler {
    public typealias InboundIn = HTTPServerRequestPart
    public typealias InboundOut = HTTPServerRequestPart
    public typealias OutboundOut = HTTPServerResponsePart

    private let responder: ScrapeResponder
    private let passesOthersOn: Bool
    private let connections: Connections?
    private var head: HTTPRequestHead?
    private var isPassing = false

    public convenience init(_ responder: ScrapeResponder, passesOthersOn: Bool) {
        self.init(responder, passesOthersOn: passesOthersOn, connections: nil)
    }

    init(_ responder: ScrapeResponder, passesOthersOn: Bool = false, connections: Connections?) {
        self.responder = responder
        self.passesOthersOn = passesOthersOn
        self.connections = connections
    }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            isPassing = passesOthersOn && !responder.serves(EndpointRequest(target: head.uri).path)
            if isPassing { return context.fireChannelRead(data) }
            connections?.beginRequest(context.channel)
            self.head = head
        case .body: if isPassing { context.fireChannelRead(data) }
        case .end:
            if isPassing { return context.fireChannelRead(data) }
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    public func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, connections != nil {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    public func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if connections != nil { context.close(promise: nil) } else { context.fireErrorCaught(error) }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let request = EndpointRequest(
            method: head.method.rawValue, target: head.uri, headers: head.headers.map { (name: $0.name, value: $0.value) })
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        responder.respond(to: request, on: context.eventLoop).whenSuccess { response in
            let (handler, context) = bound.value
            if context.channel.isActive { handler.write(response, to: head, context) }
        }
    }

    private func write(_ response: EndpointResponse, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders()
        for (name, value) in response.headers { headers.add(name: name, value: value) }
        headers.add(name: "Content-Length", value: String(response.body.count))
        let closes = connections?.isClosing == true || !request.isKeepAlive
        if closes {
            headers.add(name: "Connection", value: "close")
        } else if request.version.minor == 0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        let status = HTTPResponseStatus(statusCode: response.status)
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: request.version, status: status, headers: headers))), promise: nil)
        // HEAD tells the length that GET would send, and sends nothing.
        if request.method != .HEAD, !response.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let (connections, channel) = (connections, context.channel)
        let deadline = context.eventLoop.scheduleTask(in: .milliseconds(responder.options.limits.answerMs)) {
            channel.close(promise: nil)
        }
        // Busy until the last byte is out: stopping must not cut an answer short.
        written.futureResult.whenComplete { _ in
            deadline.cancel()
            if connections?.endRequest(channel) == true || closes { channel.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }
}
