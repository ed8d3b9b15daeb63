import ApusCollectors
import ApusMetrics
import Testing

@Suite("Collectors of the runtime") struct CollectorsTests {
    private func page(_ registry: MetricRegistry) -> String { String(decoding: registry.renderText(), as: UTF8.self) }
    private func value(_ name: String, _ page: String) -> Double? {
        page.split(separator: "\n").first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.utf8.count + 1)) }
    }

    @Test("the allocator's bytes are there and grow with what the program takes")
    func allocator() throws {
        let registry = MetricRegistry()
        registry.registerAllocatorMetrics()
        let before = try #require(value("malloc_allocated_bytes", page(registry)))
        let block = [UInt8](repeating: 1, count: 64 << 20)
        let after = page(registry)
        #expect(try #require(value("malloc_allocated_bytes", after)) >= before + Double(32 << 20))
        #expect(value("malloc_mapped_regions", after) ?? 0 >= 1)
        for name in [
            "malloc_arena_bytes", "malloc_mapped_bytes", "malloc_free_bytes", "malloc_free_chunks", "malloc_releasable_bytes",
        ] {
            #expect(after.contains("# TYPE \(name) gauge\n"))
        }
        #expect(block.count == 64 << 20)
    }

    @Test("facts about the program")
    func runtime() throws {
        let registry = MetricRegistry()
        try registry.registerRuntimeMetrics()
        let page = page(registry)
        #expect(page.contains("swift_info{version=\"6."))
        #expect(value("swift_processors", page) ?? 0 >= 1)
        #expect(throws: MetricError.self) { try registry.registerRuntimeMetrics() }
    }

    @Test("the probe measures how long tasks wait, until it is cancelled")
    func probe() async throws {
        let registry = MetricRegistry()
        let probe = try TaskProbe(registry, intervalMs: 1)
        let probing = Task { await probe.run() }
        while value("swift_timer_lag_seconds_count", page(registry)) ?? 0 < 3 { await Task.yield() }
        probing.cancel()
        await probing.value
        #expect(value("swift_task_wait_seconds_count", page(registry)) ?? 0 >= 3)
        #expect(value("swift_timer_lag_seconds_sum", page(registry)) ?? -1 >= 0)
    }
}
