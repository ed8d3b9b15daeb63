import ApusMetrics
import Synchronization
import Testing

@Suite("Many threads") struct ConcurrencyTests {
    private static let tasks = 4
    private static let rounds = 20_000

    private func everywhere(_ body: @escaping @Sendable (Int) -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<Self.tasks { group.addTask { body(task) } }
        }
    }

    @Test("no increment is lost")
    func counters() async throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("a_total", help: "")
        let gauge = try registry.gauge("g", help: "")
        await everywhere { _ in
            for _ in 0..<Self.rounds {
                counter.increment()
                counter.increment(by: 0.5)
                gauge.increment()
                gauge.track {}
            }
        }
        #expect(counter.value == 1.5 * Double(Self.tasks * Self.rounds))
        #expect(gauge.value == Double(Self.tasks * Self.rounds))
    }

    @Test("a histogram's sum and counts are of the same observations in every page")
    func histogramSnapshots() async throws {
        let registry = MetricRegistry()
        let histogram = try registry.histogram("h", help: "", buckets: [0.5, 2])
        let running = Countdown(Self.tasks)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.tasks {
                group.addTask {
                    // Every second one is 0 and every other 2, so the sum tells how many there were of each.
                    for round in 0..<Self.rounds { histogram.observe(round % 2 == 0 ? 0 : 2) }
                    running.finish()
                }
            }
            group.addTask {
                var last: UInt64 = 0
                while !running.isFinished {
                    let snapshot = histogram.snapshot()
                    if snapshot.sum != 2 * Double(snapshot.counts[1]) || snapshot.count < last {
                        Issue.record("torn: \(snapshot)")
                    }
                    last = snapshot.count
                }
            }
        }
        let total = UInt64(Self.tasks * Self.rounds)
        #expect(histogram.snapshot().counts == [total / 2, total / 2, 0])
        #expect(histogram.snapshot().sum == Double(total))
        #expect(histogram.snapshot().count == total)
    }

    @Test("series made by many threads at once are made once")
    func creation() async throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self), .label("m", as: Method.self))
        await everywhere { task in
            for round in 0..<2000 { family((round &* 7 &+ task) % 500, .get).increment() }
        }
        #expect(family.count == 500)
        let sum = registry.samples.reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
        #expect(sum == Self.tasks * 2000)
    }

    @Test("looking up, making, removing and rendering at once neither crashes nor loses a kept handle")
    func removal() async throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        let kept = family(-1)
        await everywhere { task in
            for round in 0..<5000 {
                family(round % 37).increment()
                family(-1).increment()
                if round % 5 == task { family.remove(round % 37) }
                if round % 1000 == 0 { _ = registry.renderText() }
            }
        }
        #expect(kept === family(-1))
        #expect(kept.value == Double(Self.tasks * 5000))
    }

    @Test("declaring the same from many threads gives one family")
    func declaration() async throws {
        let registry = MetricRegistry()
        await everywhere { _ in
            for number in 0..<50 {
                do {
                    try registry.counter("c\(number)_total", help: "").increment()
                } catch {
                    Issue.record(error)
                }
            }
        }
        #expect(registry.samples == (0..<50).map { "c\($0)_total \(Self.tasks)" }.sorted())
    }
}

/// Tells when a number of tasks is done.
private final class Countdown: Sendable {
    private let count: Atomic<Int>
    init(_ count: Int) { self.count = Atomic(count) }
    func finish() { count.wrappingSubtract(1, ordering: .releasing) }
    var isFinished: Bool { count.load(ordering: .acquiring) <= 0 }
}
