import ApusMetrics
import Hummingbird

/// Counts and times every request.
struct MetricsMiddleware<Context: RequestContext>: RouterMiddleware {
    let metrics: ShopMetrics

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response
    {
        let clock = ContinuousClock()
        let start = clock.now
        metrics.requestsInFlight.increment()
        defer { metrics.requestsInFlight.decrement() }
        do {
            let response = try await next(request, context)
            record(request, context, status: response.status.code, seconds: clock.now - start)
            return response
        } catch {
            // Thrown errors become answers further out.
            record(request, context, status: (error as? any HTTPResponseError)?.status.code ?? 500, seconds: clock.now - start)
            throw error
        }
    }

    private func record(_ request: Request, _ context: Context, status: Int, seconds: Duration) {
        let method: ShopMetrics.Method =
            switch request.method {
            case .get: .get
            case .post: .post
            default: .other
            }
        let route = context.endpointPath ?? "none"
        metrics.requests(method, route, status).increment()
        metrics.requestDuration(route).observe(seconds / .seconds(1))
    }
}
