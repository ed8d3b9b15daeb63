import ApusMetrics
import Testing

@Suite("Registry") struct MetricRegistryTests {
    @Test("writes every kind of metric, families sorted by name and series by labels")
    func golden() throws {
        let registry = MetricRegistry()
        let requests = try registry.counter(
            "http_requests_total", help: "Requests answered.", labels: .label("method", as: Method.self),
            .label("status", as: Int.self))
        requests(.post, 500).increment()
        requests(.get, 200).increment(by: 41)
        requests(.get, 200).increment()
        requests(.get, 404).increment(by: 0.5)
        let temperature = try registry.gauge("temperature_celsius", help: "Outside.")
        temperature.set(-3.25)
        let latency = try registry.histogram(
            "latency_seconds", help: "Time to answer.", buckets: [0.1, 1, 1e6], labels: .label("path", as: String.self))
        for value in [0.05, 0.1, 0.5, 2, 1e7] { latency("/").observe(value) }
        let sizes = try registry.summary(
            "size_bytes", help: "Size of answers.", quantiles: [Quantile(0.5, error: 0.001), Quantile(0.9, error: 0.001)])
        for value in 1...100 { sizes.observe(Double(value)) }
        try registry.info("build_info", help: "What runs here.", ["version": "1.2", "commit": "abc"])
        try registry.gauge("answer", help: "Read at each scrape.") { 42 }
        try registry.counter("uptime_seconds_total", help: "Read at each scrape.") { 1.5e6 }

        #expect(
            registry.page == """
                # HELP answer Read at each scrape.
                # TYPE answer gauge
                answer 42
                # HELP build_info What runs here.
                # TYPE build_info gauge
                build_info{version="1.2",commit="abc"} 1
                # HELP http_requests_total Requests answered.
                # TYPE http_requests_total counter
                http_requests_total{method="get",status="200"} 42
                http_requests_total{method="get",status="404"} 0.5
                http_requests_total{method="post",status="500"} 1
                # HELP latency_seconds Time to answer.
                # TYPE latency_seconds histogram
                latency_seconds_bucket{path="/",le="0.1"} 2
                latency_seconds_bucket{path="/",le="1"} 3
                latency_seconds_bucket{path="/",le="1e+06"} 4
                latency_seconds_bucket{path="/",le="+Inf"} 5
                latency_seconds_sum{path="/"} 10000002.65
                latency_seconds_count{path="/"} 5
                # HELP size_bytes Size of answers.
                # TYPE size_bytes summary
                size_bytes{quantile="0.5"} 51
                size_bytes{quantile="0.9"} 91
                size_bytes_sum 5050
                size_bytes_count 100
                # HELP temperature_celsius Outside.
                # TYPE temperature_celsius gauge
                temperature_celsius -3.25
                # HELP uptime_seconds_total Read at each scrape.
                # TYPE uptime_seconds_total counter
                uptime_seconds_total 1500000

                """)
    }

    @Test("a family without series is not shown; a metric without labels is shown from the start")
    func empty() throws {
        let registry = MetricRegistry()
        #expect(registry.page == "")
        _ = try registry.counter("a_total", help: "A.", labels: .label("x", as: String.self))
        #expect(registry.page == "")
        _ = try registry.counter("b_total", help: "B.")
        #expect(registry.samples == ["b_total 0"])
    }

    @Test("declaring the same again returns the same series")
    func redeclare() throws {
        let registry = MetricRegistry()
        let first = try registry.counter("a_total", help: "A.", labels: .label("x", as: String.self))
        first("1").increment()
        let second = try registry.counter("a_total", help: "A.", labels: .label("x", as: String.self))
        second("1").increment()
        #expect(first("1") === second("1"))
        #expect(registry.samples == ["a_total{x=\"1\"} 2"])
    }

    @Test("constant labels come first and clash with labels of the same name")
    func constantLabels() throws {
        let registry = MetricRegistry(constantLabels: ["zone": "eu\"1"])
        try registry.counter("a_total", help: "A.", constantLabels: ["shard": "7"], labels: .label("x", as: Bool.self))(true)
            .increment()
        registry.collect { $0.gauge("c", help: "C.", 1, labels: [("b", "2")]) }
        #expect(registry.samples == [#"a_total{zone="eu\"1",shard="7",x="true"} 1"#, #"c{zone="eu\"1",b="2"} 1"#])
        #expect(throws: MetricError.duplicateLabelName("zone", metric: "b_total")) {
            try registry.counter("b_total", help: "B.", labels: .label("zone", as: String.self))
        }
    }

    @Test("UTF-8 names are quoted where they are allowed")
    func utf8Names() throws {
        let registry = MetricRegistry(names: .utf8)
        try registry.counter("http.requests", help: "A.", labels: .label("http.method", as: Method.self))(.get).increment()
        try registry.histogram("time taken", help: "B.", buckets: [1]).observe(0.5)
        #expect(
            registry.page == """
                # HELP "http.requests" A.
                # TYPE "http.requests" counter
                {"http.requests","http.method"="get"} 1
                # HELP "time taken" B.
                # TYPE "time taken" histogram
                {"time taken_bucket",le="1"} 1
                {"time taken_bucket",le="+Inf"} 1
                {"time taken_sum"} 0.5
                {"time taken_count"} 1

                """)
        #expect(registry.contentType.contains("escaping=allow-utf-8"))
    }

    @Test("what can't be declared throws and says why")
    func misuse() throws {
        let registry = MetricRegistry()
        _ = try registry.counter("a_total", help: "A.")
        _ = try registry.histogram("h", help: "H.", buckets: [1, 2])
        #expect(throws: MetricError.invalidMetricName("1a")) { try registry.counter("1a", help: "") }
        #expect(throws: MetricError.invalidMetricName("a-b")) { try registry.gauge("a-b", help: "") }
        #expect(throws: MetricError.invalidMetricName("")) { try registry.gauge("", help: "") }
        #expect(throws: MetricError.invalidLabelName("a:b", metric: "b")) {
            try registry.gauge("b", help: "", labels: .label("a:b", as: Int.self))
        }
        #expect(throws: MetricError.declaredDifferently("a_total", difference: "type")) {
            try registry.gauge("a_total", help: "A.")
        }
        #expect(throws: MetricError.declaredDifferently("a_total", difference: "help text")) {
            try registry.counter("a_total", help: "B.")
        }
        #expect(throws: MetricError.declaredDifferently("h", difference: "set of buckets")) {
            try registry.histogram("h", help: "H.", buckets: [1])
        }
        #expect(throws: MetricError.declaredDifferently("a_total", difference: "source of values")) {
            try registry.counter("a_total", help: "A.") { 1 }
        }
        #expect(throws: MetricError.nameTaken("h_sum", by: "h")) { try registry.counter("h_sum", help: "") }
        _ = try registry.counter("k_count", help: "")
        #expect(throws: MetricError.nameTaken("k", by: "k_count")) { try registry.summary("k", help: "", quantiles: []) }
        for buckets in [Buckets([]), [1, 1], [2, 1], [.nan], [-.infinity, 1], .linear(start: 0, width: 1, count: 513)] {
            #expect(throws: MetricError.invalidBuckets(metric: "x")) { try registry.histogram("x", help: "", buckets: buckets) }
        }
        #expect(throws: MetricError.invalidQuantiles(metric: "x")) {
            try registry.summary("x", help: "", quantiles: [Quantile(1.5, error: 0.1)])
        }
        #expect(MetricError.nameTaken("k", by: "k_count").description.contains("k_count"))
    }

    @Test("callbacks are read at every scrape, and a second one for the name is refused")
    func callbacks() throws {
        let registry = MetricRegistry()
        let time = TestTime()
        try registry.gauge("now_seconds", help: "Now.") { Double(time.wallMs()) / 1000 }
        #expect(registry.samples == ["now_seconds 1700000001"])
        time.advance(ms: 1500)
        #expect(registry.samples == ["now_seconds 1700000002.5"])
        #expect(throws: MetricError.declaredDifferently("now_seconds", difference: "source of values")) {
            try registry.gauge("now_seconds", help: "Now.") { 0 }
        }
    }
}
