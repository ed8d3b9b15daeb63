import ApusExposition
import Testing

@testable import ApusMetrics

@Suite("Other kinds of metrics") struct TypeTests {
    enum Phase: String, LabelValue, CaseIterable { case starting, running, stopping }

    @Test("a state set has one series a state")
    func stateSet() throws {
        let registry = MetricRegistry()
        let phase = try registry.stateSet("worker_phase", help: "P.", of: Phase.self)
        #expect(registry.samples.allSatisfy { $0.hasSuffix(" 0") })
        phase.set(.running)
        #expect(phase.contains(.running) && !phase.contains(.starting))
        #expect(
            registry.samples == [
                #"worker_phase{worker_phase="starting"} 0"#, #"worker_phase{worker_phase="running"} 1"#,
                #"worker_phase{worker_phase="stopping"} 0"#,
            ])
        phase.set(.starting, to: true)
        phase.set(.stopping)
        #expect(registry.samples.map { $0.last } == ["0", "0", "1"])
        let labelled = try registry.stateSet("p", help: "", of: Phase.self, labels: .label("worker", as: Int.self))
        labelled(2).set(.starting)
        #expect(registry.samples.first == #"p{worker="2",p="starting"} 1"#)
        #expect(throws: MetricError.reservedLabelName("q", metric: "q")) {
            try registry.stateSet("q", help: "", of: Phase.self, labels: .label("q", as: Int.self))
        }
    }

    @Test("infos, fixed and learnt later")
    func infos() throws {
        let registry = MetricRegistry()
        try registry.info("build_info", help: "", ["version": "1.2"])
        let peer = try registry.info("peer_info", help: "", labels: .label("version", as: String.self))
        peer("7").set(1)
        #expect(registry.samples == [#"build_info{version="1.2"} 1"#, #"peer_info{version="7"} 1"#])
        #expect(registry.gather().map(\.type) == [.info, .info])
    }

    @Test("a gauge histogram takes back what it was given")
    func gaugeHistogram() throws {
        let registry = MetricRegistry()
        let sizes = try registry.gaugeHistogram("q_bytes", help: "", unit: "bytes", buckets: [10, 100])
        for value in [5.0, 50, 500] { sizes.add(value) }
        sizes.remove(50)
        sizes.remove(60)
        sizes.add(.nan)
        #expect(sizes.snapshot().counts == [1, 0, 1])
        #expect(sizes.snapshot().sum == 505)
        #expect(registry.faults.badObservations == 2)
        #expect(!sizes.set(counts: [1], sum: 1))
        #expect(sizes.set(counts: [1, 2, 3], sum: 9))
        #expect(registry.samples.contains(#"q_bytes_bucket{le="100"} 3"#))
        #expect(throws: MetricError.nameTaken("q_bytes_gsum", by: "q_bytes")) { try registry.gauge("q_bytes_gsum", help: "") }
    }

    @Test("a value of unknown type")
    func unknown() throws {
        let registry = MetricRegistry()
        try registry.unknown("u", help: "U.").set(4)
        #expect(registry.page == "# HELP u U.\n# TYPE u untyped\nu 4\n")
    }

    @Test("a unit must end the name")
    func units() throws {
        let registry = MetricRegistry()
        _ = try registry.counter("a_bytes_total", help: "", unit: "bytes")
        _ = try registry.gauge("b_seconds", help: "", unit: "seconds")
        #expect(throws: MetricError.unitNotInName("seconds", metric: "c")) { try registry.gauge("c", help: "", unit: "seconds") }
        #expect(throws: MetricError.declaredDifferently("b_seconds", difference: "unit")) { try registry.gauge("b_seconds", help: "") }
        #expect(registry.gather().map(\.unit) == ["bytes", "seconds"])
    }

    @Test("bounds from a smallest to a largest, evenly on a logarithmic scale")
    func exponentialRange() {
        let bounds = Buckets.exponentialRange(min: 1, max: 1000, count: 4).upperBounds
        #expect(bounds.count == 4)
        for (bound, expected) in zip(bounds, [1.0, 10, 100, 1000]) { #expect(abs(bound - expected) < expected * 1e-12) }
        #expect(Buckets.exponentialRange(min: 3, max: 9, count: 1).upperBounds == [3])
        #expect(Buckets.exponentialRange(min: 3, max: 9, count: -1).upperBounds == [])
        #expect(!Buckets.exponentialRange(min: 0, max: 9, count: 4).isValid)
    }

    @Test("the bucket of a value is the same however many bounds there are", arguments: [1, 7, 8, 9, 63, 64, 65, 512])
    func search(count: Int) {
        let bounds = (0..<count).map { Double($0) * 1.5 }
        let shape = HistogramShape(Buckets(bounds), native: nil)
        for value in [-1, 0, 0.1, 1.5, 1.6, 96, 97, 1e9] + bounds + bounds.map(\.nextUp) {
            let expected = bounds.firstIndex { value <= $0 } ?? count
            if shape.bucket(of: value) != expected { Issue.record("\(value) in bucket \(shape.bucket(of: value)), not \(expected)") }
        }
    }

    @Test("status classes", arguments: [(99, "unknown"), (100, "1xx"), (204, "2xx"), (301, "3xx"), (404, "4xx"), (599, "5xx"), (600, "unknown")])
    func statusClasses(status: Int, text: String) { #expect(labelText(StatusClass(status)).description == text) }
}
