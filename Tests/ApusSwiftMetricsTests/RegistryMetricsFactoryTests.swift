import ApusMetrics
import CoreMetrics
import Synchronization
import Testing

@testable import ApusSwiftMetrics

/// What a factory reported.
final class Reports: Sendable {
    private let list = Mutex<[MetricConflict]>([])
    var all: [MetricConflict] { list.withLock { $0 } }
    func add(_ conflict: MetricConflict) { list.withLock { $0.append(conflict) } }
}

/// A registry, a factory for it, and what it reports.
struct Bench {
    let registry = MetricRegistry()
    let factory: RegistryMetricsFactory
    let reports = Reports()

    init(_ change: (inout SwiftMetricsOptions) -> Void = { _ in }) {
        var options = SwiftMetricsOptions()
        let reports = reports
        options.report = { reports.add($0) }
        change(&options)
        factory = RegistryMetricsFactory(registry, options: options)
    }

    /// The page's lines of samples, without those about conflicts.
    var samples: [String] {
        String(decoding: registry.renderText(), as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { !$0.hasPrefix("#") && !$0.hasPrefix("swift_metrics_conflicts_total") }
    }
}

@Suite("swift-metrics") struct RegistryMetricsFactoryTests {
    @Test("each type becomes what it should, through the library's own types")
    func types() throws {
        let bench = Bench {
            $0.timerBuckets = [0.1, 1]
            $0.recorderBuckets = [10]
        }
        withMetricsFactory(bench.factory) {
            CoreMetrics.Counter(label: "http.requests", dimensions: [("method", "get")]).increment(by: 2)
            FloatingPointCounter(label: "energy.joules").increment(by: 1.5)
            CoreMetrics.Gauge(label: "queue.depth").record(7)
            Meter(label: "connections").increment(by: 3)
            Recorder(label: "last.size", aggregate: false).record(5)
            Recorder(label: "sizes", aggregate: true).record(12)
            Timer(label: "request.duration").recordNanoseconds(500_000_000)
        }
        #expect(
            bench.samples == [
                "connections 3", "energy_joules_total 1.5", "http_requests_total{method=\"get\"} 2", "last_size 5",
                "queue_depth 7",
                "request_duration_seconds_bucket{le=\"0.1\"} 0", "request_duration_seconds_bucket{le=\"1\"} 1",
                "request_duration_seconds_bucket{le=\"+Inf\"} 1", "request_duration_seconds_sum 0.5",
                "request_duration_seconds_count 1", "sizes_bucket{le=\"10\"} 0", "sizes_bucket{le=\"+Inf\"} 1", "sizes_sum 12",
                "sizes_count 1",
            ])
        #expect(bench.factory.conflictCount == 0)
    }

    @Test("plain naming adds no endings")
    func plain() {
        let bench = Bench { $0.naming = .plain }
        bench.factory.makeCounter(label: "hb.requests", dimensions: []).increment(by: 1)
        #expect(bench.samples == ["hb_requests 1"])
    }

    @Test(
        "names are made fit",
        arguments: [
            ("a.b-c d", "a_b_c_d"), ("9lives", "_9lives"), ("", "_"), ("é.x", "__x"), ("ok:rule", "ok:rule"), ("a\"\n\\", "a___"),
        ])
    func names(label: String, expected: String) { #expect(metricName(label) == expected) }

    @Test("label names that belong to Prometheus are moved aside, and values are escaped")
    func labels() {
        let bench = Bench()
        bench.factory.makeMeter(label: "m", dimensions: [("le", "1"), ("quantile", "2"), ("__name__", "3"), ("a.b", "\"\n\\")])
            .set(1.0)
        #expect(
            bench.samples == ["m{a_b=\"\\\"\\n\\\\\",exported___name__=\"3\",exported_le=\"1\",exported_quantile=\"2\"} 1"])
    }

    @Test("the same label and dimensions in any order are the same series")
    func order() {
        let bench = Bench()
        for dimensions in [[("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")], [("a", "1"), ("b", "2")]] {
            bench.factory.makeCounter(label: "c", dimensions: dimensions).increment(by: 1)
        }
        #expect(bench.samples == ["c_total{a=\"1\",b=\"2\"} 3"])
        let one = bench.factory.makeCounter(label: "c", dimensions: [("a", "1"), ("b", "2")])
        let two = bench.factory.makeCounter(label: "c", dimensions: [("b", "2"), ("a", "1")])
        #expect(one === two)
    }

    @Test("a counter is one for whole and for fractional amounts")
    func bothCounters() {
        let bench = Bench()
        bench.factory.makeCounter(label: "c", dimensions: []).increment(by: 2)
        bench.factory.makeFloatingPointCounter(label: "c", dimensions: []).increment(by: 0.5)
        #expect(bench.samples == ["c_total 2.5"])
    }

    @Test("other dimensions for one label, as servers give for success and error: counted, reported once, both shown")
    func inconsistentDimensions() throws {
        let bench = Bench()
        for _ in 0..<3 {
            bench.factory.makeCounter(label: "hb.requests", dimensions: [("route", "/"), ("status", "200")]).increment(by: 1)
            bench.factory.makeCounter(label: "hb.requests", dimensions: [("route", "/"), ("error", "timeout")]).increment(by: 1)
            bench.factory.makeCounter(label: "hb.requests", dimensions: []).increment(by: 1)
        }
        #expect(
            bench.samples == [
                "hb_requests_total 3", "hb_requests_total{error=\"timeout\",route=\"/\"} 3",
                "hb_requests_total{route=\"/\",status=\"200\"} 3",
            ])
        #expect(bench.reports.all.map(\.kind) == [.dimensions, .dimensions])
        #expect(bench.factory.conflictCount == 2)
        let page = String(decoding: bench.registry.renderText(), as: UTF8.self)
        #expect(page.contains("swift_metrics_conflicts_total{kind=\"dimensions\"} 2\n"))
        // A new order of what is known is none.
        _ = bench.factory.makeCounter(label: "hb.requests", dimensions: [("status", "500"), ("route", "/")])
        #expect(bench.factory.conflictCount == 2)
    }

    @Test("one label as two types: both shown, the later under a name of its own")
    func inconsistentTypes() {
        let bench = Bench {
            $0.naming = .plain
            $0.timerBuckets = [1]
        }
        bench.factory.makeCounter(label: "x", dimensions: []).increment(by: 1)
        bench.factory.makeMeter(label: "x", dimensions: []).set(2.0)
        bench.factory.makeTimer(label: "x", dimensions: []).recordNanoseconds(1_000_000_000)
        #expect(
            bench.samples == [
                "x 1", "x_gauge 2", "x_histogram_bucket{le=\"1\"} 1", "x_histogram_bucket{le=\"+Inf\"} 1", "x_histogram_sum 1",
                "x_histogram_count 1",
            ])
        #expect(bench.reports.all.map(\.kind) == [.type, .type])
    }

    @Test("labels that become one name, and names the program has taken itself")
    func collidingNames() throws {
        let bench = Bench()
        try bench.registry.counter("jobs_total", help: "Jobs.", labels: .label("kind", as: String.self))("a").increment()
        bench.factory.makeCounter(label: "jobs", dimensions: []).increment(by: 5)
        bench.factory.makeCounter(label: "a.b", dimensions: []).increment(by: 1)
        bench.factory.makeCounter(label: "a_b", dimensions: []).increment(by: 2)
        #expect(
            bench.samples == ["a_b_total 1", "a_b_total_counter 2", "jobs_total{kind=\"a\"} 1", "jobs_total_counter 5"])
        #expect(bench.factory.conflictCount == 2)
    }

    @Test("a dimension given twice: the last one counts")
    func duplicateDimension() {
        let bench = Bench()
        bench.factory.makeCounter(label: "c", dimensions: [("a.b", "1"), ("a_b", "2")]).increment(by: 1)
        #expect(bench.samples == ["c_total{a_b=\"2\"} 1"])
        #expect(bench.reports.all.map(\.kind) == [.duplicateDimension])
    }

    @Test("a registry's constant label in the way of a dimension")
    func constantLabels() {
        let registry = MetricRegistry(constantLabels: ["service": "shop"])
        let factory = RegistryMetricsFactory(registry)
        factory.makeCounter(label: "c", dimensions: [("service", "bank")]).increment(by: 1)
        let page = String(decoding: registry.renderText(), as: UTF8.self)
        #expect(page.contains("c_total{service=\"shop\",exported_service=\"bank\"} 1\n"))
    }

    @Test("destroying takes the series off the page, and the next one starts from zero")
    func destroy() {
        let bench = Bench()
        let counter = bench.factory.makeCounter(label: "c", dimensions: [("a", "1"), ("b", "1")])
        _ = bench.factory.makeCounter(label: "c", dimensions: [("b", "1"), ("a", "1")])
        counter.increment(by: 5)
        bench.factory.destroyCounter(counter)
        #expect(bench.samples == [])
        counter.increment(by: 1)
        bench.factory.destroyCounter(counter)
        for dimensions in [[("a", "1"), ("b", "1")], [("b", "1"), ("a", "1")]] {
            bench.factory.makeCounter(label: "c", dimensions: dimensions).increment(by: 1)
        }
        #expect(bench.samples == ["c_total{a=\"1\",b=\"1\"} 2"])
        let timer = bench.factory.makeTimer(label: "t", dimensions: [])
        bench.factory.destroyTimer(timer)
        let meter = bench.factory.makeMeter(label: "m", dimensions: [])
        bench.factory.destroyMeter(meter)
        let recorder = bench.factory.makeRecorder(label: "r", dimensions: [], aggregate: true)
        bench.factory.destroyRecorder(recorder)
        #expect(bench.samples.count == 1)
    }

    @Test("reset begins anew at zero")
    func reset() {
        let bench = Bench()
        let counter = bench.factory.makeCounter(label: "c", dimensions: [])
        counter.increment(by: 5)
        counter.reset()
        counter.increment(by: 2)
        #expect(bench.samples == ["c_total 2"])
    }

    @Test("what makes no sense is dropped and counted, and nothing dies")
    func nonsense() {
        let bench = Bench { $0.timerBuckets = [1] }
        bench.factory.makeCounter(label: "c", dimensions: []).increment(by: -1)
        bench.factory.makeCounter(label: "c", dimensions: []).increment(by: .min)
        bench.factory.makeFloatingPointCounter(label: "c", dimensions: []).increment(by: .nan)
        let timer = bench.factory.makeTimer(label: "t", dimensions: [])
        timer.recordNanoseconds(-5)
        timer.recordNanoseconds(.max)
        bench.factory.makeRecorder(label: "r", dimensions: [], aggregate: true).record(.infinity)
        #expect(bench.registry.faults.badIncrements == 3)
        #expect(bench.registry.faults.badObservations == 2)
        #expect(bench.samples.contains("t_seconds_count 1"))
    }

    @Test("buckets by label, and buckets that are none")
    func buckets() {
        let bench = Bench {
            $0.buckets = ["a": [1, 2], "b": [2, 1]]
            $0.timerBuckets = [5]
        }
        for label in ["a", "b", "c"] { _ = bench.factory.makeTimer(label: label, dimensions: []) }
        #expect(bench.samples.count { $0.hasPrefix("a_seconds_bucket") } == 3)
        #expect(bench.samples.count { $0.hasPrefix("b_seconds_bucket") } == 12)
        #expect(bench.samples.count { $0.hasPrefix("c_seconds_bucket") } == 2)
        #expect(bench.reports.all.map(\.kind) == [.unusable])
    }

    @Test("limits of metrics, of series and of the cache hold")
    func limits() {
        let bench = Bench {
            $0.metricLimit = 2
            $0.seriesLimit = 3
            $0.cacheLimit = 16
        }
        for index in 0..<5 { bench.factory.makeCounter(label: "c\(index)", dimensions: []).increment(by: 1) }
        for index in 0..<100 { bench.factory.makeCounter(label: "c0", dimensions: [("i", "\(index)")]).increment(by: 1) }
        #expect(bench.samples.filter { $0.hasPrefix("c1_") || $0.hasPrefix("c2_") } == ["c1_total 1"])
        #expect(bench.samples.contains("c0_total{overflow=\"__overflow__\"} 98"))
        #expect(bench.samples.count == 5)
        for _ in 0..<3 { bench.factory.makeCounter(label: "c0", dimensions: [("i", "0")]).increment(by: 1) }
        #expect(bench.samples.contains("c0_total{i=\"0\"} 4"))
    }

    @Test("threads that make and update the same metrics lose nothing")
    func concurrent() async {
        let bench = Bench()
        await withTaskGroup { group in
            for task in 0..<8 {
                group.addTask {
                    for round in 0..<500 {
                        bench.factory.makeCounter(label: "c", dimensions: [("r", "\(round % 50)")]).increment(by: 1)
                        bench.factory.makeTimer(label: "t", dimensions: [("t", "\(task % 2)")]).recordNanoseconds(1)
                    }
                }
            }
        }
        let counted = bench.samples.filter { $0.hasPrefix("c_total") }
        #expect(counted.count == 50)
        #expect(counted.allSatisfy { $0.hasSuffix(" 80") })
        #expect(bench.samples.contains("t_seconds_count{t=\"1\"} 2000"))
    }

    @Test("making and destroying at once keeps the page whole")
    func churn() async {
        let bench = Bench()
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for round in 0..<300 {
                        let counter = bench.factory.makeCounter(label: "c", dimensions: [("r", "\(round % 7)")])
                        counter.increment(by: 1)
                        if round % 3 == 0 { bench.factory.destroyCounter(counter) }
                    }
                }
            }
        }
        #expect(Set(bench.samples.map { $0.prefix { $0 != " " } }).count == bench.samples.count)
        for round in 0..<7 {
            bench.factory.destroyCounter(bench.factory.makeCounter(label: "c", dimensions: [("r", "\(round)")]))
        }
        #expect(bench.samples == [])
    }
}
