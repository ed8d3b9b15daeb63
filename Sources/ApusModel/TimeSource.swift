#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where time comes from, so that a test can drive it. Wall time stamps samples; monotonic time measures and schedules.
public protocol TimeSource: Sendable {
    /// Milliseconds since the Unix epoch.
    func wallMs() -> Int64
    /// Nanoseconds since some fixed moment; never goes back.
    func monotonicNs() -> UInt64
}

/// The machine's own clocks.
public struct SystemTime: TimeSource {
    public init() {}
    public func wallMs() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) &* 1000 &+ Int64(now.tv_nsec) / 1_000_000
    }
    public func monotonicNs() -> UInt64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
    }
}
