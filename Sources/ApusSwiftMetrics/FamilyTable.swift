import ApusMetrics
import ApusModel

/// The long way from a label and dimensions to a series: names are made fit, families declared, conflicts found.
final class FamilyTable: Sendable {
    /// A family of the registry that holds metrics made through swift-metrics.
    enum Family: Sendable {
        case counter(OpenFamily<Counter>)
        case gauge(OpenFamily<Gauge>)
        case histogram(OpenFamily<Histogram>)

        func remove(_ metric: Instrument) {
            switch (self, metric) {
            case (.counter(let family), let metric as Counter): family.remove(metric)
            case (.gauge(let family), let metric as Gauge): family.remove(metric)
            case (.histogram(let family), let metric as Histogram): family.remove(metric)
            default: break
            }
        }

        fileprivate func series<Metric: Instrument>(_ labels: [(String, String)]) -> Metric? {
            switch self {
            case .counter(let family): try? family(labels) as? Metric
            case .gauge(let family): try? family(labels) as? Metric
            case .histogram(let family): try? family(labels) as? Metric
            }
        }
    }

    private struct Key: Hashable {
        let kind: MetricKind
        let label: String
    }
    private struct Entry {
        let family: Family
        /// The dimensions it was made with first.
        let names: [String]
    }

    let conflicts: ConflictLog
    private let registry: MetricRegistry
    private let options: SwiftMetricsOptions
    /// Not shown: where metrics go for which no name can be found.
    private let nowhere = MetricRegistry()
    private let entries = Locked<[Key: Entry]>([:])

    init(_ registry: MetricRegistry, _ options: SwiftMetricsOptions) {
        self.registry = registry
        self.options = options
        conflicts = ConflictLog(registry, report: options.report)
    }

    func series<Metric: Instrument>(_ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> (Metric, Family) {
        let labels = cleaned(dimensions, of: label)
        let names = labels.map(\.0)
        let (entry, isNew) = entry(kind, label, names)
        if !isNew && entry.names != names {
            conflicts.add(
                .dimensions, label,
                "has the dimensions \(list(names)) here and had \(list(entry.names)) before: both are shown, but sums by label may surprise"
            )
        }
        if let series: Metric = entry.family.series(labels) { return (series, entry.family) }
        // Constant labels of the registry may stand in the way of a dimension's name.
        let renamed = labels.map { ("exported_" + $0.0, $0.1) }
        if let series: Metric = entry.family.series(renamed) { return (series, entry.family) }
        conflicts.add(.unusable, label, "has dimensions that cannot be shown: \(list(names))")
        let lost = lost(kind)
        guard let series: Metric = lost.series([]) else { preconditionFailure("a series without labels is refused") }
        return (series, lost)
    }

    /// Names made fit, sorted; of several with one name the last.
    private func cleaned(_ dimensions: [(String, String)], of label: String) -> [(String, String)] {
        var labels: [(String, String)] = []
        labels.reserveCapacity(dimensions.count)
        for (name, value) in dimensions {
            let name = labelName(name)
            if let index = labels.firstIndex(where: { $0.0 == name }) {
                conflicts.add(.duplicateDimension, label, "has the dimension \(name) twice: the last one is shown")
                labels[index].1 = value
            } else {
                labels.append((name, value))
            }
        }
        return labels.sorted { $0.0 < $1.0 }
    }

    private func entry(_ kind: MetricKind, _ label: String, _ names: [String]) -> (Entry, isNew: Bool) {
        let key = Key(kind: kind, label: label)
        if let known = entries.withLock({ $0[key] }) { return (known, false) }
        if entries.withLock({ $0.count }) >= options.metricLimit {
            conflicts.add(.unusable, label, "is one metric more than metricLimit allows: not shown")
            return (Entry(family: lost(kind), names: names), true)
        }
        let fresh = Entry(family: family(kind, label), names: names)
        return entries.withLock { entries in
            if let known = entries[key] { return (known, false) }
            entries[key] = fresh
            return (fresh, true)
        }
    }

    private func family(_ kind: MetricKind, _ label: String) -> Family {
        var name = metricName(label)
        if options.naming == .conventional {
            if kind == .counter { name = name.ending(in: "_total") }
            if kind == .timer { name = name.ending(in: "_seconds") }
        }
        if let family = declare(kind, name, label, in: registry) { return family }
        let typed =
            switch kind {
            case .counter: "counter"
            case .gauge: "gauge"
            case .recorder, .timer: "histogram"
            }
        for suffix in [typed, "\(typed)_2", "\(typed)_3", "\(typed)_4"] {
            if let family = declare(kind, "\(name)_\(suffix)", label, in: registry) {
                conflicts.add(.type, label, "the name \(name) is taken by another metric: shown as \(name)_\(suffix)")
                return family
            }
        }
        conflicts.add(.unusable, label, "the name \(name) is taken by other metrics, and so are its variants: not shown")
        return lost(kind)
    }

    private func lost(_ kind: MetricKind) -> Family {
        guard let lost = declare(kind, "unusable_\(kind)", "", in: nowhere) else {
            preconditionFailure("a registry of our own refuses a name of our own")
        }
        return lost
    }

    private func declare(_ kind: MetricKind, _ name: String, _ label: String, in registry: MetricRegistry) -> Family? {
        let help = options.help[label] ?? "Measured through swift-metrics as \(label)."
        let limit = options.seriesLimit
        switch kind {
        case .counter: return (try? registry.openCounter(name, help: help, seriesLimit: limit)).map { .counter($0) }
        case .gauge: return (try? registry.openGauge(name, help: help, seriesLimit: limit)).map { .gauge($0) }
        case .recorder, .timer:
            let usual = kind == .timer ? options.timerBuckets : options.recorderBuckets
            let wanted = (options.buckets[label] ?? usual, options.nativeBuckets)
            for (buckets, native) in [wanted, (.requestSeconds, nil)] {
                do throws(MetricError) {
                    return .histogram(
                        try registry.openHistogram(name, help: help, buckets: buckets, native: native, seriesLimit: limit))
                } catch {
                    switch error {
                    case .declaredDifferently, .nameTaken: return nil
                    default: conflicts.add(.unusable, label, "\(error): replaced by those of requests")
                    }
                }
            }
            return nil
        }
    }

    private func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}
