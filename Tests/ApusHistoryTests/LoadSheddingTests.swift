import ApusHistory
import ApusMetrics
import Synchronization
import Testing

// The example of docs/history.md, run: change both together.

/// Refuses work while the service's own 99th percentile is above a second.
final class LoadShedder: Sendable {
    private let history: MetricHistory
    private let overloaded = Atomic<Bool>(false)

    init(_ history: MetricHistory) { self.history = history }

    /// What each request asks: one atomic load.
    var isOverloaded: Bool { overloaded.load(ordering: .relaxed) }

    /// What a timer calls each second.
    func look() async throws {
        let p99 = try await history.value("histogram_quantile(0.99, sum by (le) (rate(request_seconds_bucket[30s])))")
        // Between the two bounds nothing changes, so that it does not flap.
        if let p99, p99 > 1 { overloaded.store(true, ordering: .relaxed) }
        if p99 ?? 0 < 0.5 { overloaded.store(false, ordering: .relaxed) }
    }
}

@Suite("Load shedding, as in the documentation") struct LoadSheddingTests {
    @Test("begins when the service is slow, ends when it is fast again, and does not flap")
    func sheds() async throws {
        let (registry, time) = (MetricRegistry(), HandTime())
        let history = MetricHistory(registry, time: time)
        let seconds = try registry.histogram("request_seconds", help: "Time of requests.", buckets: [0.1, 0.5, 1, 2, 5])
        let shedder = LoadShedder(history)
        func pass(_ duration: Double, times: Int) async throws {
            for _ in 0..<times {
                for _ in 0..<100 { seconds.observe(duration) }
                history.sample()
                time.advance(5_000)
                try await shedder.look()
            }
        }
        try await pass(0.05, times: 10)
        #expect(!shedder.isOverloaded)
        try await pass(3, times: 10)
        #expect(shedder.isOverloaded)
        try await pass(0.7, times: 10)
        #expect(shedder.isOverloaded)
        try await pass(0.05, times: 10)
        #expect(!shedder.isOverloaded)
    }
}
