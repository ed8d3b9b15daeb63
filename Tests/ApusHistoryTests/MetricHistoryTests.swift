import ApusHistory
import ApusMetrics
import ApusModel
import ApusPromQL
import Synchronization
import Testing

/// A clock that a test turns on.
final class HandTime: TimeSource {
    private let ms = Atomic<Int64>(1_700_000_000_000)
    func wallMs() -> Int64 { ms.load(ordering: .relaxed) }
    func monotonicNs() -> UInt64 { UInt64(wallMs()) * 1_000_000 }
    func advance(_ byMs: Int64) { ms.wrappingAdd(byMs, ordering: .relaxed) }
}

@Suite("History") struct MetricHistoryTests {
    @Test("a program reads its own rate, quantiles and labels")
    func ownRate() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        let history = MetricHistory(registry, time: time)
        let requests = try registry.counter("http_requests_total", help: "R.", labels: .label("route", as: String.self))
        let seconds = try registry.histogram("http_request_seconds", help: "S.", buckets: [0.1, 1])
        for _ in 0...12 {
            history.sample()
            time.advance(5_000)
            requests("/a").increment(by: 10)
            requests("/b").increment(by: 5)
            for _ in 0..<9 { seconds.observe(0.05) }
            seconds.observe(0.5)
        }
        #expect(try await history.value("sum(rate(http_requests_total[1m]))") == 3)
        #expect(try await history.value("rate(http_requests_total[1m])") == nil)
        let p90 = try #require(try await history.value("histogram_quantile(0.9, rate(http_request_seconds_bucket[1m]))"))
        #expect(abs(p90 - 0.1) < 1e-9)
        guard case .vector(let samples) = try await history.query("rate(http_requests_total[1m])").value else {
            Issue.record("no vector")
            return
        }
        #expect(Set(samples.map { "\($0.labels["route"]?.description ?? "") \($0.value)" }) == ["/a 2.0", "/b 1.0"])
        guard case .matrix(let series) = try await history.query("http_requests_total", lastMs: 30_000, stepMs: 5_000).value
        else {
            Issue.record("no matrix")
            return
        }
        #expect(series.count == 2)
        #expect(history.refusedSamples == 0)
        #expect(history.failures == 0)
    }

    @Test("native histograms are remembered as such")
    func nativeHistograms() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        let history = MetricHistory(registry, time: time)
        let seconds = try registry.histogram("seconds", help: "S.", buckets: .none, native: NativeBuckets())
        for _ in 0..<6 {
            history.sample()
            time.advance(5_000)
            for value in 1...100 { seconds.observe(Double(value) / 100) }
        }
        let p50 = try #require(try await history.value("histogram_quantile(0.5, rate(seconds[1m]))"))
        #expect(abs(p50 - 0.5) < 0.05)
        #expect(try await history.value("histogram_count(seconds)") == 500)
    }

    @Test("a series that is removed ends, and one that returns goes on")
    func ended() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        let history = MetricHistory(registry, time: time)
        let depth = try registry.gauge("depth", help: "D.", labels: .label("queue", as: String.self))
        depth("a").set(1)
        history.sample()
        #expect(try await history.value("depth") == 1)
        depth.remove("a")
        time.advance(5_000)
        history.sample()
        #expect(try await history.value("depth") == nil)
        depth("a").set(2)
        time.advance(5_000)
        history.sample()
        #expect(try await history.value("depth") == 2)
    }

    @Test("what is older than the retention goes, and memory stays within bounds")
    func retention() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        var options = HistoryOptions()
        options.retentionMs = 60_000
        let history = MetricHistory(registry, options: options, time: time)
        let gauges = try registry.gauge("g", help: "G.", labels: .label("i", as: Int.self))
        var afterOne = 0
        for round in 0..<200 {
            for index in 0..<50 { gauges(index).set(Double.random(in: 0...1)) }
            history.sample()
            time.advance(5_000)
            if round == 30 { afterOne = history.memoryBytes }
        }
        #expect(try await history.value("max(count_over_time(g[1h]))") ?? 0 <= 12 + 12)
        #expect(history.memoryBytes < afterOne * 2)
    }

    @Test("series beyond the limit are left out and counted; the others go on")
    func seriesLimit() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        var options = HistoryOptions()
        options.maxSeries = 10
        let history = MetricHistory(registry, options: options, time: time)
        let gauges = try registry.gauge("g", help: "G.", labels: .label("i", as: Int.self))
        for index in 0..<25 { gauges(index).set(1) }
        history.sample()
        #expect(history.refusedSamples == 15)
        #expect(try await history.value("count(g)") == 10)
    }

    @Test("a wrong query says what is wrong, and a clock that steps back costs samples and nothing else")
    func errors() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        let history = MetricHistory(registry, time: time)
        try registry.gauge("g", help: "G.").set(1)
        history.sample()
        await #expect(throws: QueryError.self) { try await history.value("rate(") }
        time.advance(-60_000)
        history.sample()
        #expect(history.refusedSamples > 0)
        time.advance(120_000)
        history.sample()
        #expect(try await history.value("g") == 1)
    }

    @Test("run samples until it is cancelled")
    func run() async throws {
        let registry = MetricRegistry()
        let passes = Atomic<Int>(0)
        try registry.gauge("passes", help: "P.") { Double(passes.wrappingAdd(1, ordering: .relaxed).newValue) }
        var options = HistoryOptions()
        options.intervalMs = 1
        let history = MetricHistory(registry, options: options)
        let task = Task { await history.run() }
        while passes.load(ordering: .relaxed) < 5 { await Task.yield() }
        task.cancel()
        await task.value
        #expect(try await history.value("max_over_time(passes[1m])") ?? 0 >= 4)
    }
}
