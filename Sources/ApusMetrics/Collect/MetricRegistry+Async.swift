extension MetricRegistry {
    /// Whether there are asynchronous collectors, so that only `page(as:)` and `gatherAll()` show all.
    public var hasAsyncCollectors: Bool { core.hasLaterCollectors }
}
