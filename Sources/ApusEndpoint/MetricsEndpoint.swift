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
/// `GET` and `HEAD` of the metrics path give the page, compressed for who asks, and `?name[]=…` only some families of it.
/// What a client may cost is in `EndpointLimits`. TLS and passwords: see the product `ApusEndpointTLS`.
public final class MetricsEndpoint: Sendable {
    /// The address that is listened on.
    public let host: String
    /// The port that is listened on; the one the system chose, if 0 was asked for.
    public let port: Int

    private let group: MultiThreadedEventLoopGroup
    private let pool: NIOThreadPool
    private let listener: any Channel
    let connections: Connections
    let responder: ScrapeResponder

    /// Listens and serves until `stop`.
    /// - Parameters:
    ///   - port: 0 for any free one.
    ///   - security: TLS and passwords; nil for neither.
    /// - Throws: what the system says if the address can't be had; a `MetricError` if the endpoint's own metrics can't be declared.
    public static func start(
        _ registry: MetricRegistry, host: String = "127.0.0.1", port: Int, options: EndpointOptions = EndpointOptions(),
        security: (any EndpointSecurity)? = nil
    ) async throws -> MetricsEndpoint {
        let limits = options.limits
        let pool = NIOThreadPool(numberOfThreads: max(1, min(limits.scrapesInFlight, maximumThreads)))
        let responder = try ScrapeResponder(registry, options: options, security: security, pool: pool)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        pool.start()
        let connections = Connections(limit: limits.connections)
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
                        try security?.addHandlers(to: channel)
                        try pipeline.addHandler(RequestGuard(limits))
                        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                        try pipeline.addHandler(MetricsChannelHandler(responder, connections: connections))
                    }
                }
                .bind(host: host, port: port).get()
            return MetricsEndpoint(group, pool, listener, connections, responder)
        } catch {
            try? await group.shutdownGracefully()
            try? await pool.shutdownGracefully()
            throw error
        }
    }

    /// Threads that make pages; they are made as they are needed.
    private static let maximumThreads = 4

    private init(
        _ group: MultiThreadedEventLoopGroup, _ pool: NIOThreadPool, _ listener: any Channel, _ connections: Connections,
        _ responder: ScrapeResponder
    ) {
        self.group = group
        self.pool = pool
        self.listener = listener
        self.connections = connections
        self.responder = responder
        host = listener.localAddress?.ipAddress ?? ""
        port = listener.localAddress?.port ?? 0
    }

    /// Stops listening, lets answers under way finish, closes what is idle, and returns when all is closed. Calling it
    /// again does nothing.
    public func stop() async {
        guard let closed = connections.close() else { return }
        try? await listener.close()
        // What does not finish in time is cut by the shutdown of its event loop.
        let deadline = group.next().scheduleTask(in: .milliseconds(responder.options.limits.stopMs)) {}
        await withTaskGroup { waiting in
            waiting.addTask { for channel in closed { try? await channel.closeFuture.get() } }
            waiting.addTask { try? await deadline.futureResult.get() }
            await waiting.next()
            deadline.cancel()
            waiting.cancelAll()
            connections.abort()
        }
        responder.abandon()
        try? await group.shutdownGracefully()
        // A collector that hangs must not hang who stops: its thread ends when it does.
        if responder.scrapesInFlight == 0 {
            try? await pool.shutdownGracefully()
        } else {
            pool.shutdownGracefully { _ in }
        }
    }
}
