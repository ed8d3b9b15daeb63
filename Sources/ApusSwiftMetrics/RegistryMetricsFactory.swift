public import ApusMetrics
import ApusModel
public import CoreMetrics

/// Shows what libraries measure through apple/swift-metrics in a registry of ours.
///
///     let registry = MetricRegistry()
///     MetricsSystem.bootstrap(RegistryMetricsFactory(registry))
///
/// | of swift-metrics | becomes |
/// |---|---|
/// | `Counter`, `FloatingPointCounter` | a counter, named `…_total` |
/// | `Timer` | a histogram in seconds, named `…_seconds` |
/// | `Recorder` that aggregates | a histogram |
/// | `Recorder` that does not, `Gauge`, `Meter` | a gauge |
///
/// The libraries know nothing of each other, so what they hand over need not fit together. Nothing of it traps, and
/// whatever is measured is shown: see `MetricConflict` for what becomes of it.
///
/// A metric that was made before, with the same label and dimensions in the same order, is found in a table by hashing and
/// comparing its strings, without a lock. Handlers are the registry's own counters,
/// gauges and histograms; keep those that are updated often, and an update costs nothing more than it does without.
public struct RegistryMetricsFactory: MetricsFactory {
    public let registry: MetricRegistry
    let cache: HandlerCache
    let families: FamilyTable
    /// One at a time makes or destroys series: what is being destroyed must not come into the cache meanwhile.
    private let changing = Locked(false)

    public init(_ registry: MetricRegistry, options: SwiftMetricsOptions = SwiftMetricsOptions()) {
        self.registry = registry
        cache = HandlerCache(limit: options.cacheLimit)
        families = FamilyTable(registry, options)
    }

    /// Conflicts so far, of all kinds. The registry shows them as `swift_metrics_conflicts_total`, by kind.
    public var conflictCount: UInt64 { families.conflicts.count }

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        make(.counter, label, dimensions, as: ApusMetrics.Counter.self)
    }
    public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
        make(.counter, label, dimensions, as: ApusMetrics.Counter.self)
    }
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        make(.gauge, label, dimensions, as: ApusMetrics.Gauge.self)
    }
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate
            ? make(.recorder, label, dimensions, as: Histogram.self) : make(.gauge, label, dimensions, as: ApusMetrics.Gauge.self)
    }
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        make(.timer, label, dimensions, as: Histogram.self)
    }

    // A series is one for all who made it: destroyed by one, it is gone from the page for all, and a metric made
    // afterwards starts from zero.
    public func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { destroy(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

    private func make<Metric: Instrument>(
        _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)], as type: Metric.Type
    ) -> Metric {
        let hash = cache.hash(kind, label, dimensions)
        if let found = cache.find(hash, kind, label, dimensions) {
            // SAFETY: an entry is found by its kind, too, and each kind is made as one type of metric.
            return unsafe unsafeDowncast(found, to: Metric.self)
        }
        let metric = changing.withLock { _ -> Metric in
            let (metric, family): (Metric, FamilyTable.Family) = families.series(kind, label, dimensions)
            cache.insert(metric, of: family, hash, kind, label, dimensions)
            return metric
        }
        families.conflicts.reportAll()
        return metric
    }

    private func destroy(_ handler: AnyObject) {
        guard let metric = handler as? Instrument else { return }
        changing.withLock { _ in cache.remove(metric)?.remove(metric) }
    }
}

/// What swift-metrics has, as far as it makes a difference here.
enum MetricKind: UInt8, Sendable { case counter, gauge, recorder, timer }
