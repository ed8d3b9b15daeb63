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
final class QueryExecutor: @unchecked Sendable {
    // `@unchecked`: `queue`, `running`, `isStopping` and `threads` are touched only under `monitor`, and so is what stands beside them.
    let threadCount: Int
    private let maxConcurrency: Int
    private let monitor = Monitor()
    private var queue: [@Sendable () -> Void] = []
    /// Index of the next to run; what is before it is done with.
    private var head = 0
    private var running = 0
    private var threads = 0
    /// Parts of queries that run, for threads without a query of their own.
    private var assists: [@Sendable () -> Void] = []
    private var assisting = 0
    /// Queries on threads of others.
    private var guests = 0
    private var isStopping = false

    /// A query's brackets may nest a thousand deep, and each level takes several frames. Only what is touched costs memory.
    static let stackBytes = 64 << 20

    init(threads: Int, maxConcurrency: Int) {
        let cores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        threadCount = max(1, min(threads > 0 ? threads : cores, maxConcurrency))
        self.maxConcurrency = maxConcurrency
    }

    private func withLock<R>(_ body: () -> R) -> R { monitor.locked(body) }

    /// - Returns: whether all threads have work, so that this has to wait for one.
    @discardableResult
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let (startsThread, mustWait) = withLock {
            queue.append(work)
            let starts = threads < threadCount && running + assisting + assists.count + queue.count - head > threads
            if starts { threads += 1 }
            monitor.wakeOne()
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

    /// Has up to `count` threads that have nothing to do run `work` as well. None may: whoever asks must not wait for it.
    func assist(_ count: Int, _ work: @escaping @Sendable () -> Void) {
        var startsThreads = 0
        withLock {
            if isStopping || head < queue.count { return }
            let idle = threads - running - assisting - assists.count
            let asked = min(count, max(0, idle) + threadCount - threads)
            if asked <= 0 { return }
            for _ in 0..<asked { assists.append(work) }
            startsThreads = max(0, asked - max(0, idle))
            threads += startsThreads
            monitor.wakeAll()
        }
        for _ in 0..<startsThreads where !startThread() { withLock { threads -= 1 } }
    }

    /// A query is about to be evaluated by who asks for it; false when others wait for a thread, and it should, too. `end` must
    /// follow.
    func begin() -> Bool {
        withLock {
            if isStopping || head < queue.count { return false }
            guests += 1
            return true
        }
    }

    func end() { withLock { guests -= 1 } }

    /// Whether a query waits for a thread.
    var hasWaitingQueries: Bool { withLock { head < queue.count } }

    /// Queries on a thread, and queries behind them.
    func load() -> (running: Int, queued: Int) { withLock { (running + guests, queue.count - head) } }

    /// Lets the threads end when the queue is empty.
    func stop() {
        withLock {
            isStopping = true
            monitor.wakeAll()
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
        while let (work, isAssist) = next(waits: true) {
            work()
            withLock { if isAssist { assisting -= 1 } else { running -= 1 } }
        }
    }

    private func drain() {
        while let (work, isAssist) = next(waits: false) {
            work()
            withLock { if isAssist { assisting -= 1 } else { running -= 1 } }
        }
    }

    private func next(waits: Bool) -> (work: @Sendable () -> Void, isAssist: Bool)? {
        withLock {
            while head == queue.count {
                if waits, let assist = assists.popLast() {
                    assisting += 1
                    return (assist, true)
                }
                if isStopping || !waits {
                    if waits { threads -= 1 }
                    return nil
                }
                monitor.wait()
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
            return (work, false)
        }
    }
}
