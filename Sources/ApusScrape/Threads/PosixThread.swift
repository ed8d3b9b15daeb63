import CLinux
import Glibc

/// A thread of the operating system, for work that blocks or must not wait behind others. Join it before its owner goes.
@safe final class PosixThread: @unchecked Sendable {
    // `@unchecked`: `handle` is written before anyone can see the object, `joined` only by the one who joins.
    private var handle = pthread_t()
    private var joined = false

    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Returns: nil when the system has no more threads.
    /// - Parameters:
    ///   - name: what tools show, at most 15 bytes; empty for the process's.
    ///   - niceness: above 0, threads of usual priority go first where cores are scarce.
    init?(name: String = "", niceness: CInt = 0, _ run: @escaping @Sendable () -> Void) {
        let body = unsafe Unmanaged.passRetained(
            Body {
                if !name.isEmpty { unsafe clinux_name_thread(name) }
                if niceness > 0 { clinux_lower_priority(niceness) }
                run()
            })
        let status = unsafe pthread_create(&handle, nil, posixThreadMain, body.toOpaque())
        guard status == 0 else {
            unsafe body.release()
            joined = true
            return nil
        }
    }

    func join() {
        if joined { return }
        joined = true
        pthread_join(handle, nil)
    }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        // SAFETY: `context` is the retained `Body` that `init` passed; it is taken exactly once.
        let body = unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue()
        body.run()
    }
}

private func posixThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe PosixThread.run(context) }
    return nil
}

/// What the calling thread has used of a core, ns.
func threadCPUNs() -> UInt64 {
    var now = timespec()
    guard unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0 else { return 0 }
    return UInt64(clamping: now.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: now.tv_nsec)
}

func closeDescriptor(_ descriptor: CInt) { close(descriptor) }
