import ApusBytes
import ApusExposition
import ApusModel
import Synchronization

/// What was declared under a name.
struct FamilyDescriptor: Sendable {
    enum Shape: Sendable, Equatable {
        case single
        case histogram(Buckets)
        case summary([Quantile], windowMs: Int64)
    }
    let name: ByteString
    let help: ByteString
    let type: MetricType
    let labelNames: [ByteString]
    /// The types of the labels' values.
    let labelTypes: [ObjectIdentifier]
    /// `a="1",b="2"`, written before the labels of each series.
    let constantLabels: [UInt8]
    let shape: Shape

    /// In what `other` differs, in words, or nil.
    func difference(from other: FamilyDescriptor) -> String? {
        if type != other.type { return "type" }
        if help != other.help { return "help text" }
        if labelNames != other.labelNames { return "set of label names" }
        if labelTypes != other.labelTypes { return "type of label values" }
        if constantLabels != other.constantLabels { return "set of constant labels" }
        if shape != other.shape { return type == .histogram ? "set of buckets" : "set of quantiles" }
        return nil
    }

    /// The names of the series it writes.
    var seriesNames: [ByteString] {
        switch shape {
        case .single: [name]
        case .histogram: [name, name + "_bucket", name + "_sum", name + "_count"]
        case .summary: [name, name + "_sum", name + "_count"]
        }
    }
}

/// What a registry asks of whatever it shows.
protocol PageWriter: AnyObject, Sendable {
    var descriptor: FamilyDescriptor { get }
    func writeSeries(to page: inout [UInt8])
}

extension PageWriter {
    func write(to page: inout [UInt8]) {
        let start = page.count
        page.appendHelpLine(name: descriptor.name, help: descriptor.help)
        page.appendTypeLine(name: descriptor.name, type: descriptor.type)
        let header = page.count
        writeSeries(to: &page)
        // A family without series has nothing to say yet.
        if page.count == header { page.removeLast(page.count - start) }
    }
}

/// A declared family and its series: the untyped part of `MetricFamily`.
@usableFromInline
final class FamilyCore: PageWriter {
    let descriptor: FamilyDescriptor
    /// How many series may exist beside the overflow series.
    let limit: Int
    private let children = ChildTable()
    private let overflow = Locked<Instrument?>(nil)
    private let faults: UpdateFaults
    private let make: @Sendable (SeriesText) -> Instrument

    init(_ descriptor: FamilyDescriptor, limit: Int, faults: UpdateFaults, make: @escaping @Sendable (SeriesText) -> Instrument) {
        self.descriptor = descriptor
        self.limit = limit
        self.faults = faults
        self.make = make
    }

    @usableFromInline func find(_ key: UnsafePointer<UInt8>, count: Int) -> Instrument {
        if let child = unsafe children.find(key, count: count) { return child }
        return unsafe findOrMake(Array(UnsafeBufferPointer(start: key, count: count)))
    }

    @inline(never)
    private func findOrMake(_ key: [UInt8]) -> Instrument {
        if let child = children.findOrInsert(key, limit: limit, make: { make(series(for: key)) }) { return child }
        faults.overflowedLabelSetCount.wrappingAdd(1, ordering: .relaxed)
        return overflow.withLock { overflow in
            if let overflow { return overflow }
            let value = ByteString(overflowLabelValue)
            let child = make(series(values: descriptor.labelNames.map { _ in value }, key: []))
            overflow = child
            return child
        }
    }

    private func series(for key: [UInt8]) -> SeriesText { series(values: decodeLabelKey(key), key: key) }

    private func series(values: [ByteString], key: [UInt8]) -> SeriesText {
        var labels = descriptor.constantLabels
        for (name, value) in zip(descriptor.labelNames, values) {
            if !labels.isEmpty { labels.append(UInt8(ascii: ",")) }
            labels.appendLabelPair(name: name, value: value)
        }
        return SeriesText(name: descriptor.name, labels: labels, key: key)
    }

    @usableFromInline func remove(_ key: [UInt8]) -> Bool { children.remove(key) }
    @usableFromInline func removeAll() {
        children.removeAll()
        overflow.withLock { $0 = nil }
    }
    @usableFromInline var count: Int { children.count }
    var retiredCount: Int { children.retiredCount }

    func writeSeries(to page: inout [UInt8]) {
        for child in children.all(sortedBy: { $0.series.isBefore($1.series) }) { child.write(to: &page) }
        overflow.withLock { $0 }?.write(to: &page)
    }
}

/// The value of every label of a family's overflow series: what is updated under label sets that would exceed its limit.
public let overflowLabelValue = "__overflow__"
