import ApusModel
import NIOCore
import NIOHTTP1
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

/// Listens on one address: connections in, requests to the `WebServer`, answers out. See `ConnectionHandler`.
///
/// Bounded by `ServerOptions`: connections, time without a byte, size of headers and bodies.
struct Listener: Service {
    let address: ListenAddress
    let server: WebServer
    let onListening: @Sendable (ListenAddress) -> Void

    func run() async throws {
        let connections = Connections()
        let options = server.options
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = ServerOptions.maximumHeaderBytes
        limits.maxHeaderListSize = ServerOptions.maximumHeaderBytes
        limits.maxHeaderFieldCount = ServerOptions.maximumHeaderCount
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // One at a time, so that the limit is exact.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptLimit(connections: options.maximumConnections))
                }
            }
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { [limits, server] channel in
                guard connections.add(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: false, withErrorHandling: true, withOutboundHeaderValidation: true,
                        withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
                    try pipeline.addHandler(ConnectionHandler(server: server, connections: connections, channel: channel))
                }
            }
        let listener: any Channel
        do { listener = try await bootstrap.bind(host: address.host, port: address.port).get() } catch let error as IOError {
            throw ListenError(address: address, reason: error.description, isAddressInUse: error.errnoCode == EADDRINUSE)
        } catch {
            throw ListenError(address: address, reason: "\(error)", isAddressInUse: false)
        }
        onListening(ListenAddress(host: address.host, port: listener.localAddress?.port ?? address.port))
        try await withTaskCancellationHandler {
            try await withGracefulShutdownHandler {
                try await listener.closeFuture.get()
                // What is in flight finishes; a cancelled task waits for nothing.
                for channel in connections.close() { try? await channel.closeFuture.get() }
            } onGracefulShutdown: {
                listener.close(promise: nil)
            }
        } onCancel: {
            listener.close(promise: nil)
            connections.abort()
        }
    }
}

/// Accepts no more connections than the limit; more wait in the system's queue until one ends.
private final class AcceptLimit: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private let limit: Int
    private var open = 0
    private var isReadHeld = false

    init(connections limit: Int) { self.limit = max(1, limit) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        open += 1
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { _ in
            let (limit, context) = bound.value
            limit.open -= 1
            if limit.isReadHeld {
                limit.isReadHeld = false
                context.read()
            }
        }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        if open < limit { context.read() } else { isReadHeld = true }
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
