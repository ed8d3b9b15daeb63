import AllocationCount
import ApusExposition
import Testing

@testable import ApusMetrics

private enum Verb: String, LabelValue { case get, post }

/// What is done thousands of times a second asks for no memory. Counted by thread, in the whole program: see
/// `Tests/AllocationCount`.
///
/// Without optimisation each element that a loop takes out of an array, and each change of one in a dictionary, is a
/// coroutine of its own, which asks for memory. So some of this is true, and tested, with optimisation only:
/// `swift test -c release`, and the benchmarks hold it, too.
@Suite("Memory", .enabled(if: allocation_count_is_supported())) struct AllocationTests {
    private static let isOptimised = !_isDebugAssertConfiguration()

    /// How often `body` asks for memory when it runs once more.
    private func allocations(_ body: () -> Void) -> Int {
        // What is made once is made now, whichever thread we are on.
        for _ in 0..<3 { body() }
        let before = allocation_count_of_thread()
        body()
        return Int(allocation_count_of_thread() - before)
    }

    @Test("what counts is counted")
    func counting() {
        var kept: [[Int]] = []
        #expect(allocations { kept.append(Array(0..<100)) } > 0)
        #expect(allocations {} == 0)
    }

    @Test("updates through a handle")
    func handles() throws {
        let registry = MetricRegistry()
        let counter = try registry.counter("c_total", help: "")
        let gauge = try registry.gauge("g", help: "")
        let histogram = try registry.histogram("h", help: "")
        let native = try registry.histogram("n", help: "", buckets: .none, native: NativeBuckets())
        let expiring = try registry.counter("e_total", help: "", expiresAfterMs: 60_000, labels: .label("x", as: Int.self))(1)
        #expect(allocations { counter.increment() } == 0)
        #expect(allocations { counter.increment(by: 3) } == 0)
        #expect(allocations { counter.increment(by: 0.5) } == 0)
        #expect(allocations { gauge.set(1.5) } == 0)
        #expect(allocations { gauge.increment(by: -2) } == 0)
        #expect(allocations { histogram.observe(0.3) } == 0)
        if Self.isOptimised { #expect(allocations { native.observe(0.3) } == 0) }
        #expect(allocations { expiring.increment() } == 0)
    }

    @Test("updates looked up by label values")
    func lookUps() throws {
        let registry = MetricRegistry()
        let one = try registry.counter("a_total", help: "", labels: .label("route", as: String.self))
        let three = try registry.counter(
            "b_total", help: "", labels: .label("verb", as: Verb.self), .label("route", as: String.self),
            .label("code", as: Int.self))
        let four = try registry.histogram(
            "h", help: "", labels: .label("a", as: Bool.self), .label("b", as: String?.self), .label("c", as: Int64.self),
            .label("d", as: StatusClass.self))
        let gets = curry(three, .get)
        let route = String(repeating: "/segment", count: 8)
        #expect(allocations { one.increment(route) } == 0)
        #expect(allocations { three.increment(.get, "/users/{id}", 200) } == 0)
        #expect(allocations { three.increment(by: 2, .post, route, 12_345) } == 0)
        #expect(allocations { three(.get, route, 404).increment(by: 0.5) } == 0)
        #expect(allocations { gets.increment("/", 200) } == 0)
        #expect(allocations { four.observe(0.25, true, nil, -7, StatusClass(503)) } == 0)
    }

    @Test(
        "pages of series that have not changed", .enabled(if: isOptimised),
        arguments: [PageEncoding.text, .openMetrics, .protobuf])
    func pages(encoding: PageEncoding) throws {
        let registry = MetricRegistry()
        let counters = try registry.counter("c_total", help: "", labels: .label("x", as: Int.self))
        let gauges = try registry.gauge("g", help: "", labels: .label("x", as: Int.self))
        for x in 0..<100 {
            counters.increment(x)
            gauges(x).set(Double(x) / 3)
        }
        var page: [UInt8] = []
        func render() {
            page.removeAll(keepingCapacity: true)
            registry.render(into: &page, as: encoding)
        }
        #expect(allocations(render) == 0)
        // Changed values of the same length, which take the other way through the code.
        for x in 0..<100 { gauges(x).set(Double(x + 1) / 3) }
        render()
        #expect(!page.isEmpty)
    }

    @Test("pages of histograms that have not changed", .enabled(if: isOptimised), arguments: [PageEncoding.text, .openMetrics])
    func histograms(encoding: PageEncoding) throws {
        let registry = MetricRegistry()
        let family = try registry.histogram("h", help: "", labels: .label("x", as: Int.self))
        for x in 0..<20 { family.observe(Double(x), x) }
        var page: [UInt8] = []
        #expect(
            allocations {
                page.removeAll(keepingCapacity: true)
                registry.render(into: &page, as: encoding)
            } == 0)
    }
}
