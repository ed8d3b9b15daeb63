import Testing

@testable import ApusMetrics

@Suite("Collectors") struct CollectorTests {
    @Test("families of collectors stand among the declared ones, every kind of them")
    func golden() throws {
        let registry = MetricRegistry()
        _ = try registry.gauge("m", help: "Declared.")
        registry.collect { sink in
            sink.family("z", help: "Z.", type: .histogram) {
                $0.histogram(upperBounds: [0.5, 1], counts: [1, 2, 3], sum: 7.5, labels: [("a", "x")])
                $0.histogram(upperBounds: [0.5, 1], counts: [1], sum: 1, labels: [("a", "short")])
            }
            sink.family("b", help: "B.", type: .summary) { $0.summary(quantiles: [(0.5, 1.5)], sum: 3, count: 2) }
        }
        registry.collect { $0.counter("a_total", help: "A\\.", 5) }
        #expect(
            registry.page == """
                # HELP a_total A\\\\.
                # TYPE a_total counter
                a_total 5
                # HELP b B.
                # TYPE b summary
                b{quantile="0.5"} 1.5
                b_sum 3
                b_count 2
                # HELP m Declared.
                # TYPE m gauge
                m 0
                # HELP z Z.
                # TYPE z histogram
                z_bucket{a="x",le="0.5"} 1
                z_bucket{a="x",le="1"} 3
                z_bucket{a="x",le="+Inf"} 6
                z_sum{a="x"} 7.5
                z_count{a="x"} 6

                """)
        #expect(registry.faults.droppedCollectedSamples == 1)
    }

    @Test("what would break the page is left out and counted")
    func refused() throws {
        let registry = MetricRegistry()
        _ = try registry.histogram("h", help: "")
        registry.collect { sink in
            sink.gauge("bad name", help: "", 1)
            sink.gauge("h_count", help: "", 1)
            sink.gauge("g", help: "", 1)
            sink.counter("g", help: "", 2)
            sink.gauge("g", help: "", 3)
            sink.gauge("k", help: "", 1, labels: [("bad-label", "1")])
            sink.gauge("k", help: "", 1, labels: [("__x", "1")])
            sink.gauge("k", help: "", 1, labels: [("a", "1"), ("a", "2")])
        }
        #expect(registry.samples.filter { !$0.hasPrefix("h") } == ["g 1"])
        #expect(registry.faults.droppedCollectedSamples == 7)
    }

    @Test("process metrics have the names and types that all clients give them")
    func process() throws {
        let registry = MetricRegistry()
        registry.registerProcessMetrics()
        let page = registry.page
        for (name, type) in [
            ("process_cpu_seconds_total", "counter"), ("process_open_fds", "gauge"), ("process_max_fds", "gauge"),
            ("process_virtual_memory_bytes", "gauge"), ("process_virtual_memory_max_bytes", "gauge"),
            ("process_resident_memory_bytes", "gauge"),
            ("process_start_time_seconds", "gauge"), ("process_network_receive_bytes_total", "counter"),
            ("process_network_transmit_bytes_total", "counter"), ("process_threads", "gauge"),
        ] {
            #expect(page.contains("# TYPE \(name) \(type)\n\(name) "))
        }
        let start = registry.samples.first { $0.hasPrefix("process_start_time_seconds ") }?.split(separator: " ").last.flatMap {
            Double($0)
        }
        #expect(try #require(start) > 1_600_000_000)
    }

    @Test("a process name with spaces and parentheses does not shift the fields")
    func processStat() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 3 0 1234 8192000 500 18446744073709551615 1 1"
        let parsed = ProcessStat(stat)
        #expect(parsed?.cpuTicks == 200)
        #expect(parsed?.threads == 3)
        #expect(parsed?.startTicks == 1234)
        #expect(parsed?.virtualBytes == 8_192_000)
        #expect(parsed?.residentPages == 500)
        #expect(ProcessStat("7 (a) S 1") == nil)
        #expect(ProcessStat("") == nil)
        #expect(
            ProcessCollector().limit(
                "Max address space", in: "Max address space         unlimited            unlimited            bytes")
                == Double(UInt64.max))
        #expect(ProcessCollector().networkBytes("IpExt: InOctets OutOctets\nIpExt: 12 34\n")?.sent == 34)
        #expect(ProcessCollector().networkBytes("IpExt: InOctets\n") == nil)
    }
}
