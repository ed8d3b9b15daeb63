import ApusBytes
public import ApusModel
public import ApusRegex

extension RelabelRule {
    /// The default expression, which matches everything and captures it.
    public static let matchAll: AnchoredRegex = {
        guard let regex = try? AnchoredRegex("(.*)") else { preconditionFailure("the default expression of a relabel rule does not compile") }
        return regex
    }()

    public static func == (left: RelabelRule, right: RelabelRule) -> Bool {
        left.sourceLabels == right.sourceLabels && left.separator == right.separator && left.regex.pattern == right.regex.pattern
            && left.modulus == right.modulus && left.targetLabel == right.targetLabel && left.replacement == right.replacement
            && left.action == right.action && left.nameValidation == right.nameValidation
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(action)
        hasher.combine(sourceLabels)
        hasher.combine(regex.pattern)
        hasher.combine(targetLabel)
        hasher.combine(replacement)
    }
}

/// Applies `rules` in order. Nil if one of them drops the labels. If no rule changes anything the result is `labels`
/// itself, without an allocation.
public func relabel(_ labels: LabelSet, _ rules: [RelabelRule]) -> LabelSet? {
    var working = WorkingLabels(labels)
    for rule in rules where !rule.apply(to: &working) { return nil }
    return working.result
}

/// A label set on its way through the rules: the original buffer until a rule changes something.
struct WorkingLabels {
    private let original: LabelSet
    /// Unsorted, names unique, values not empty; nil as long as nothing changed.
    private var changed: [Label]?

    init(_ labels: LabelSet) { original = labels }

    var result: LabelSet { changed.map { LabelSet($0) } ?? original }
    var labels: [Label] { changed ?? original.labels }

    /// Calls `body` with the value of `name`, no bytes if it is absent.
    func withValue<Result>(of name: ByteString, _ body: (Span<UInt8>) -> Result) -> Result {
        if let changed {
            guard let label = changed.first(where: { $0.name == name }) else { return body([UInt8]().span) }
            return body(label.value.bytes.span)
        }
        guard let range = original.valueRange(of: name.bytes.span) else { return body([UInt8]().span) }
        return body(original.encoded.span.extracting(range))
    }

    /// An empty value removes the label.
    mutating func set(_ name: ByteString, _ value: ByteString) {
        let isSame = withValue(of: name) { equalBytes($0, value.bytes.span) }
        if isSame { return }
        var all = labels
        changed = nil
        if let index = all.firstIndex(where: { $0.name == name }) {
            if value.isEmpty { all.remove(at: index) } else { all[index].value = value }
        } else if !value.isEmpty {
            all.append(Label(name, value))
        }
        changed = all
    }

    /// Removes the labels for whose name `isRemoved` holds.
    mutating func remove(where isRemoved: (Span<UInt8>) -> Bool) {
        if changed == nil {
            let span = original.encoded.span
            var any = false
            for pair in original.ranges where isRemoved(span.extracting(pair.name)) {
                any = true
                break
            }
            if !any { return }
        }
        var all = labels
        all.removeAll { isRemoved($0.name.bytes.span) }
        changed = all
    }
}

extension RelabelRule {
    /// False if the rule drops the labels.
    func apply(to labels: inout WorkingLabels) -> Bool {
        switch action {
        case .keep: return withSource(labels) { regex.matches($0) }
        case .drop: return !withSource(labels) { regex.matches($0) }
        case .keepequal, .dropequal:
            let isEqual = withSource(labels) { source in labels.withValue(of: targetLabel) { equalBytes($0, source) } }
            return isEqual == (action == .keepequal)
        case .replace: replace(&labels)
        case .lowercase: labels.set(targetLabel, withSource(labels) { mapCase($0, upper: false) })
        case .uppercase: labels.set(targetLabel, withSource(labels) { mapCase($0, upper: true) })
        case .hashmod:
            let hash = withSource(labels) { md5($0) }
            var last: UInt64 = 0
            for byte in hash[8...] { last = last << 8 | UInt64(byte) }
            labels.set(targetLabel, ByteString(String(modulus == 0 ? 0 : last % modulus)))
        case .labelmap:
            for label in labels.labels {
                if let name = regex.expand(template: replacement, in: label.name.bytes.span) { labels.set(name, label.value) }
            }
        case .labeldrop: labels.remove { regex.matches($0) }
        case .labelkeep: labels.remove { !regex.matches($0) }
        }
        return true
    }

    private func replace(_ labels: inout WorkingLabels) {
        let dollar = UInt8(ascii: "$")
        let change: (name: ByteString, value: ByteString)? = withSource(labels) { source in
            let name: ByteString
            if targetLabel.bytes.contains(dollar) {
                guard let expanded = regex.expand(template: targetLabel, in: source) else { return nil }
                if !isValidLabelName(expanded, nameValidation) { return nil }
                name = expanded
            } else {
                name = targetLabel
            }
            if !replacement.bytes.contains(dollar) { return regex.matches(source) ? (name, replacement) : nil }
            return regex.expand(template: replacement, in: source).map { (name, $0) }
        }
        if let change { labels.set(change.name, change.value) }
    }

    /// The values of the source labels, with the separator between them.
    private func withSource<Result>(_ labels: WorkingLabels, _ body: (Span<UInt8>) -> Result) -> Result {
        if sourceLabels.count == 1 { return labels.withValue(of: sourceLabels[0], body) }
        var joined: [UInt8] = []
        for (index, name) in sourceLabels.enumerated() {
            if index > 0 { joined += separator.bytes }
            labels.withValue(of: name) { value in
                for index in 0..<value.count { joined.append(value[index]) }
            }
        }
        return body(joined.span)
    }
}

/// The text in upper or lower case, character by character as Go maps it: no character becomes two.
private func mapCase(_ text: Span<UInt8>, upper: Bool) -> ByteString {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var isASCII = true
    for index in 0..<text.count {
        var byte = text[index]
        if byte >= 0x80 { isASCII = false }
        if upper ? (97...122).contains(byte) : (65...90).contains(byte) { byte ^= 0x20 }
        bytes.append(byte)
    }
    if isASCII { return ByteString(bytes) }
    var result = String.UnicodeScalarView()
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
        let mapped = (upper ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping).unicodeScalars
        result.append(mapped.count == 1 ? mapped.first ?? scalar : scalar)
    }
    return ByteString(String(result))
}
