import ApusExposition
import ApusModel
import Synchronization
import Testing

@testable import ApusMetrics

@Suite("Exemplars and creation") struct ExemplarTests {
    private func page(_ registry: MetricRegistry) -> [String] {
        var page: [UInt8] = []
        registry.render(into: &page, as: .openMetrics)
        return String(decoding: page, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    }

    @Test("a given one stands behind the counter, or behind its bucket, until the next")
    func explicit() throws {
        let registry = MetricRegistry(time: TestTime())
        let counter = try registry.counter("a_total", help: "")
        counter.increment(by: 2, exemplar: [("trace_id", "1")])
        counter.increment(exemplar: [("trace_id", "2")])
        counter.increment()
        let histogram = try registry.histogram("h", help: "", buckets: [1])
        histogram.observe(0.5, exemplar: [("trace_id", "3")])
        histogram.observe(7, exemplar: [("trace_id", "4")])
        histogram.observe(0.75)
        #expect(
            page(registry) == [
                #"a_total 4 # {trace_id="2"} 1 1700000001"#, #"h_bucket{le="1.0"} 2 # {trace_id="3"} 0.5 1700000001"#,
                #"h_bucket{le="+Inf"} 3 # {trace_id="4"} 7 1700000001"#, "h_sum 8.25", "h_count 3",
            ])
        // The text format has no place for them.
        #expect(registry.samples.first == "a_total 4")
    }

    @Test("one that can't be is dropped and counted; the update is not")
    func refused() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "")
        counter.increment(exemplar: [("trace_id", String(repeating: "x", count: 121))])
        counter.increment(exemplar: [("bad name", "1")])
        #expect(counter.value == 2)
        #expect(registry.faults[.badExemplar] == 2)
        #expect(page(registry) == ["a_total 2"])
        counter.increment(exemplar: [("trace_id", String(repeating: "é", count: 120))])
        #expect(registry.faults[.badExemplar] == 2)
    }

    @Test("a provider is asked at updates, not more often than it should be")
    func provider() throws {
        let time = TestTime()
        let asked = Atomic<Int>(0)
        let registry = MetricRegistry(
            time: time,
            exemplarProvider: {
                let number = asked.wrappingAdd(1, ordering: .relaxed).newValue
                return number == 2 ? nil : [("trace_id", "t\(number)")]
            }, exemplarIntervalMs: 1000)
        let counter = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        for _ in 0..<100 { counter.increment(1) }
        #expect(asked.load(ordering: .relaxed) == 1)
        #expect(page(registry) == [#"a_total{x="1"} 100 # {trace_id="t1"} 1 1700000001"#])
        time.advance(ms: 1000)
        counter.increment(1)
        #expect(page(registry) == [#"a_total{x="1"} 101 # {trace_id="t1"} 1 1700000001"#])
        time.advance(ms: 1000)
        counter(1).increment(by: 5)
        #expect(page(registry) == [#"a_total{x="1"} 106 # {trace_id="t3"} 5 1700000003"#])
        let histogram = try registry.histogram("h", help: "", buckets: [1])
        for value in [0.5, 2, 0.5] { histogram.observe(value) }
        #expect(asked.load(ordering: .relaxed) == 5)
    }

    @Test("what counts tells since when, and a reset begins anew")
    func created() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        let counter = try registry.counter("a_total", help: "")
        _ = try registry.gauge("g", help: "")
        counter.increment(by: 5)
        counter.increment(by: 0.5)
        #expect(registry.gather().map { $0.points.first?.createdMs } == [1_700_000_001_000, nil])
        time.advance(ms: 2000)
        counter.reset()
        #expect(counter.value == 0)
        counter.increment(by: 1.5)
        #expect(counter.value == 1.5)
        #expect(registry.gather().first?.points.first?.createdMs == 1_700_000_003_000)
        counter.reset()
        counter.increment(by: Int.max)
        counter.increment(by: Int.max)
        counter.increment(by: Int.max)
        counter.reset()
        counter.increment(by: 3)
        // What went over to the doubles is kept at their precision.
        #expect(counter.value == 3)
    }
}
