public import ApusEndpoint
public import ApusWebConfig
public import NIOCore

/// TLS, passwords and headers of an endpoint, by the file that Prometheus calls `--web.config.file`.
///
///     let security = try WebConfigSecurity("web.yml")
///     let endpoint = try await MetricsEndpoint.start(registry, host: "0.0.0.0", port: 9400, security: security)
///
/// The file and the certificates are read again when they change. While the file is wrong every request is answered with
/// 500, and new connections of TLS fail: an endpoint must not go on with a password that was taken back. Whether it
/// speaks TLS at all is decided at the start.
public struct WebConfigSecurity: EndpointSecurity {
    private let file: WebConfigFile

    /// Reads and checks the file and all it names. Blocks.
    public init(_ path: String) throws(WebConfigError) { file = try WebConfigFile(path) }

    public init(_ file: WebConfigFile) { self.file = file }

    /// Whether the endpoint speaks TLS.
    public var hasTLS: Bool { file.hasTLS }

    public func addHandlers(to channel: any Channel) throws {
        guard file.hasTLS else { return }
        // On an event loop: reading three small files, and only after they changed.
        guard let tls = try file.current().tls else { throw WebConfigError("TLS config is not present") }
        try tls.addHandlers(to: channel)
    }

    public func headers() -> [(name: String, value: String)] { (try? file.current().config.headers) ?? [] }

    public func refusal(of request: EndpointRequest) -> EndpointResponse? {
        let config: WebConfig
        do throws(WebConfigError) { config = try file.current().config } catch {
            // Not the reason: it may tell of files.
            return EndpointResponse(status: 500, text: "Internal Server Error")
        }
        if !file.admits() { return EndpointResponse(status: 429, text: "Too Many Requests") }
        if config.users.isEmpty { return nil }
        if let (user, password) = PasswordChecker.credentials(request.header("authorization")),
            file.passwords.check(user, password, config.users)
        {
            return nil
        }
        return EndpointResponse(status: 401, text: "Unauthorized", headers: [("WWW-Authenticate", "Basic")])
    }
}
