import ApusModel
import CLinux

/// Watches directories and the clock for `file_sd_configs`, and says when to read again.
///
/// Changes come in bursts, so it waits a moment after the first one. It decides nothing: `refresh` does the reading.
@safe final class DiscoveryThread: @unchecked Sendable {
    // `@unchecked`: constant after `init`, but for `state` and `thread`, which have a lock and one user.
    static let debounceNs: UInt64 = 200_000_000

    private struct State {
        var directories: Set<String> = []
        var watched: Set<String> = []
        var intervalNs: UInt64?
        var isStopped = false
    }
    private let state = Locked(State())
    private let time: any TimeSource
    private let epoll: CInt
    private let inotify: CInt
    private let wakeup: CInt
    private let refresh: @Sendable () -> Void
    private var thread: PosixThread?

    init?(time: any TimeSource, refresh: @escaping @Sendable () -> Void) {
        self.time = time
        self.refresh = refresh
        epoll = clinux_epoll()
        inotify = clinux_inotify()
        wakeup = clinux_eventfd()
        guard epoll >= 0, inotify >= 0, wakeup >= 0, clinux_watch(epoll, inotify, CInt(CLINUX_READABLE)) == 0,
            clinux_watch(epoll, wakeup, CInt(CLINUX_READABLE)) == 0
        else { return nil }
    }

    deinit {
        for descriptor in [epoll, inotify, wakeup] where descriptor >= 0 { closeDescriptor(descriptor) }
    }

    func start() { thread = PosixThread { [self] in run() } }

    func stop() {
        state.withLock { $0.isStopped = true }
        clinux_signal(wakeup)
        thread?.join()
        thread = nil
    }

    /// What to watch from now on. A directory that does not exist yet is tried again at each refresh.
    func watch(_ directories: Set<String>, intervalMs: Int64?) {
        state.withLock {
            $0.directories = directories
            $0.intervalNs = intervalMs.map { UInt64(max($0, 1)) &* 1_000_000 }
        }
        clinux_signal(wakeup)
    }

    private func run() {
        var events = [clinux_event](repeating: clinux_event(), count: 8)
        var lastRefresh = time.monotonicNs()
        var changedAt: UInt64?
        while true {
            let (stopped, interval, watchesMore) = state.withLock { state in
                let before = state.watched.count
                for directory in state.directories.subtracting(state.watched)
                where unsafe clinux_inotify_watch(inotify, directory) >= 0 {
                    state.watched.insert(directory)
                }
                return (state.isStopped, state.intervalNs, state.watched.count > before)
            }
            if stopped { return }
            // What changed before the watch began made no event.
            if watchesMore, changedAt == nil { changedAt = time.monotonicNs() }
            var deadline: UInt64?
            if let interval { deadline = lastRefresh &+ interval }
            if let changedAt { deadline = min(deadline ?? .max, changedAt &+ Self.debounceNs) }
            let now = time.monotonicNs()
            if let due = deadline, due <= now {
                if changedAt == nil {
                    // The regular refresh watches anew: a directory may have been replaced by another of its name.
                    state.withLock { state in
                        for directory in state.watched where unsafe clinux_inotify_watch(inotify, directory) < 0 {
                            state.watched.remove(directory)
                        }
                    }
                }
                changedAt = nil
                lastRefresh = now
                refresh()
                continue
            }
            let timeout = deadline.map { CInt(min(($0 - now + 999_999) / 1_000_000, 60_000)) } ?? -1
            let ready = unsafe events.withUnsafeMutableBufferPointer {
                unsafe clinux_wait(epoll, $0.baseAddress, CInt($0.count), timeout)
            }
            for event in events.prefix(max(Int(ready), 0)) {
                clinux_drain(event.descriptor)
                if event.descriptor == inotify, changedAt == nil { changedAt = time.monotonicNs() }
            }
        }
    }
}
