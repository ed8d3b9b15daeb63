import ApusMetrics
import ApusMetricsTesting
import Testing

@Suite("Test kit") struct TestingKitTests {
    private func registry() throws -> (MetricRegistry, CounterFamily<String>) {
        let registry = MetricRegistry()
        let jobs = try registry.counter("jobs_total", help: "Jobs done.", labels: .label("kind", as: String.self))
        jobs("mail").increment(by: 2)
        jobs("a\"\\\nb").increment(by: 3)
        try registry.histogram("seconds", help: "S.", buckets: [1]).observe(0.5)
        return (registry, jobs)
    }

    @Test("values are what a server would see")
    func values() throws {
        let (registry, _) = try registry()
        #expect(registry.value("jobs_total", ["kind": "mail"]) == 2)
        #expect(registry.value("jobs_total", ["kind": "a\"\\\nb"]) == 3)
        #expect(registry.value("jobs_total") == nil)
        #expect(registry.value("jobs_total", ["kind": "none"]) == nil)
        #expect(registry.value("nothing") == nil)
        #expect(registry.sum("jobs_total") == 5)
        #expect(registry.value("seconds_bucket", ["le": "1"]) == 1)
        #expect(registry.shown("seconds_count") == [ShownSample("seconds_count", value: 1)])
        #expect(registry.shown().count == 6)
        #expect(registry.shown("jobs_total", ["kind": "mail"]).map(\.description) == ["jobs_total{kind=\"mail\"} 2.0"])
    }

    @Test("an increase is of what runs, new series included, thrown errors passed on")
    func increases() async throws {
        struct Failure: Error {}
        let (registry, jobs) = try registry()
        #expect(increase(of: "jobs_total", in: registry) { jobs("new").increment(by: 4) } == 4)
        #expect(increase(of: "jobs_total", ["kind": "mail"], in: registry) { jobs("new").increment() } == 0)
        let later = await increase(of: "jobs_total", ["kind": "mail"], in: registry) {
            await Task.yield()
            jobs("mail").increment()
        }
        #expect(later == 1)
        #expect(throws: Failure.self) { _ = try increase(of: "jobs_total", in: registry) { throw Failure() } }
    }

    @Test("a page is compared, and what differs is shown")
    func golden() throws {
        let (registry, jobs) = try registry()
        let expected = """

            # HELP jobs_total Jobs done.
              # TYPE jobs_total counter
            jobs_total{kind="a\\"\\\\\\nb"} 3
            jobs_total{kind="mail"} 2
            """
        #expect(registry.difference(from: expected, names: ["jobs_total"]) == nil)
        jobs("mail").increment()
        #expect(
            registry.difference(from: expected, names: ["jobs_total"])
                == "- jobs_total{kind=\"mail\"} 2\n+ jobs_total{kind=\"mail\"} 3")
        #expect(registry.difference(from: expected) != nil)
        #expect(MetricRegistry().difference(from: "") == nil)
    }

    @Test("registries of tasks do not see each other")
    func taskLocal() async throws {
        @Sendable func work() async throws {
            let counter = try MetricRegistry.current.counter("work_total", help: "W.")
            for _ in 0..<10 {
                counter.increment()
                await Task.yield()
            }
        }
        try await withThrowingTaskGroup { group in
            for _ in 0..<20 {
                group.addTask {
                    try await withTestRegistry { registry in
                        let grown = try await increase(of: "work_total") { try await work() }
                        #expect(grown == 10)
                        #expect(registry.value("work_total") == 10)
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
