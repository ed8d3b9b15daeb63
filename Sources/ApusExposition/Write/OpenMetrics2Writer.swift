import ApusBytes
import ApusModel

/// Writes a family in OpenMetrics 2.0 as of its release candidate 2.0.0-rc0:
/// <https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/>.
///
///     # TYPE request_seconds histogram
///     request_seconds{path="/"} {count:5,sum:2.5,bucket:[0.1:2,1:4,+Inf:5]} st@1700000000.123
///
/// Against 1.0: a histogram or summary is one line, native histograms are there, the start of counting stands in the line
/// and not in a series, and a family is called what its series are called.
struct OpenMetrics2Writer {
    private let lines: TextLines
    private let family: FamilySnapshot
    private let name: ByteString

    init(_ family: FamilySnapshot, encoding: PageEncoding) {
        self.family = family
        lines = TextLines(name: family.name, help: family.help, unit: family.unit, type: family.type, encoding: encoding)
        name = lines.name
    }

    func append(to page: inout [UInt8]) {
        page.appendStatic("# TYPE ")
        page.appendMetricName(name)
        page.append(UInt8(ascii: " "))
        page.append(contentsOf: typeName.utf8)
        page.append(UInt8(ascii: "\n"))
        let unit = lines.encoding.escaping.escape(family.unit)
        let base = name.hasSuffix("_total") ? ByteString(name.bytes.dropLast(6)) : name
        if !unit.isEmpty, family.type != .info, family.type != .stateset, base.hasSuffix("_" + unit) {
            page.appendStatic("# UNIT ")
            page.appendMetricName(name)
            page.append(UInt8(ascii: " "))
            page.append(contentsOf: unit.bytes)
            page.append(UInt8(ascii: "\n"))
        }
        if !family.help.isEmpty {
            page.appendStatic("# HELP ")
            page.appendMetricName(name)
            page.append(UInt8(ascii: " "))
            page.appendEscaped(validUTF8(family.help).bytes.span, quotes: true)
            page.append(UInt8(ascii: "\n"))
        }
        for point in family.points { append(point, to: &page) }
    }

    /// An info's name must end in `_info`.
    private var typeName: String {
        family.type == .info && !name.hasSuffix("_info") ? MetricType.gauge.rawValue : family.type.rawValue
    }

    private func append(_ point: MetricPoint, to page: inout [UInt8]) {
        let labels = lines.labelText(point.labels)
        switch point.value {
        case .number(let value, let exemplar):
            page.appendSeriesHead(name: name, labels: labels)
            page.appendDouble(value, style: .plain)
            end(point, exemplars: family.type == .counter ? [exemplar] : [], to: &page)
        case .states:
            lines.forEachLine(of: point) { line in
                lines.appendPrefix(of: line, labels: labels, to: &page)
                line.appendValue(to: &page)
                end(point, exemplars: [], to: &page)
            }
        case .summary(let summary):
            page.appendSeriesHead(name: name, labels: labels)
            page.appendStatic("{count:")
            page.appendDecimal(summary.count)
            page.appendStatic(",sum:")
            page.appendDouble(summary.sum, style: .plain)
            page.appendStatic(",quantile:")
            page.appendList(summary.quantiles) { page, quantile in
                page.appendDouble(quantile.rank, style: .plain)
                page.append(UInt8(ascii: ":"))
                page.appendDouble(quantile.value, style: .plain)
            }
            page.append(UInt8(ascii: "}"))
            end(point, exemplars: [], to: &page)
        case .histogram(let histogram):
            page.appendSeriesHead(name: name, labels: labels)
            append(histogram, to: &page)
            end(point, exemplars: histogram.exemplars + histogram.nativeExemplars, to: &page)
        }
    }

    private func append(_ histogram: HistogramPoint, to page: inout [UInt8]) {
        let isGauge = family.type == .gaugehistogram
        page.appendStatic(isGauge ? "{gcount:" : "{count:")
        page.appendDecimal(histogram.count)
        page.appendStatic(isGauge ? ",gsum:" : ",sum:")
        page.appendDouble(histogram.sum, style: .plain)
        if let native = histogram.native, !native.layout.hasCustomBounds {
            page.appendStatic(",schema:")
            page.appendDecimal(Int64(native.layout.schema))
            page.appendStatic(",zero_threshold:")
            page.appendDouble(native.layout.zeroThreshold, style: .plain)
            page.appendStatic(",zero_count:")
            page.appendDecimal(native.zeroCountWord)
            append("negative", native.layout.negativeSpans, native.negativeWords, to: &page)
            append("positive", native.layout.positiveSpans, native.positiveWords, to: &page)
        }
        if histogram.hasClassicBuckets {
            page.appendStatic(",bucket:")
            var cumulative: UInt64 = 0
            page.appendList(zip(histogram.upperBounds + [.infinity], histogram.counts)) { page, bucket in
                cumulative &+= bucket.1
                page.appendDouble(bucket.0, style: .plain)
                page.append(UInt8(ascii: ":"))
                page.appendDecimal(cumulative)
            }
        }
        page.append(UInt8(ascii: "}"))
    }

    private func append(_ side: StaticString, _ spans: [HistogramSpan], _ words: ArraySlice<UInt64>, to page: inout [UInt8]) {
        if words.isEmpty { return }
        page.append(UInt8(ascii: ","))
        page.appendStatic(side)
        page.appendStatic("_spans:")
        page.appendList(spans) { page, span in
            page.appendDecimal(Int64(span.offset))
            page.append(UInt8(ascii: ":"))
            page.appendDecimal(UInt64(span.length))
        }
        page.append(UInt8(ascii: ","))
        page.appendStatic(side)
        page.appendStatic("_buckets:")
        page.appendList(words) { page, word in page.appendDecimal(word) }
    }

    /// Timestamp, start, exemplars (which must have a timestamp here), and the end of the line.
    private func end(_ point: MetricPoint, exemplars: [Exemplar?], to page: inout [UInt8]) {
        if let timestamp = point.timestampMs {
            page.append(UInt8(ascii: " "))
            page.appendTimestampSeconds(timestamp)
        }
        if family.type == .counter || family.type == .histogram || family.type == .summary, let created = point.createdMs {
            page.appendStatic(" st@")
            page.appendTimestampSeconds(created)
        }
        for case .some(let exemplar) in exemplars where exemplar.hasTimestamp { page.appendExemplar(exemplar) }
        page.append(UInt8(ascii: "\n"))
    }
}

extension Array where Element == UInt8 {
    /// `[a,b,c]`.
    fileprivate mutating func appendList<Items: Sequence>(_ items: Items, _ write: (inout [UInt8], Items.Element) -> Void) {
        append(UInt8(ascii: "["))
        var isFirst = true
        for item in items {
            if !isFirst { append(UInt8(ascii: ",")) }
            isFirst = false
            write(&self, item)
        }
        append(UInt8(ascii: "]"))
    }
}
