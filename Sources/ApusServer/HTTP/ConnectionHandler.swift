import ApusModel
import HTTPTypes
import NIOCore
import NIOHTTP1

/// Serves one connection: reads a request whole, has it answered, writes the answer, and reads the next.
///
///     reading ──request complete──▶ answering ──answer──▶ writing ──last byte──▶ reading
///        │                             │ the client hangs up: the request is cancelled
///        └── too slow, too large: closed
///
/// Stays on the connection's event loop. Handlers that may take long leave it, and their answer comes back by `execute`:
/// a query so costs one change of thread in each direction.
///
/// While one request is answered no other is taken up, and no more than what one read brings is read, so that a client cannot
/// pile them up. A client that closes only its sending side counts as gone, as with Go's server, but still gets an answer that
/// needs no work to be stopped.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPServerResponsePart

    /// A large body is handed to the socket in pieces of this size, the next when there is room for it.
    private static let pieceBytes = 256 << 10

    private let server: WebServer
    private let connections: Connections
    private let channel: any Channel
    private lazy var clientAddress = channel.remoteAddress?.ipAddress ?? ""

    // The request that is being read.
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLarge = false

    // The request that is being answered.
    private var current: Cancellation?
    private var isAnswering = false
    private var closesAfterAnswer = false
    /// The pieces of an answer's body that have not gone to the socket, and how much of the first has.
    private var unsent: ArraySlice<[UInt8]> = []
    private var sentOfFirst = 0
    private var isWritingBody = false

    /// Parts of later requests that came with this one.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    private var isReadHeld = false
    /// Nothing more will come.
    private var isInputClosed = false
    /// By when the next head, or the rest of the body, must be there.
    private var readDeadline = NIODeadline.distantFuture
    private var deadlineCheck: Scheduled<Void>?

    init(server: WebServer, connections: Connections, channel: any Channel) {
        self.server = server
        self.connections = connections
        self.channel = channel
    }

    // MARK: Reading

    func channelActive(context: ChannelHandlerContext) {
        restartDeadline()
        checkDeadline(context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if isAnswering { waiting.append(part) } else { take(part, context) }
    }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            connections.beginRequest(channel)
            self.head = head
            restartDeadline()
            // A client that asks whether to send its body waits for the answer.
            if head.version.minor > 0, head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                let head = HTTPResponseHead(version: head.version, status: .continue)
                context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
            }
        case .body(let part):
            if isTooLarge { return }
            guard body.count + part.readableBytes <= ServerOptions.maximumBodyBytes else {
                isTooLarge = true
                body = []
                refuseLargeBody(context)
                return
            }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head, !isTooLarge else { return }
            answer(head, context)
        }
    }

    func read(context: ChannelHandlerContext) {
        // A read that waits for the next request from now on spares two calls of the system a request: one that takes the
        // socket out of the selector, and one that puts it back.
        if isAnswering, !waiting.isEmpty { isReadHeld = true } else { context.read() }
    }

    private func restartDeadline() { readDeadline = .now() + .milliseconds(server.options.readTimeoutMs) }

    /// Closes a connection on which nothing came in time, and looks again when it could be.
    private func checkDeadline(_ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        if !isAnswering, now >= readDeadline { return context.close(promise: nil) }
        let next = isAnswering ? now + .milliseconds(server.options.readTimeoutMs) : readDeadline
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadlineCheck = context.eventLoop.scheduleTask(deadline: next) {
            let (handler, context) = bound.value
            handler.checkDeadline(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            isInputClosed = true
            current?.cancel()
            if !isAnswering { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        isInputClosed = true
        current?.cancel()
        current = nil
        unsent = []
        deadlineCheck?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Answering

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var request = ServerRequest(
            method: HTTPRequest.Method(rawValue: head.method.rawValue) ?? .get, target: head.uri, headers: fields(head.headers),
            body: body)
        request.clientAddress = clientAddress
        body = []
        isAnswering = true
        current = request.cancellation
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        server.respond(to: request) { response in
            if eventLoop.inEventLoop {
                let (handler, context) = bound.value
                handler.write(response, context)
            } else {
                eventLoop.execute {
                    let (handler, context) = bound.value
                    handler.write(response, context)
                }
            }
        }
    }

    private func refuseLargeBody(_ context: ChannelHandlerContext) {
        isAnswering = true
        closesAfterAnswer = true
        write(.error("request body larger than \(ServerOptions.maximumBodyBytes) bytes", status: .contentTooLarge), context)
    }

    private func write(_ response: ServerResponse, _ context: ChannelHandlerContext) {
        current = nil
        guard let head, channel.isActive else { return }
        var headers = HTTPHeaders()
        headers.reserveCapacity(response.headers.count + 3)
        for field in response.headers { headers.add(name: field.name.rawName, value: field.value) }
        headers.add(name: "Date", value: HTTPDate.now(server.components.time))
        if response.status != .noContent, response.status != .notModified {
            headers.add(name: "Content-Length", value: String(response.bodyCount))
        }
        if !head.isKeepAlive || isInputClosed || connections.isClosing { closesAfterAnswer = true }
        if closesAfterAnswer {
            headers.add(name: "Connection", value: "close")
        } else if head.version.minor == 0 {
            headers.add(name: "Connection", value: "keep-alive")
        }
        let status = HTTPResponseStatus(statusCode: response.status.code, reasonPhrase: response.status.reasonPhrase)
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: headers))), promise: nil)
        unsent = head.method == .HEAD ? [] : response.pieces[...]
        sentOfFirst = 0
        writeBody(context)
    }

    /// Hands pieces of the body to the socket while it takes them, and then the end.
    private func writeBody(_ context: ChannelHandlerContext) {
        isWritingBody = true
        defer { isWritingBody = false }
        var unflushed = 0
        while let first = unsent.first {
            let end = min(first.count, sentOfFirst + Self.pieceBytes - unflushed)
            if sentOfFirst < end {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: first[sentOfFirst..<end])))), promise: nil)
                unflushed += end - sentOfFirst
            }
            sentOfFirst = end
            if end == first.count {
                // Given back at once: the answer shrinks as it goes out.
                unsent = unsent.dropFirst()
                sentOfFirst = 0
            }
            if unsent.isEmpty || unflushed < Self.pieceBytes { continue }
            unflushed = 0
            context.flush()
            // `channelWritabilityChanged` goes on.
            if !channel.isWritable { return }
        }
        unsent = []
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in
            let (handler, context) = bound.value
            handler.finish(context)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        // It may come from within a flush of `writeBody`, which looks itself.
        if !unsent.isEmpty, !isWritingBody, channel.isWritable { writeBody(context) }
        context.fireChannelWritabilityChanged()
    }

    /// The last byte of an answer is out: on to the next request.
    private func finish(_ context: ChannelHandlerContext) {
        head = nil
        isAnswering = false
        guard channel.isActive else { return }
        if connections.endRequest(channel) || closesAfterAnswer || isInputClosed { return context.close(promise: nil) }
        restartDeadline()
        while !isAnswering, let part = waiting.popFirst() { take(part, context) }
        if !isAnswering, isReadHeld {
            isReadHeld = false
            context.read()
        }
    }

    private func fields(_ headers: HTTPHeaders) -> HTTPFields {
        var fields = HTTPFields()
        fields.reserveCapacity(headers.count)
        for (name, value) in headers {
            guard let name = HTTPField.Name(name) else { continue }
            fields.append(HTTPField(name: name, value: value))
        }
        return fields
    }
}
