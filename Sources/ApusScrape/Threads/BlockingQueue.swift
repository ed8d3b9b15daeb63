import Glibc

/// A queue that threads wait on: first in, first out, unbounded. Its users bound it by what they put in.
@safe final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    // `@unchecked`: all state is touched between lock and unlock only.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var incoming: [Element] = []
    private var outgoing: [Element] = []
    private var isClosed = false

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    func push(_ element: Element) {
        unsafe pthread_mutex_lock(mutex)
        if !isClosed { incoming.append(element) }
        unsafe pthread_mutex_unlock(mutex)
        // Behind the lock: who wakes finds it free.
        unsafe pthread_cond_signal(condition)
    }

    /// Waits for an element; nil once the queue is closed.
    func pop() -> Element? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while !isClosed {
            if let element = outgoing.popLast() { return element }
            if incoming.isEmpty {
                unsafe pthread_cond_wait(condition, mutex)
            } else {
                outgoing = incoming.reversed()
                incoming.removeAll(keepingCapacity: true)
            }
        }
        return nil
    }

    /// Wakes everyone who waits; what is still queued is dropped.
    func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        incoming = []
        outgoing = []
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }
}
