/// What a log has done and what became of it; the `prometheus_tsdb_wal_*` metrics.
public struct WALStatistics: Sendable {
    public internal(set) var segment = 0
    /// Writes of one commit or more.
    public internal(set) var pageFlushes = 0
    public internal(set) var completedPages = 0
    public internal(set) var truncations = 0
    public internal(set) var truncationsFailed = 0
    /// Writes and syncs that failed; each suspends the log.
    public internal(set) var writesFailed = 0
    /// Times the log was damaged and repaired; counted by whoever repairs it (`WriteAheadLog.countCorruption`).
    public internal(set) var corruptions = 0
    /// Samples, exemplars, series and tombstones that were accepted and not written, since the log was suspended.
    public internal(set) var entriesDropped = 0
    public internal(set) var bytesWritten = 0
    public internal(set) var syncs = SyncDurations()
}

/// How long syncs took: number, sum, and the newest ones for quantiles.
public struct SyncDurations: Sendable {
    /// Ten minutes of one a second, which is the window of upstream's summary.
    private static let window = 600

    public private(set) var count = 0
    public private(set) var sumSeconds = 0.0
    private var newest: [Double] = []

    mutating func add(_ seconds: Double) {
        if newest.count < Self.window { newest.append(seconds) } else { newest[count % Self.window] = seconds }
        count += 1
        sumSeconds += seconds
    }

    /// Of the newest; NaN when there are none.
    public func quantile(_ quantile: Double) -> Double {
        if newest.isEmpty { return .nan }
        let rank = (quantile * Double(newest.count)).rounded(.up)
        return newest.sorted()[max(0, min(newest.count, Int(exactly: rank) ?? 1) - 1)]
    }
}
