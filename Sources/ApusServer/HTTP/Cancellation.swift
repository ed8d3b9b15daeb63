import ApusModel

/// Tells work in progress that nobody waits for its result any more.
///
/// Whoever works registers what stops it; whoever notices that the client is gone calls `cancel`.
final class Cancellation: Sendable {
    private enum State {
        case waiting([@Sendable () -> Void])
        case cancelled
    }
    private let state = Locked(State.waiting([]))

    var isCancelled: Bool {
        state.withLock {
            if case .cancelled = $0 { true } else { false }
        }
    }

    /// Runs `stop` on `cancel`, or at once when that has been.
    func onCancel(_ stop: @escaping @Sendable () -> Void) {
        let runNow = state.withLock { state in
            guard case .waiting(let others) = state else { return true }
            state = .waiting(others + [stop])
            return false
        }
        if runNow { stop() }
    }

    func cancel() {
        let stops: [@Sendable () -> Void] = state.withLock { state in
            guard case .waiting(let stops) = state else { return [] }
            state = .cancelled
            return stops
        }
        for stop in stops { stop() }
    }
}
