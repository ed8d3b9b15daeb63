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

/// The one thread that does all fetching: libcurl's multi interface on epoll, with an eventfd to wake it. Its targets are spread
/// over several `FetchMulti`.
///
/// It waits for its sockets and the clock; its driver stores none but small pages here, and none when that may have to wait, so
/// one target cannot delay another. Where cores are scarce it is called soon: see `clinux_shorten_slice`.
@safe final class FetchThread: @unchecked Sendable {
    // `@unchecked`: what is not constant is touched by the thread alone; `stopRequested` has a lock of its own.
    private let driver: any FetchDriver
    private let time: any TimeSource
    private let pool: BufferPool
    private let epoll: CInt
    private let wakeup: CInt
    private var multis: [FetchMulti] = []
    /// By socket, as long as libcurl wants to hear of it.
    private var owners: [CInt: FetchMulti] = [:]
    private var transfers: [UInt64: Transfer] = [:]
    private var active: Set<UInt64> = []
    private var forgotten: Set<UInt64> = []
    /// Transfers that have had their turn, and have more to give.
    private var waiting: [Transfer] = []
    private let stopRequested = Locked(false)
    private var thread: PosixThread?

    /// - Returns: nil when the system gives no epoll, eventfd or thread.
    init?(driver: any FetchDriver, time: any TimeSource, pool: BufferPool) {
        self.driver = driver
        self.time = time
        self.pool = pool
        guard curlIsReady else { return nil }
        epoll = clinux_epoll()
        wakeup = clinux_eventfd()
        guard epoll >= 0, wakeup >= 0, clinux_watch(epoll, wakeup, CInt(CLINUX_READABLE)) == 0 else { return nil }
    }

    deinit {
        if epoll >= 0 { close(epoll) }
        if wakeup >= 0 { close(wakeup) }
    }

    func start() {
        thread = PosixThread(name: Self.threadName) { [self] in run() }
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

    // MARK: The thread

    static let threadName = "scrape-fetch"
    /// What the scheduler is asked to give this thread at a time, ns; others have some milliseconds.
    private static let sliceNs: UInt64 = 200_000

    private func run() {
        clinux_shorten_slice(Self.sliceNs)
        var events = [clinux_event](repeating: clinux_event(), count: 256)
        while !stopRequested.withLock({ $0 }) {
            let now = time.monotonicNs()
            let due = driver.takeDue(nowNs: now)
            for key in due.forget { forget(key) }
            for request in due.start { begin(request, nowNs: now) }
            // What has just begun wants to be called at once.
            if !due.start.isEmpty { callWhoIsDue() }
            reap()
            let timeout = waiting.isEmpty ? waitMs(due.nextNs) : 0
            let ready = unsafe events.withUnsafeMutableBufferPointer {
                unsafe clinux_wait(epoll, $0.baseAddress, CInt($0.count), timeout)
            }
            if ready > 0 {
                for event in events.prefix(Int(ready)) { handle(event) }
            }
            callWhoIsDue()
            reap()
            goOn()
        }
        for key in active {
            if let transfer = transfers[key] { transfer.multi?.remove(transfer) }
        }
        active = []
        waiting = []
        transfers = [:]
        // On this thread, and after the last of their transfers.
        for multi in multis { multi.close() }
        multis = []
        owners = [:]
    }

    func paused(_ transfer: Transfer) { waiting.append(transfer) }

    /// Gives those that wait another turn, after which they may wait again.
    private func goOn() {
        if waiting.isEmpty { return }
        let those = waiting
        waiting = []
        // One that ended meanwhile, or began anew, is paused no longer.
        for transfer in those where transfer.isPaused {
            let code = transfer.takeTurn()
            if code != CURLE_OK, let multi = transfer.multi { end(transfer, code, in: multi) }
        }
    }

    private func callWhoIsDue() {
        let now = time.monotonicNs()
        for multi in multis {
            if let deadline = multi.deadlineNs, now >= deadline { multi.timeIsUp() }
        }
    }

    /// Milliseconds until the driver or libcurl is next due, rounded up so that the thread never spins; −1 for never.
    private func waitMs(_ nextNs: UInt64?) -> CInt {
        var earliest = nextNs ?? .max
        for multi in multis { earliest = min(earliest, multi.deadlineNs ?? .max) }
        if earliest == .max { return -1 }
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
        // Nobody owns a socket that an event before this one has closed.
        owners[event.descriptor]?.socketReady(event.descriptor, flags: flags)
    }

    private func begin(_ request: FetchRequest, nowNs: UInt64) {
        guard !active.contains(request.key) else { return }
        guard let transfer = transfers[request.key] ?? makeTransfer(request.key), let multi = transfer.multi else {
            driver.finished(key: request.key, .failed(FetchFailure("Get \"\(request.url)\": out of memory")))
            return
        }
        transfer.prepare(request, nowNs: nowNs)
        active.insert(request.key)
        multi.add(transfer)
    }

    private func makeTransfer(_ key: UInt64) -> Transfer? {
        // The last one has room most of the time.
        var found = multis.last { $0.hasRoom }
        if found == nil, let made = FetchMulti(thread: self) {
            multis.append(made)
            found = made
        }
        guard let multi = found, let transfer = Transfer(key: key, pool: pool) else { return nil }
        transfer.multi = multi
        multi.changeCount(by: 1)
        transfers[key] = transfer
        return transfer
    }

    private func forget(_ key: UInt64) {
        if active.contains(key) { forgotten.insert(key) } else { drop(key) }
    }

    private func drop(_ key: UInt64) { transfers.removeValue(forKey: key)?.multi?.changeCount(by: -1) }

    /// Takes the transfers that are over.
    private func reap() {
        var code = CURLE_OK
        for multi in multis {
            while let transfer = multi.nextDone(&code) { end(transfer, code, in: multi) }
        }
    }

    private func end(_ transfer: Transfer, _ code: CURLcode, in multi: FetchMulti) {
        multi.remove(transfer)
        switch transfer.finish(code, nowNs: time.monotonicNs()) {
        case .again: multi.add(transfer)
        case .done(let outcome):
            active.remove(transfer.key)
            if forgotten.remove(transfer.key) != nil { drop(transfer.key) }
            driver.finished(key: transfer.key, outcome)
        }
    }

    // MARK: Called by libcurl

    func socketChanged(_ multi: FetchMulti, _ socket: CInt, _ what: CInt) {
        var wanted: CInt = 0
        switch what {
        case CInt(CURL_POLL_IN): wanted = CInt(CLINUX_READABLE)
        case CInt(CURL_POLL_OUT): wanted = CInt(CLINUX_WRITABLE)
        case CInt(CURL_POLL_INOUT): wanted = CInt(CLINUX_READABLE | CLINUX_WRITABLE)
        default: break
        }
        owners[socket] = wanted == 0 ? nil : multi
        clinux_watch(epoll, socket, wanted)
    }

    func deadline(inMs timeoutMs: Int) -> UInt64 { time.monotonicNs() &+ UInt64(max(timeoutMs, 0)) &* 1_000_000 }
}
