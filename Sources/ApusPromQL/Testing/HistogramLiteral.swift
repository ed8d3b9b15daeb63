import ApusBytes
import ApusModel

/// A native histogram as test scripts write it: `{{schema:1 sum:3 count:4 buckets:[1 2 1] offset:-1}}`.
struct HistogramLiteral {
    let histogram: FloatHistogram
    /// Whether `counter_reset_hint` was written: only then a comparison heeds it.
    let hasHint: Bool

    /// Reads a literal at `position`, which then is behind it. `nil` when there is none, or a wrong one.
    init?(_ text: ArraySlice<UInt8>, _ position: inout Int) {
        guard text[position...].starts(with: "{{".utf8) else { return nil }
        var reader = LiteralReader(text: text, position: position + 2)
        guard let fields = reader.fields() else { return nil }
        position = reader.position
        guard let schema = fields.number("schema").map({ Int32(exactly: $0) }) ?? 0,
            let offset = fields.number("offset").map({ Int32(exactly: $0) }) ?? 0,
            let negativeOffset = fields.number("n_offset").map({ Int32(exactly: $0) }) ?? 0
        else { return nil }
        guard HistogramLayout.exponentialSchemas.contains(schema) || schema == HistogramLayout.customSchema else { return nil }
        let positive = fields.lists["buckets"] ?? []
        let negative = fields.lists["n_buckets"] ?? []
        func spans(_ offset: Int32, _ count: Int) -> [HistogramSpan] {
            count == 0 ? [] : [HistogramSpan(offset: offset, length: UInt32(clamping: count))]
        }
        let layout = HistogramLayout(
            schema: schema, zeroThreshold: fields.number("z_bucket_w") ?? 0, positiveSpans: spans(offset, positive.count),
            negativeSpans: spans(negativeOffset, negative.count), customBounds: fields.lists["custom_values"] ?? [])
        histogram = FloatHistogram(
            layout: layout, hint: fields.hint ?? .unknown, count: fields.number("count") ?? 0,
            zeroCount: fields.number("z_bucket") ?? 0, sum: fields.number("sum") ?? 0, buckets: positive + negative)
        hasHint = fields.hint != nil
    }
}

/// The fields of a literal, by name.
private struct LiteralFields {
    var numbers: [String: Double] = [:]
    var lists: [String: [Double]] = [:]
    var hint: CounterResetHint?

    func number(_ name: String) -> Double? { numbers[name] }
}

private struct LiteralReader {
    let text: ArraySlice<UInt8>
    var position: Int

    private static let listNames: Set<String> = ["buckets", "n_buckets", "custom_values"]
    private static let numberNames: Set<String> = ["schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset"]
    private static let hints: [String: CounterResetHint] = [
        "unknown": .unknown, "reset": .reset, "not_reset": .noReset, "gauge": .gauge,
    ]

    private mutating func skipBlanks() {
        while position < text.endIndex, isSpace(text[position]) { position += 1 }
    }

    private mutating func skip(_ mark: String) -> Bool {
        guard text[position...].starts(with: mark.utf8) else { return false }
        position += mark.utf8.count
        return true
    }

    /// Up to a blank or one of the marks.
    private mutating func word() -> String {
        let start = position
        while position < text.endIndex, !isSpace(text[position]), ![UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}")].contains(text[position]) {
            position += 1
        }
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private mutating func number() -> Double? {
        let bytes = Array(word().utf8)
        guard !bytes.isEmpty, let value = parseDouble(bytes.span) else { return nil }
        return value
    }

    /// All fields, up to and with `}}`; `nil` when one is wrong, unknown, or there twice.
    mutating func fields() -> LiteralFields? {
        var fields = LiteralFields()
        while true {
            skipBlanks()
            if skip("}}") { return fields }
            let name = word()
            guard skip(":") else { return nil }
            if Self.listNames.contains(name) {
                guard fields.lists[name] == nil, let values = list() else { return nil }
                fields.lists[name] = values
            } else if name == "counter_reset_hint" {
                guard fields.hint == nil, let hint = Self.hints[word()] else { return nil }
                fields.hint = hint
            } else {
                guard Self.numberNames.contains(name), fields.numbers[name] == nil, let value = number() else { return nil }
                fields.numbers[name] = value
            }
        }
    }

    private mutating func list() -> [Double]? {
        guard skip("[") else { return nil }
        var values: [Double] = []
        while true {
            skipBlanks()
            if skip("]") { return values }
            guard let value = number() else { return nil }
            values.append(value)
        }
    }
}

extension FloatHistogram {
    /// As scripts write it, but with the gaps of its spans; for messages.
    var text: String {
        var parts: [String] = []
        if layout.schema != 0 { parts.append("schema:\(layout.schema)") }
        parts += ["count:\(count)", "sum:\(sum)"]
        if zeroCount != 0 { parts.append("z_bucket:\(zeroCount)") }
        if layout.zeroThreshold != 0 { parts.append("z_bucket_w:\(layout.zeroThreshold)") }
        if hasCustomBounds { parts.append("custom_values:\(layout.customBounds)") }
        for (name, spans, counts) in [("", layout.positiveSpans, positiveBuckets), ("n_", layout.negativeSpans, negativeBuckets)] {
            if counts.isEmpty { continue }
            var side: [String] = []
            for (index, count) in zip(BucketIndices(spans), counts) { side.append("\(index):\(count)") }
            parts.append("\(name)buckets:[\(side.joined(separator: " "))]")
        }
        if hint != .unknown { parts.append("counter_reset_hint:\(hint)") }
        return "{{" + parts.joined(separator: " ") + "}}"
    }
}
