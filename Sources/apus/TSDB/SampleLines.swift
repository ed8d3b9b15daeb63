import ApusBytes
import ApusExposition
import ApusModel
import ApusServer
import ApusStorage

/// Writes the samples of one series, a line each; the labels are made text once.
protocol SampleLines {
    init(labels: LabelSet)
    func append(_ sample: Int, of columns: borrowing SampleColumns, to output: inout [UInt8])
}

/// promtool's lines: `{__name__="up", job="x"} 1 1704067200000`, histograms in PromQL's short text.
struct PromLines: SampleLines {
    private let head: [UInt8]

    init(labels: LabelSet) {
        var head: [UInt8] = [UInt8(ascii: "{")]
        for (index, label) in labels.labels.enumerated() {
            if index > 0 { head += Array(", ".utf8) }
            head += isPlainName(label.name) ? label.name.bytes : Array(goQuoted(label.name).utf8)
            head += Array("=".utf8) + Array(goQuoted(label.value).utf8)
        }
        self.head = head + Array("} ".utf8)
    }

    func append(_ sample: Int, of columns: borrowing SampleColumns, to output: inout [UInt8]) {
        output += head
        if columns.kind(at: sample) == .float {
            output.appendDouble(columns.value(at: sample), style: .general)
        } else if let histogram = columns.histogram(at: sample) {
            output += Array(histogram.shortText.utf8)
        }
        output.append(UInt8(ascii: " "))
        output.appendDecimal(columns.timestampMs(at: sample))
        output.append(UInt8(ascii: "\n"))
    }
}

/// Lines that lose nothing, in the form of a data directory's expectations:
///
///     {"__name__":"up","job":"x"} 1704067200000 1.0
///
/// Floats in the shortest text that reads back the same, `stale` for the staleness marker, `NaN:` and 16 hexadecimal digits
/// for any other NaN; native histograms as JSON with absolute counts by bucket index.
struct ExactLines: SampleLines {
    private let head: [UInt8]

    init(labels: LabelSet) {
        var head: [UInt8] = []
        head.appendJSON(labels)
        self.head = head + [UInt8(ascii: " ")]
    }

    func append(_ sample: Int, of columns: borrowing SampleColumns, to output: inout [UInt8]) {
        output += head
        output.appendDecimal(columns.timestampMs(at: sample))
        output.append(UInt8(ascii: " "))
        if columns.kind(at: sample) == .float {
            output.appendExact(columns.value(at: sample))
        } else if let histogram = columns.histogram(at: sample) {
            if histogram.isStale {
                output += Array((histogram.isFloat ? "stale:float" : "stale:int").utf8)
            } else {
                output.appendExact(histogram)
            }
        }
        output.append(UInt8(ascii: "\n"))
    }
}

/// OpenMetrics lines: `up{job="x"} 1 1704067200.000`. Native histograms and staleness markers have none.
struct OpenMetricsLines: SampleLines {
    private let head: [UInt8]

    init(labels: LabelSet) {
        var text: [UInt8] = []
        let name = labels[LabelSet.metricName] ?? ""
        let isPlain = isPlainName(name) && !name.isEmpty
        var isFirst = true
        func separate(_ text: inout [UInt8]) {
            text.append(UInt8(ascii: isFirst ? "{" : ","))
            isFirst = false
        }
        if isPlain {
            text += name.bytes
        } else if !name.isEmpty {
            // Differs from Prometheus: names that are not plain are quoted, as the parser needs them.
            separate(&text)
            text.appendEscaped(name)
        }
        for label in labels where label.name != LabelSet.metricName {
            separate(&text)
            if isPlainName(label.name) { text += label.name.bytes } else { text.appendEscaped(label.name) }
            text.append(UInt8(ascii: "="))
            text.appendEscaped(label.value)
        }
        if !isFirst { text.append(UInt8(ascii: "}")) }
        head = text + [UInt8(ascii: " ")]
    }

    func append(_ sample: Int, of columns: borrowing SampleColumns, to output: inout [UInt8]) {
        guard columns.kind(at: sample) == .float, !StaleNaN.isStale(columns.value(at: sample)) else { return }
        output += head
        output.appendDouble(columns.value(at: sample), style: .general)
        output.append(UInt8(ascii: " "))
        let time = columns.timestampMs(at: sample)
        if time < 0 { output.append(UInt8(ascii: "-")) }
        let magnitude = time.magnitude
        output.appendDecimal(magnitude / 1000)
        output += Array(".".utf8) + Array(String(1000 + magnitude % 1000).utf8.dropFirst())
        output.append(UInt8(ascii: "\n"))
    }
}

// MARK: Pieces

/// Whether a label's name needs no quotes.
private func isPlainName(_ name: ByteString) -> Bool {
    for (index, byte) in name.bytes.enumerated() {
        let isLetter = (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
        guard isLetter || (index > 0 && byte &- UInt8(ascii: "0") < 10) else { return false }
    }
    return true
}

extension Array where Element == UInt8 {
    /// A label set as a JSON object, in order of name.
    mutating func appendJSON(_ labels: LabelSet) {
        var json = JSONWriter()
        json.object { json in
            for label in labels.labels {
                json.key(label.name.bytes.span)
                json.string(label.value)
            }
        }
        self += json.bytes
    }

    /// In double quotes, with `\\`, `\"` and `\n`.
    fileprivate mutating func appendEscaped(_ text: ByteString) {
        append(UInt8(ascii: "\""))
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): self += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): self += Array("\\n".utf8)
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }

    /// As Python's `repr`: `1.0`, `1e+16`, `5e-324`; `stale`, `NaN:…`.
    fileprivate mutating func appendExact(_ value: Double) {
        if value.isNaN {
            if StaleNaN.isStale(value) {
                self += Array("stale".utf8)
                return
            }
            let digits = String(value.bitPattern, radix: 16)
            self += Array(("NaN:" + String(repeating: "0", count: 16 - digits.count) + digits).utf8)
            return
        }
        let start = count
        appendDouble(value, style: value.magnitude >= 1e16 ? .general : .plain)
        if value.isFinite, !self[start...].contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") }) {
            self += Array(".0".utf8)
        }
    }

    fileprivate mutating func appendExact(_ histogram: NativeHistogram) {
        let layout = histogram.layout
        let hint =
            switch histogram.hint {
            case .unknown: "unknown"
            case .reset: "reset"
            case .noReset: "no_reset"
            case .gauge: "gauge"
            }
        func quoted(_ value: Double) -> String {
            var text: [UInt8] = []
            text.appendExact(value)
            return "\"" + String(decoding: text, as: UTF8.self) + "\""
        }
        func count(_ word: UInt64) -> String { histogram.isFloat ? quoted(Double(bitPattern: word)) : String(word) }
        func buckets(_ spans: [HistogramSpan], _ words: ArraySlice<UInt64>) -> String {
            "["
                + zip(BucketIndices(spans), words).filter { histogram.isFloat ? Double(bitPattern: $0.1) != 0 : $0.1 != 0 }
                .map { "[\($0.0),\(count($0.1))]" }.joined(separator: ",") + "]"
        }
        var text = "{\"kind\":\"\(histogram.isFloat ? "float" : "int")\",\"hint\":\"\(hint)\",\"schema\":\(layout.schema)"
        text += ",\"zero_threshold\":\(quoted(layout.zeroThreshold)),\"zero_count\":\(count(histogram.zeroCountWord))"
        text += ",\"count\":\(count(histogram.countWord)),\"sum\":\(quoted(histogram.sum))"
        text += ",\"positive\":\(buckets(layout.positiveSpans, histogram.positiveWords))"
        text += ",\"negative\":\(buckets(layout.negativeSpans, histogram.negativeWords))"
        text += ",\"custom\":[\(layout.customBounds.map(quoted).joined(separator: ","))]}"
        self += Array(text.utf8)
    }
}

extension NativeHistogram {
    /// As Prometheus prints a histogram: `{count:31, sum:99.983, [-0.001,0.001]:3, (0.125,0.25]:2}`, empty buckets left out.
    var shortText: String {
        func number(_ value: Double) -> String {
            var text: [UInt8] = []
            text.appendDouble(value, style: .general)
            return String(decoding: text, as: UTF8.self)
        }
        var parts = ["count:\(number(count))", "sum:\(number(sum))"]
        // Negative buckets from the farthest, so that bounds ascend.
        for (index, count) in zip(BucketIndices(layout.negativeSpans), negativeCounts).reversed() where count != 0 {
            let (near, far) = bounds(index)
            parts.append("\(interval(-far, -near)):\(number(count))")
        }
        if zeroCount != 0 {
            parts.append("[\(number(-layout.zeroThreshold)),\(number(layout.zeroThreshold))]:\(number(zeroCount))")
        }
        for (index, count) in zip(BucketIndices(layout.positiveSpans), positiveCounts) where count != 0 {
            let (lower, upper) = bounds(index)
            parts.append("\(interval(lower, upper)):\(number(count))")
        }
        return "{" + parts.joined(separator: ", ") + "}"

        /// The end that is nearer to zero is not part of a bucket.
        func interval(_ lower: Double, _ upper: Double) -> String {
            "\(lower < 0 ? "[" : "(")\(number(lower)),\(number(upper))\(upper > 0 ? "]" : ")")"
        }
    }

    /// Of a bucket on the positive side.
    private func bounds(_ index: Int32) -> (lower: Double, upper: Double) {
        guard layout.hasCustomBounds else {
            return (HistogramBounds.upper(index &- 1, schema: layout.schema), HistogramBounds.upper(index, schema: layout.schema))
        }
        let (bounds, index) = (layout.customBounds, Int(index))
        return (
            bounds.indices.contains(index - 1) ? bounds[index - 1] : -.infinity,
            bounds.indices.contains(index) ? bounds[index] : .infinity
        )
    }
}
