import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Threads that evaluate queries, apart from those that serve connections: a query may compute for minutes, and must not
/// hold up anything else.
///
/// Threads start with the first query. At most `maxConcurrency` queries run or wait their turn on a thread; those beyond
/// wait behind them, in order.
@safe final class QueryExecutor: @unchecked Sendable {
    // `@unchecked`: `queue`, `running`, `isStopping` and `threads` are touched only under `mutex`.
    private let threadCount: Int
    private let maxConcurrency: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    /// Index of the next to run; what is before it is done with.
    private var head = 0
    private var running = 0
    private var threads = 0
    private var isStopping = false

    /// A query's brackets may nest a thousand deep, and each level takes several frames. Only what is touched costs memory.
    static let stackBytes = 64 << 20

    init(threads: Int, maxConcurrency: Int) {
        let cores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        threadCount = max(1, min(threads > 0 ? threads : cores, maxConcurrency))
        self.maxConcurrency = maxConcurrency
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    private func withLock<R>(_ body: () -> R) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    /// - Returns: whether all threads have work, so that this has to wait for one.
    @discardableResult
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let (startsThread, mustWait) = withLock {
            queue.append(work)
            let starts = threads < threadCount && running + queue.count - head > threads
            if starts { threads += 1 }
            unsafe pthread_cond_signal(condition)
            return (starts, running + queue.count - head > threadCount)
        }
        if startsThread, !startThread() {
            // Out of threads: one that runs will take the work, or else this one does.
            let isAlone = withLock {
                threads -= 1
                return threads == 0
            }
            if isAlone { drain() }
        }
        return mustWait
    }

    /// Queries on a thread, and queries behind them.
    func load() -> (running: Int, queued: Int) { withLock { (running, queue.count - head) } }

    /// Lets the threads end when the queue is empty.
    func stop() {
        withLock {
            isStopping = true
            unsafe pthread_cond_broadcast(condition)
        }
    }

    private func startThread() -> Bool {
        var attributes = pthread_attr_t()
        guard unsafe pthread_attr_init(&attributes) == 0 else { return false }
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, Self.stackBytes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self)
        // SAFETY: the thread takes over the reference made above, and gives it back when it ends.
        let failed = unsafe pthread_create(
            &thread, &attributes,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<QueryExecutor>.fromOpaque(context).takeRetainedValue().serve()
                return nil
            }, context.toOpaque())
        if failed != 0 { unsafe context.release() }
        return failed == 0
    }

    private func serve() {
        while let work = next(waits: true) {
            work()
            withLock { running -= 1 }
        }
    }

    private func drain() {
        while let work = next(waits: false) {
            work()
            withLock { running -= 1 }
        }
    }

    private func next(waits: Bool) -> (@Sendable () -> Void)? {
        withLock {
            while head == queue.count {
                if isStopping || !waits {
                    if waits { threads -= 1 }
                    return nil
                }
                unsafe pthread_cond_wait(condition, mutex)
            }
            let work = queue[head]
            queue[head] = {}
            head += 1
            if head == queue.count {
                queue.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 1_024 {
                queue.removeFirst(head)
                head = 0
            }
            running += 1
            return work
        }
    }
}
