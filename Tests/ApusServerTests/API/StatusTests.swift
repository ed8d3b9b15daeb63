import ApusConfig
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Status, targets and rules") struct StatusTests {
    @Test(
        "answer in the shape that clients expect",
        arguments: [
            (
                "status/buildinfo",
                #"{"version":"3.14.0","revision":"test","branch":"apus","buildUser":"","buildDate":"","goVersion":"swift6.3"}"#
            ),
            ("status/flags", #"{"a":"1","b":"2"}"#),
            ("rules", #"{"groups":[]}"#),
            ("rules?type=alert&exclude_alerts=true", #"{"groups":[]}"#),
            ("alerts", #"{"alerts":[]}"#),
            ("alertmanagers", #"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#),
            ("targets", #"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#),
            ("targets?state=active", #"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}"#),
            ("targets/metadata", "[]"),
            ("scrape_pools", #"{"scrapePools":[]}"#),
            ("metadata", "{}"),
            ("metadata?limit=10&metric=up", "{}"),
        ])
    func shapes(target: String, data: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.status == .ok)
        #expect(response.text == #"{"status":"success","data":\#(data)}"#)
    }

    @Test(
        "refuse what is wrong",
        arguments: [
            ("metadata?limit=x", "limit must be a number"),
            ("metadata?limit_per_metric=x", "limit_per_metric must be a number"),
            ("targets/metadata?limit=x", "limit must be a number"),
            ("targets/metadata?match_target=%7B", #"invalid parameter \"match_target\": 1:2: parse error: unexpected end of input inside braces"#),
            ("status/tsdb?limit=0", "limit must be a positive number"),
            ("status/tsdb?limit=x", "limit must be a positive number"),
            ("rules?type=x", #"invalid parameter \"type\": not supported value \"x\""#),
            ("rules?group_next_token=x", #"invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups"#),
            (
                "rules?exclude_alerts=x",
                #"invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid syntax"#
            ),
            (
                "rules?group_limit=x",
                #"invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": invalid syntax"#
            ),
        ])
    func refuses(target: String, message: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.status == .badRequest)
        #expect(response.text == #"{"status":"error","errorType":"bad_data","error":"\#(message)"}"#)
    }

    @Test("buildinfo has no features: Grafana would take us for Mimir") func noFeatures() async throws {
        #expect(try await !TestServer().get("/api/v1/status/buildinfo").text.contains("features"))
    }

    @Test("the head's statistics, largest first") func tsdb() async throws {
        let text = try await TestServer().get("/api/v1/status/tsdb?limit=1").text
        #expect(text.contains(#""headStats":{"numSeries":5,"#), "\(text)")
        #expect(text.contains(#""seriesCountByLabelValuePair":[{"name":"#))
        #expect(text.contains(#""labelValueCountByLabelName":[{"name":"__name__","value":3}]"#))
    }

    @Test("the configuration and when it was loaded") func configuration() async throws {
        let server = try TestServer()
        server.configuration.loaded(PrometheusConfig(), yaml: "global:\n  scrape_interval: 1m\n", atMs: 1_000_000_123)
        #expect(
            await server.get("/api/v1/status/config").text
                == #"{"status":"success","data":{"yaml":"global:\n  scrape_interval: 1m\n"}}"#)
        var runtime = await server.get("/api/v1/status/runtimeinfo").text
        #expect(runtime.contains(#""startTime":"1970-01-12T13:51:40Z""#) && runtime.contains(#""reloadConfigSuccess":true,"lastConfigTime":"1970-01-12T13:46:40Z""#))
        server.configuration.failed(atMs: 1_500)
        runtime = await server.get("/api/v1/status/runtimeinfo").text
        #expect(runtime.contains(#""reloadConfigSuccess":false"#))
        let notes = await server.get("/api/v1/notifications").text
        #expect(notes == #"{"status":"success","data":[{"text":"Configuration reload has failed.","date":"1970-01-01T00:00:01.5Z","active":true}]}"#)
        server.configuration.loaded(PrometheusConfig(), yaml: "", atMs: 2_000)
        #expect(await server.get("/api/v1/notifications").text == #"{"status":"success","data":[]}"#)
    }
}
