import ApusBytes
import HTTPTypes

/// One row of the route table: who answers which path, and where that runs.
struct Route: Sendable {
    enum Handler: Sendable {
        /// Answers at once, without waiting for anything.
        case quick(@Sendable (API, ServerRequest) throws(APIError) -> APIAnswer)
        /// Reads the storage: runs on a worker thread, so that it holds up nobody else; unless the same took next to no time just
        /// before.
        case storage(@Sendable (API, ServerRequest) throws(APIError) -> APIAnswer)
        /// The same with the part of the path that stands for `:name`.
        case named(@Sendable (API, ServerRequest, ByteString) throws(APIError) -> APIAnswer)
        /// Waits for others than the storage: always on a worker thread.
        case waiting(@Sendable (API, ServerRequest) throws(APIError) -> APIAnswer)
        /// Asks the query engine, which answers on threads of its own. Stopped when the client hangs up.
        case query(
            @Sendable (API, ServerRequest, _ completion: @escaping @Sendable (Result<APIAnswer, APIError>) -> Void)
                throws(APIError) -> Void)
        /// Not JSON, and quick.
        case page(@Sendable (Pages, ServerRequest) async -> ServerResponse)
        /// Not JSON, on a worker thread.
        case report(@Sendable (Pages, ServerRequest) -> ServerResponse)
    }

    let methods: [HTTPRequest.Method]
    /// A segment `:name` stands for any text but a slash. Also the `handler` label of the request metrics.
    let path: String
    let handler: Handler

    init(_ methods: HTTPRequest.Method..., path: String, _ handler: Handler) {
        self.methods = methods
        self.path = path
        self.handler = handler
    }

    /// Whether it waits for the storage to be open; what tells of the start itself must not.
    var needsStorage: Bool {
        (isAPI && path != "/api/v1/status/walreplay" && path != "/api/v1/notifications") || path == "/federate"
    }

    /// Whether browsers of other origins may use it, and OPTIONS is answered.
    var isAPI: Bool { path.hasPrefix("/api/") }
}

/// Finds the route of a request.
struct RouteTable: Sendable {
    enum Match: Sendable {
        case found(Route, name: ByteString)
        /// The path exists, but not with this method; these are the ones it has.
        case wrongMethod(Route, allowed: String)
        /// OPTIONS of a path of the API.
        case preflight(Route)
        case none
    }

    private var fixed: [String: Route] = [:]
    private var patterns: [(prefix: String, suffix: String, route: Route)] = []

    init(_ routes: [Route]) {
        for route in routes {
            if let colon = route.path.firstIndex(of: ":") {
                let end = route.path[colon...].firstIndex(of: "/") ?? route.path.endIndex
                patterns.append((String(route.path[..<colon]), String(route.path[end...]), route))
            } else {
                fixed[route.path] = route
            }
        }
    }

    func match(_ method: HTTPRequest.Method, path: String) -> Match {
        guard let (route, name) = find(path) else { return .none }
        if route.methods.contains(method) { return .found(route, name: name) }
        if route.isAPI, method == .options { return .preflight(route) }
        return .wrongMethod(route, allowed: (route.methods.map(\.rawValue) + ["OPTIONS"]).sorted().joined(separator: ", "))
    }

    private func find(_ path: String) -> (Route, ByteString)? {
        if let route = fixed[path] { return (route, ByteString()) }
        for (prefix, suffix, route) in patterns {
            guard path.utf8.count > prefix.utf8.count + suffix.utf8.count, path.hasPrefix(prefix), path.hasSuffix(suffix)
            else { continue }
            let name = path.utf8.dropFirst(prefix.utf8.count).dropLast(suffix.utf8.count)
            guard !name.contains(UInt8(ascii: "/")), case .success(let decoded) = percentDecoded(name, plusIsBlank: false)
            else { continue }
            return (route, ByteString(decoded))
        }
        return nil
    }
}
