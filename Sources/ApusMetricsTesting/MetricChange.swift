public import ApusMetrics

/// By how much the series of a name, with these labels among their own, grow while `body` runs, all of them together. A series
/// that was not there before counts from 0.
///
///     #expect(try await increase(of: "jobs_total", ["kind": "mail"], in: registry) { try await send() } == 1)
///
/// Other work on the same registry meanwhile counts too: give each test a registry of its own, or see `withTestRegistry`.
public nonisolated(nonsending) func increase(
    of name: String, _ labels: [String: String] = [:], in registry: MetricRegistry = .current,
    _ body: nonisolated(nonsending) () async throws -> Void
) async rethrows -> Double {
    let before = registry.sum(name, labels)
    try await body()
    return registry.sum(name, labels) - before
}

/// As above, of code that does not wait.
public func increase(
    of name: String, _ labels: [String: String] = [:], in registry: MetricRegistry = .current, _ body: () throws -> Void
) rethrows -> Double {
    let before = registry.sum(name, labels)
    try body()
    return registry.sum(name, labels) - before
}

/// Runs `body` with a registry of its own as `MetricRegistry.current`, so that tests may run at the same time.
public nonisolated(nonsending) func withTestRegistry<Result>(
    _ registry: MetricRegistry = MetricRegistry(), _ body: nonisolated(nonsending) (MetricRegistry) async throws -> Result
) async rethrows -> Result {
    try await MetricRegistry.$current.withValue(registry) { try await body(registry) }
}
