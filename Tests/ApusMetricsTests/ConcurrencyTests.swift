import ApusExposition
import ApusModel
import Foundation
import Synchronization
import Testing

@testable import ApusMetrics

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

    @Test("who increments series that are removed meanwhile adds to no other, and what is not removed loses nothing")
    func removalWhileIncrementing() async throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        let times = try registry.histogram("t", help: "", buckets: [1], labels: .label("x", as: Int.self))
        let others = try registry.counter("b_total", help: "", labels: .label("x", as: Int.self))
        let running = Countdown(2)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    for round in 0..<Self.rounds {
                        family.increment(round & 7)
                        family.increment(-1)
                        times.observe(2, round & 7)
                        times.observe(2, -1)
                    }
                    running.finish()
                }
            }
            group.addTask {
                var round = 0
                while !running.isFinished {
                    family.remove(round & 7)
                    times.remove(round & 7)
                    if round & 255 == 0 { family.removeAll(where: [("x", "3")]) }
                    // The cells that were just given back: nobody else may add to them.
                    let fresh = others(round)
                    fresh.increment(by: 3)
                    if fresh.value != 3 { Issue.record("round \(round): \(fresh.value)") }
                    others.remove(round)
                    round += 1
                    await Task.yield()
                }
            }
        }
        #expect(family(-1).value == Double(2 * Self.rounds))
        #expect(times(-1).snapshot().counts == [0, UInt64(2 * Self.rounds)])
        family.removeAll()
        #expect((0..<8).allSatisfy { family($0).value == 0 })
    }

    @Test("series that expire are made anew by who still increments them, and those in use do not expire")
    func expiryWhileIncrementing() async throws {
        let time = SteppingTime()
        let registry = MetricRegistry(time: time)
        let family = try registry.counter("a_total", help: "", expiresAfterMs: 1000, labels: .label("x", as: Int.self))
        let running = Countdown(2)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<2 {
                group.addTask {
                    for round in 0..<Self.rounds / 4 { family.increment(task == 0 ? round & 7 : 100) }
                    running.finish()
                }
            }
            group.addTask {
                while !running.isFinished {
                    time.step(600)
                    _ = registry.renderText()
                    await Task.yield()
                }
            }
        }
        for _ in 0..<4 {
            time.step(600)
            _ = registry.renderText()
        }
        #expect(family.count == 0)
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

extension ConcurrencyTests {
    /// Ten million updates, unless a sanitizer makes each ten times slower.
    private static var stressRounds: Int {
        #if SANITIZE_THREAD
            20_000
        #else
            250_000
        #endif
    }

    @Test("ten million updates by eight tasks while four render: not one is lost, no page is torn", .timeLimit(.minutes(5)))
    func stress() async throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("c_total", help: "")
        let family = try registry.counter(
            "f_total", help: "", labels: .label("method", as: Method.self), .label("n", as: Int.self))
        let histogram = try registry.histogram("h", help: "", buckets: [0.5, 2])
        let labelled = try registry.histogram("l", help: "", buckets: [0.5, 2], labels: .label("n", as: Int.self))
        let running = Countdown(8)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    // Five updates a round.
                    for round in 0..<Self.stressRounds {
                        counter.increment()
                        counter.increment(by: 0.5)
                        family.increment(.get, round & 15)
                        histogram.observe(round & 1 == 0 ? 0 : 2)
                        labelled.observe(1, (task &+ round) & 7)
                        // Other tests run on the same threads.
                        if round & 1023 == 0 { await Task.yield() }
                    }
                    running.finish()
                }
            }
            for reader in 0..<4 {
                group.addTask {
                    let encodings: [PageEncoding] = [.text, .openMetrics, .protobuf, PageEncoding(.openMetrics2)]
                    while !running.isFinished {
                        var page: [UInt8] = []
                        registry.render(into: &page, as: encodings[reader])
                        let snapshot = histogram.snapshot()
                        if snapshot.sum != 2 * Double(snapshot.counts[1]) { Issue.record("torn: \(snapshot)") }
                        await Task.yield()
                    }
                }
            }
        }
        let total = 8 * Self.stressRounds
        #expect(counter.value == 1.5 * Double(total))
        #expect((0..<16).reduce(0) { $0 + family(.get, $1).value } == Double(total))
        #expect(histogram.snapshot().counts == [UInt64(total / 2), UInt64(total / 2), 0])
        #expect(histogram.snapshot().sum == Double(total))
        #expect((0..<8).reduce(0) { $0 + labelled($1).snapshot().count } == UInt64(total))
    }

    @Test("threads that come and go leave their counts, and more threads than have cells of their own count all the same")
    func manyThreads() throws {
        let counter = try MetricRegistry().counter("c_total", help: "")
        let histogram = try MetricRegistry().histogram("h", help: "", buckets: [1])
        // All at once, so that no thread takes over what another left.
        Threads.run(CellStore.maxThreads + 40) {
            counter.increment()
            histogram.observe(2)
        }
        for _ in 0..<20 { Threads.run(10) { counter.increment(by: 2) } }
        #expect(counter.value == Double(CellStore.maxThreads + 40 + 400))
        #expect(histogram.snapshot().counts == [0, UInt64(CellStore.maxThreads + 40)])
    }

    @Test("cells that were given back begin at zero")
    func reuse() throws {
        for round in 1...200 {
            let registry = MetricRegistry()
            let counter = try registry.counter("c_total", help: "", labels: .label("x", as: Int.self))
            let histogram = try registry.histogram("h", help: "", buckets: [1, 2, 3], labels: .label("x", as: Int.self))
            for key in 0..<20 {
                counter(key).increment(by: Double(round) + 0.5)
                histogram.observe(Double(round), key)
            }
            for key in 0..<20 where counter(key).value != Double(round) + 0.5 || histogram(key).snapshot().count != 1 {
                Issue.record("round \(round), key \(key)")
            }
        }
    }
}

/// A clock that goes on when it is told to.
private final class SteppingTime: TimeSource {
    private let ms = Atomic<Int64>(1_700_000_000_000)
    func step(_ milliseconds: Int64) { ms.wrappingAdd(milliseconds, ordering: .relaxed) }
    func wallMs() -> Int64 { ms.load(ordering: .relaxed) }
    func monotonicNs() -> UInt64 { UInt64(clamping: ms.load(ordering: .relaxed)) &* 1_000_000 }
}

/// Tells when a number of tasks is done.
private final class Countdown: Sendable {
    private let count: Atomic<Int>
    init(_ count: Int) { self.count = Atomic(count) }
    func finish() { count.wrappingSubtract(1, ordering: .releasing) }
    var isFinished: Bool { count.load(ordering: .acquiring) <= 0 }
}

/// Threads of the system, small ones, that are all there at the same time.
private enum Threads {
    static func run(_ count: Int, _ body: @escaping @Sendable () -> Void) {
        let shared = Shared(waiting: count, body: body)
        for _ in 0..<count {
            let thread = Thread { shared.run() }
            thread.stackSize = 65_536
            thread.start()
        }
        while shared.running.load(ordering: .acquiring) > 0 { usleep(500) }
    }

    private final class Shared: Sendable {
        let waiting: Atomic<Int>
        let running: Atomic<Int>
        let body: @Sendable () -> Void
        init(waiting: Int, body: @escaping @Sendable () -> Void) {
            self.waiting = Atomic(waiting)
            running = Atomic(waiting)
            self.body = body
        }
        func run() {
            body()
            waiting.wrappingSubtract(1, ordering: .acquiringAndReleasing)
            while waiting.load(ordering: .acquiring) > 0 { usleep(500) }
            running.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        }
    }
}
