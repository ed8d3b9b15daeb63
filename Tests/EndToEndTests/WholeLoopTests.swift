import Foundation
import Testing

/// Instrument, expose, scrape, store, query: the built programs, as a user runs them.
@Suite("The whole loop") struct WholeLoopTests {
    let system: RunningSystem

    init() throws { system = try RunningSystem.shared.get() }

    @Test("every target comes up and keeps being scraped")
    func targets() {
        #expect(eventually { system.query("up == 1").count == system.jobs.count }, "\(system.query("up")) \(system.apus.output)")
        let targets = system.get("/api/v1/targets")?.json["data"]["activeTargets"].list ?? []
        #expect(targets.count == system.jobs.count)
        for target in targets {
            #expect(target["health"].string == "up")
            #expect(target["lastError"].string == "")
            #expect(target["scrapeInterval"].string == "1s")
        }
        let shop = system.query("up{job=\"shop\"}").first
        #expect(shop?.labels["team"] == "shop")
    }

    @Test("a rate of a live counter is there, and is what the service does")
    func rate() {
        #expect(eventually { system.query("sum(rate(shop_http_requests_total[10s])) > 0").count == 1 }, "\(system.apus.output)")
        // A counter only grows, and its increase over a window fits the difference of two readings of it.
        let before = system.query("sum(shop_http_requests_total)").first?.value ?? .nan
        #expect(eventually { (system.query("sum(shop_http_requests_total)").first?.value ?? .nan) > before })
    }

    @Test("report series of each scrape are stored with the target's labels")
    func reportSeries() {
        #expect(eventually { system.query("scrape_samples_scraped > 0").count == system.jobs.count })
        for name in ["scrape_duration_seconds", "scrape_samples_post_metric_relabeling", "scrape_series_added"] {
            #expect(system.query(name).count == system.jobs.count, "\(name)")
        }
    }

    @Test("metric relabelling changed one family and no other")
    func relabelling() {
        #expect(eventually { !system.query("shop_http_request_duration_seconds_sum").isEmpty })
        #expect(system.query("shop_http_request_duration_seconds_sum{rewritten=\"yes\"}").isEmpty == false)
        #expect(system.query("{rewritten=\"yes\", __name__!=\"shop_http_request_duration_seconds_sum\"}").isEmpty)
    }

    @Test("a range query gives a value for each step once the series exists")
    func range() {
        #expect(eventually { !system.query("up{job=\"apus\"} offset 2s").isEmpty })
        let now = Date.now.timeIntervalSince1970
        let answer = system.get(
            "/api/v1/query_range",
            ["query": "up{job=\"apus\"}", "start": "\(now - 1)", "end": "\(now)", "step": "0.5"])
        #expect(answer?.json["data"]["resultType"].string == "matrix")
        #expect(answer?.json["data"]["result"][0]["values"].list.count == 3, "\(answer?.text ?? "")")
    }

    @Test("labels, label values, series and metadata name what was scraped")
    func metadata() {
        #expect(eventually { system.query("up == 1").count == system.jobs.count })
        let jobs = system.get("/api/v1/label/job/values")?.json["data"].list.compactMap(\.string) ?? []
        #expect(Set(jobs) == Set(system.jobs))
        let names = system.get("/api/v1/labels")?.json["data"].list.compactMap(\.string) ?? []
        #expect(names.contains("__name__") && names.contains("job") && names == names.sorted())
        let series = system.get("/api/v1/series", ["match[]": "up"])?.json["data"].list ?? []
        #expect(series.count == system.jobs.count)
        let described = system.get("/api/v1/metadata", ["metric": "shop_http_requests_total"])?.json["data"]
        #expect(described?["shop_http_requests_total"][0]["type"].string == "counter")
    }

    @Test("its own metrics count what it did")
    func ownMetrics() {
        let needed = [
            "prometheus_build_info", "prometheus_ready == 1", "prometheus_config_last_reload_successful == 1",
            "prometheus_tsdb_head_series > 0", "prometheus_tsdb_head_samples_appended_total > 0",
            "prometheus_target_interval_length_seconds_count > 0", "prometheus_engine_queries_concurrent_max == 20",
            "prometheus_http_requests_total > 0", "process_resident_memory_bytes > 0", "process_start_time_seconds > 0",
        ]
        for expression in needed {
            #expect(eventually { !system.query(expression).isEmpty }, "\(expression)")
        }
    }

    @Test(
        "the server's own page passes promtool",
        .enabled(if: Programs.promtool != nil, "promtool is not installed: scripts/install-test-peers"))
    func promtool() throws {
        let program = try #require(Programs.promtool)
        let page = try #require(system.get("/metrics"))
        let file = system.folder.appending(path: "page.txt")
        try page.body.write(to: file)
        let check = Process()
        check.executableURL = program
        check.arguments = ["check", "metrics"]
        check.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        check.standardOutput = output
        check.standardError = output
        try check.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        check.waitUntilExit()
        // 3 means style findings, which upstream's own page has too.
        #expect([0, 3].contains(check.terminationStatus), "\(text)")
    }

    @Test(
        "a host's metrics arrive",
        .enabled(if: Programs.nodeExporter != nil, "node_exporter is not installed: scripts/install-test-peers"))
    func node() {
        #expect(eventually { !system.query("node_memory_MemTotal_bytes > 0").isEmpty })
        // The exporter's own count of what it served agrees with ours of what we stored.
        #expect(eventually { !system.query("scrape_samples_scraped{job=\"node\"} > 100").isEmpty })
    }

    @Test("Grafana's first requests are answered as it expects")
    func grafana() {
        let health = request("POST", system.address + "/api/v1/query", form: ["query": "1+1", "time": "4"])
        #expect(health?.json["data"]["resultType"].string == "scalar")
        #expect(health?.json["data"]["result"][0].number == 4)
        #expect(health?.json["data"]["result"][1].string == "2")
        let build = system.get("/api/v1/status/buildinfo")?.json["data"]
        #expect(build?["version"].string?.hasPrefix("3.") == true)
        #expect(build?["features"].object == nil, "Grafana takes a server with features for Mimir")
    }

    @Test("answers are compressed when asked, and allowed to other origins")
    func compression() {
        let answer = request("GET", system.address + "/api/v1/label/__name__/values", headers: ["Origin": "http://elsewhere"])
        #expect(answer?.status == 200)
        #expect(
            answer?.headers["access-control-allow-origin"] == "*"
                || answer?.headers["access-control-allow-origin"] == "http://elsewhere")
    }
}
