#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A thread that does one thing again and again: when it is woken, and after `intervalMs` without.
///
/// Work that is asked for while some is being done is done once more afterwards. `stop` waits for the work in hand; the
/// owner calls it before it goes.
@safe final class BackgroundThread: @unchecked Sendable {
    // `@unchecked`: all but `handle`, which only the owner touches, is changed between lock and unlock.
    private var handle = pthread_t()
    private var isJoined = true
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let intervalMs: Int64
    private let isLowPriority: Bool
    private let work: @Sendable () -> Void
    private var isWoken = false
    private var isStopping = false

    /// What the scheduler is asked to add to the niceness of a thread that can wait.
    private static let lowPriorityNice: Int32 = 10

    /// - Parameter intervalMs: 0 for work only when woken.
    init(intervalMs: Int64, isLowPriority: Bool = false, _ work: @escaping @Sendable () -> Void) {
        self.intervalMs = intervalMs
        self.isLowPriority = isLowPriority
        self.work = work
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        #if canImport(Glibc) || canImport(Musl)
            // The wall clock may be set while we wait.
            unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        #endif
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// False when the system has no more threads.
    func start() -> Bool {
        let body = unsafe Unmanaged.passRetained(self)
        guard unsafe pthread_create(&handle, nil, backgroundThreadMain, body.toOpaque()) == 0 else {
            unsafe body.release()
            return false
        }
        isJoined = false
        return true
    }

    func wake() {
        unsafe pthread_mutex_lock(mutex)
        isWoken = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// The thread ends when the work in hand is done. For an owner that goes without `stop`, maybe on this very thread.
    func requestStop() {
        unsafe pthread_mutex_lock(mutex)
        isStopping = true
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Returns when the thread has ended.
    func stop() {
        requestStop()
        if isJoined { return }
        isJoined = true
        pthread_join(handle, nil)
    }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        // SAFETY: `context` is the object that `start` retained; it is taken once.
        let thread = unsafe Unmanaged<BackgroundThread>.fromOpaque(context).takeRetainedValue()
        thread.run()
    }

    private func run() {
        #if os(Linux)
            // On Linux this is of the calling thread alone.
            if isLowPriority { _ = setpriority(processPriority, 0, Self.lowPriorityNice) }
        #endif
        while wait() { work() }
    }

    /// Waits for something to do; false when there will be nothing more.
    private func wait() -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var deadline = timespec()
        if intervalMs > 0 {
            #if canImport(Glibc) || canImport(Musl)
                unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
            #else
                unsafe clock_gettime(CLOCK_REALTIME, &deadline)
            #endif
            deadline.tv_sec += Int(intervalMs / 1000)
            deadline.tv_nsec += Int(intervalMs % 1000) * 1_000_000
            if deadline.tv_nsec >= 1_000_000_000 {
                deadline.tv_sec += 1
                deadline.tv_nsec -= 1_000_000_000
            }
        }
        while !isStopping && !isWoken {
            if intervalMs == 0 {
                unsafe pthread_cond_wait(condition, mutex)
            } else if unsafe pthread_cond_timedwait(condition, mutex, &deadline) != 0 {
                break
            }
        }
        isWoken = false
        return !isStopping
    }
}

#if canImport(Glibc)
    private let processPriority = Int32(PRIO_PROCESS.rawValue)
#elseif os(Linux)
    private let processPriority = PRIO_PROCESS
#endif

private func backgroundThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe BackgroundThread.run(context) }
    return nil
}
