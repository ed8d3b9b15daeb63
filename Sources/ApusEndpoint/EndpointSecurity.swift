public import NIOCore

/// What stands between an endpoint and its clients: encryption, passwords, headers of every answer. `ApusEndpointTLS` has
/// the one that reads Prometheus's web configuration file; without it, nothing of TLS is linked.
public protocol EndpointSecurity: Sendable {
    /// Adds the handlers that come before HTTP in a connection's pipeline. On the channel's event loop.
    /// - Throws: what makes the connection close.
    func addHandlers(to channel: any Channel) throws
    /// Headers of every answer.
    func headers() -> [(name: String, value: String)]
    /// What is answered instead of serving the request; nil to serve it. On a thread that may block: passwords are
    /// slow to check by design.
    func refusal(of request: EndpointRequest) -> EndpointResponse?
}
