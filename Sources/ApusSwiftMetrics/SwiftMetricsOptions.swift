public import ApusMetrics

/// How metrics of swift-metrics, which have no buckets, no help and names of any form, become metrics of a registry.
public struct SwiftMetricsOptions: Sendable {
    /// How a label becomes a metric's name.
    public enum Naming: Sendable {
        /// Characters that Prometheus has no room for become `_`; counters end in `_total` and timers in `_seconds`.
        case conventional
        /// Characters that Prometheus has no room for become `_`. As swift-prometheus names them, for dashboards made for it.
        case plain
    }

    public var naming = Naming.conventional
    /// The buckets of timers, in seconds, where `buckets` says nothing of the label.
    public var timerBuckets = Buckets.requestSeconds
    /// The buckets of recorders that aggregate, where `buckets` says nothing of the label.
    public var recorderBuckets = Buckets.exponential(start: 1, factor: 4, count: 16)
    /// The buckets of single timers and recorders, by label as the library writes it.
    public var buckets: [String: Buckets] = [:]
    /// Exponential buckets for timers and for recorders that aggregate, beside the classic ones; nil for none. Only formats
    /// that carry them show them: see `NativeBuckets`.
    public var nativeBuckets: NativeBuckets?
    /// The help text of single metrics, by label as the library writes it; otherwise it names the label.
    public var help: [String: String] = [:]
    /// How many series a metric may have beside its overflow series; nil for what the registry says.
    public var seriesLimit: Int?
    /// Combinations of label and dimensions that are found quickly. Others take the long way, which sorts and checks them.
    public var cacheLimit = 100_000
    /// Different metrics, by type and label. Beyond it they are not shown: a label made of a request's path must not fill
    /// the memory.
    public var metricLimit = 10_000
    /// Called once for each conflict that is not the same as one before; writes a line to the standard error unless
    /// given. It may be called from any
    /// thread.
    public var report: @Sendable (MetricConflict) -> Void = ConflictLog.print

    public init() {}
}
