import ApusMetrics

/// What an endpoint says of itself, under the names that the handler of Prometheus's Go client has.
struct HandlerMetrics: Sendable {
    private let requests: CounterFamily<Int>
    let inFlight: Gauge
    let encodingErrors: Counter

    init(_ registry: MetricRegistry) throws(MetricError) {
        requests = try registry.counter(
            "promhttp_metric_handler_requests_total", help: "Total number of scrapes by HTTP status code.",
            labels: .label("code", as: Int.self))
        inFlight = try registry.gauge(
            "promhttp_metric_handler_requests_in_flight", help: "Current number of scrapes being served.")
        let errors = try registry.counter(
            "promhttp_metric_handler_errors_total",
            help: "Total number of internal errors encountered by the promhttp metric handler.",
            labels: .label("cause", as: String.self))
        // There from the start, so that their rates are defined at the first error.
        for code in [200, 500, 503] { _ = requests(code) }
        _ = errors("gathering")
        encodingErrors = errors("encoding")
    }

    func answered(_ status: Int) { requests(status).increment() }
}
