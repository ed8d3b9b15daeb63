import Synchronization

/// A request that is being answered. It ends once: when its answer is written, or when nobody holds the answer any more
/// because something further out has thrown it away.
final class RequestInFlight: Sendable {
    private let hasEnded = Atomic<Bool>(false)
    private let finish: @Sendable () -> Void

    init(_ finish: @escaping @Sendable () -> Void) { self.finish = finish }
    deinit { end() }

    func end() {
        if !hasEnded.exchange(true, ordering: .relaxed) { finish() }
    }
}
