import ApusBytes
import ApusModel

/// The type and the unit that a page declared, as labels of the family's series: `type-and-unit-labels`.
///
/// Differs from Prometheus: 3.5 gives a series whatever type and unit were declared last, of another family too.
struct FamilyLabels {
    static let typeLabel: ByteString = "__type__"
    static let unitLabel: ByteString = "__unit__"
    private static let suffixes: [ByteString] = ["", "_total", "_count", "_sum", "_bucket", "_gcount", "_gsum", "_info", "_created"]

    private var name: ByteString = ""
    private var type = MetricType.unknown
    private var unit: ByteString = ""

    mutating func note(_ entry: ReadEntry) {
        switch entry {
        case .help(let name, _): begin(name)
        case .type(let name, let type):
            begin(name)
            self.type = type
        case .unit(let name, let unit):
            begin(name)
            self.unit = unit
        case .sample: break
        }
    }

    private mutating func begin(_ name: ByteString) {
        if name == self.name { return }
        self = FamilyLabels()
        self.name = name
    }

    /// Changes with type and unit, so that series of another type are other series.
    func hash(_ seed: HashSeed) -> UInt64 {
        hashSpan(ByteString(type.rawValue).bytes.span, seed) ^ (hashSpan(unit.bytes.span, seed) &* 31)
    }

    /// A label of the same name in the page loses, where there is something to say.
    func add(to labels: inout [Label]) {
        guard let series = labels.first(where: { $0.name == LabelSet.metricName })?.value, series.hasPrefix(name),
            Self.suffixes.contains(ByteString(series.bytes.dropFirst(name.count)))
        else { return }
        for (label, value) in [(Self.typeLabel, type == .unknown ? "" : ByteString(type.rawValue)), (Self.unitLabel, unit)] where !value.isEmpty {
            labels.removeAll { $0.name == label }
            labels.append(Label(label, value))
        }
    }
}
