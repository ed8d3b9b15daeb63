public import ApusMetrics
public import Hummingbird
import Instrumentation

/// What `RequestMetricsMiddleware` measures.
public struct RequestMetricsOptions: Sendable {
    /// What the names begin with.
    public var prefix = "http"
    public var durationBuckets = Buckets.requestSeconds
    /// 100 B to 100 MB.
    public var sizeBuckets = Buckets.exponential(start: 100, factor: 10, count: 7)
    /// Whether sizes of requests and responses are measured.
    public var measuresSizes = true
    /// How many series each metric may have; see `MetricFamily`.
    public var seriesLimit = 2_000

    public init() {}
}

/// Measures the requests of a Hummingbird server:
///
///     router.add(middleware: try RequestMetricsMiddleware(registry))
///
/// | name | type | labels |
/// |---|---|---|
/// | `http_requests_total` | counter | `method`, `route`, `code` |
/// | `http_request_duration_seconds` | histogram, until the last byte of the answer is written | `method`, `route` |
/// | `http_requests_in_flight` | gauge | |
/// | `http_request_size_bytes` | histogram of declared lengths | `method`, `route` |
/// | `http_response_size_bytes` | histogram | `method`, `route` |
///
/// The route is the pattern, `/users/{id}`, and never the path: a path for each user, or for each guess of a scanner, would
/// be a series each. Requests without a route have `none`, methods that HTTP does not know are `other`.
///
/// Exemplars, in a registry that takes them from traces (`TraceExemplars`), are of the span that is current where this
/// middleware is called: add it after Hummingbird's `TracingMiddleware`.
public struct RequestMetricsMiddleware<Context: RequestContext>: RouterMiddleware {
    private let requests: CounterFamily<String, String, Int>
    private let durations: HistogramFamily<String, String>
    private let inFlight: Gauge
    private let requestSizes: HistogramFamily<String, String>?
    private let responseSizes: HistogramFamily<String, String>?

    /// - Throws: when the names are taken by something else.
    public init(_ registry: MetricRegistry, options: RequestMetricsOptions = RequestMetricsOptions()) throws(MetricError) {
        let (method, route) = (LabelKey("method", String.self), LabelKey("route", String.self))
        let (prefix, limit) = (options.prefix, options.seriesLimit)
        requests = try registry.counter(
            "\(prefix)_requests_total", help: "Requests answered.", seriesLimit: limit, labels: method, route,
            .label("code", as: Int.self))
        durations = try registry.histogram(
            "\(prefix)_request_duration_seconds", help: "Time from a request to the end of its answer.",
            buckets: options.durationBuckets, seriesLimit: limit, labels: method, route)
        inFlight = try registry.gauge("\(prefix)_requests_in_flight", help: "Requests being answered.")
        guard options.measuresSizes else {
            (requestSizes, responseSizes) = (nil, nil)
            return
        }
        requestSizes = try registry.histogram(
            "\(prefix)_request_size_bytes", help: "Bytes of requests' bodies.", buckets: options.sizeBuckets, seriesLimit: limit,
            labels: method, route)
        responseSizes = try registry.histogram(
            "\(prefix)_response_size_bytes", help: "Bytes of answers' bodies.", buckets: options.sizeBuckets, seriesLimit: limit,
            labels: method, route)
    }

    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws
        -> Response
    {
        let start = ContinuousClock.now
        let method = methodLabel(request.method)
        // The body is written when this has returned, and no span is current any more.
        let trace = ServiceContext.current
        inFlight.increment()
        do {
            var response = try await next(request, context)
            let (route, status, body) = (routeLabel(context), response.status.code, response.body)
            let requestBytes = request.headers[.contentLength].flatMap { Int($0) } ?? 0
            // An answer may be a stream that goes on long after it was returned: it counts until it is written.
            let sent = ByteCount()
            let flight = RequestInFlight {
                ServiceContext.$current.withValue(trace) {
                    requestSizes?.observe(Double(requestBytes), method, route)
                    responseSizes?.observe(Double(sent.bytes), method, route)
                    finished(method, route, status, since: start)
                }
            }
            response.body = ResponseBody(contentLength: body.contentLength) { writer in
                defer { flight.end() }
                try await body.write(CountingWriter(writer, sent))
            }
            return response
        } catch {
            // Thrown errors become answers further out.
            finished(method, routeLabel(context), (error as? any HTTPResponseError)?.status.code ?? 500, since: start)
            throw error
        }
    }

    private func finished(_ method: String, _ route: String, _ status: Int, since start: ContinuousClock.Instant) {
        inFlight.decrement()
        requests.increment(method, route, status)
        durations.observe((ContinuousClock.now - start) / .seconds(1), method, route)
    }

    private func routeLabel(_ context: Context) -> String {
        // "NotFound" is the router's own word for no route; no pattern can be it, since patterns begin with a slash.
        guard let path = context.endpointPath, path != "NotFound" else { return "none" }
        return path
    }

    private func methodLabel(_ method: HTTPRequest.Method) -> String {
        switch method {
        case .get, .head, .post, .put, .delete, .connect, .options, .trace, .patch: method.rawValue.lowercased()
        default: "other"
        }
    }
}
