import ApusBytes
import ApusExposition
public import ApusModel
import Synchronization

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
/// bad names, names that a declared metric has, a second type for a name, a series given twice.
public struct MetricSink {
    private let registry: MetricRegistry
    private var families: [ByteString: CollectedFamily] = [:]

    init(registry: MetricRegistry) { self.registry = registry }

    public mutating func counter(_ name: String, help: String, _ value: Double, labels: [(String, String)] = []) {
        family(name, help: help, type: .counter) { $0.sample(value, labels: labels) }
    }
    public mutating func gauge(_ name: String, help: String, _ value: Double, labels: [(String, String)] = []) {
        family(name, help: help, type: .gauge) { $0.sample(value, labels: labels) }
    }

    public mutating func family(_ name: String, help: String, type: MetricType, _ fill: (inout FamilySink) -> Void) {
        let name = ByteString(name)
        // Taken out of the dictionary while it is filled, so that its buffer is not copied.
        var family = families.removeValue(forKey: name) ?? CollectedFamily(name: name, help: ByteString(help), type: type)
        let isUsable = registry.isMetricName(name) && family.type == type && !family.seriesNames.contains { registry.isTaken($0) }
        if isUsable {
            var sink = FamilySink(family: family, registry: registry)
            family.body = []
            fill(&sink)
            family = sink.family
        } else {
            registry.faults.droppedCollectedSampleCount.wrappingAdd(1, ordering: .relaxed)
        }
        families[name] = family
    }

    /// All families with samples, sorted by name.
    consuming func finish() -> [CollectedFamily] {
        families.values.filter { !$0.body.isEmpty }.sorted { $0.name < $1.name }
    }
}

/// Where a collector puts the samples of one family.
public struct FamilySink {
    fileprivate var family: CollectedFamily
    private let registry: MetricRegistry

    fileprivate init(family: CollectedFamily, registry: MetricRegistry) {
        self.family = family
        self.registry = registry
    }

    public mutating func sample(_ value: Double, labels: [(String, String)] = []) {
        add(labels) { family, text in
            family.body.appendSeriesHead(name: family.name, labels: text)
            family.body.appendValueLine(value)
        }
    }

    /// A histogram's series; `counts` are not cumulative and one more than the bounds.
    public mutating func histogram(upperBounds: [Double], counts: [UInt64], sum: Double, labels: [(String, String)] = []) {
        guard counts.count == upperBounds.count + 1, family.type == .histogram else { return drop() }
        add(labels) { family, text in
            var cumulative: UInt64 = 0
            for (bound, count) in zip(upperBounds + [.infinity], counts) {
                cumulative &+= count
                family.body.appendSeriesHead(name: family.name, suffix: "_bucket", labels: text, open: true)
                family.body.append(contentsOf: "le=\"".utf8)
                family.body.appendDouble(bound, style: .general)
                family.body.append(contentsOf: "\"} ".utf8)
                family.body.appendDecimal(cumulative)
                family.body.append(UInt8(ascii: "\n"))
            }
            Self.appendTotals(&family, text, sum: sum, count: cumulative)
        }
    }

    /// A summary's series.
    public mutating func summary(
        quantiles: [(rank: Double, value: Double)], sum: Double, count: UInt64, labels: [(String, String)] = []
    ) {
        guard family.type == .summary else { return drop() }
        add(labels) { family, text in
            for (rank, value) in quantiles {
                family.body.appendSeriesHead(name: family.name, labels: text, open: true)
                family.body.append(contentsOf: "quantile=\"".utf8)
                family.body.appendDouble(rank, style: .general)
                family.body.append(contentsOf: "\"} ".utf8)
                family.body.appendValueLine(value)
            }
            Self.appendTotals(&family, text, sum: sum, count: count)
        }
    }

    private static func appendTotals(_ family: inout CollectedFamily, _ labels: [UInt8], sum: Double, count: UInt64) {
        family.body.appendSeriesHead(name: family.name, suffix: "_sum", labels: labels)
        family.body.appendValueLine(sum)
        family.body.appendSeriesHead(name: family.name, suffix: "_count", labels: labels)
        family.body.appendDecimal(count)
        family.body.append(UInt8(ascii: "\n"))
    }

    /// Writes with the labels sorted and escaped, if they are good and were not there before.
    private mutating func add(_ labels: [(String, String)], _ write: (inout CollectedFamily, [UInt8]) -> Void) {
        let reserved = family.type == .histogram ? "le" : family.type == .summary ? "quantile" : ""
        var text: [UInt8] = registry.constantLabelText
        // Sorted, so that one set of labels in two orders is one series.
        var previous: String?
        for (name, value) in labels.sorted(by: { $0.0 < $1.0 }) {
            guard name != previous, name != reserved, !name.hasPrefix("__"), registry.isLabelName(ByteString(name)) else {
                return drop()
            }
            previous = name
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text.appendLabelPair(name: ByteString(name), value: ByteString(value))
        }
        guard family.seen.insert(text).inserted else { return drop() }
        write(&family, text)
    }

    private func drop() { registry.faults.droppedCollectedSampleCount.wrappingAdd(1, ordering: .relaxed) }
}

/// A family as collected during one scrape.
struct CollectedFamily {
    let name: ByteString
    let help: ByteString
    let type: MetricType
    /// The lines of its samples.
    var body: [UInt8] = []
    /// The labels of the series it has.
    var seen: Set<[UInt8]> = []

    init(name: ByteString, help: ByteString, type: MetricType) {
        self.name = name
        self.help = help
        self.type = type
    }

    var seriesNames: [ByteString] {
        switch type {
        case .histogram, .gaugehistogram: [name, name + "_bucket", name + "_sum", name + "_count"]
        case .summary: [name, name + "_sum", name + "_count"]
        default: [name]
        }
    }

    func write(to page: inout [UInt8]) {
        page.appendHelpLine(name: name, help: help)
        page.appendTypeLine(name: name, type: type)
        page.append(contentsOf: body)
    }
}
