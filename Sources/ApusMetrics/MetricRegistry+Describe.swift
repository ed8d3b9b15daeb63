import ApusBytes
import ApusExposition
import ApusModel

extension MetricRegistry {
    /// Checks names and labels and puts them together.
    func describe(
        _ name: String, help: String, unit: String = "", type: MetricType, labelNames: [String] = [], labelTypes: [ObjectIdentifier] = [],
        constantLabels own: KeyValuePairs<String, String> = [:], shape: FamilyDescriptor.Shape = .single, expiresAfterMs: Int64? = nil
    ) throws(MetricError) -> FamilyDescriptor {
        let name = prefix + name
        let metricName = ByteString(name)
        guard isMetricName(metricName) else { throw .invalidMetricName(name) }
        try checkUnit(unit, metric: name)
        var seen: Set<String> = []
        for label in constantLabels.map(\.name.description) + own.map(\.key) + labelNames {
            guard isLabelName(ByteString(label)) else { throw .invalidLabelName(label, metric: name) }
            // A state set has its state in a label of its own name.
            if Self.isReserved(label) || type == .stateset && label == name { throw .reservedLabelName(label, metric: name) }
            guard seen.insert(label).inserted else { throw .duplicateLabelName(label, metric: name) }
        }
        switch shape {
        case .single, .states: break
        case .histogram(let buckets, let native):
            let isValid = native == nil ? buckets.isValid : buckets == .none || buckets.isValid
            guard isValid, native?.isValid ?? true else { throw .invalidBuckets(metric: name) }
        case .summary(let summary):
            guard summary.quantiles.allSatisfy(\.isValid), summary.windowMs > 0 else { throw .invalidQuantiles(metric: name) }
        }
        if let expiresAfterMs, expiresAfterMs <= 0 { throw .invalidExpiry(metric: name) }
        return FamilyDescriptor(
            name: metricName, help: ByteString(help), unit: ByteString(unit), type: type,
            labelNames: labelNames.map { ByteString($0) }, labelTypes: labelTypes,
            constantLabels: constantLabels + own.map { Label(ByteString($0.key), ByteString($0.value)) }, shape: shape,
            expiresAfterMs: expiresAfterMs)
    }

    private func checkUnit(_ unit: String, metric name: String) throws(MetricError) {
        if unit.isEmpty { return }
        let base = name.hasSuffix("_total") ? String(name.dropLast(6)) : name
        guard base.hasSuffix("_" + unit) else { throw .unitNotInName(unit, metric: name) }
    }

    /// Names that belong to histograms and summaries, and to the server.
    static func isReserved(_ label: String) -> Bool { label.hasPrefix("__") || label == "le" || label == "quantile" }

    func isMetricName(_ name: ByteString) -> Bool {
        names == .utf8 ? !name.isEmpty && name.isValidUTF8 : TextFormat.isClassicMetricName(name.bytes.span)
    }
    func isLabelName(_ name: ByteString) -> Bool {
        names == .utf8 ? !name.isEmpty && name.isValidUTF8 : TextFormat.isClassicLabelName(name.bytes.span)
    }

    /// The family of metrics that `make` makes.
    func familyCore(
        _ descriptor: FamilyDescriptor, limit: Int?, _ make: @escaping @Sendable (InstrumentSeed) -> Instrument
    ) throws(MetricError) -> FamilyCore {
        let (context, limit) = (context, max(1, limit ?? seriesLimit))
        return try core.declare(descriptor, as: FamilyCore.self) { FamilyCore($0, limit: limit, context: context, make: make) }
    }
}
