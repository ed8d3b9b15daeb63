import CCurl

/// One of libcurl's multi handles, with the connections of some targets. The fetch thread has as many as it needs.
///
/// Several, since libcurl (7.88) walks all connections of a multi handle at the end of each transfer: with ten thousand in one, that was
/// two thirds of what scraping cost.
@safe final class FetchMulti {
    // Belongs to the fetch thread alone.
    static let transferLimit = 256

    private let handle: OpaquePointer
    /// Which sees to sockets; it owns this object.
    fileprivate unowned let thread: FetchThread
    /// When libcurl wants to be called, or nil.
    var deadlineNs: UInt64?
    private var transferCount = 0
    private var isClosed = false

    /// - Returns: nil when there is no memory.
    init?(thread: FetchThread) {
        guard let handle = unsafe curl_multi_init() else { return nil }
        unsafe self.handle = OpaquePointer(handle)
        self.thread = thread
        // SAFETY: libcurl calls back on the fetch thread only, inside calls that this object makes.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe ccurl_multi_set_callbacks(curl, fetchMultiSocketChanged, fetchMultiTimerChanged, context)
    }

    deinit { close() }

    /// Closes its connections, of which libcurl tells the thread. No transfer may be in it any more.
    func close() {
        if isClosed { return }
        isClosed = true
        unsafe curl_multi_cleanup(curl)
    }

    private var curl: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(handle) }

    var hasRoom: Bool { transferCount < Self.transferLimit }

    /// One target more, or fewer, uses this handle.
    func changeCount(by change: Int) {
        transferCount += change
        // One connection a target is kept alive, and none is closed to make room for another's.
        unsafe ccurl_multi_set_long(curl, CURLMOPT_MAXCONNECTS, transferCount + 16)
    }

    func add(_ transfer: Transfer) { unsafe curl_multi_add_handle(curl, UnsafeMutableRawPointer(transfer.easy)) }
    func remove(_ transfer: Transfer) { unsafe curl_multi_remove_handle(curl, UnsafeMutableRawPointer(transfer.easy)) }

    /// A transfer has had its turn.
    func paused(_ transfer: Transfer) { thread.paused(transfer) }

    func socketReady(_ socket: CInt, flags: CInt) {
        var running: CInt = 0
        unsafe curl_multi_socket_action(curl, socket, flags, &running)
    }

    func timeIsUp() {
        deadlineNs = nil
        socketReady(curlSocketTimeout, flags: 0)
    }

    /// A transfer that is over; it is still to be removed.
    func nextDone(_ code: inout CURLcode) -> Transfer? {
        while let easy = unsafe ccurl_multi_next_done(curl, &code) {
            guard let context = unsafe ccurl_private(easy) else { continue }
            // SAFETY: the private pointer of each handle is its transfer, which the fetch thread keeps alive.
            return unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        }
        return nil
    }
}

/// `CURL_SOCKET_TIMEOUT`, a macro that Swift does not see.
private let curlSocketTimeout: CInt = -1

private func fetchMultiSocketChanged(
    _ easy: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: CInt, _ context: UnsafeMutableRawPointer?,
    _ socketContext: UnsafeMutableRawPointer?
) -> CInt {
    guard let context = unsafe context else { return 0 }
    // SAFETY: `context` is the object that owns the handle, so that it outlives it.
    let multi = unsafe Unmanaged<FetchMulti>.fromOpaque(context).takeUnretainedValue()
    multi.thread.socketChanged(multi, socket, what)
    return 0
}

private func fetchMultiTimerChanged(
    _ handle: UnsafeMutableRawPointer?, _ timeoutMs: Int, _ context: UnsafeMutableRawPointer?
) -> CInt {
    guard let context = unsafe context else { return 0 }
    // SAFETY: as above.
    let multi = unsafe Unmanaged<FetchMulti>.fromOpaque(context).takeUnretainedValue()
    multi.deadlineNs = timeoutMs < 0 ? nil : multi.thread.deadline(inMs: timeoutMs)
    return 0
}
