import ApusBytes
import Testing

@testable import ApusPromQL

@Suite("Prettifier") struct PrettifierTests {
    @Test("splits what is longer than a hundred bytes", arguments: cases)
    func splits(_ query: String, _ expected: String) throws {
        let expression = try parseExpression(ByteString(query), options: .everything)
        #expect(expression.prettified() == expected)
        let again = try parseExpression(ByteString(expected), options: .everything)
        #expect(again.description == expression.description)
    }

    @Test("a chain too long to indent stays on one line") func longChain() throws {
        let query = ByteString("x" + String(repeating: "+1", count: 20_000))
        let expression = try parseExpression(query)
        #expect(expression.prettified() == expression.description)
    }

    static let cases: [(String, String)] = [
        (
            #"sum(rate(foo{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m])) by (job, instance, handler)"#,
            """
            sum by (job, instance, handler) (
              rate(foo{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m])
            )
            """
        ),
        (
            #"sum(rate(foo{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m])) by (job, instance, handler) / on(job) group_left(x) sum without(a) (rate(bar{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m]))"#,
            """
              sum by (job, instance, handler) (
                rate(foo{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m])
              )
            / on (job) group_left (x)
              sum without (a) (rate(bar{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m]))
            """
        ),
        (
            #"-(sum(rate(foo{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m])) + bar{job="api-server",handler="/api/v1/query",instance="localhost:9090"})"#,
            """
            -(
                sum(rate(foo{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m]))
              +
                bar{handler="/api/v1/query",instance="localhost:9090",job="api-server"}
            )
            """
        ),
        (
            #"(rate(foo{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m]) + bar{job="api-server",handler="/api/v1/query",instance="localhost:9090"})[5m:1m] "#,
            """
            (
                rate(foo{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m])
              +
                bar{handler="/api/v1/query",instance="localhost:9090",job="api-server"}
            )[5m:1m]
            """
        ),
        (
            #"max_over_time((rate(foo{job="api-server",handler="/api/v1/query",instance="localhost:9090"}[5m]) + bar{job="api-server",handler="/api/v1/query",instance="localhost:9090"})[5m:1m] @ 10 offset 3m)"#,
            """
            max_over_time(
              (
                  rate(foo{handler="/api/v1/query",instance="localhost:9090",job="api-server"}[5m])
                +
                  bar{handler="/api/v1/query",instance="localhost:9090",job="api-server"}
              )[5m:1m] @ 10.000 offset 3m
            )
            """
        ),
        (
            #"max_over_time(rate(foo{job="api-server"}[5m])[5m:1m]) + min_over_time(rate(foo{job="api-server"}[5m])[5m:1m]) + max_over_time(rate(foo{job="api-server"}[5m])[5m:1m])"#,
            """
                max_over_time(rate(foo{job="api-server"}[5m])[5m:1m])
              +
                min_over_time(rate(foo{job="api-server"}[5m])[5m:1m])
            +
              max_over_time(rate(foo{job="api-server"}[5m])[5m:1m])
            """
        ),
        (
            #"histogram_quantile(0.9, sum by (le, job) (rate(http_request_duration_seconds_bucket{job="api-server",handler="/api/v1/query"}[5m])))"#,
            """
            histogram_quantile(
              0.9,
              sum by (le, job) (
                rate(http_request_duration_seconds_bucket{handler="/api/v1/query",job="api-server"}[5m])
              )
            )
            """
        ),
        (
            #"topk(10, sum by (le, job) (rate(http_request_duration_seconds_bucket{job="api-server",handler="/api/v1/query"}[5m])))"#,
            """
            topk(
              10,
              sum by (le, job) (
                rate(http_request_duration_seconds_bucket{handler="/api/v1/query",job="api-server"}[5m])
              )
            )
            """
        ),
        (
            #"label_replace(sum by (le, job) (rate(http_request_duration_seconds_bucket{job="api-server",handler="/api/v1/query"}[5m])), "dst", "$1", "src", "(.*)")"#,
            """
            label_replace(
              sum by (le, job) (
                rate(http_request_duration_seconds_bucket{handler="/api/v1/query",job="api-server"}[5m])
              ),
              "dst",
              "$1",
              "src",
              "(.*)"
            )
            """
        ),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa - (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb * -ccccccccccccccccccccccccccccccccccccccc) ^ ddddddddddd",
            """
              aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            -
              (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb * -ccccccccccccccccccccccccccccccccccccccc) ^ ddddddddddd
            """
        ),
    ]
}
