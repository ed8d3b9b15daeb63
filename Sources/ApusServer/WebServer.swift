import ApusBytes
import ApusModel
import HTTPTypes
public import Logging
import NIOPosix
public import ServiceLifecycle

/// The HTTP side of the server: the query API, the web interface, federation, probes, and its own metrics.
///
///     connection ─▶ Listener ─▶ ServerRequest ─▶ WebServer.respond ─▶ RouteTable ─▶ API │ Pages │ WebAssets
///     (NIO loop)    (limits)     (body, form)                                         │ QueryEngine (its own threads)
///                      ◀─ ServerResponse ◀─ compression ◀─ Envelope ◀─ APIAnswer ◀────┘
///
/// `Routes` lists every path. `respond` needs no connection: tests call it with a request and look at the answer.
public final class WebServer: Sendable {
    private let api: API
    private let pages: Pages
    private let assets = WebAssets()
    private let routes = RouteTable(Route.all)
    private let crossOrigin: CrossOrigin
    private let metrics: RequestMetrics
    /// Of requests that read the storage.
    private let durations = RecentDurations()
    let options: ServerOptions
    let components: ServerComponents

    public init(components: ServerComponents, options: ServerOptions) throws {
        self.components = components
        self.options = options
        api = API(components: components, options: options)
        pages = Pages(components: components, options: options)
        crossOrigin = CrossOrigin(options.corsOrigin)
        metrics = try RequestMetrics(components.metrics)
        try registerServerMetrics(components, options)
    }

    /// One service for each address. They run until they are told to stop, and then let requests in flight finish.
    /// - Parameter onListening: called with the address that was bound, its port known.
    public func services(
        log: Logger, onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) -> [any Service] {
        options.listenAddresses.map { Listener(address: $0, server: self, onListening: onListening) }
    }

    /// Answers one request, and counts it.
    public func respond(to request: ServerRequest) async -> ServerResponse {
        await withCheckedContinuation { continuation in
            respond(to: request) { continuation.resume(returning: $0) }
        }
    }

    /// Answers one request, and counts it.
    /// - Parameter completion: called once, on any thread; before this returns when the answer needs no waiting for.
    func respond(to request: ServerRequest, then completion: @escaping @Sendable (ServerResponse) -> Void) {
        let started = components.time.monotonicNs()
        route(request) { [self] response, handler in
            let seconds = Double(components.time.monotonicNs() &- started) / 1e9
            metrics.observe(handler: handler, code: response.status.code, seconds: seconds, bytes: response.bodyCount)
            completion(response)
        }
    }

    /// Gives the answer, and the path as the metrics name it.
    private func route(_ request: ServerRequest, then completion: @escaping @Sendable (ServerResponse, _ handler: String) -> Void) {
        switch routes.match(request.method, path: request.path) {
        case .found(let route, let name):
            run(route, request, name) { completion($0, route.path) }
        case .preflight(let route):
            var response = ServerResponse(status: .noContent)
            crossOrigin.addHeaders(to: &response, for: request)
            completion(response, route.path)
        case .wrongMethod(let route, let allowed):
            var response = ServerResponse.error("Method Not Allowed", status: .methodNotAllowed)
            response.headers[.allow] = allowed
            completion(response, route.path)
        case .none:
            if request.path.hasPrefix("/api/v1/") {
                guard request.method == .options else { return completion(.notFound, "/api/v1/*path") }
                var response = ServerResponse(status: .noContent)
                crossOrigin.addHeaders(to: &response, for: request)
                return completion(response, "/api/v1/*path")
            }
            guard let response = assets.response(to: request) else { return completion(.notFound, "/*filepath") }
            completion(response, WebAssets.pagePaths.contains(request.path) ? request.path : "/*filepath")
        }
    }

    private func run(
        _ route: Route, _ request: ServerRequest, _ name: ByteString, then completion: @escaping @Sendable (ServerResponse) -> Void
    ) {
        if route.needsStorage, !components.lifecycle.isReady() {
            var response = Pages.notReady
            if route.isAPI { crossOrigin.addHeaders(to: &response, for: request) }
            return completion(response)
        }
        switch route.handler {
        case .quick(let handler):
            completion(finish(answer { () throws(APIError) in try handler(api, request) }, request))
        case .storage(let handler):
            hereOrOnWorker(request, completion) { [self] in finish(answer { () throws(APIError) in try handler(api, request) }, request) }
        case .waiting(let handler):
            onWorker(completion) { [self] in finish(answer { () throws(APIError) in try handler(api, request) }, request) }
        case .named(let handler):
            hereOrOnWorker(request, completion) { [self] in
                finish(answer { () throws(APIError) in try handler(api, request, name) }, request)
            }
        case .query(let handler):
            // The answer is written where it was computed: on the engine's thread.
            do throws(APIError) {
                try handler(api, request) { [self] result in completion(finish(result, request)) }
            } catch { completion(finish(.failure(error), request)) }
        case .page(let handler):
            let pages = pages
            Task { completion(await handler(pages, request)) }
        case .report(let handler):
            onWorker(completion) { [pages] in
                var response = handler(pages, request)
                response.compress(for: request)
                return response
            }
        }
    }

    private func answer(_ body: () throws(APIError) -> APIAnswer) -> Result<APIAnswer, APIError> {
        do { return .success(try body()) } catch { return .failure(error) }
    }

    /// From a result to the finished answer: envelope, headers, compression.
    private func finish(_ result: Result<APIAnswer, APIError>, _ request: ServerRequest) -> ServerResponse {
        var response = Envelope.response(to: result)
        crossOrigin.addHeaders(to: &response, for: request)
        response.compress(for: request)
        return response
    }

    /// Runs `work` on this thread, which serves connections, when it took less than the engine's `quickLimitUs` the last time: to
    /// change threads takes longer. Else on a worker.
    private func hereOrOnWorker(
        _ request: ServerRequest, _ completion: @escaping @Sendable (ServerResponse) -> Void, _ work: @escaping @Sendable () -> ServerResponse
    ) {
        let limitNs = UInt64(max(0, components.engine.options.quickLimitUs)) &* 1000
        guard limitNs > 0, let hash = request.repetitionHash else { return onWorker(completion, work) }
        let timed: @Sendable () -> ServerResponse = { [durations, components] in
            let startedNs = components.time.monotonicNs()
            let response = work()
            durations.note(hash: hash, ns: components.time.monotonicNs() &- startedNs)
            return response
        }
        if let last = durations.last(hash: hash), last <= limitNs { return completion(timed()) }
        onWorker(completion, timed)
    }

    /// Runs `work` on NIO's pool for what blocks, away from event loops and the tasks' own threads.
    private func onWorker(
        _ completion: @escaping @Sendable (ServerResponse) -> Void, _ work: @escaping @Sendable () -> ServerResponse
    ) {
        NIOThreadPool.singleton.submit { state in
            // The pool is gone only while the process ends.
            completion(state == .active ? work() : .error("shutting down", status: .serviceUnavailable))
        }
    }
}
