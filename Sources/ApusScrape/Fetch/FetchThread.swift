import ApusModel
import CCurl
import CLinux
import Glibc

/// Who decides what to fetch and takes what came. Called on the fetch thread only, so it must be quick.
protocol FetchDriver: AnyObject, Sendable {
    /// The fetches due at `nowNs`, and when to ask again; nil for not before a wake-up.
    func takeDue(nowNs: UInt64) -> (start: [FetchRequest], forget: [UInt64], nextNs: UInt64?)
    func finished(key: UInt64, _ outcome: FetchOutcome)
}

/// The one thread that does all fetching: libcurl's multi interface on epoll, with an eventfd to wake it.
///
/// It never parses and never waits for anything but its sockets and the clock, so one target cannot delay another.
@safe final class FetchThread: @unchecked Sendable {
    // `@unchecked`: what is not constant is touched by the thread alone; `stopRequested` has a lock of its own.
    private let driver: any FetchDriver
    private let time: any TimeSource
    private let pool: BufferPool
    private let epoll: CInt
    private let wakeup: CInt
    private let multi: OpaquePointer
    private var transfers: [UInt64: Transfer] = [:]
    private var active: Set<UInt64> = []
    private var forgotten: Set<UInt64> = []
    /// When libcurl wants to be called, or nil.
    private var curlDeadlineNs: UInt64?
    private let stopRequested = Locked(false)
    private var thread: PosixThread?

    /// - Returns: nil when the system gives no epoll, eventfd or thread.
    init?(driver: any FetchDriver, time: any TimeSource, pool: BufferPool) {
        self.driver = driver
        self.time = time
        self.pool = pool
        guard curlIsReady, let multi = unsafe curl_multi_init() else { return nil }
        unsafe self.multi = OpaquePointer(multi)
        epoll = clinux_epoll()
        wakeup = clinux_eventfd()
        guard epoll >= 0, wakeup >= 0, clinux_watch(epoll, wakeup, CInt(CLINUX_READABLE)) == 0 else { return nil }
    }

    deinit {
        unsafe curl_multi_cleanup(UnsafeMutableRawPointer(multi))
        if epoll >= 0 { close(epoll) }
        if wakeup >= 0 { close(wakeup) }
    }

    func start() {
        // SAFETY: libcurl calls back on this thread only, inside calls that this object makes.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe ccurl_multi_set_callbacks(curl, fetchThreadSocketChanged, fetchThreadTimerChanged, context)
        thread = PosixThread { [self] in run() }
    }

    /// From any thread: ask the driver again.
    func wake() {
        clinux_signal(wakeup)
    }

    /// Stops fetching and waits until the thread has gone. Transfers under way are dropped.
    func stop() {
        stopRequested.withLock { $0 = true }
        wake()
        thread?.join()
        thread = nil
    }

    private var curl: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(multi) }

    // MARK: The thread

    private func run() {
        var events = [clinux_event](repeating: clinux_event(), count: 256)
        while !stopRequested.withLock({ $0 }) {
            let now = time.monotonicNs()
            let due = driver.takeDue(nowNs: now)
            for key in due.forget { forget(key) }
            for request in due.start { begin(request, nowNs: now) }
            reap()
            let timeout = waitMs([due.nextNs, curlDeadlineNs])
            let ready = unsafe events.withUnsafeMutableBufferPointer {
                unsafe clinux_wait(epoll, $0.baseAddress, CInt($0.count), timeout)
            }
            if ready > 0 {
                for event in events.prefix(Int(ready)) { handle(event) }
            }
            if let deadline = curlDeadlineNs, time.monotonicNs() >= deadline {
                curlDeadlineNs = nil
                var running: CInt = 0
                unsafe curl_multi_socket_action(curl, curlSocketTimeout, 0, &running)
            }
            reap()
        }
        for key in active {
            if let transfer = transfers[key] { unsafe curl_multi_remove_handle(curl, UnsafeMutableRawPointer(transfer.easy)) }
        }
        active = []
        transfers = [:]
    }

    /// Milliseconds until the earliest of `deadlines`, rounded up so that the thread never spins; −1 for none.
    private func waitMs(_ deadlines: [UInt64?]) -> CInt {
        guard let earliest = deadlines.compactMap({ $0 }).min() else { return -1 }
        let now = time.monotonicNs()
        if earliest <= now { return 0 }
        return CInt(min((earliest - now + 999_999) / 1_000_000, 60_000))
    }

    private func handle(_ event: clinux_event) {
        if event.descriptor == wakeup {
            clinux_drain(wakeup)
            return
        }
        var flags: CInt = 0
        if event.ready & CInt(CLINUX_READABLE) != 0 { flags |= CInt(CURL_CSELECT_IN) }
        if event.ready & CInt(CLINUX_WRITABLE) != 0 { flags |= CInt(CURL_CSELECT_OUT) }
        if event.ready & CInt(CLINUX_FAILED) != 0 { flags |= CInt(CURL_CSELECT_ERR) }
        var running: CInt = 0
        unsafe curl_multi_socket_action(curl, event.descriptor, flags, &running)
    }

    private func begin(_ request: FetchRequest, nowNs: UInt64) {
        guard !active.contains(request.key) else { return }
        guard let transfer = transfers[request.key] ?? Transfer(key: request.key, pool: pool) else {
            driver.finished(key: request.key, .failed(FetchFailure("Get \"\(request.url)\": out of memory")))
            return
        }
        if transfers.updateValue(transfer, forKey: request.key) == nil {
            // One connection a target is kept alive, and none is closed to make room for another's.
            unsafe ccurl_multi_set_long(curl, CURLMOPT_MAXCONNECTS, transfers.count + 16)
        }
        transfer.prepare(request, nowNs: nowNs)
        active.insert(request.key)
        unsafe curl_multi_add_handle(curl, UnsafeMutableRawPointer(transfer.easy))
    }

    private func forget(_ key: UInt64) {
        if active.contains(key) { forgotten.insert(key) } else { transfers[key] = nil }
    }

    /// Takes the transfers that are over.
    private func reap() {
        var code = CURLE_OK
        while let easy = unsafe ccurl_multi_next_done(curl, &code) {
            guard let context = unsafe ccurl_private(easy) else { continue }
            // SAFETY: the private pointer of each handle is its transfer, which `transfers` keeps alive.
            let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            unsafe curl_multi_remove_handle(curl, easy)
            switch transfer.finish(code, nowNs: time.monotonicNs()) {
            case .again:
                unsafe curl_multi_add_handle(curl, easy)
            case .done(let outcome):
                active.remove(transfer.key)
                if forgotten.remove(transfer.key) != nil { transfers[transfer.key] = nil }
                driver.finished(key: transfer.key, outcome)
            }
        }
    }

    fileprivate func socketChanged(_ socket: CInt, _ what: CInt) {
        switch what {
        case CInt(CURL_POLL_IN): clinux_watch(epoll, socket, CInt(CLINUX_READABLE))
        case CInt(CURL_POLL_OUT): clinux_watch(epoll, socket, CInt(CLINUX_WRITABLE))
        case CInt(CURL_POLL_INOUT): clinux_watch(epoll, socket, CInt(CLINUX_READABLE | CLINUX_WRITABLE))
        default: clinux_watch(epoll, socket, 0)
        }
    }

    fileprivate func timerChanged(_ timeoutMs: Int) {
        curlDeadlineNs = timeoutMs < 0 ? nil : time.monotonicNs() &+ UInt64(timeoutMs) &* 1_000_000
    }
}

/// `CURL_SOCKET_TIMEOUT`, a macro that Swift does not see.
private let curlSocketTimeout: CInt = -1

private func fetchThreadSocketChanged(
    _ easy: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: CInt, _ context: UnsafeMutableRawPointer?,
    _ socketContext: UnsafeMutableRawPointer?
) -> CInt {
    guard let context = unsafe context else { return 0 }
    // SAFETY: `context` is the thread object, which outlives its multi handle.
    unsafe Unmanaged<FetchThread>.fromOpaque(context).takeUnretainedValue().socketChanged(socket, what)
    return 0
}

private func fetchThreadTimerChanged(
    _ multi: UnsafeMutableRawPointer?, _ timeoutMs: Int, _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let context = unsafe context else { return 0 }
    // SAFETY: as above.
    unsafe Unmanaged<FetchThread>.fromOpaque(context).takeUnretainedValue().timerChanged(timeoutMs)
    return 0
}
