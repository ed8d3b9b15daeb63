import ApusExposition
import ApusModel

/// A collector that may take its time, and the bounds of it.
final class AsyncCollector: Sendable {
    private enum Phase {
        case idle
        case running
    }
    /// Who waits for one run; the first to take it answers.
    private final class Waiter: Sendable {
        private let continuation: Locked<CheckedContinuation<[FamilySnapshot]?, Never>?>
        init(_ continuation: CheckedContinuation<[FamilySnapshot]?, Never>) { self.continuation = Locked(continuation) }
        /// False if it was answered before.
        func answer(_ families: [FamilySnapshot]?) -> Bool {
            let taken = continuation.withLock { continuation in
                defer { continuation = nil }
                return continuation
            }
            taken?.resume(returning: families)
            return taken != nil
        }
    }

    private let registry: MetricRegistry
    private let timeoutMs: Int64
    private let collect: @Sendable (inout MetricSink) async throws -> Void
    private let phase = Locked(Phase.idle)

    init(_ registry: MetricRegistry, timeoutMs: Int64, _ collect: @escaping @Sendable (inout MetricSink) async throws -> Void) {
        self.registry = registry
        self.timeoutMs = max(1, timeoutMs)
        self.collect = collect
    }

    /// What it gives; nothing if it throws, is late, or has not ended since it was late the last time.
    func run() async -> [FamilySnapshot] {
        let isFree = phase.withLock { phase in
            if phase == .running { return false }
            phase = .running
            return true
        }
        guard isFree else {
            registry.faults.count(.lateCollector)
            return []
        }
        // Not in a task group: a group waits for its tasks, also for one that heeds no cancellation.
        let families = await withCheckedContinuation { continuation in
            let waiter = Waiter(continuation)
            let limit = Task { [timeoutMs] in
                try await Task.sleep(for: .milliseconds(timeoutMs))
                return waiter.answer(nil)
            }
            Task { [self] in
                let families = await collected()
                limit.cancel()
                phase.withLock { $0 = .idle }
                _ = waiter.answer(families)
            }
        }
        if families == nil { registry.faults.count(.lateCollector) }
        return families ?? []
    }

    private func collected() async -> [FamilySnapshot] {
        var sink = MetricSink(registry: registry)
        do {
            try await collect(&sink)
            return sink.finish()
        } catch {
            registry.faults.count(.failedCollector)
            return []
        }
    }
}
