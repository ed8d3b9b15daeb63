import ApusMetrics

/// How many requests there were, how long they took, how long the answers were; by the path of their route.
struct RequestMetrics: Sendable {
    private let requests: CounterFamily<String, Int>
    private let seconds: HistogramFamily<String>
    private let bytes: HistogramFamily<String>

    init(_ registry: MetricRegistry) throws(MetricError) {
        requests = try registry.counter(
            "prometheus_http_requests_total", help: "Counter of HTTP requests.",
            labels: LabelKey("handler", String.self), LabelKey("code", Int.self))
        seconds = try registry.histogram(
            "prometheus_http_request_duration_seconds", help: "Histogram of latencies for HTTP requests.",
            buckets: [0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120], labels: LabelKey("handler", String.self))
        bytes = try registry.histogram(
            "prometheus_http_response_size_bytes", help: "Histogram of response size for HTTP requests.",
            buckets: .exponential(start: 100, factor: 10, count: 8), labels: LabelKey("handler", String.self))
    }

    func observe(handler: String, code: Int, seconds: Double, bytes: Int) {
        requests(handler, code).increment()
        self.seconds(handler).observe(seconds)
        self.bytes(handler).observe(Double(bytes))
    }
}
