import ApusExposition
import Testing

@testable import ApusMetrics

@Suite("Lives of labelled series") struct FamilyLifeTests {
    @Test("a curried family is the same family with its first label fixed")
    func currying() throws {
        let registry = MetricRegistry()
        let requests = try registry.counter(
            "a_total", help: "", labels: .label("method", as: Method.self), .label("status", as: Int.self),
            .label("path", as: String.self))
        let gets = curry(requests, .get)
        let found = curry(gets, 200)
        found("/").increment()
        gets.increment(200, "/")
        requests(.get, 200, "/").increment()
        #expect(registry.samples == [#"a_total{method="get",status="200",path="/"} 3"#])
        let long = String(repeating: "x", count: 500)
        found.increment(long)
        #expect(gets(200, long).value == 1)
        #expect(found.remove("/"))
        #expect(requests.count == 1)
    }

    @Test("updates without a handle are those of the series")
    func direct() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        counter.increment(1)
        counter.increment(by: 4, 1)
        counter.increment(by: -4, 1)
        #expect(counter(1).value == 5)
        #expect(registry.faults.badIncrements == 1)
        let histogram = try registry.histogram("h", help: "", buckets: [1], labels: .label("x", as: Int.self))
        for value in [0.5, 2, .nan] { histogram.observe(value, 7) }
        #expect(histogram(7).snapshot().counts == [1, 1])
        #expect(registry.faults.badObservations == 1)
        let native = try registry.histogram("n", help: "", buckets: .none, native: NativeBuckets(), labels: .label("x", as: Int.self))
        native.observe(2, 1)
        native.observe(2, 1)
        #expect(native(1).snapshot().count == 2)
    }

    @Test("all series with given label values are removed, whatever their others")
    func partialRemoval() throws {
        let registry = MetricRegistry()
        let family = try registry.counter(
            "a_total", help: "", constantLabels: ["zone": "eu"], labels: .label("method", as: Method.self), .label("status", as: Int.self))
        for status in [200, 404, 500] {
            family.increment(.get, status)
            family.increment(.post, status)
        }
        #expect(family.removeAll(where: [("method", "get"), ("status", "404")]) == 1)
        #expect(family.removeAll(where: [("method", "get"), ("zone", "us")]) == 0)
        #expect(family.removeAll(where: [("method", "post"), ("zone", "eu")]) == 3)
        #expect(family.removeAll(where: [("nothing", "here")]) == 0)
        #expect(family.count == 2)
        #expect(family.removeAll(where: [("nothing", "")]) == 2)
    }

    @Test("a series that nobody touches goes after its time; one that is used stays")
    func expiry() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        let family = try registry.gauge("g", help: "", expiresAfterMs: 10_000, labels: .label("x", as: Int.self))
        let kept = family(1)
        family(2).set(2)
        family(3).set(3)
        #expect(registry.samples.count == 3)
        time.advance(ms: 6000)
        // The same value as before is an update, too, and so is being asked for.
        kept.set(0)
        _ = family(2)
        #expect(registry.samples.count == 3)
        time.advance(ms: 6000)
        #expect(registry.samples == [#"g{x="1"} 0"#, #"g{x="2"} 2"#])
        time.advance(ms: 20_000)
        #expect(registry.samples == [])
        #expect(family.count == 0)
        family(3).set(4)
        #expect(registry.samples == [#"g{x="3"} 4"#])
        #expect(throws: MetricError.invalidExpiry(metric: "h")) {
            try registry.gauge("h", help: "", expiresAfterMs: 0, labels: .label("x", as: Int.self))
        }
    }

    @Test("counters and histograms expire by their updates too, and make room at the limit")
    func expiryOfCounters() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        let counter = try registry.counter("c_total", help: "", seriesLimit: 2, expiresAfterMs: 1000, labels: .label("x", as: Int.self))
        let histogram = try registry.histogram("h", help: "", buckets: [1], expiresAfterMs: 1000, labels: .label("x", as: Int.self))
        let (one, observed) = (counter(1), histogram(1))
        counter.increment(2)
        histogram.observe(1, 2)
        _ = registry.page
        time.advance(ms: 1000)
        one.increment()
        observed.observe(1)
        _ = registry.page
        #expect(counter.count == 1)
        #expect(histogram.count == 1)
        counter.increment(3)
        _ = registry.page
        time.advance(ms: 1000)
        counter.increment(4)
        #expect(registry.faults.overflowedLabelSets == 0)
        #expect(counter.count == 1)
    }

    @Test("series with label names of their own, in any order")
    func open() throws {
        let registry = MetricRegistry(constantLabels: ["zone": "eu"])
        let family = try registry.openCounter("a_total", help: "", seriesLimit: 3)
        try family([("b", "2"), ("a", "1")]).increment()
        try family([("a", "1"), ("b", "2")]).increment()
        try family([("a", "1"), ("c", "")]).increment()
        try family([]).increment()
        try family([("d", "1")]).increment()
        #expect(
            Set(registry.samples) == [
                #"a_total{zone="eu",a="1",b="2"} 2"#, #"a_total{zone="eu",a="1"} 1"#, #"a_total{zone="eu"} 1"#,
                #"a_total{zone="eu",overflow="__overflow__"} 1"#,
            ])
        #expect(throws: MetricError.duplicateLabelName("zone", metric: "a_total")) { try family([("zone", "us")]) }
        #expect(throws: MetricError.duplicateLabelName("a", metric: "a_total")) { try family([("a", "1"), ("a", "2")]) }
        #expect(throws: MetricError.reservedLabelName("le", metric: "a_total")) { try family([("le", "1")]) }
        #expect(throws: MetricError.invalidLabelName("a-b", metric: "a_total")) { try family([("a-b", "1")]) }
        #expect(family.remove(try family([("a", "1")])))
        #expect(family.count == 2)
    }

    @Test("a family's page stays right while values change and series come and go", arguments: [1, 2, 3])
    func cachedLines(seed: Int) throws {
        var random = Xorshift(state: UInt64(seed))
        let registry = MetricRegistry()
        let counter = try registry.counter("c_total", help: "C.", labels: .label("x", as: Int.self))
        let histogram = try registry.histogram("h", help: "H.", buckets: [1, 10], labels: .label("x", as: Int.self))
        let summary = try registry.summary("s", help: "S.", quantiles: [Quantile(0.5, error: 0)], labels: .label("x", as: Int.self))
        for _ in 0..<60 {
            for _ in 0..<(random.next() % 8) {
                let key = Int(random.next() % 12)
                switch random.next() % 8 {
                case 0: counter.remove(key)
                case 1: histogram.remove(key)
                case 2: counter.increment(by: Int(random.next() % 100_000), key)
                case 3: counter(key).increment(by: Double(random.next() % 1000) / 7)
                case 4: summary(key).observe(Double(random.next() % 50))
                default: histogram.observe(Double(random.next() % 20), key)
                }
            }
            // What is copied from the last page must be what is written from scratch; histograms that fall below zero lose
            // their sum in OpenMetrics.
            if random.next() % 4 == 0 { histogram.observe(Double(random.next() % 60) - 30, 3) }
            for encoding in [PageEncoding.text, .openMetrics] {
                var writer = PageWriter(encoding)
                for family in registry.gather() { writer.write(family) }
                var page: [UInt8] = []
                registry.render(into: &page, as: encoding)
                #expect(String(decoding: page, as: UTF8.self) == String(decoding: writer.finish(), as: UTF8.self))
            }
        }
    }
}
