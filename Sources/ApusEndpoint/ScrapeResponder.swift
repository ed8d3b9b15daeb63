import ApusExposition
public import ApusMetrics
import ApusModel
public import NIOCore
public import NIOPosix
import Synchronization

/// Answers requests for a registry's page: routes, limits, formats, filters, compression. It knows no sockets: `MetricsEndpoint`
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
            return run(request, on: eventLoop, counts: false) { .now(self.other(request)) }
        }
        return run(request, on: eventLoop, counts: true) { self.page(request) }
    }

    // MARK: Threads, time and numbers

    /// An answer, or who makes it when asynchronous collectors have given what they have.
    private enum Work {
        case now(EndpointResponse)
        case later(@Sendable () async -> EndpointResponse)
    }

    private func run(
        _ request: EndpointRequest, on eventLoop: any EventLoop, counts: Bool, _ make: @escaping @Sendable () -> Work
    ) -> EventLoopFuture<EndpointResponse> {
        // Passwords are checked on the same threads, so health with a password takes its place too.
        let limit = max(1, options.limits.scrapesInFlight)
        guard inFlight.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            inFlight.wrappingSubtract(1, ordering: .relaxed)
            return eventLoop.makeSucceededFuture(
                finished(
                    EndpointResponse(status: 503, text: "Limit of concurrent requests reached (\(limit)), try again later."),
                    counts: counts))
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
        let end: @Sendable () -> Void = {
            self.inFlight.wrappingSubtract(1, ordering: .relaxed)
            self.metrics?.inFlight.decrement()
        }
        pool.submit { state in
            // Nobody waits any more.
            if answer.isGiven { return end() }
            guard case .active = state else {
                answer.give { self.finished(EndpointResponse(status: 503, text: "Shutting down."), counts: counts) }
                return end()
            }
            let work = self.security?.refusal(of: request).map { .now($0) } ?? make()
            switch work {
            case .now(let response):
                answer.give { self.finished(response, counts: counts) }
                end()
            case .later(let make):
                Task {
                    let response = await make()
                    answer.give { self.finished(response, counts: counts) }
                    end()
                }
            }
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

    private func page(_ request: EndpointRequest) -> Work {
        if let refused = refusedMethod(request) { return .now(refused) }
        guard let filter = NameFilter(query: request.query, limit: options.limits.names) else {
            return .now(EndpointResponse(status: 400, text: "More than \(options.limits.names) names in name[]."))
        }
        var encoding = PageEncoding.negotiate(accept: request.header("accept"), offering: options.formats)
        encoding.writesCreatedSeries = options.writesCreatedSeries
        let chosen = encoding
        if registry.hasAsyncCollectors {
            return .later { [self] in
                let page =
                    filter.names.isEmpty ? await registry.page(as: chosen) : write(await registry.gatherAll(), filter, chosen)
                return response(page, chosen, request)
            }
        }
        var page: [UInt8] = []
        if filter.names.isEmpty {
            registry.render(into: &page, as: chosen)
        } else {
            page = write(registry.gather(), filter, chosen)
        }
        return .now(response(page, chosen, request))
    }

    /// The families that a filter wants, as a page.
    private func write(_ families: [FamilySnapshot], _ filter: NameFilter, _ encoding: PageEncoding) -> [UInt8] {
        var writer = PageWriter(encoding)
        for family in families where filter.wants(family.name.bytes[...]) { writer.write(family) }
        return writer.finish()
    }

    private func response(_ page: [UInt8], _ encoding: PageEncoding, _ request: EndpointRequest) -> EndpointResponse {
        var response = EndpointResponse(headers: [("Content-Type", encoding.contentType)], body: page)
        if let processStart { response.headers.append(("Process-Start-Time-Unix", processStart)) }
        response.headers.append(("Vary", options.compresses ? "Accept, Accept-Encoding" : "Accept"))
        if options.compresses, let coding = ContentCoding(accepted: request.header("accept-encoding")) {
            if let compressed = coding.compressed(page) {
                response.headers.append(("Content-Encoding", coding.rawValue))
                response.body = compressed
            } else {
                metrics?.encodingErrors.increment()
            }
        }
        return response
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
