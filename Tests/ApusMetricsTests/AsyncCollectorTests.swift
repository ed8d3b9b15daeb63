import ApusExposition
import ApusModel
import Synchronization
import Testing

@testable import ApusMetrics

@Suite("Collectors that throw or take long") struct AsyncCollectorTests {
    struct Failure: Error {}

    private func samples(_ registry: MetricRegistry) async -> [String] {
        String(decoding: await registry.page(), as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    }

    @Test("one that throws is left out whole, the others are there")
    func throwing() async throws {
        let registry = MetricRegistry()
        registry.collect { sink in
            sink.gauge("half", help: "", 1)
            throw Failure()
        }
        registry.collect { $0.gauge("good", help: "", 2) }
        // A machine that is busy must not make them late.
        registry.collectAsync(timeoutMs: 3_600_000) { sink in
            sink.gauge("half_async", help: "", 1)
            throw Failure()
        }
        registry.collectAsync(timeoutMs: 3_600_000) { sink in
            await Task.yield()
            sink.gauge("good_async", help: "", 3)
        }
        #expect(await samples(registry) == ["good 2", "good_async 3"])
        #expect(registry.faults[.failedCollector] == 2)
        // A page that cannot wait is without those that must be waited for.
        #expect(registry.samples == ["good 2"])
        #expect(await registry.gatherAll().map(\.name) == ["good", "good_async"])
    }

    @Test("one that is late is left out, is not started again while it runs, and is back when it has ended")
    func late() async throws {
        let registry = MetricRegistry()
        let (gate, opened) = AsyncStream<Void>.makeStream()
        let calls = Atomic<Int>(0)
        let ended = Atomic<Bool>(false)
        registry.collectAsync(timeoutMs: 1) { sink in
            if calls.wrappingAdd(1, ordering: .relaxed).newValue == 1 {
                for await _ in gate {}
                ended.store(true, ordering: .releasing)
            }
            sink.gauge("slow", help: "", 1)
        }
        registry.collect { $0.gauge("fast", help: "", 1) }
        #expect(await samples(registry) == ["fast 1"])
        #expect(await samples(registry) == ["fast 1"])
        #expect(calls.load(ordering: .relaxed) == 1)
        #expect(registry.faults[.lateCollector] == 2)
        opened.finish()
        while !ended.load(ordering: .acquiring) { await Task.yield() }
        // The limit of a millisecond may be passed by a machine that is busy; then it is asked again.
        var found: [String] = []
        while found.count < 2 { found = await samples(registry) }
        #expect(found == ["fast 1", "slow 1"])
    }

    @Test("constant metrics carry timestamps, creations and exemplars of their own")
    func constants() throws {
        let registry = MetricRegistry()
        registry.collect { sink in
            sink.family("a_total", help: "A.", type: .counter) {
                $0.sample(
                    5, labels: [("b", "2"), ("a", "1")], timestampMs: 1500, createdMs: 500,
                    exemplar: Exemplar(labels: ["t": "x"], value: 1, timestampMs: 1250))
                $0.sample(-1)
                $0.sample(.nan)
            }
            sink.info("i_info", help: "", [("v", "1")])
            sink.family("s", help: "", type: .stateset) { $0.states([("on", true)]) }
            sink.add(FamilySnapshot(name: "u", type: .unknown, points: [MetricPoint(value: .number(7), timestampMs: -3)]))
            sink.family("h", help: "", type: .histogram) { $0.histogram(upperBounds: [2, 1], counts: [1, 1, 1], sum: 1) }
            sink.family("m", help: "", unit: "", type: .gauge) { $0.summary(quantiles: [], sum: 1, count: 1) }
        }
        #expect(registry.samples == [#"a_total{a="1",b="2"} 5 1500"#, #"i_info{v="1"} 1"#, #"s{s="on"} 1"#, "u 7 -3"])
        // Two numbers that do not count, bounds out of order, a summary among gauges.
        #expect(registry.faults.droppedCollectedSamples == 4)
        var page: [UInt8] = []
        registry.render(into: &page, as: .openMetrics)
        #expect(String(decoding: page, as: UTF8.self).contains(#"a_total{a="1",b="2"} 5 1.500 # {t="x"} 1 1.250"#))
    }
}
