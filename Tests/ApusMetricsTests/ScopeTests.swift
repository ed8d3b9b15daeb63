import Testing

@testable import ApusMetrics

@Suite("Scopes, merging, unregistering") struct ScopeTests {
    @Test("a scope puts its prefix and labels before what is declared through it")
    func scopes() throws {
        let registry = MetricRegistry(constantLabels: ["zone": "eu"])
        let http = registry.scoped(prefix: "http_", constantLabels: ["listener": "public"])
        try http.counter("requests_total", help: "R.", labels: .label("code", as: Int.self)).increment(200)
        try http.scoped(prefix: "v2_").gauge("open", help: "O.").set(3)
        http.collect { $0.gauge("collected", help: "C.", 1, labels: [("a", "b")]) }
        #expect(
            registry.samples == [
                #"http_collected{zone="eu",listener="public",a="b"} 1"#,
                #"http_requests_total{zone="eu",listener="public",code="200"} 1"#, #"http_v2_open{zone="eu",listener="public"} 3"#,
            ])
        // One registry, whichever scope shows it.
        #expect(http.page == registry.page)
        #expect(throws: MetricError.duplicateLabelName("listener", metric: "http_x")) {
            try http.gauge("x", help: "", labels: .label("listener", as: Int.self))
        }
    }

    @Test("one name in several scopes is one family, under one header")
    func siblings() throws {
        let registry = MetricRegistry()
        for shard in ["b", "a"] {
            let scope = registry.scoped(constantLabels: ["shard": shard])
            try scope.counter("jobs_total", help: "J.", labels: .label("kind", as: String.self)).increment("mail")
        }
        #expect(
            registry.page == """
                # HELP jobs_total J.
                # TYPE jobs_total counter
                jobs_total{shard="a",kind="mail"} 1
                jobs_total{shard="b",kind="mail"} 1

                """)
        #expect(registry.gather().count == 1)
        let other = registry.scoped(constantLabels: ["shard": "c"])
        #expect(throws: MetricError.declaredDifferently("jobs_total", difference: "help text")) {
            try other.counter("jobs_total", help: "K.", labels: .label("kind", as: String.self))
        }
        #expect(throws: MetricError.declaredDifferently("jobs_total", difference: "set of label names")) {
            try other.counter("jobs_total", help: "J.")
        }
        // The same label, once constant and once not, could give one series twice.
        #expect(throws: MetricError.declaredDifferently("jobs_total", difference: "set of constant labels")) {
            try registry.counter("jobs_total", help: "J.", labels: .label("shard", as: String.self), .label("kind", as: String.self))
        }
        // Constant labels in another order are the same labels.
        let first = try registry.gauge("g", help: "", constantLabels: ["a": "1", "b": "2"])
        #expect(try registry.gauge("g", help: "", constantLabels: ["b": "2", "a": "1"]) === first)
    }

    @Test("registries are shown together: what agrees is put together, what does not is left out and counted")
    func merge() throws {
        let (first, second) = (MetricRegistry(), MetricRegistry())
        try first.counter("a_total", help: "A.", labels: .label("x", as: Int.self)).increment(1)
        try second.counter("a_total", help: "A.", labels: .label("x", as: Int.self)).increment(2)
        try second.counter("a_total", help: "A.", labels: .label("x", as: Int.self)).increment(1)
        try first.gauge("b", help: "B.").set(1)
        try second.gauge("b", help: "Other.").set(2)
        second.collect { $0.gauge("c", help: "C.", 3) }
        let both = MetricRegistry.merged([first, second])
        #expect(both.samples == [#"a_total{x="1"} 1"#, #"a_total{x="2"} 1"#, "b 1", "c 3"])
        #expect(both.faults.droppedCollectedSamples == 2)
        // Including in a circle shows everything once.
        first.include(second)
        second.include(first)
        first.include(first)
        #expect(first.samples == both.samples)
        #expect(second.samples.contains("b 2"))
    }

    @Test("what was unregistered is gone, its name free, its handle harmless")
    func unregister() throws {
        let registry = MetricRegistry()
        let scope = registry.scoped(prefix: "x_")
        let old = try scope.histogram("h", help: "", buckets: [1])
        #expect(scope.unregister("h"))
        #expect(!scope.unregister("h"))
        old.observe(1)
        #expect(registry.page == "")
        try registry.counter("x_h_sum", help: "").increment()
        #expect(registry.samples == ["x_h_sum 1"])
        let token = registry.collect { $0.gauge("c", help: "", 1) }
        #expect(registry.samples.contains("c 1"))
        #expect(registry.remove(token))
        #expect(!registry.remove(token))
        #expect(!registry.samples.contains("c 1"))
    }

    @Test("the lint says what promtool says, and nothing of good names")
    func lint() throws {
        let registry = MetricRegistry()
        try registry.counter("good_bytes_total", help: "G.", unit: "bytes").increment()
        try registry.histogram("good_seconds", help: "G.").observe(1)
        #expect(registry.lint() == [])
        _ = try registry.counter("requests", help: "R.")
        _ = try registry.gauge("wait_ms", help: "")
        try registry.gauge("queueLength_total", help: "Q.", labels: .label("queueName", as: Int.self))(1).set(1)
        _ = try registry.gauge("a:b", help: "A.")
        #expect(
            Set(registry.lint().map(\.description)) == [
                "requests counter metrics should have \"_total\" suffix", "wait_ms no help text",
                "wait_ms metric names should not contain abbreviated units",
                "queueLength_total non-counter metrics should not have \"_total\" suffix",
                "queueLength_total metric names should be written in 'snake_case' not 'camelCase'",
                "queueLength_total label names should be written in 'snake_case' not 'camelCase'",
                "a:b metric names should not contain ':'",
            ])
    }

    @Test("faults are shown as a metric, all causes from the start")
    func faultMetrics() throws {
        let registry = MetricRegistry()
        registry.registerFaultMetrics()
        try registry.counter("a_total", help: "").increment(by: -1)
        #expect(registry.samples.count == UpdateFaults.Cause.allCases.count + 1)
        #expect(registry.samples.contains(#"apus_metrics_faults_total{cause="bad_increment"} 1"#))
        #expect(registry.samples.contains(#"apus_metrics_faults_total{cause="late_collector"} 0"#))
    }
}
