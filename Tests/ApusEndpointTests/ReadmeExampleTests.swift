import ApusEndpoint
import ApusMetrics
import RawHTTP
import Testing

/// The example of the README, as a test, so that it keeps compiling and doing what it says.
@Suite("The README's example") struct ReadmeExampleTests {
    @Test("counts requests and serves them")
    func example() async throws {
        enum Method: String, LabelValue { case get, post }

        let registry = MetricRegistry()
        let requests = try registry.counter(
            "http_requests_total", help: "Requests answered.", labels: .label("method", as: Method.self),
            .label("status", as: Int.self))
        requests(.get, 200).increment()

        let endpoint = try await MetricsEndpoint.start(registry, port: 0)
        let answer = try await RawClient.get("/metrics", port: endpoint.port)
        await endpoint.stop()

        #expect(answer.body.hasSuffix("http_requests_total{method=\"get\",status=\"200\"} 1\n"))
    }
}
