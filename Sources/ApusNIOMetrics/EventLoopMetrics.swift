public import ApusMetrics
import ApusModel
public import NIOCore
public import NIOPosix

/// What event loops of SwiftNIO do. Give it to a group when the group is made, and let it probe the loops for their lag:
///
///     let loops = try EventLoopMetrics(registry)
///     let group = MultiThreadedEventLoopGroup(numberOfThreads: 4, metricsDelegate: loops)
///     let probe = loops.probe(group)
///
/// | name | type | |
/// |---|---|---|
/// | `nio_event_loop_ticks_total` | counter | passes of the loop |
/// | `nio_event_loop_busy_seconds_total` | counter | time in passes: its rate is the loop's load, 1 for a loop that never sleeps |
/// | `nio_event_loop_tasks_total` | counter | tasks run |
/// | `nio_event_loop_pending_tasks` | gauge | tasks that the last pass found waiting |
/// | `nio_event_loop_longest_tick_seconds` | gauge | the longest pass since the last scrape |
/// | `nio_event_loop_lag_seconds` | histogram | how much later than due the probe's task runs |
///
/// All have the label `loop`, a number from 0 in the order the loops were first seen. A pass costs a look-up under a lock and
/// five updates; the probe a task each interval and loop.
public final class EventLoopMetrics: NIOEventLoopMetricsDelegate {
    /// The numbers of one loop.
    private final class Loop: Sendable {
        let number: Int
        let ticks: Counter
        let busy: Counter
        let tasks: Counter
        let pending: Gauge
        let lag: Histogram
        let longest = Locked(0.0)

        init(number: Int, ticks: Counter, busy: Counter, tasks: Counter, pending: Gauge, lag: Histogram) {
            self.number = number
            self.ticks = ticks
            self.busy = busy
            self.tasks = tasks
            self.pending = pending
            self.lag = lag
        }
    }

    /// Loops that get a number of their own; those beyond share the last.
    public static let maximumLoops = 1024

    private let ticks: CounterFamily<Int>
    private let busy: CounterFamily<Int>
    private let tasks: CounterFamily<Int>
    private let pending: GaugeFamily<Int>
    private let lag: HistogramFamily<Int>
    private let loops = Locked<[ObjectIdentifier: Loop]>([:])

    /// - Throws: when the names are taken.
    public init(_ registry: MetricRegistry) throws(MetricError) {
        let label = LabelKey("loop", Int.self)
        ticks = try registry.counter("nio_event_loop_ticks_total", help: "Passes of the event loop.", labels: label)
        busy = try registry.counter("nio_event_loop_busy_seconds_total", help: "Time in passes of the event loop.", labels: label)
        tasks = try registry.counter("nio_event_loop_tasks_total", help: "Tasks run by the event loop.", labels: label)
        pending = try registry.gauge(
            "nio_event_loop_pending_tasks", help: "Tasks that the last pass of the event loop found waiting.", labels: label)
        lag = try registry.histogram(
            "nio_event_loop_lag_seconds", help: "How much later than due a task of the event loop runs.",
            buckets: [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5], labels: label)
        registry.collect { [weak self] sink in
            guard let self else { return }
            let longest = self.loops.withLock { $0.values.map { ($0.number, $0) } }.sorted { $0.0 < $1.0 }
            guard !longest.isEmpty else { return }
            sink.family(
                "nio_event_loop_longest_tick_seconds", help: "The longest pass of the event loop since the last scrape.",
                type: .gauge
            ) { family in
                for (number, loop) in longest {
                    let seconds = loop.longest.withLock { seconds in
                        defer { seconds = 0 }
                        return seconds
                    }
                    family.sample(seconds, labels: [("loop", String(number))])
                }
            }
        }
    }

    public func processedTick(info: NIOEventLoopTickInfo) {
        guard let loop = loop(info.eventLoopID) else { return }
        let seconds = Double((info.endTime - info.startTime).nanoseconds) / 1e9
        loop.ticks.increment()
        loop.busy.increment(by: max(0, seconds))
        loop.tasks.increment(by: max(0, info.numberOfTasks))
        loop.pending.set(info.numberOfTasks)
        loop.longest.withLock { $0 = max($0, seconds) }
    }

    private func loop(_ identifier: ObjectIdentifier) -> Loop? {
        loops.withLock { loops in
            if let known = loops[identifier] { return known }
            guard loops.count < Self.maximumLoops else { return nil }
            let number = loops.count
            let loop = Loop(
                number: number, ticks: ticks(number), busy: busy(number), tasks: tasks(number), pending: pending(number),
                lag: lag(number))
            loops[identifier] = loop
            return loop
        }
    }

    /// Begins to measure the lag of a group's loops, which need not have this as their delegate. Stop it before the group
    /// shuts down, or with it.
    public func probe(_ group: any EventLoopGroup, intervalMs: Int64 = 1_000) -> Probe {
        let interval = TimeAmount.milliseconds(max(1, intervalMs))
        var scheduled: [RepeatedTask] = []
        for eventLoop in group.makeIterator() {
            guard let loop = loop(ObjectIdentifier(eventLoop)) else { continue }
            let due = Locked(NIODeadline.now() + interval)
            scheduled.append(
                eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
                    let now = NIODeadline.now()
                    let late = due.withLock { due in
                        // The next one is counted from now.
                        defer { due = now + interval }
                        return (now - due).nanoseconds
                    }
                    loop.lag.observe(max(0, Double(late) / 1e9))
                })
        }
        return Probe(tasks: scheduled)
    }

    /// A running measurement of lag.
    public final class Probe: Sendable {
        private let tasks: Locked<[RepeatedTask]>
        init(tasks: [RepeatedTask]) { self.tasks = Locked(tasks) }

        public func stop() {
            let all = tasks.withLock { tasks in
                defer { tasks = [] }
                return tasks
            }
            for task in all { task.cancel() }
        }
    }
}
