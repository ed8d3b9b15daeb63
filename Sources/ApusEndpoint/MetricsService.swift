public import ApusMetrics
public import ServiceLifecycle

/// An endpoint as a service of swift-service-lifecycle: it serves while it runs, and stops when the group it is in does.
///
///     let group = ServiceGroup(services: [database, MetricsService(registry, port: 9400), server], …)
///
/// Put it before what it measures: services stop in reverse order, so the last scrapes still see them.
public struct MetricsService: Service {
    private let registry: MetricRegistry
    private let host: String
    private let port: Int
    private let options: EndpointOptions
    private let security: (any EndpointSecurity)?
    private let started: @Sendable (MetricsEndpoint) -> Void

    /// - Parameter started: called once it listens.
    public init(
        _ registry: MetricRegistry, host: String = "127.0.0.1", port: Int, options: EndpointOptions = EndpointOptions(),
        security: (any EndpointSecurity)? = nil, started: @escaping @Sendable (MetricsEndpoint) -> Void = { _ in }
    ) {
        self.registry = registry
        self.host = host
        self.port = port
        self.options = options
        self.security = security
        self.started = started
    }

    public func run() async throws {
        let endpoint = try await MetricsEndpoint.start(registry, host: host, port: port, options: options, security: security)
        started(endpoint)
        // Returns when the group shuts down, and throws when the task is cancelled; either way the endpoint stops.
        try? await gracefulShutdown()
        await endpoint.stop()
    }
}
