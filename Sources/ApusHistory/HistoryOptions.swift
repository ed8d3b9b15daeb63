public import ApusModel

/// How much a history remembers, and what it may cost.
public struct HistoryOptions: Sendable {
    /// How often the registry is sampled, ms. `rate` needs two samples within its range.
    public var intervalMs: Int64 = 5_000
    /// How long samples are kept, ms.
    public var retentionMs: Int64 = 3_600_000
    /// Bytes that samples and labels may take; beyond it the oldest quarter of the retention goes first.
    public var memoryLimitBytes = 32 << 20
    /// Series that are remembered; further ones are left out and counted in `refusedSeries`.
    public var maxSeries = 50_000
    /// Exemplars that are remembered.
    public var maxExemplars = 1_000
    /// Labels of every series.
    public var labels: [Label] = []
    /// How long a query may take, ms, waiting included.
    public var queryTimeoutMs: Int64 = 5_000
    /// Samples that a query may hold in memory at once.
    public var maxSamplesPerQuery = 5_000_000
    /// Queries at a time; more wait.
    public var maxConcurrentQueries = 4
    /// Threads that evaluate queries: more are only for who asks a lot.
    public var queryThreads = 1

    public init() {}
}
