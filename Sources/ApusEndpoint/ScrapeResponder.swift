public import ApusMetrics
import ApusModel
public import NIOCore
public import NIOPosix
import Synchronization

/// Answers requests for a registry's page: routes, limits, filters, compression. It knows no sockets: `MetricsEndpoint`
/// and `MetricsChannelHandler` bring it HTTP from SwiftNIO, `ApusHummingbird` from Hummingbird, and any server can with
/// `respond`.
///
/// Pages are made on threads of `pool` and not on an event loop: a collector that takes its time holds up nobody else.
public final class ScrapeResponder: Sendable {
    public let options: EndpointOptions
    private let registry: MetricRegistry
    private let pool: NIOThreadPool
    private let security: (any EndpointSecurity)?
    private let metrics: HandlerMetrics?
    private let inFlight = Atomic<Int>(0)
    /// Answers that somebody waits for.
    private let pending = Locked<[ObjectIdentifier: FirstAnswer]>([:])
    private let processStart: String?

    /// - Parameter pool: whose threads make pages. It must have been started.
    /// - Throws: when the handler's own metrics were asked for and their names are taken.
    public init(
        _ registry: MetricRegistry, options: EndpointOptions = EndpointOptions(), security: (any EndpointSecurity)? = nil,
        pool: NIOThreadPool = .singleton
    ) throws(MetricError) {
        self.registry = registry
        self.options = options
        self.security = security
        self.pool = pool
        metrics = options.instruments ? try HandlerMetrics(registry) : nil
        processStart = processStartTimeSeconds().map { String(Int64($0)) }
    }

    /// Pages being made now, those included that nobody waits for any more.
    public var scrapesInFlight: Int { inFlight.load(ordering: .relaxed) }

    /// Whether a path is one that is answered here.
    public func serves(_ path: some StringProtocol) -> Bool {
        path == options.path || options.healthPaths.contains { path == $0 }
    }

    public func respond(to request: EndpointRequest) async -> EndpointResponse {
        let response = try? await respond(to: request, on: MultiThreadedEventLoopGroup.singleton.any()).get()
        return response ?? EndpointResponse(status: 503, text: "Shutting down.")
    }

    /// The answer, on `eventLoop`, which also keeps the time. The future does not fail.
    public func respond(to request: EndpointRequest, on eventLoop: any EventLoop) -> EventLoopFuture<EndpointResponse> {
        let isPage = request.path == options.path
        guard isPage else {
            if security == nil { return eventLoop.makeSucceededFuture(other(request)) }
            return run(on: eventLoop, counts: false) { self.other(request) } request: { request }
        }
        return run(on: eventLoop, counts: true) { self.page(request) } request: { request }
    }

    // MARK: Threads, time and numbers

    private func run(
        on eventLoop: any EventLoop, counts: Bool, _ make: @escaping @Sendable () -> EndpointResponse,
        request: @escaping @Sendable () -> EndpointRequest
    ) -> EventLoopFuture<EndpointResponse> {
        // Passwords are checked on the same threads, so health with a password takes its place too.
        let limit = max(1, options.limits.scrapesInFlight)
        guard inFlight.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            inFlight.wrappingSubtract(1, ordering: .relaxed)
            return eventLoop.makeSucceededFuture(
                finished(
                    EndpointResponse(status: 503, text: "Limit of concurrent requests reached (\(limit)), try again later."), counts: counts))
        }
        metrics?.inFlight.increment()
        let answer = FirstAnswer(eventLoop.makePromise(of: EndpointResponse.self))
        pending.withLock { $0[ObjectIdentifier(answer)] = answer }
        var deadline: Scheduled<Void>?
        if options.limits.scrapeMs > 0 {
            deadline = eventLoop.scheduleTask(in: .milliseconds(options.limits.scrapeMs)) {
                answer.give {
                    self.finished(
                        EndpointResponse(status: 503, text: "Exceeded configured timeout of \(self.options.limits.scrapeMs)ms."),
                        counts: counts)
                }
            }
        }
        pool.submit { state in
            defer {
                self.inFlight.wrappingSubtract(1, ordering: .relaxed)
                self.metrics?.inFlight.decrement()
            }
            // Nobody waits any more, or the pool is closing.
            if answer.isGiven { return }
            guard case .active = state else {
                return answer.give { self.finished(EndpointResponse(status: 503, text: "Shutting down."), counts: counts) }
            }
            let response = self.security?.refusal(of: request()) ?? make()
            answer.give { self.finished(response, counts: counts) }
        }
        let scheduled = deadline
        answer.future.whenComplete { _ in
            scheduled?.cancel()
            self.pending.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(answer)) }
        }
        return answer.future
    }

    /// Answers all who still wait: before their event loop stops, after which nobody could.
    func abandon() {
        for answer in pending.withLock({ Array($0.values) }) {
            answer.give { EndpointResponse(status: 503, text: "Shutting down.") }
        }
    }

    private func finished(_ response: EndpointResponse, counts: Bool) -> EndpointResponse {
        var response = response
        if counts { metrics?.answered(response.status) }
        if let security { response.headers += security.headers() }
        return response
    }

    // MARK: Answers

    private func other(_ request: EndpointRequest) -> EndpointResponse {
        guard options.healthPaths.contains(where: { request.path == $0 }) else {
            return EndpointResponse(status: 404, text: "Not found: metrics are at \(options.path).")
        }
        return refusedMethod(request) ?? EndpointResponse(status: 200, text: "Healthy.")
    }

    private func refusedMethod(_ request: EndpointRequest) -> EndpointResponse? {
        if request.method == "GET" || request.method == "HEAD" { return nil }
        return EndpointResponse(status: 405, text: "Method not allowed: use GET or HEAD.", headers: [("Allow", "GET, HEAD")])
    }

    private func page(_ request: EndpointRequest) -> EndpointResponse {
        if let refused = refusedMethod(request) { return refused }
        guard let filter = NameFilter(query: request.query, limit: options.limits.names) else {
            return EndpointResponse(status: 400, text: "More than \(options.limits.names) names in name[].")
        }
        var response = EndpointResponse()
        response.body = makePage(filter, &response)
        if let processStart { response.headers.append(("Process-Start-Time-Unix", processStart)) }
        guard options.compresses else { return response }
        response.headers.append(("Vary", "Accept-Encoding"))
        if let coding = ContentCoding(accepted: request.header("accept-encoding")) {
            if let compressed = coding.compressed(response.body) {
                response.headers.append(("Content-Encoding", coding.rawValue))
                response.body = compressed
            } else {
                metrics?.encodingErrors.increment()
            }
        }
        return response
    }

    private func makePage(_ filter: NameFilter, _ response: inout EndpointResponse) -> [UInt8] {
        response.headers.append(("Content-Type", registry.contentType))
        let page = registry.renderText()
        return filter.names.isEmpty ? page : families(of: page, filter)
    }

    /// The families of a page in the text format that a filter wants: each begins with its line of help.
    private func families(of page: [UInt8], _ filter: NameFilter) -> [UInt8] {
        var result: [UInt8] = []
        var isWanted = false
        let help = Array("# HELP ".utf8)
        for line in page.split(separator: UInt8(ascii: "\n")) {
            if line.starts(with: help) {
                isWanted = filter.wants(line.dropFirst(help.count).prefix { $0 != UInt8(ascii: " ") })
            }
            guard isWanted else { continue }
            result.append(contentsOf: line)
            result.append(UInt8(ascii: "\n"))
        }
        return result
    }
}

/// A promise that is kept once, by whichever of two comes first.
private final class FirstAnswer: Sendable {
    private let given = Atomic<Bool>(false)
    private let promise: EventLoopPromise<EndpointResponse>

    init(_ promise: EventLoopPromise<EndpointResponse>) { self.promise = promise }

    var future: EventLoopFuture<EndpointResponse> { promise.futureResult }
    var isGiven: Bool { given.load(ordering: .relaxed) }

    func give(_ response: () -> EndpointResponse) {
        if !given.exchange(true, ordering: .relaxed) { promise.succeed(response()) }
    }
}
