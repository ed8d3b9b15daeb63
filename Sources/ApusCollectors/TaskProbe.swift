public import ApusMetrics
import ApusModel

/// Measures how long a task waits for a thread of Swift's concurrency: what every request feels when something blocks them.
///
///     let probe = try TaskProbe(registry)
///     let probing = Task { await probe.run() }
///
/// | name | type | |
/// |---|---|---|
/// | `swift_task_wait_seconds` | histogram | from making a task to its first instruction |
/// | `swift_timer_lag_seconds` | histogram | how much later than asked for a sleeping task wakes |
///
/// Costs one task and one timer an interval. While all threads are blocked nothing is measured; the wait shows when one
/// is free again, as one long observation.
public final class TaskProbe: Sendable {
    private let wait: Histogram
    private let lag: Histogram
    private let intervalMs: Int64

    /// - Throws: when the names are taken.
    public init(_ registry: MetricRegistry, intervalMs: Int64 = 1_000) throws(MetricError) {
        let buckets: Buckets = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]
        wait = try registry.histogram("swift_task_wait_seconds", help: "Time a new task waits for a thread.", buckets: buckets)
        lag = try registry.histogram(
            "swift_timer_lag_seconds", help: "Time that a sleeping task wakes too late.", buckets: buckets)
        self.intervalMs = max(1, intervalMs)
    }

    /// Measures at each interval until its task is cancelled.
    public func run() async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            await measure()
            let due = clock.now + .milliseconds(intervalMs)
            guard (try? await clock.sleep(until: due, tolerance: .zero)) != nil else { return }
            lag.observe(max(0, (clock.now - due) / .seconds(1)))
        }
    }

    /// Measures one task's wait.
    public func measure() async {
        let made = ContinuousClock.now
        let begun = await Task.detached { ContinuousClock.now }.value
        wait.observe((begun - made) / .seconds(1))
    }
}
