import ApusBytes
import ApusExposition
import ApusModel

/// What was declared under a name.
struct FamilyDescriptor: Sendable {
    enum Shape: Sendable, Equatable {
        case single
        case histogram(Buckets, NativeBuckets?)
        case summary(SummaryShape)
        case states([ByteString])
    }
    let name: ByteString
    let help: ByteString
    var unit = ByteString()
    let type: MetricType
    let labelNames: [ByteString]
    /// The types of the labels' values.
    let labelTypes: [ObjectIdentifier]
    /// Written before the labels of each series.
    let constantLabels: [Label]
    let shape: Shape
    /// Whether each series has label names of its own: see `OpenFamily`.
    var isOpen = false
    /// How long a series stays that nobody touches, in milliseconds; nil for ever.
    var expiresAfterMs: Int64?

    /// Families of one name and one key are the same family.
    var key: FamilyKey { FamilyKey(name: name, constantLabels: constantLabels.sorted { $0.name < $1.name }) }

    /// In what `other`, of the same key, differs, in words, or nil.
    func difference(from other: FamilyDescriptor) -> String? {
        if let difference = metadataDifference(from: other) { return difference }
        if labelNames != other.labelNames || isOpen != other.isOpen { return "set of label names" }
        if labelTypes != other.labelTypes { return "type of label values" }
        if shape != other.shape {
            switch type {
            case .histogram, .gaugehistogram: return "set of buckets"
            case .stateset: return "set of states"
            default: return "set of quantiles"
            }
        }
        if expiresAfterMs != other.expiresAfterMs { return "time to expire" }
        return nil
    }

    /// In what `other`, of the same name and other constant labels, differs that must be one for a name.
    func siblingDifference(from other: FamilyDescriptor) -> String? {
        if let difference = metadataDifference(from: other) { return difference }
        // The same names on both sides: else two of their series could have the same labels.
        if constantLabels.map(\.name).sorted() != other.constantLabels.map(\.name).sorted() { return "set of constant labels" }
        if labelNames.sorted() != other.labelNames.sorted() || isOpen != other.isOpen { return "set of label names" }
        return nil
    }

    private func metadataDifference(from other: FamilyDescriptor) -> String? {
        if type != other.type { return "type" }
        if help != other.help { return "help text" }
        if unit != other.unit { return "unit" }
        return nil
    }

    /// The names of the series it writes.
    var seriesNames: [ByteString] { MetricRegistry.seriesNames(name, type) }
}

/// What tells families apart: the same name may be declared with several values of constant labels.
struct FamilyKey: Hashable, Sendable {
    let name: ByteString
    let constantLabels: [Label]
}

extension MetricRegistry {
    /// The names of the series that a family of this type writes.
    static func seriesNames(_ name: ByteString, _ type: MetricType) -> [ByteString] {
        switch type {
        case .histogram: [name, name + "_bucket", name + "_sum", name + "_count"]
        case .gaugehistogram: [name, name + "_bucket", name + "_sum", name + "_count", name + "_gsum", name + "_gcount"]
        case .summary: [name, name + "_sum", name + "_count"]
        default: [name]
        }
    }
}

/// What a registry asks of whatever it shows.
protocol DeclaredFamily: AnyObject, Sendable {
    var descriptor: FamilyDescriptor { get }
    /// Begins a page: see `Instrument.prepareForPage`.
    func prepareForPage() -> Bool
    /// What it says now; no points when it has no series.
    func points() -> [MetricPoint]
    /// Appends header and lines if it has them ready for this encoding; false if the points must be asked for.
    func appendLines(_ encoding: PageEncoding, to page: inout [UInt8]) -> Bool
}

extension DeclaredFamily {
    func prepareForPage() -> Bool { false }

    func snapshot() -> FamilySnapshot {
        FamilySnapshot(
            name: descriptor.name, help: descriptor.help, unit: descriptor.unit, type: descriptor.type, points: points())
    }
}
