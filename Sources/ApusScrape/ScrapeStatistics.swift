/// Counters since the start, and gauges of now. Names follow `prometheus_target_…`.
public struct ScrapeStatistics: Sendable, Equatable {
    public var scrapes: UInt64 = 0
    public var scrapesFailed: UInt64 = 0
    public var samplesScraped: UInt64 = 0
    public var samplesKept: UInt64 = 0
    public var staleMarkers: UInt64 = 0
    public var exceededSampleLimit: UInt64 = 0
    public var exceededBodySizeLimit: UInt64 = 0
    public var exceededLabelLimits: UInt64 = 0
    public var exceededTargetLimit: UInt64 = 0
    public var duplicateTimestamp: UInt64 = 0
    public var outOfOrder: UInt64 = 0
    public var outOfBounds: UInt64 = 0
    public var exceededBucketLimit: UInt64 = 0
    public var outOfOrderExemplars: UInt64 = 0
    public var cacheFlushForced: UInt64 = 0
    /// Ticks that found their target's scrape before still under way.
    public var skippedTicks: UInt64 = 0
    /// Times that a job was given another configuration.
    public var poolReloads: UInt64 = 0
    public var pools: [PoolStatistics] = []
    public var discovery = DiscoveryStatistics()

    /// Of `prometheus_sd_…`.
    public struct DiscoveryStatistics: Sendable, Equatable {
        /// Files that could not be read, each time.
        public var fileReadErrors: UInt64 = 0
        /// Answers of providers.
        public var receivedUpdates: UInt64 = 0
        /// Times the pools were told.
        public var updates: UInt64 = 0
        /// Those that had to wait for the next time.
        public var delayedUpdates: UInt64 = 0
        public var httpFailures: UInt64 = 0
        public var dnsLookups: UInt64 = 0
        public var dnsFailures: UInt64 = 0
        /// Refreshes that brought nothing, by mechanism.
        public var refreshFailures: [String: UInt64] = [:]
        public init() {}
    }

    public struct PoolStatistics: Sendable, Equatable {
        public var job = ""
        public var targets = 0
        /// Before relabelling.
        public var discovered = 0
        public var targetLimit = 0
        public var syncs: UInt64 = 0
        public var syncsFailed: UInt64 = 0
        public var exceededTargetLimit: UInt64 = 0
        public var metadataEntries = 0
        public var metadataBytes = 0
        /// Lines the caches of the job know, and the memory for them.
        public var cachedLines = 0
        public var cacheBytes = 0
        public init() {}
    }
    public init() {}

    mutating func add(_ report: ScrapeReport) {
        scrapes &+= 1
        if report.error != nil { scrapesFailed &+= 1 }
        samplesScraped &+= UInt64(report.counts.scraped)
        samplesKept &+= UInt64(report.counts.kept)
        staleMarkers &+= UInt64(report.staleMarkers)
        duplicateTimestamp &+= UInt64(report.duplicates)
        outOfOrder &+= UInt64(report.outOfOrder)
        outOfBounds &+= UInt64(report.outOfBounds)
        outOfOrderExemplars &+= UInt64(report.outOfOrderExemplars)
        if report.exceededBucketLimit { exceededBucketLimit &+= 1 }
        if report.exceededSampleLimit { exceededSampleLimit &+= 1 }
        if report.exceededBodyLimit { exceededBodySizeLimit &+= 1 }
        if report.exceededLabelLimit { exceededLabelLimits &+= 1 }
        if report.flushedCache { cacheFlushForced &+= 1 }
    }
}
