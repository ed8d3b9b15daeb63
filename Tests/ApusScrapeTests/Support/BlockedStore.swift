import ApusBytes
import ApusModel
import ApusStorage
import Glibc

/// A store that keeps who appends samples of `big_page_of_many_lines` until it is told to let go.
final class BlockedStore: SampleStore {
    private struct State {
        var held: SeriesRef?
        var isHolding = false
        var isReleased = false
        var lightBatches = 0
    }
    private let store = FakeStore()
    private let state = Locked(State())

    var isHolding: Bool { state.withLock { $0.isHolding } }
    /// Appends of others.
    var lightBatches: Int { state.withLock { $0.lightBatches } }
    func release() { state.withLock { $0.isReleased = true } }

    func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        let ref = try store.seriesRef(for: labels)
        if labels[LabelSet.metricName] == "big_page_of_many_lines" { state.withLock { $0.held = ref } }
        return ref
    }

    func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        let refs = batch.refs
        let isHeavy = state.withLock { state in
            guard let held = state.held, refs.contains(held) else {
                state.lightBatches += 1
                return false
            }
            state.isHolding = !state.isReleased
            return true
        }
        while isHeavy, !state.withLock({ $0.isReleased }) { sched_yield() }
        return try store.append(batch)
    }

    func labels(of ref: SeriesRef) -> LabelSet? { store.labels(of: ref) }
}
