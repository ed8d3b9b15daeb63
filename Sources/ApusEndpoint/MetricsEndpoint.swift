public import ApusMetrics
import NIOCore
import NIOHTTP1
import NIOPosix

/// Serves a registry to Prometheus over HTTP, on threads of its own.
///
///     let endpoint = try await MetricsEndpoint.start(registry, port: 9100)
///     print("http://\(endpoint.host):\(endpoint.port)/metrics")
///     …
///     await endpoint.stop()
///
/// `GET` and `HEAD` of the metrics path give the page, gzipped for who asks; `/-/healthy` says that the process answers.
/// A page is rendered on the connection's thread: collectors should take milliseconds.
public final class MetricsEndpoint: Sendable {
    /// What a client may cost.
    public struct Limits: Sendable {
        /// Connections at a time; one more is closed at once.
        public var connections = 100
        /// Bytes of a request's line and headers; more is answered with 431.
        public var headerBytes = 16_384
        /// How many milliseconds a connection may stay silent.
        public var idleMs: Int64 = 75_000
        /// How many milliseconds `stop` waits for answers under way.
        public var stopMs: Int64 = 10_000
        public init() {}
    }

    /// The address that is listened on.
    public let host: String
    /// The port that is listened on; the one the system chose, if 0 was asked for.
    public let port: Int

    private let group: MultiThreadedEventLoopGroup
    private let listener: any Channel
    let connections: Connections

    /// Listens and serves until `stop`. Throws what the system says if the address can't be had.
    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - path: where the page is.
    public static func start(
        _ registry: MetricRegistry, host: String = "127.0.0.1", port: Int, path: String = "/metrics", limits: Limits = Limits()
    ) async throws -> MetricsEndpoint {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connections = Connections(limit: limits.connections)
        let routes = Routes(registry: registry, path: path)
        do {
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 128)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    guard connections.add(channel) else { return channel.close() }
                    return channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(IdleStateHandler(allTimeout: .milliseconds(limits.idleMs)))
                        try pipeline.addHandler(HeaderLimit(bytes: limits.headerBytes))
                        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                        try pipeline.addHandler(RequestHandler(routes: routes, connections: connections))
                    }
                }
                .bind(host: host, port: port).get()
            return MetricsEndpoint(group: group, listener: listener, connections: connections, stopMs: limits.stopMs)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private let stopMs: Int64

    private init(group: MultiThreadedEventLoopGroup, listener: any Channel, connections: Connections, stopMs: Int64) {
        self.group = group
        self.listener = listener
        self.connections = connections
        self.stopMs = stopMs
        host = listener.localAddress?.ipAddress ?? ""
        port = listener.localAddress?.port ?? 0
    }

    /// Stops listening, lets answers under way finish, closes what is idle, and returns when all is closed. Calling it
    /// again does nothing.
    public func stop() async {
        guard let closed = connections.close() else { return }
        try? await listener.close()
        // What does not finish in time is cut by the shutdown of its event loop.
        let deadline = group.next().scheduleTask(in: .milliseconds(stopMs)) {}
        await withTaskGroup { waiting in
            waiting.addTask { for channel in closed { try? await channel.closeFuture.get() } }
            waiting.addTask { try? await deadline.futureResult.get() }
            await waiting.next()
            deadline.cancel()
            waiting.cancelAll()
            connections.abort()
        }
        try? await group.shutdownGracefully()
    }
}
