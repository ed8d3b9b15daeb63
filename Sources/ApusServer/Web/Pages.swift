import ApusBytes
import ApusMetrics
import HTTPTypes

/// What is not the JSON API: the server's own metrics, federation (`Pages+Federate`), probes and the lifecycle.
struct Pages: Sendable {
    let components: ServerComponents
    let options: ServerOptions

    static let textFormat = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

    /// `/metrics`: the server's own.
    func metrics(_ request: ServerRequest) -> ServerResponse {
        ServerResponse(
            status: .ok, headers: [.contentType: Self.textFormat], body: components.metrics.renderText())
    }

    /// `/version`.
    func version(_ request: ServerRequest) -> ServerResponse {
        var json = JSONWriter()
        json.buildInfo(options.build)
        return ServerResponse(status: .ok, headers: [.contentType: "text/plain; charset=utf-8"], body: json.bytes)
    }

    /// `/-/healthy`: the process answers.
    func healthy(_ request: ServerRequest) -> ServerResponse { .text("Prometheus Server is Healthy.\n") }

    /// `/-/ready`: queries can be answered.
    func ready(_ request: ServerRequest) -> ServerResponse {
        if components.lifecycle.isReady() { return .text("Prometheus Server is Ready.\n") }
        return Self.notReady
    }

    /// What everything that needs the storage answers until it is open.
    static var notReady: ServerResponse {
        var response = ServerResponse.text("Service Unavailable", status: .serviceUnavailable)
        response.headers[.xPrometheusStopping] = "false"
        return response
    }

    /// `/-/reload`.
    func reload(_ request: ServerRequest) async -> ServerResponse {
        if let refusal = lifecycleRefusal(request) { return refusal }
        guard let problem = await components.lifecycle.reload() else { return ServerResponse(status: .ok) }
        return .error("failed to reload config: \(problem)", status: .internalServerError)
    }

    /// `/-/quit`.
    func quit(_ request: ServerRequest) -> ServerResponse {
        if let refusal = lifecycleRefusal(request) { return refusal }
        components.lifecycle.quit()
        return .text("Requesting termination... Goodbye!")
    }

    private func lifecycleRefusal(_ request: ServerRequest) -> ServerResponse? {
        guard request.method == .post || request.method == .put else {
            return .text("Only POST or PUT requests allowed", status: .methodNotAllowed)
        }
        return options.isLifecycleEnabled ? nil : .text("Lifecycle API is not enabled.", status: .forbidden)
    }
}

extension HTTPField.Name {
    // The initialiser refuses what is not a header name; this one is.
    static let xPrometheusStopping = HTTPField.Name("X-Prometheus-Stopping") ?? .server
}
