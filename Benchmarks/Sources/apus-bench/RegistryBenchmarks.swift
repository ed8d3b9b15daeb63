import ApusExposition
import ApusMetrics
import ApusSwiftMetrics
import Foundation
import Synchronization

private enum Method: String, LabelValue { case get, post, put }

/// What a service pays for its metrics: updates on one thread and on two that use the same series, and pages.
@MainActor let registryBenchmarks: [Benchmark] = [
    contended("registry counter", 1, "a load and a store to the thread's own cell: ~1.5 ns") {
        let counter = try MetricRegistry().counter("c_total", help: "Counts.")
        return { count in for _ in 0..<count { counter.increment() } }
    },
    contended("registry counter", 2, "no thread writes what another reads: as with one") {
        let counter = try MetricRegistry().counter("c_total", help: "Counts.")
        return { count in for _ in 0..<count { counter.increment() } }
    },
    contended("registry fractions", 2, "the same, with doubles") {
        let counter = try MetricRegistry().counter("c_total", help: "Counts.")
        return { count in for _ in 0..<count { counter.increment(by: 0.5) } }
    },
    contended("registry lookup", 1, "write the key 8, hash 4, find 4, add 2, section 4 ns", lookUp),
    contended("registry lookup", 2, "as with one", lookUp),
    contended("registry lookup varied", 1, "the same with values that the compiler can't see, 16 series in turn", lookUpVaried),
    contended("registry lookup varied", 2, "as with one", lookUpVaried),
    contended("registry lookup, handle", 1, "the same, and the reference counted twice", lookUpHandle),
    contended("registry lookup, handle", 2, "both threads write the same reference count", lookUpHandle),
    contended("swift-metrics lookup", 1, "hash 7 strings 20, compare them 15, one reference 5 ns", makeCounter),
    contended("swift-metrics lookup", 2, "and both threads write that reference count", makeCounter),
    contended("registry observe", 1, "12 compares 2, section 3, two cells 3 ns", observe),
    contended("registry observe", 2, "as with one", observe),
    contended("registry observe native", 1, "a lock and a dictionary: ~40 ns") {
        let histogram = try MetricRegistry().histogram("h", help: "", buckets: .none, native: NativeBuckets())
        return { count in for index in 0..<count { histogram.observe(Double(index & 1023) * 0.01) } }
    },
    Benchmark(name: "registry render unchanged", unit: "series", sketch: "read the value 6, copy a line 5 ns", allocations: 0) {
        let (registry, _) = try routes()
        return { pages(registry) { _ in } }
    },
    Benchmark(
        name: "registry render changed", unit: "series", sketch: "copy the prefix and write a number: ~40 ns", allocations: 0
    ) {
        let (registry, family) = try routes()
        let handles = (0..<900).map { family("/route/\($0)") }
        return { pages(registry) { _ in for handle in handles { handle.increment() } } }
    },
    Benchmark(name: "registry render OpenMetrics", unit: "series", sketch: "as text", allocations: 0) {
        let (registry, _) = try routes()
        return { pages(registry, .openMetrics) { _ in } }
    },
    Benchmark(name: "registry render protobuf", unit: "series", sketch: "as text", allocations: 0) {
        let (registry, _) = try routes()
        return { pages(registry, .protobuf) { _ in } }
    },
    Benchmark(name: "registry render protobuf changed", unit: "series", sketch: "eight bytes each: ~25 ns", allocations: 0) {
        let (registry, family) = try routes()
        let handles = (0..<900).map { family("/route/\($0)") }
        return { pages(registry, .protobuf) { _ in for handle in handles { handle.increment() } } }
    },
    Benchmark(name: "registry render protobuf histograms", unit: "series", sketch: "read 14 values, copy as much", allocations: 0) {
        let registry = MetricRegistry()
        let family = try registry.histogram("h", help: "", labels: .label("route", as: String.self))
        for index in 0..<64 { family("/route/\(index)").observe(Double(index)) }
        return { pages(registry, .protobuf) { _ in } / 900 * 64 * 14 }
    },
    Benchmark(
        name: "registry render histograms", unit: "series", sketch: "14 lines for each of 64: a turn of the halves 100, 14 lines",
        allocations: 0
    ) {
        let registry = MetricRegistry()
        let family = try registry.histogram("h", help: "", labels: .label("route", as: String.self))
        for index in 0..<64 { family("/route/\(index)").observe(Double(index)) }
        return { pages(registry) { _ in } / 900 * 64 * 14 }
    },
]

private func lookUp() throws -> @Sendable (Int) -> Void {
    let family = try MetricRegistry().counter(
        "c_total", help: "", labels: .label("method", as: Method.self), .label("route", as: String.self),
        .label("status", as: Int.self))
    return { count in for _ in 0..<count { family.increment(.get, "/api/v1/query", 200) } }
}

private func lookUpVaried() throws -> @Sendable (Int) -> Void {
    let family = try MetricRegistry().counter(
        "c_total", help: "", labels: .label("method", as: Method.self), .label("route", as: String.self),
        .label("status", as: Int.self))
    let routes = ["/", "/api/v1/query", "/api/v1/query_range", "/users/{id}"]
    let statuses = [200, 201, 404, 500]
    let requests: [(Method, String, Int)] = (0..<16).map { index in
        (index & 1 == 0 ? .get : .post, routes[index >> 2], statuses[index & 3])
    }
    return { count in
        for index in 0..<count {
            let (method, route, status) = requests[index & 15]
            family.increment(method, route, status)
        }
    }
}

private func lookUpHandle() throws -> @Sendable (Int) -> Void {
    let family = try MetricRegistry().counter(
        "c_total", help: "", labels: .label("method", as: Method.self), .label("route", as: String.self),
        .label("status", as: Int.self))
    return { count in for _ in 0..<count { family(.get, "/api/v1/query", 200).increment() } }
}

/// What a library does that makes its counter at each request: the factory's part of it.
private func makeCounter() throws -> @Sendable (Int) -> Void {
    let factory = RegistryMetricsFactory(MetricRegistry())
    let dimensions = [("method", "get"), ("route", "/api/v1/query"), ("status", "200")]
    return { count in for _ in 0..<count { factory.makeCounter(label: "http_requests", dimensions: dimensions).increment(by: 1) }
    }
}

private func observe() throws -> @Sendable (Int) -> Void {
    let histogram = try MetricRegistry().histogram(
        "h", help: "", buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25])
    return { count in for index in 0..<count { histogram.observe(Double(index & 1023) * 0.01) } }
}

private func routes() throws -> (MetricRegistry, CounterFamily<String>) {
    let registry = MetricRegistry()
    let family = try registry.counter("requests_total", help: "Requests.", labels: .label("route", as: String.self))
    for index in 0..<900 { family("/route/\(index)").increment(by: index * 17) }
    return (registry, family)
}

/// The memory that all pages are written to, one after the other.
nonisolated(unsafe) private var page: [UInt8] = []

private func pages(_ registry: MetricRegistry, _ encoding: PageEncoding = .text, _ change: (Int) -> Void) -> Int {
    page.reserveCapacity(1 << 18)
    for turn in 0..<20 {
        change(turn)
        page.removeAll(keepingCapacity: true)
        registry.render(into: &page, as: encoding)
    }
    return 20 * 900
}

/// The time of one update when as many threads do nothing else to the same metric.
private func contended(_ name: String, _ threads: Int, _ sketch: String, _ make: @escaping () throws -> @Sendable (Int) -> Void)
    -> Benchmark
{
    Benchmark(name: "\(name) \(threads)", unit: "call", sketch: sketch, allocations: threads == 1 ? 0 : nil) {
        let work = try make()
        return {
            if threads == 1 { work(1_000_000) } else { together(threads) { work(1_000_000) } }
            return 1_000_000
        }
    }
}

/// Runs `work` on as many threads, all of which have started before any begins.
private func together(_ threads: Int, _ work: @escaping @Sendable () -> Void) {
    let state = Gate(threads)
    for _ in 0..<threads { Thread { state.pass(work) }.start() }
    while state.running.load(ordering: .acquiring) > 0 { usleep(100) }
}

private final class Gate: Sendable {
    private let waiting: Atomic<Int>
    let running: Atomic<Int>
    init(_ threads: Int) {
        waiting = Atomic(threads)
        running = Atomic(threads)
    }
    func pass(_ work: () -> Void) {
        waiting.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        while waiting.load(ordering: .acquiring) > 0 {}
        work()
        running.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
}
