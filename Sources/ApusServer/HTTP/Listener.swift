import ApusModel
import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOPosix
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Why an address could not be listened on.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    public let address: ListenAddress
    public let reason: String
    public let isAddressInUse: Bool

    public var description: String {
        isAddressInUse
            ? "listen tcp \(address): address already in use; choose another with --web.listen-address"
            : "listen tcp \(address): \(reason)"
    }
}

/// Listens on one address: connections in, requests to the `WebServer`, answers out.
///
/// Bounded by `ServerOptions`: connections, time without a byte, size of headers and bodies.
struct Listener: Service {
    let address: ListenAddress
    let server: WebServer
    let log: Logger
    let onListening: @Sendable (ListenAddress) -> Void

    func run() async throws {
        let options = server.options
        var http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionWatch()], idleTimeout: .milliseconds(options.readTimeoutMs))
        http.httpDecoder.maxHeaderFieldSize = ServerOptions.maximumHeaderBytes
        http.httpDecoder.maxHeaderListSize = ServerOptions.maximumHeaderBytes
        var quiet = log
        // The library tells of its start and of clients that go; ours to say is only what concerns the operator.
        quiet.logLevel = max(log.logLevel, .warning)
        let service = try HTTPServerBuilder.http1(configuration: http).buildServer(
            configuration: ServerConfiguration(
                address: .hostname(address.host, port: address.port),
                availableConnectionsDelegate: MaximumAvailableConnections(options.maximumConnections, logger: quiet)),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: quiet,
            responder: { request, writer, channel in try await respond(to: request, writer, channel) },
            onServerRunning: { channel in
                onListening(ListenAddress(host: address.host, port: channel.localAddress?.port ?? address.port))
            })
        do { try await service.run() } catch let error as IOError {
            throw ListenError(address: address, reason: error.description, isAddressInUse: error.errnoCode == EADDRINUSE)
        } catch let error as SocketAddressError {
            throw ListenError(address: address, reason: "\(error)", isAddressInUse: false)
        }
    }

    private func respond(to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        var response: ServerResponse
        var closesConnection = false
        do {
            let body = try await collectBody(of: request, channel)
            let message = ServerRequest(
                method: request.method, target: request.head.path ?? "/", headers: request.headers, body: Array(buffer: body))
            ConnectionWatch.set(message.cancellation, on: channel)
            response = await server.respond(to: message)
            ConnectionWatch.set(nil, on: channel)
        } catch is NIOTooManyBytesError {
            response = .error("request body larger than \(ServerOptions.maximumBodyBytes) bytes", status: .contentTooLarge)
            response.headers[.connection] = "close"
            closesConnection = true
        }
        response.headers[.date] = HTTPDate.now(server.components.time)
        if response.status != .noContent, response.status != .notModified {
            response.headers[.contentLength] = String(response.body.count)
        }
        let hasBody = request.method != .head && !response.body.isEmpty
        try await writer.write(
            response: HTTPResponse(status: response.status, headerFields: response.headers),
            body: hasBody ? ResponseBody(byteBuffer: ByteBuffer(bytes: response.body)) : ResponseBody())
        // What is left of a body that was too large would have to be read to the end first.
        if closesConnection { channel.close(promise: nil) }
    }

    /// Reads the body. Closes the connection when that takes longer than the read timeout in all, which a client that sends
    /// a byte now and then could otherwise draw out forever.
    private func collectBody(of request: Request, _ channel: any Channel) async throws -> ByteBuffer {
        if request.headers[.contentLength] == nil && request.headers[.transferEncoding] == nil {
            return try await request.body.collect(upTo: ServerOptions.maximumBodyBytes)
        }
        let timeout = channel.eventLoop.scheduleTask(in: .milliseconds(server.options.readTimeoutMs)) {
            channel.close(promise: nil)
        }
        defer { timeout.cancel() }
        return try await request.body.collect(upTo: ServerOptions.maximumBodyBytes)
    }
}

/// Notices that the client of a connection is gone, and cancels the request that is being answered on it.
///
/// A client that closes only its sending side counts as gone too, as with Go's server.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    // Both only touched on the channel's event loop.
    private var current: Cancellation?
    private var isGone = false

    /// Makes `cancellation` the one to cancel, or none. Takes effect soon, from any thread.
    static func set(_ cancellation: Cancellation?, on channel: any Channel) {
        channel.eventLoop.execute {
            guard let watch = try? channel.pipeline.syncOperations.handler(type: ConnectionWatch.self) else { return }
            watch.current = cancellation
            if watch.isGone { cancellation?.cancel() }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { noticeGone() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        noticeGone()
        context.fireChannelInactive()
    }

    private func noticeGone() {
        isGone = true
        current?.cancel()
        current = nil
    }
}

/// The Date header, formatted once a second.
enum HTTPDate {
    private static let cache = Locked((second: Int64.min, text: ""))

    static func now(_ time: any TimeSource) -> String {
        let ms = time.wallMs()
        return cache.withLock { cache in
            if cache.second != ms / 1000 { cache = (ms / 1000, formatHTTPDate(ms: ms)) }
            return cache.text
        }
    }
}
