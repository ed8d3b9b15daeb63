#if SANITIZE_THREAD
    #if canImport(Glibc)
        import Glibc
    #else
        import Darwin
    #endif

    /// State behind a lock, held for a few lines and never across an `await`.
    ///
    /// The thread sanitizer does not see through `Synchronization.Mutex` and reports every use as a race, so under it
    /// (`-D SANITIZE_THREAD`) this is a pthread mutex, which it knows.
    @safe public final class Locked<State>: @unchecked Sendable {
        // `@unchecked`: `state` is touched only between lock and unlock.
        private var state: State
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        public init(_ state: sending State) {
            self.state = state
            unsafe pthread_mutex_init(mutex, nil)
        }
        deinit {
            unsafe pthread_mutex_destroy(mutex)
            unsafe mutex.deallocate()
        }
        public func withLock<R, E: Error>(_ body: (inout sending State) throws(E) -> sending R) throws(E) -> sending R {
            unsafe pthread_mutex_lock(mutex)
            defer { unsafe pthread_mutex_unlock(mutex) }
            return try body(&state)
        }
        /// Whether nobody holds the lock just now. A hint: somebody may take it in the next moment.
        public var isFree: Bool {
            guard unsafe pthread_mutex_trylock(mutex) == 0 else { return false }
            unsafe pthread_mutex_unlock(mutex)
            return true
        }
    }
#else
    public import Synchronization

    /// State behind a lock, held for a few lines and never across an `await`.
    public final class Locked<State>: Sendable {
        // Inlined: without knowing `State` a lock takes several times as long.
        @usableFromInline let mutex: Mutex<State>
        @inlinable public init(_ state: consuming sending State) { mutex = Mutex(state) }
        @inlinable public func withLock<R, E: Error>(_ body: (inout sending State) throws(E) -> sending R) throws(E) -> sending R {
            try mutex.withLock(body)
        }
        /// Whether nobody holds the lock just now. A hint: somebody may take it in the next moment.
        @inlinable public var isFree: Bool { mutex.withLockIfAvailable { _ in true } ?? false }
    }
#endif
