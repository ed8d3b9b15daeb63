import ApusBytes
import ApusConfig
import ApusExposition
import ApusModel

/// How the labels of a page become the labels of series: what a job's configuration and a target say about it.
struct SampleRules: Sendable, Hashable {
    /// The target's public labels.
    let targetLabels: LabelSet
    let honorLabels: Bool
    let relabelRules: [RelabelRule]
    let nameValidation: NameValidation
    let labelLimit: Int
    let labelNameLimit: Int
    let labelValueLimit: Int

    init(target: LabelSet, config: ScrapeConfig) {
        targetLabels = target
        honorLabels = config.honorLabels
        relabelRules = config.metricRelabelRules
        nameValidation = config.metricNameValidation
        labelLimit = config.limits.labels
        labelNameLimit = config.limits.labelNameBytes
        labelValueLimit = config.limits.labelValueBytes
    }

    /// Why the labels of a line make its scrape fail.
    struct Refusal: Error, Equatable {
        let reason: String
        var isLabelLimit = false
    }

    static let exportedPrefix: ByteString = "exported_"

    /// The labels of the series that a line with labels `exposed` stands for; nil when relabelling drops it.
    func seriesLabels(_ exposed: PageLabels) throws(Refusal) -> LabelSet? {
        // The usual line: no name twice, no empty value, and no label that the target has too. One allocation.
        if let labels = exposed.labelSet(with: targetLabels) { return try relabelledAndChecked(labels, duplicate: nil) }
        return try seriesLabels(exposed.labels)
    }

    /// The same of any labels.
    /// - Parameter exposed: as the page has them: unsorted, with duplicates and empty values.
    func seriesLabels(_ exposed: [Label]) throws(Refusal) -> LabelSet? {
        try relabelledAndChecked(LabelSet(withTargetLabels(exposed)), duplicate: Self.duplicateName(exposed))
    }

    private func relabelledAndChecked(_ labels: LabelSet, duplicate: ByteString?) throws(Refusal) -> LabelSet? {
        var labels = labels
        if !relabelRules.isEmpty {
            guard let relabelled = relabel(labels, relabelRules) else { return nil }
            labels = relabelled
        }
        if labels.isEmpty { return nil }
        if let duplicate {
            throw Refusal(reason: "label name \(goQuoted(duplicate.description)) is not unique: invalid sample")
        }
        let metricName = LabelSet.metricName
        guard let name = labels.valueRange(of: metricName.bytes.span) else {
            throw Refusal(reason: "missing metric name (__name__ label)")
        }
        guard isValid(labels, name: name) else {
            throw Refusal(reason: "invalid metric name or label names: \(labels)")
        }
        if labelLimit > 0 || labelNameLimit > 0 || labelValueLimit > 0 {
            try checkLimits(labels, name: ByteString(labels.encoded[name]))
        }
        return labels
    }

    /// The labels of a report series, such as `up`.
    func reportLabels(_ name: ByteString) -> LabelSet { LabelSet([Label(LabelSet.metricName, name)] + targetLabels.labels) }

    private func withTargetLabels(_ exposed: [Label]) -> [Label] {
        var result = exposed
        if honorLabels {
            // An exposed label wins even with an empty value: that is how a page says the target's label is not wanted.
            for label in targetLabels where !exposed.contains(where: { $0.name == label.name }) { result.append(label) }
            return result
        }
        var displaced: [Label] = []
        for label in targetLabels {
            if let index = result.lastIndex(where: { $0.name == label.name }) {
                if !result[index].value.isEmpty { displaced.append(result[index]) }
                result[index].value = label.value
            } else {
                result.append(label)
            }
        }
        // Shorter names first, so that which label ends as `exported_exported_…` does not depend on the page's order.
        displaced.sort { $0.name.count < $1.name.count }
        for label in displaced {
            var name = Self.exportedPrefix + label.name
            while result.contains(where: { $0.name == name && !$0.value.isEmpty }) { name = Self.exportedPrefix + name }
            result.removeAll { $0.name == name }
            result.append(Label(name, label.value))
        }
        return result
    }

    private static func duplicateName(_ labels: [Label]) -> ByteString? {
        if labels.count > 16 {
            var seen: Set<ByteString> = []
            return labels.first { !seen.insert($0.name).inserted }?.name
        }
        for (index, label) in labels.enumerated() where labels[..<index].contains(where: { $0.name == label.name }) {
            return label.name
        }
        return nil
    }

    /// - Parameter name: where the metric's name lies in `labels`.
    private func isValid(_ labels: LabelSet, name: Range<Int>) -> Bool {
        let isLegacy = nameValidation == .legacy
        let bytes = labels.encoded.span
        guard isLegacy ? Self.isLegacyName(bytes.extracting(name), colons: true) : isValidUTF8(bytes.extracting(name)) else { return false }
        for pair in labels.ranges {
            let name = bytes.extracting(pair.name)
            guard name.count > 0, isLegacy ? Self.isLegacyName(name, colons: false) : isValidUTF8(name),
                isValidUTF8(bytes.extracting(pair.value))
            else { return false }
        }
        return true
    }

    private static func isLegacyName(_ name: Span<UInt8>, colons: Bool) -> Bool {
        for index in 0..<name.count {
            let byte = name[index]
            let isLetter = (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_") || (colons && byte == UInt8(ascii: ":"))
            if !isLetter && (index == 0 || byte &- UInt8(ascii: "0") >= 10) { return false }
        }
        return name.count > 0
    }

    private func checkLimits(_ labels: LabelSet, name: ByteString) throws(Refusal) {
        let metric = name.description.prefix(50)
        if labelLimit > 0 {
            let count = labels.count
            if count > labelLimit {
                throw Refusal(
                    reason: "label_limit exceeded (metric: \(metric), number of labels: \(count), limit: \(labelLimit))",
                    isLabelLimit: true)
            }
        }
        guard labelNameLimit > 0 || labelValueLimit > 0 else { return }
        for label in labels {
            if labelNameLimit > 0 && label.name.count > labelNameLimit {
                throw Refusal(
                    reason: "label_name_length_limit exceeded (metric: \(metric), label name: "
                        + "\(label.name.description.prefix(50)), length: \(label.name.count), limit: \(labelNameLimit))",
                    isLabelLimit: true)
            }
            if labelValueLimit > 0 && label.value.count > labelValueLimit {
                throw Refusal(
                    reason: "label_value_length_limit exceeded (metric: \(metric), label name: "
                        + "\(label.name.description.prefix(50)), value: \(goQuoted(String(label.value.description.prefix(50)))), "
                        + "length: \(label.value.count), limit: \(labelValueLimit))", isLabelLimit: true)
            }
        }
    }
}
