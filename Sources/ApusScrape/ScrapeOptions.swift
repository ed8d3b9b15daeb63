/// What the command line says about scraping.
public struct ScrapeOptions: Sendable {
    /// The most bytes of a page, unpacked, whatever the configuration says.
    public var maxBodyBytes = 256 << 20
    public var userAgent = "Prometheus/3.14.0 (Apus)"
    /// Threads that unpack, parse and append.
    public var workerCount = 1
    /// The same for pages that are large, or whose targets take long.
    public var heavyWorkerCount = 1
    /// What storing small pages may take of the thread that fetches, in a round of its work, us; see `QuickScrapes`.
    public var quickLimitUs = 1000
    /// Whether targets are asked for zstd too, and before gzip.
    public var asksForZstd = false
    /// Whether start timestamps are read and stored with their samples.
    public var storesStartTimestamps = false
    /// Whether start timestamps become samples of 0.
    public var injectsStartZeros = false
    /// Whether the type and the unit of a family become labels of its series.
    public var addsTypeAndUnitLabels = false
    /// Whether type, unit and help go to the store too, so that its log has them.
    public var storesMetadata = false
    /// The part of all targets that this server scrapes; nil for all of them.
    public var shard: Shard?
    /// The least time between two times that discovered targets are taken over, ms.
    public var discoveryReloadIntervalMs: Int64 = 5000
    /// How far a scrape may be off its tick and still have the tick's time; 0: each has its own.
    public var timestampToleranceMs: Int64 = 2
    /// Moves all start times, so that two servers with the same targets do not scrape them at once.
    public var offsetSeed: UInt64 = 0
    public init() {}
}

public enum ScrapeLogLevel: Sendable { case debug, info, warning, error }

/// Where log lines go: a level, a message and fields.
public typealias ScrapeLog = @Sendable (_ level: ScrapeLogLevel, _ message: String, _ fields: [(name: String, value: String)]) -> Void

/// Told of durations as they happen, for histograms and summaries. Called on scraping threads: be quick.
public protocol ScrapeObserver: Sendable {
    /// The seconds between the starts of two scrapes of a target; `interval` is the one configured, as text.
    func observeInterval(_ interval: String, seconds: Double)
    /// How long it took to turn the discovered targets of a job into scrape loops.
    func observeSync(job: String, seconds: Double)
}
