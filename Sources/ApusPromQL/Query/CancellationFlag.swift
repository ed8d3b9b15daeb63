import Synchronization

/// Tells a running query to stop. Set once, from any thread; the engine looks every few thousand samples.
public final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    public func cancel() { flag.store(true, ordering: .relaxed) }

    public var isCanceled: Bool { flag.load(ordering: .relaxed) }
}
