import ApusMetrics
import Testing

/// Faults that other Swift metric libraries had, each as a test: what must not happen here.
@Suite("Known defects elsewhere") struct KnownDefectsTests {
    @Test("label values are escaped: none can break the page or inject a series (SPD-01)")
    func escaping() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "A.", labels: .label("x", as: String.self))
        counter("1\"} 5\nb_total 7\n\\").increment()
        #expect(registry.samples == [#"a_total{x="1\"} 5\nb_total 7\n\\"} 1"#])
    }

    @Test("one set of labels in two orders is one series (SPD-02)")
    func labelOrder() throws {
        let registry = MetricRegistry()
        registry.collect { sink in
            sink.gauge("g", help: "G.", 1, labels: [("a", "1"), ("b", "2")])
            sink.gauge("g", help: "G.", 2, labels: [("b", "2"), ("a", "1")])
        }
        #expect(registry.samples == [#"g{a="1",b="2"} 1"#])
        #expect(registry.faults.droppedCollectedSamples == 1)
        // Declared labels have one order, by type: another is another declaration.
        _ = try registry.counter("c_total", help: "C.", labels: .label("a", as: String.self), .label("b", as: String.self))
        #expect(throws: MetricError.declaredDifferently("c_total", difference: "set of label names")) {
            try registry.counter("c_total", help: "C.", labels: .label("b", as: String.self), .label("a", as: String.self))
        }
    }

    @Test("another type, help, label set or bucket set for a name throws (SPD-03)")
    func conflictingDeclarations() throws {
        let registry = MetricRegistry()
        _ = try registry.counter("x_total", help: "X.", labels: .label("a", as: String.self))
        #expect(throws: MetricError.declaredDifferently("x_total", difference: "set of label names")) {
            try registry.counter("x_total", help: "X.")
        }
        #expect(throws: MetricError.declaredDifferently("x_total", difference: "type of label values")) {
            try registry.counter("x_total", help: "X.", labels: .label("a", as: Int.self))
        }
        #expect(throws: MetricError.declaredDifferently("x_total", difference: "type")) {
            try registry.gauge("x_total", help: "X.", labels: .label("a", as: String.self))
        }
        #expect(throws: MetricError.declaredDifferently("x_total", difference: "help text")) {
            try registry.counter("x_total", help: "Y.", labels: .label("a", as: String.self))
        }
        _ = try registry.histogram("h", help: "H.", buckets: [1])
        #expect(throws: MetricError.declaredDifferently("h", difference: "set of buckets")) {
            try registry.histogram("h", help: "H.", buckets: [2])
        }
    }

    @Test("a negative or senseless increment is dropped and counted (SPD-04)")
    func negativeIncrement() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "A.")
        counter.increment(by: 2)
        counter.increment(by: -1)
        counter.increment(by: Int.min)
        for amount in [-0.5, .nan, .infinity, -.infinity] { counter.increment(by: amount) }
        counter.increment(by: -0.0)
        #expect(counter.value == 2)
        #expect(registry.faults.badIncrements == 6)
    }

    @Test("a negative sum, from a clock that stepped back, is written like any number (SPD-05)")
    func negativeSum() throws {
        let registry = MetricRegistry()
        let histogram = try registry.histogram("h_seconds", help: "H.", buckets: [1])
        histogram.observe(-5e-9)
        for value in [Double.nan, .infinity, -.infinity] { histogram.observe(value) }
        #expect(
            registry.samples == [
                "h_seconds_bucket{le=\"1\"} 1", "h_seconds_bucket{le=\"+Inf\"} 1", "h_seconds_sum -5e-09", "h_seconds_count 1",
            ])
        #expect(registry.faults.badObservations == 3)
    }

    @Test("the cost of a new label set does not grow with those there are (SPD-06)", .timeLimit(.minutes(1)))
    func manyLabelSets() throws {
        // Copying the family for each of them would be 20,000² ÷ 2 entries: minutes. Each is checked to be its own.
        let registry = MetricRegistry(seriesLimit: 100_000)
        let counter = try registry.counter("a_total", help: "A.", labels: .label("n", as: Int.self))
        for number in 0..<20_000 { counter(number).increment(by: number) }
        #expect(counter.count == 20_000)
        for number in 0..<20_000 where counter(number).value != Double(number) { Issue.record("series \(number)") }
    }

    @Test("digits in names are digits (SPD-07)")
    func digitsInNames() throws {
        let registry = MetricRegistry()
        try registry.counter("a0123456789_total", help: "A.", labels: .label("b0123456789", as: Int.self))(1).increment()
        #expect(registry.samples == ["a0123456789_total{b0123456789=\"1\"} 1"])
    }

    @Test("help text keeps its characters, with backslash and newline escaped (SPD-08)")
    func helpEscaping() throws {
        let registry = MetricRegistry()
        _ = try registry.counter("a_total", help: "C:\\dir\nnext\t\"quoted\" é")
        #expect(registry.page.hasPrefix("# HELP a_total C:\\\\dir\\nnext\t\"quoted\" é\n"))
    }

    @Test("families and series come out in one order, whatever the order of their making (SPD-09)")
    func order() throws {
        func page(_ names: [String]) throws -> String {
            let registry = MetricRegistry()
            registry.collect { sink in for name in names { sink.gauge("k_" + name, help: "K.", 1) } }
            for name in names {
                let family = try registry.gauge(name, help: "G.", labels: .label("n", as: String.self))
                for value in names { family(value).set(1) }
            }
            return registry.page
        }
        let names = (0..<30).map { "m\($0)" }
        #expect(try page(names) == page(names.reversed()))
        #expect(try page(names) == page(names.shuffled()))
    }

    @Test("reserved and repeated label names and clashes of suffixes are refused (SPD-10)")
    func reservedNames() throws {
        let registry = MetricRegistry()
        for name in ["le", "quantile", "__x", "__name__"] {
            #expect(throws: MetricError.reservedLabelName(name, metric: "a")) {
                try registry.gauge("a", help: "", labels: .label(name, as: Int.self))
            }
        }
        #expect(throws: MetricError.duplicateLabelName("x", metric: "a")) {
            try registry.gauge("a", help: "", labels: .label("x", as: Int.self), .label("x", as: Int.self))
        }
        _ = try registry.histogram("h", help: "")
        for name in ["h_bucket", "h_sum", "h_count"] {
            #expect(throws: MetricError.nameTaken(name, by: "h")) { try registry.counter(name, help: "") }
        }
        _ = try registry.counter("j_bucket", help: "")
        #expect(throws: MetricError.nameTaken("j", by: "j_bucket")) { try registry.histogram("j", help: "") }
        registry.collect { $0.counter("h_sum", help: "", 1) }
        #expect(!registry.samples.contains("h_sum 1"))
    }

    @Test("callbacks, collectors, summaries and a content type are there (SPD-11)")
    func features() throws {
        let registry = MetricRegistry()
        try registry.gauge("callback", help: "") { 1 }
        registry.collect { $0.gauge("collected", help: "", 2) }
        try registry.summary("summary", help: "", quantiles: [Quantile(0.5, error: 0)]).observe(3)
        #expect(
            registry.samples == ["callback 1", "collected 2", "summary{quantile=\"0.5\"} 3", "summary_sum 3", "summary_count 1"])
        #expect(registry.contentType == "text/plain; version=0.0.4; charset=utf-8")
    }

    @Test("whole and fractional amounts are one counter, which never wraps (SPD-12)")
    func mixedAmounts() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "A.")
        counter.increment(by: Int.max)
        counter.increment(by: Int.max)
        counter.increment(by: Int.max)
        counter.increment(by: 0.5)
        #expect(counter.value == 3 * Double(Int.max))
        counter.increment(by: 1e300)
        #expect(counter.value == 1e300)
    }
}
