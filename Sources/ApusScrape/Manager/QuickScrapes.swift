/// Which pages are stored by the thread that fetched them.
///
/// To hand a page of a thousand lines to a worker costs a fifth of what storing it does: another thread is woken, mostly on a
/// core that slept, and finds none of the page in its cache. But who stores fetches nothing meanwhile, so a page is
/// stored at once only when that is over in a moment, by all that is known before:
///
/// - it is small, packed and unpacked, and the last one of its target was and had no error;
/// - that one took no longer than the round, which has `limitNs` for all its pages, has left;
/// - the store need not wait for the disk or for maintenance (`SampleStore.mayStall`), and no heavy page is being stored;
/// - no page that was stored so took many times the limit in the last seconds.
///
/// Everything else goes to the workers.
struct QuickScrapes {
    /// Of a page as it came.
    static let maxPackedBytes = 64 << 10
    /// Of one that was unpacked: some 2,500 lines. One that turns out to be larger is given to a worker after all.
    static let maxPageBytes = 256 << 10
    /// How many times the limit a page may take before it is a warning.
    static let patience: UInt64 = 5
    /// How long pages go to the workers after one that took longer.
    static let pauseNs: UInt64 = 10_000_000_000

    /// ns that all pages of a round may take. 0: no page is quick.
    let limitNs: UInt64
    private var leftNs: UInt64 = 0
    private var pausedUntilNs: UInt64 = 0

    init(limitNs: UInt64) { self.limitNs = limitNs }

    /// The thread looks at its sockets anew.
    mutating func beginRound() { leftNs = limitNs }

    /// Whether a page is to be stored at once.
    /// - Parameter expectedNs: what the last one of the target took; 0 when there was none, or none that was small and good.
    mutating func takes(packedBytes: Int, expectedNs: UInt64, nowNs: UInt64) -> Bool {
        guard expectedNs > 0, expectedNs <= leftNs, packedBytes <= Self.maxPackedBytes, nowNs >= pausedUntilNs else { return false }
        leftNs -= expectedNs
        return true
    }

    /// Storing a page took this long, waiting included. What it took beyond expectation the round has no more.
    mutating func took(_ elapsedNs: UInt64, expectedNs: UInt64, nowNs: UInt64) {
        if elapsedNs > expectedNs { leftNs -= min(leftNs, elapsedNs - expectedNs) }
        if elapsedNs / Self.patience > limitNs { pausedUntilNs = nowNs &+ Self.pauseNs }
    }
}
