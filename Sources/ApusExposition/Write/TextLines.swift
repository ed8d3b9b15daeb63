public import ApusBytes
public import ApusModel

/// How one family is written in the line formats: the text format 0.0.4 and 1.0.0 and OpenMetrics 1.0.
///
///     # HELP http_requests_total Requests answered.         header
///     # TYPE http_requests_total counter
///     http_requests_total{method="get"} 1027                 a line: prefix, value
///
/// A metric is one line or several, always the same ones in the same order; only values change from page to page. Who
/// writes the same metrics again and again keeps the prefixes and asks for values (`TextLine.word`).
public struct TextLines: Sendable {
    public let name: ByteString
    public let type: MetricType
    public let encoding: PageEncoding
    private let help: ByteString
    private let unit: ByteString
    private let isOpenMetrics: Bool
    /// OpenMetrics leaves `_total` and `_info` out of a family's name.
    private let baseName: ByteString

    public init(name: ByteString, help: ByteString, unit: ByteString, type: MetricType, encoding: PageEncoding) {
        self.name = encoding.escaping.escape(name)
        self.help = help
        self.unit = encoding.escaping.escape(unit)
        self.encoding = encoding
        isOpenMetrics = encoding.format == .openMetrics
        var base = self.name
        var written = type
        if isOpenMetrics {
            // Without its suffix the sample would not be of such a family. It keeps its name and loses its type, as a
            // series of another name would be another series.
            if type == .counter {
                if base.hasSuffix("_total") { base = ByteString(base.bytes.dropLast(6)) } else { written = .unknown }
            } else if type == .info {
                if base.hasSuffix("_info") { base = ByteString(base.bytes.dropLast(5)) } else { written = .gauge }
            }
        }
        baseName = base
        self.type = written
    }

    /// `# HELP`, `# TYPE` and, in OpenMetrics, `# UNIT`.
    public func appendHeader(to page: inout [UInt8]) {
        if isOpenMetrics {
            if !help.isEmpty {
                page.appendStatic("# HELP ")
                page.appendMetricName(baseName)
                page.append(UInt8(ascii: " "))
                page.appendEscaped(validUTF8(help).bytes.span, quotes: true)
                page.append(UInt8(ascii: "\n"))
            }
            page.appendStatic("# TYPE ")
            page.appendMetricName(baseName)
            page.append(UInt8(ascii: " "))
            page.append(contentsOf: type.rawValue.utf8)
            page.append(UInt8(ascii: "\n"))
            // A unit that the name does not end with makes the page invalid.
            if !unit.isEmpty, type != .info, type != .stateset, baseName.hasSuffix("_" + unit) {
                page.appendStatic("# UNIT ")
                page.appendMetricName(baseName)
                page.append(UInt8(ascii: " "))
                page.append(contentsOf: unit.bytes)
                page.append(UInt8(ascii: "\n"))
            }
        } else {
            page.appendHelpLine(name: name, help: validUTF8(help))
            page.appendTypeLine(name: name, type: type)
        }
    }

    /// `labels` as they stand in a page, `a="1",b="2"`. A name that escaping makes equal to one before it is left out: a
    /// label given twice makes the page unreadable.
    public func labelText(_ labels: [Label]) -> [UInt8] {
        var text: [UInt8] = []
        var seen: [ByteString] = []
        for label in labels {
            let name = encoding.escaping.escapeLabel(label.name)
            if encoding.escaping != .allowUTF8 {
                if seen.contains(name) { continue }
                seen.append(name)
            }
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text.appendLabelPair(name: name, value: label.value)
        }
        return text
    }

    /// What stands before a line's value.
    public func appendPrefix(of line: TextLine, labels: [UInt8], to page: inout [UInt8]) {
        let name = line.isOfBase ? baseName : name
        guard let extra = line.extra else { return page.appendSeriesHead(name: name, suffix: line.suffix, labels: labels) }
        page.appendSeriesHead(name: name, suffix: line.suffix, labels: labels, open: true)
        switch extra {
        case .bound(let label, let bound):
            page.appendStatic(label)
            page.appendStatic("=\"")
            if isOpenMetrics {
                page.append(contentsOf: formatOpenMetricsNumber(bound))
            } else {
                // As Go's clients write it, so that the label, and with it the series, is the same.
                page.appendDouble(bound, style: .general)
            }
            page.appendStatic("\"} ")
        case .state(let state):
            page.appendLabelPair(name: name, value: state)
            page.appendStatic("} ")
        }
    }

    /// A whole point: its lines with values, timestamps and exemplars.
    func append(_ point: MetricPoint, to page: inout [UInt8]) {
        let labels = labelText(point.labels)
        forEachLine(of: point) { line in
            appendPrefix(of: line, labels: labels, to: &page)
            line.appendValue(to: &page)
            if let timestamp = point.timestampMs {
                page.append(UInt8(ascii: " "))
                if isOpenMetrics { page.appendTimestampSeconds(timestamp) } else { page.appendDecimal(timestamp) }
            }
            if isOpenMetrics, let exemplar = line.exemplar { page.appendExemplar(exemplar) }
            page.append(UInt8(ascii: "\n"))
        }
    }

    /// Calls `body` for each line of a point, in the order of the page.
    public func forEachLine(of point: MetricPoint, _ body: (TextLine) -> Void) {
        var hasCreation = false
        switch point.value {
        case .number(let value, let exemplar):
            // Exemplars are of what counts.
            body(TextLine(value, exemplar: type == .counter ? exemplar : nil))
            hasCreation = type == .counter
        case .states(let states):
            for state in states { body(TextLine(state.isOn ? 1 : 0, extra: .state(state.name))) }
        case .summary(let summary):
            for quantile in summary.quantiles { body(TextLine(quantile.value, extra: .bound("quantile", quantile.rank))) }
            body(TextLine(summary.sum, suffix: "_sum"))
            body(TextLine(count: summary.count, suffix: "_count"))
            hasCreation = true
        case .histogram(let histogram):
            forEachLine(of: histogram, body)
            hasCreation = type == .histogram
        }
        if hasCreation, isOpenMetrics, encoding.writesCreatedSeries, let created = point.createdMs {
            var line = TextLine(Double(created) / 1000, suffix: "_created")
            line.isOfBase = true
            body(line)
        }
    }

    private func forEachLine(of histogram: HistogramPoint, _ body: (TextLine) -> Void) {
        var cumulative: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            cumulative &+= count
            let bound = index < histogram.upperBounds.count ? histogram.upperBounds[index] : .infinity
            let exemplar = index < histogram.exemplars.count ? histogram.exemplars[index] : nil
            body(TextLine(count: cumulative, suffix: "_bucket", extra: .bound("le", bound), exemplar: exemplar))
        }
        if !histogram.hasClassicBuckets {
            body(TextLine(count: histogram.count, suffix: "_bucket", extra: .bound("le", .infinity)))
        }
        // OpenMetrics 1.0 takes a sum as a counter, which it is not where values may be negative, and no count without one.
        let isGauge = isOpenMetrics && type == .gaugehistogram
        if isOpenMetrics, !isGauge, histogram.mayHoldNegativeValues { return }
        body(TextLine(histogram.sum, suffix: isGauge ? "_gsum" : "_sum"))
        body(TextLine(count: histogram.count, suffix: isGauge ? "_gcount" : "_count"))
    }
}

extension HistogramPoint {
    /// Whether its bounds say that values may be negative.
    var mayHoldNegativeValues: Bool { (upperBounds.first ?? 0) < 0 || sum < 0 }
}

/// One line of a metric.
public struct TextLine: Sendable {
    public enum Extra: Sendable {
        /// `le="0.5"` or `quantile="0.5"`.
        case bound(StaticString, Double)
        /// A state, in a label named as the metric.
        case state(ByteString)
    }
    public let suffix: StaticString
    public let extra: Extra?
    /// The value: a whole number, or the bits of a double.
    public let word: UInt64
    public let isCount: Bool
    public let exemplar: Exemplar?
    /// Behind the family's name in OpenMetrics, not behind the series' name.
    var isOfBase = false

    init(_ value: Double, suffix: StaticString = "", extra: Extra? = nil, exemplar: Exemplar? = nil) {
        self.suffix = suffix
        self.extra = extra
        self.exemplar = exemplar
        word = value.bitPattern
        isCount = false
    }

    init(count: UInt64, suffix: StaticString, extra: Extra? = nil, exemplar: Exemplar? = nil) {
        self.suffix = suffix
        self.extra = extra
        self.exemplar = exemplar
        word = count
        isCount = true
    }

    /// Whole numbers stay readable: `1000000`, not `1e+06`.
    func appendValue(to page: inout [UInt8]) {
        if isCount { page.appendDecimal(word) } else { page.appendDouble(Double(bitPattern: word), style: .plain) }
    }
}

extension Array where Element == UInt8 {
    /// ` # {trace_id="abc"} 0.67 1520879607.789`.
    mutating func appendExemplar(_ exemplar: Exemplar) {
        appendStatic(" # {")
        var isFirst = true
        for label in exemplar.labels.labels {
            if !isFirst { append(UInt8(ascii: ",")) }
            isFirst = false
            appendLabelPair(name: label.name, value: label.value)
        }
        appendStatic("} ")
        appendDouble(exemplar.value, style: .plain)
        if exemplar.hasTimestamp {
            append(UInt8(ascii: " "))
            appendTimestampSeconds(exemplar.timestampMs)
        }
    }
}

/// `text` with U+FFFD for what is not UTF-8.
func validUTF8(_ text: ByteString) -> ByteString { text.isValidUTF8 ? text : ByteString(text.description) }

extension PointValue {
    /// Appends the values of its lines, in the order of `TextLines.forEachLine`. Not the creation, which does not change,
    /// and not what OpenMetrics leaves out.
    public func appendWords(to words: inout [UInt64]) {
        switch self {
        case .number(let value, _): words.append(value.bitPattern)
        case .states(let states): for state in states { words.append((state.isOn ? 1.0 : 0.0).bitPattern) }
        case .summary(let summary):
            for quantile in summary.quantiles { words.append(quantile.value.bitPattern) }
            words.append(summary.sum.bitPattern)
            words.append(summary.count)
        case .histogram(let histogram):
            var cumulative: UInt64 = 0
            for count in histogram.counts {
                cumulative &+= count
                words.append(cumulative)
            }
            if !histogram.hasClassicBuckets { words.append(histogram.count) }
            words.append(histogram.sum.bitPattern)
            words.append(histogram.count)
        }
    }
}
