import ApusBytes
public import ApusExposition
public import ApusModel

/// Where a collector puts families that it computes at a scrape:
///
///     registry.collect { sink in
///         sink.gauge("pool_connections", help: "Open connections.", Double(pool.count))
///         sink.family("queue_depth", help: "Waiting jobs.", type: .gauge) { family in
///             for queue in queues { family.sample(Double(queue.depth), labels: [("queue", queue.name)]) }
///         }
///     }
///
/// A family given twice is put together. What would break the page is left out and counted in the registry's faults:
/// bad names, names that a declared metric has, a second type for a name, a series given twice. Labels may come in any
/// order; series come out sorted by them.
public struct MetricSink: Sendable {
    private let registry: MetricRegistry
    private var families: [ByteString: CollectedFamily] = [:]

    init(registry: MetricRegistry) { self.registry = registry }

    public mutating func counter(_ name: String, help: String, _ value: Double, labels: [(String, String)] = []) {
        family(name, help: help, type: .counter) { $0.sample(value, labels: labels) }
    }
    public mutating func gauge(_ name: String, help: String, _ value: Double, labels: [(String, String)] = []) {
        family(name, help: help, type: .gauge) { $0.sample(value, labels: labels) }
    }
    /// Facts as labels: the value is always 1.
    public mutating func info(_ name: String, help: String, _ facts: [(String, String)]) {
        family(name, help: help, type: .info) { $0.sample(1, labels: facts) }
    }

    /// - Parameter unit: what the values are in; the name must end with it, before `_total`.
    public mutating func family(
        _ name: String, help: String, unit: String = "", type: MetricType, _ fill: (inout FamilySink) -> Void
    ) {
        let name = ByteString(registry.prefix + name)
        // Taken out of the dictionary while it is filled, so that its points are not copied.
        let family =
            families.removeValue(forKey: name)
            ?? CollectedFamily(
                snapshot: FamilySnapshot(name: name, help: ByteString(help), unit: ByteString(unit), type: type))
        let isUsable =
            registry.isMetricName(name) && family.snapshot.type == type
            && !MetricRegistry.seriesNames(name, type).contains { registry.core.isTaken($0) }
        guard isUsable else {
            registry.faults.count(.droppedCollectedSample)
            families[name] = family
            return
        }
        var sink = FamilySink(family: family, registry: registry)
        fill(&sink)
        families[name] = sink.family
    }

    /// A family from elsewhere, whole: another registry's, a page's that was read.
    public mutating func add(_ family: FamilySnapshot) {
        let name = family.name.description
        self.family(name, help: family.help.description, unit: family.unit.description, type: family.type) { sink in
            for point in family.points { sink.add(point) }
        }
    }

    /// All families with samples, sorted by name.
    consuming func finish() -> [FamilySnapshot] {
        families.values.map(\.sorted).filter { !$0.points.isEmpty }.sorted { $0.name < $1.name }
    }
}

/// Where a collector puts the samples of one family. Timestamps are for values that were measured at another time than
/// now, in milliseconds since the epoch, as is when counting began.
public struct FamilySink: Sendable {
    fileprivate var family: CollectedFamily
    private let registry: MetricRegistry

    fileprivate init(family: CollectedFamily, registry: MetricRegistry) {
        self.family = family
        self.registry = registry
    }

    /// A value of a counter, a gauge, an info or a metric of unknown type.
    public mutating func sample(
        _ value: Double, labels: [(String, String)] = [], timestampMs: Int64? = nil, createdMs: Int64? = nil, exemplar: Exemplar? = nil
    ) {
        add(labels, .number(value, exemplar: exemplar), timestampMs, createdMs)
    }

    /// A histogram's series; `counts` are not cumulative and one more than the bounds. With `native`, bounds and counts may
    /// both be empty.
    public mutating func histogram(
        upperBounds: [Double], counts: [UInt64], sum: Double, native: NativeHistogram? = nil, labels: [(String, String)] = [],
        timestampMs: Int64? = nil, createdMs: Int64? = nil, exemplars: [Exemplar?] = []
    ) {
        let point = HistogramPoint(upperBounds: upperBounds, counts: counts, sum: sum, native: native, exemplars: exemplars)
        add(labels, .histogram(point), timestampMs, createdMs)
    }

    /// A summary's series.
    public mutating func summary(
        quantiles: [(rank: Double, value: Double)], sum: Double, count: UInt64, labels: [(String, String)] = [],
        timestampMs: Int64? = nil, createdMs: Int64? = nil
    ) {
        let quantiles = quantiles.map { SummaryPoint.Quantile(rank: $0.rank, value: $0.value) }
        add(labels, .summary(SummaryPoint(quantiles: quantiles, sum: sum, count: count)), timestampMs, createdMs)
    }

    /// A state set's series.
    public mutating func states(_ states: [(name: String, isOn: Bool)], labels: [(String, String)] = []) {
        add(labels, .states(states.map { PointValue.State(name: ByteString($0.name), isOn: $0.isOn) }), nil, nil)
    }

    /// A point as it is, but for its labels, which are put in order.
    public mutating func add(_ point: MetricPoint) {
        add(point.labels, point.value, point.timestampMs, point.createdMs)
    }

    private mutating func add(_ labels: [(String, String)], _ value: PointValue, _ timestampMs: Int64?, _ createdMs: Int64?) {
        add(labels.map { Label(ByteString($0.0), ByteString($0.1)) }, value, timestampMs, createdMs)
    }

    /// Adds a point with its labels sorted, if they are good and were not there before.
    private mutating func add(_ labels: [Label], _ value: PointValue, _ timestampMs: Int64?, _ createdMs: Int64?) {
        guard isOfType(value) else { return drop() }
        let reserved: ByteString =
            switch family.snapshot.type {
            case .histogram, .gaugehistogram: "le"
            case .summary: "quantile"
            case .stateset: family.snapshot.name
            default: ""
            }
        // Sorted, so that one set of labels in two orders is one series.
        let sorted = labels.sorted { $0.name < $1.name }
        var previous: ByteString?
        for label in sorted {
            guard label.name != previous, label.name != reserved, !label.name.hasPrefix("__"), registry.isLabelName(label.name),
                !registry.constantLabels.contains(where: { $0.name == label.name })
            else { return drop() }
            previous = label.name
        }
        let all = registry.constantLabels + sorted
        guard family.seen.insert(LabelSet(all)).inserted else { return drop() }
        family.snapshot.points.append(MetricPoint(labels: all, value: value, timestampMs: timestampMs, createdMs: createdMs))
    }

    /// Whether a value is what the family's type wants.
    private func isOfType(_ value: PointValue) -> Bool {
        switch (family.snapshot.type, value) {
        // What counts is never negative and never not a number: OpenMetrics readers refuse the page for it.
        case (.counter, .number(let value, _)): value >= 0
        case (.gauge, .number), (.unknown, .number), (.info, .number), (.stateset, .states), (.summary, .summary): true
        case (.histogram, .histogram(let histogram)), (.gaugehistogram, .histogram(let histogram)): Self.isGood(histogram)
        default: false
        }
    }

    private static func isGood(_ histogram: HistogramPoint) -> Bool {
        if histogram.counts.isEmpty { return histogram.upperBounds.isEmpty && histogram.native != nil }
        return histogram.counts.count == histogram.upperBounds.count + 1 && histogram.upperBounds.allSatisfy(\.isFinite)
            && zip(histogram.upperBounds, histogram.upperBounds.dropFirst()).allSatisfy { $0 < $1 }
    }

    private func drop() { registry.faults.count(.droppedCollectedSample) }
}

/// A family as collected during one scrape.
fileprivate struct CollectedFamily: Sendable {
    var snapshot: FamilySnapshot
    /// The labels of the series it has.
    var seen: Set<LabelSet> = []

    /// The family with its series in order of labels.
    var sorted: FamilySnapshot {
        var snapshot = snapshot
        if snapshot.points.count > 1 {
            let keyed = snapshot.points.map { ($0, LabelSet($0.labels)) }
            snapshot.points = keyed.sorted { $0.1 < $1.1 }.map(\.0)
        }
        return snapshot
    }
}
