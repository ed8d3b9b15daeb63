import ApusPromQL
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Query endpoints") struct QueryTests {
    @Test(
        "answer what was asked, by GET and by form",
        arguments: [
            // Grafana's health check: long before any data.
            ("query?query=1%2B1&time=4", #"{"resultType":"scalar","result":[4,"2"]}"#),
            (
                "query?query=up&time=1000300",
                #"{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a:1","job":"api"},"value":[1000300,"1"]},{"metric":{"__name__":"up","instance":"b:1","job":"api"},"value":[1000300,"0"]}]}"#
            ),
            // Without a time it is now, which is the same here.
            (
                "query?query=requests_total",
                #"{"resultType":"vector","result":[{"metric":{"__name__":"requests_total","code":"200"},"value":[1000300,"300"]}]}"#
            ),
            ("query?query=nothing", #"{"resultType":"vector","result":[]}"#),
            ("query?query=%22text%22&time=1.5", #"{"resultType":"string","result":[1.500,"text"]}"#),
            (
                "query?query=up%7Binstance%3D%22a:1%22%7D%5B30s%5D&time=1000300",
                #"{"resultType":"matrix","result":[{"metric":{"__name__":"up","instance":"a:1","job":"api"},"values":[[1000285,"1"],[1000300,"1"]]}]}"#
            ),
            (
                "query?query=requests_total&time=1970-01-12T13:46:40Z&lookback_delta=1m",
                #"{"resultType":"vector","result":[{"metric":{"__name__":"requests_total","code":"200"},"value":[1000000,"0"]},{"metric":{"__name__":"requests_total","code":"500"},"value":[1000000,"3"]}]}"#
            ),
            (
                "query_range?query=sum(requests_total)&start=1000240&end=1000300&step=30",
                #"{"resultType":"matrix","result":[{"metric":{},"values":[[1000240,"240"],[1000270,"270"],[1000300,"300"]]}]}"#
            ),
            (
                "query_range?query=1&start=1000000.5&end=1000001.75&step=0.5",
                #"{"resultType":"matrix","result":[{"metric":{},"values":[[1000000.500,"1"],[1000001,"1"],[1000001.500,"1"]]}]}"#
            ),
            ("query_range?query=nothing&start=0&end=11000&step=1", #"{"resultType":"matrix","result":[]}"#),
            ("query_range?query=nothing&start=0&end=10&step=1m", #"{"resultType":"matrix","result":[]}"#),
        ])
    func answers(target: String, data: String) async throws {
        let server = try TestServer()
        let expected = #"{"status":"success","data":"# + data + "}"
        let got = await server.get("/api/v1/" + target)
        #expect(got.status == .ok)
        #expect(got.headers[.contentType] == "application/json")
        #expect(got.text == expected)
        let parts = target.split(separator: "?")
        let posted = await server.post("/api/v1/" + parts[0], String(parts[1]))
        #expect(posted.text == expected)
    }

    @Test(
        "refuse what is wrong, in Prometheus's words",
        arguments: [
            ("query?query=up&time=x", 400, "bad_data", #"invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp"#),
            ("query?query=up&limit=x", 400, "bad_data", #"invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax"#),
            ("query?query=up&limit=-1", 400, "bad_data", #"invalid parameter \"limit\": limit must be non-negative"#),
            ("query?query=up&timeout=x", 400, "bad_data", #"invalid parameter \"timeout\": cannot parse \"x\" to a valid duration"#),
            ("query?query=up&lookback_delta=x", 400, "bad_data", #"error parsing lookback delta duration: cannot parse \"x\" to a valid duration"#),
            ("query?query=", 400, "bad_data", #"invalid parameter \"query\": unknown position: parse error: no expression found in input"#),
            ("query?query=sum(", 400, "bad_data", #"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"#),
            ("query_range?query=up&start=1&end=2", 400, "bad_data", #"invalid parameter \"step\": cannot parse \"\" to a valid duration"#),
            ("query_range?query=up&end=2&step=1", 400, "bad_data", #"invalid parameter \"start\": cannot parse \"\" to a valid timestamp"#),
            ("query_range?query=up&start=3&end=2&step=1", 400, "bad_data", #"invalid parameter \"end\": end timestamp must not be before start time"#),
            (
                "query_range?query=up&start=1&end=2&step=0", 400, "bad_data",
                #"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"#
            ),
            (
                "query_range?query=up&start=0&end=11001&step=1", 400, "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            ),
            (
                "query_range?query=up%5B1m%5D&start=1&end=2&step=1", 400, "bad_data",
                #"invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"#
            ),
            (
                "query?query=up%2Bon()up&time=1000300", 422, "execution",
                #"found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"up\", instance=\"b:1\", job=\"api\"}, {__name__=\"up\", instance=\"a:1\", job=\"api\"}];many-to-many matching not allowed: matching labels must be unique on one side"#
            ),
        ])
    func refuses(target: String, status: Int, kind: String, message: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.status.code == status)
        if kind == "execution" {
            // Which of the two series comes first is not promised.
            #expect(response.text.contains("found duplicate series for the match group {} on the right hand-side"))
        } else {
            #expect(response.text == #"{"status":"error","errorType":"\#(kind)","error":"\#(message)"}"#)
        }
    }

    @Test("a limit cuts the series and says so")
    func limit() async throws {
        let server = try TestServer()
        let one = await server.get("/api/v1/query?query=up&limit=1")
        #expect(one.text.hasSuffix(#"]},"warnings":["results truncated due to limit"]}"#))
        #expect(one.text.components(of: "metric").count == 2)
        let two = await server.get("/api/v1/query?query=up&limit=2")
        #expect(!two.text.contains("warnings"))
        let range = await server.get("/api/v1/query_range?query=up&start=1000000&end=1000300&step=60&limit=1")
        #expect(range.text.contains("results truncated due to limit"))
    }

    @Test("statistics are given when they are asked for")
    func statistics() async throws {
        let server = try TestServer()
        let with = await server.get("/api/v1/query?query=up&stats=all")
        for key in ["timings", "evalTotalTime", "execTotalTime", "samples", "totalQueryableSamples", "samplesRead", "peakSamples"] {
            #expect(with.text.contains("\"\(key)\":"), "\(with.text)")
        }
        let without = await server.get("/api/v1/query?query=up&stats=")
        #expect(!without.text.contains("stats"))
    }

    @Test("statistics by step, where the feature is on and all is asked for; other words are warned of")
    func statisticsByStep() async throws {
        var options = EngineOptions()
        options.enablePerStepStatistics = true
        let server = try TestServer(engine: options)
        let range = "/api/v1/query_range?query=up&start=1000000&end=1000120&step=60&stats="
        let all = await server.get(range + "all")
        #expect(all.text.contains(#""samples":{"totalQueryableSamplesPerStep":[[1000000,"#), "\(all.text)")
        #expect(all.text.contains(#""samplesReadPerStep":[[1000000,"#))
        let plain = await server.get(range + "true")
        #expect(plain.text.contains("totalQueryableSamples") && !plain.text.contains("PerStep") && !plain.text.contains("warnings"))
        let other = await server.get(range + "foo")
        #expect(other.text.contains("totalQueryableSamples"))
        #expect(
            other.text.contains(
                #""warnings":["value \"foo\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""]"#))
        let without = await (try TestServer()).get(range + "all")
        #expect(!without.text.contains("PerStep"))
    }

    @Test("a query whose client is gone is stopped")
    func cancelled() async throws {
        let server = try TestServer()
        let request = ServerRequest(method: .get, target: "/api/v1/query?query=up")
        request.cancellation.cancel()
        let response = await server.web.respond(to: request)
        #expect(response.status.code == 499)
        #expect(response.text.contains(#""errorType":"canceled""#))
    }

    @Test("exemplars: none, but no error; Grafana asks")
    func exemplars() async throws {
        let server = try TestServer()
        let none = await server.post("/api/v1/query_exemplars", "query=test&start=1000000&end=1000300")
        #expect(none.text == #"{"status":"success","data":[]}"#)
        let scalar = await server.get("/api/v1/query_exemplars?query=1")
        #expect(scalar.status == .noContent && scalar.body.isEmpty)
        let reversed = await server.get("/api/v1/query_exemplars?query=up&start=2&end=1")
        #expect(reversed.text.contains("end timestamp must not be before start timestamp"))
        let bad = await server.get("/api/v1/query_exemplars?query=")
        #expect(bad.text == #"{"status":"error","errorType":"bad_data","error":"unknown position: parse error: no expression found in input"}"#)
    }

    @Test("expressions are formatted")
    func format() async throws {
        let response = try await TestServer().post("/api/v1/format_query", "query=sum+by(job)(up%7B%7D)")
        #expect(response.text == #"{"status":"success","data":"sum by (job) (up)"}"#)
    }
}

extension String {
    func components(of separator: String) -> [Substring] { split(separator: separator, omittingEmptySubsequences: false) }
}
