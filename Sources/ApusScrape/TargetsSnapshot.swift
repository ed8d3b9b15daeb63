public import ApusBytes
public import ApusModel

public enum TargetHealth: String, Sendable { case unknown, up, down }

/// The targets as the API shows them.
public struct TargetsSnapshot: Sendable {
    public var active: [TargetStatus] = []
    public var dropped: [DroppedTarget] = []
    /// By scrape pool; counts also those that `keep_dropped_targets` leaves out.
    public var droppedCounts: [String: Int] = [:]
    public init() {}
}

public struct TargetStatus: Sendable {
    public var discoveredLabels: LabelSet
    public var labels: LabelSet
    public var scrapePool: String
    public var scrapeUrl: String
    /// The URL with a loopback host replaced by the name of this machine.
    public var globalUrl: String
    public var lastError: String
    /// Milliseconds since the Unix epoch; 0 before the first scrape.
    public var lastScrapeMs: Int64
    public var lastScrapeDurationSeconds: Double
    public var health: TargetHealth
    /// As its labels have them: `1500ms`.
    public var scrapeInterval: String
    public var scrapeTimeout: String
}

public struct DroppedTarget: Sendable {
    public var discoveredLabels: LabelSet
    public var scrapePool: String
}

/// What one target said about one metric family.
public struct TargetMetadata: Sendable {
    public var targetLabels: LabelSet
    public var scrapePool: String
    public var metric: ByteString
    public var metadata: MetricMetadata
}
