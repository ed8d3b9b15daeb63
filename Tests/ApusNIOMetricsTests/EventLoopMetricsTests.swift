import ApusMetrics
import ApusNIOMetrics
import NIOCore
import NIOPosix
import Testing

@Suite("Event loops") struct EventLoopMetricsTests {
    private func samples(_ registry: MetricRegistry) -> [String: Double] {
        let lines = String(decoding: registry.renderText(), as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
        return Dictionary(
            uniqueKeysWithValues: lines.compactMap { line in
                line.lastIndex(of: " ").map { (String(line[..<$0]), Double(line[$0...].dropFirst()) ?? .nan) }
            })
    }

    @Test("a loop's passes, tasks and lag are measured, and its longest pass is of the time since the last scrape")
    func measures() async throws {
        let registry = MetricRegistry()
        let metrics = try EventLoopMetrics(registry)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2, metricsDelegate: metrics)
        let probe = metrics.probe(group, intervalMs: 1)
        for _ in 0..<20 { try await group.next().submit {}.get() }
        while true {
            let now = samples(registry)
            if (0..<2).allSatisfy({ now["nio_event_loop_lag_seconds_count{loop=\"\($0)\"}"] ?? 0 > 2 }) { break }
            await Task.yield()
        }
        let now = samples(registry)
        for loop in 0..<2 {
            #expect(now["nio_event_loop_ticks_total{loop=\"\(loop)\"}"] ?? 0 >= 3)
            #expect(now["nio_event_loop_tasks_total{loop=\"\(loop)\"}"] ?? 0 >= 3)
            #expect(now["nio_event_loop_busy_seconds_total{loop=\"\(loop)\"}"] ?? 0 > 0)
            #expect(now["nio_event_loop_longest_tick_seconds{loop=\"\(loop)\"}"] != nil)
            #expect(now["nio_event_loop_pending_tasks{loop=\"\(loop)\"}"] != nil)
        }
        probe.stop()
        probe.stop()
        try await group.shutdownGracefully()
    }

    @Test("names that are taken are an error")
    func taken() throws {
        let registry = MetricRegistry()
        _ = try registry.gauge("nio_event_loop_pending_tasks", help: "Mine.")
        #expect(throws: MetricError.self) { try EventLoopMetrics(registry) }
    }
}
