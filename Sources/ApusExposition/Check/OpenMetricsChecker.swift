public import ApusBytes
import ApusModel

/// Holds a page to all of the OpenMetrics 1.0 standard: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
///
/// `OpenMetricsParser` takes what can be told apart, as a scrape does. This asks the rest: metadata once and before its
/// samples, groups in one piece, timestamps that go forward, values and labels as their type wants them, histograms that add
/// up, and exemplars only where they belong.
public struct OpenMetricsChecker {
    /// A family as a page describes it, for who looks at names next.
    public struct Family: Sendable {
        public var name: ByteString
        public var type = MetricType.unknown
        public var hasHelp = false
        /// With the family's suffixes.
        public var sampleNames: Set<ByteString> = []
        /// Without those that the type asks for.
        public var labelNames: Set<ByteString> = []
    }

    private struct Current {
        var family: Family
        var type: MetricType?
        var hasHelpLine = false
        var unit: ByteString?
        var samples: [Sample] = []
        var allowedNames: Set<ByteString>
        var group: LabelSet?
        var groupTimestamp: Int64?
        var seenGroups: Set<LabelSet> = []
        init(_ name: ByteString, type: MetricType? = nil) {
            family = Family(name: name)
            self.type = type
            allowedNames = [name]
        }
    }
    /// A sample of a histogram, to be looked at with its neighbours.
    private struct Sample {
        let suffix: ByteString
        let group: LabelSet
        let timestampMs: Int64?
        let value: Double
        let bound: Double?
    }

    private var current: Current?
    private var seenNames: Set<ByteString> = []
    private var families: [Family] = []
    /// Where the line that is looked at begins.
    private var lineStart = 0

    /// Reads a whole page.
    /// - Returns: its families, in order.
    /// - Throws: for the first fault.
    public static func check(_ page: Span<UInt8>) throws(ExpositionError) -> [Family] {
        var checker = OpenMetricsChecker()
        var parser = OpenMetricsParser()
        while true {
            checker.lineStart = parser.offset
            guard let entry = try parser.next(page) else { break }
            switch entry {
            case .help(let name, let text):
                try checker.beginMetadata(page, name)
                if checker.current?.hasHelpLine == true { throw checker.error(page, "a second HELP line for one metric family") }
                checker.current?.hasHelpLine = true
                checker.current?.family.hasHelp = !text.isEmpty
            case .type(let name, let type):
                try checker.beginMetadata(page, name)
                if checker.current?.type != nil { throw checker.error(page, "a second TYPE line for one metric family") }
                checker.current?.type = type
                checker.current?.family.type = type
                checker.current?.allowedNames = Set(suffixes(of: type).map { name + $0 })
            case .unit(let name, let unit):
                try checker.beginMetadata(page, name)
                if checker.current?.unit != nil { throw checker.error(page, "a second UNIT line for one metric family") }
                checker.current?.unit = unit
            case .series(let line): try checker.checkSample(page, line, parser)
            }
        }
        try checker.endFamily(page)
        return checker.families
    }

    private static func suffixes(of type: MetricType) -> [ByteString] {
        switch type {
        case .counter: ["_total", "_created"]
        case .summary: ["", "_count", "_sum", "_created"]
        case .histogram: ["_count", "_sum", "_bucket", "_created"]
        case .gaugehistogram: ["_gcount", "_gsum", "_bucket"]
        case .info: ["_info"]
        default: [""]
        }
    }

    private func error(_ page: Span<UInt8>, _ reason: String) -> ExpositionError { pageError(page, at: lineStart, reason) }

    // MARK: Families

    private mutating func beginMetadata(_ page: Span<UInt8>, _ name: ByteString) throws(ExpositionError) {
        if let current, current.family.name == name {
            if current.group != nil { throw error(page, "metadata of a metric family behind its samples") }
            return
        }
        try endFamily(page)
        current = Current(name)
    }

    private mutating func endFamily(_ page: Span<UInt8>) throws(ExpositionError) {
        guard let current else { return }
        self.current = nil
        let name = current.family.name
        let type = current.type ?? .unknown
        for suffix in Set(Self.suffixes(of: type) + [""]) {
            if !seenNames.insert(name + suffix).inserted {
                throw error(page, "metric name \(name + suffix) is used by two metric families")
            }
        }
        if let unit = current.unit, !unit.isEmpty, type == .info || type == .stateset {
            throw error(page, "a metric family of type \(type.rawValue) must not have a unit")
        }
        if type == .histogram || type == .gaugehistogram { try checkHistograms(page, current.samples) }
        families.append(current.family)
    }

    // MARK: Samples

    private mutating func checkSample(
        _ page: Span<UInt8>, _ line: OpenMetricsParser.SeriesLine, _ parser: OpenMetricsParser
    ) throws(ExpositionError) {
        let name = parser.labels(page).first?.value ?? ""
        let pairs = parser.rawPairs(page)
        if line.text.count >= 2, page[line.text.upperBound - 1] == UInt8(ascii: "}"), page[line.text.upperBound - 2] == UInt8(ascii: ",") {
            throw error(page, "a comma behind the last label")
        }
        if Set(pairs.map(\.name)).count != pairs.count { throw error(page, "a label name twice in one series") }
        if current?.allowedNames.contains(name) != true {
            try endFamily(page)
            current = Current(name, type: .unknown)
        }
        guard var family = current else { return }
        let type = family.type ?? .unknown
        let base = family.family.name
        let suffix = ByteString(name.bytes.dropFirst(base.count))
        try checkLabels(page, type, suffix, pairs, base: base)
        try checkValue(page, type, suffix, line.value)
        if let exemplar = line.exemplar { try checkExemplar(page, type, suffix, exemplar, parser.exemplarLabels(page)) }
        let own = Self.ownLabel(type, suffix, base)
        let group = type == .info ? LabelSet.empty : LabelSet(pairs.filter { $0.name != own })
        try checkOrder(page, &family, group: group, timestampMs: line.timestampMs, type: type)
        if type == .histogram || type == .gaugehistogram {
            let bound = suffix == "_bucket" ? pairs.last { $0.name == "le" }.flatMap { parseDouble($0.value.bytes.span) } : nil
            family.samples.append(
                Sample(suffix: suffix, group: group, timestampMs: line.timestampMs, value: line.value, bound: bound))
        }
        family.family.sampleNames.insert(name)
        for pair in pairs where pair.name != own { family.family.labelNames.insert(pair.name) }
        current = family
    }

    /// The label that tells the samples of one metric apart.
    private static func ownLabel(_ type: MetricType, _ suffix: ByteString, _ base: ByteString) -> ByteString? {
        switch type {
        case .histogram, .gaugehistogram: suffix == "_bucket" ? "le" : nil
        case .summary: suffix.isEmpty ? "quantile" : nil
        case .stateset: base
        default: nil
        }
    }

    private func checkLabels(
        _ page: Span<UInt8>, _ type: MetricType, _ suffix: ByteString, _ pairs: [Label], base: ByteString
    ) throws(ExpositionError) {
        if type == .stateset, !pairs.contains(where: { $0.name == base }) {
            throw error(page, "a state without its label \(base)")
        }
        if suffix == "_bucket" {
            guard let text = pairs.last(where: { $0.name == "le" })?.value, let bound = parseDouble(text.bytes.span), !bound.isNaN,
                bound != .infinity || text == "+Inf"
            else { throw error(page, "a bucket needs a label le with a number or +Inf") }
        }
        if type == .summary, suffix.isEmpty {
            guard let text = pairs.last(where: { $0.name == "quantile" })?.value, let quantile = parseDouble(text.bytes.span),
                quantile >= 0, quantile <= 1
            else { throw error(page, "a quantile needs a label quantile between 0 and 1") }
        }
    }

    private func checkValue(_ page: Span<UInt8>, _ type: MetricType, _ suffix: ByteString, _ value: Double) throws(ExpositionError) {
        let isWhole = value.rounded() == value
        if type == .histogram || type == .gaugehistogram, suffix == "_bucket" || suffix == "_count" || suffix == "_gcount", !isWhole {
            throw error(page, "a number of observations must be a whole number")
        }
        if type == .stateset, value != 0, value != 1 { throw error(page, "a state is 0 or 1") }
        if type == .info, value != 1 { throw error(page, "the value of an info metric is 1") }
        if type == .summary, suffix.isEmpty, value < 0 { throw error(page, "a quantile must not be negative") }
        let counters: [ByteString] = ["_total", "_sum", "_count", "_bucket", "_gcount", "_gsum"]
        guard counters.contains(suffix) else { return }
        if value.isNaN { throw error(page, "what counts must not be NaN") }
        if value < 0, suffix != "_gsum" { throw error(page, "what counts must not be negative") }
    }

    private func checkExemplar(
        _ page: Span<UInt8>, _ type: MetricType, _ suffix: ByteString, _ exemplar: OpenMetricsParser.ExemplarPart, _ labels: [Label]
    ) throws(ExpositionError) {
        let isBucket = (type == .histogram || type == .gaugehistogram) && suffix == "_bucket"
        guard isBucket || (type == .counter && suffix == "_total") else {
            throw error(page, "only buckets and totals may have exemplars")
        }
        let length = labels.reduce(0) { $0 + $1.name.description.unicodeScalars.count + $1.value.description.unicodeScalars.count }
        if length > Exemplar.maxLabelCharacters {
            throw error(page, "labels of an exemplar have \(length) characters, more than \(Exemplar.maxLabelCharacters)")
        }
    }

    /// One metric's samples stand together, and their timestamps go forward.
    private func checkOrder(
        _ page: Span<UInt8>, _ family: inout Current, group: LabelSet, timestampMs: Int64?, type: MetricType
    ) throws(ExpositionError) {
        if let before = family.group {
            if before == group {
                if (timestampMs == nil) != (family.groupTimestamp == nil) {
                    throw error(page, "samples with and without a timestamp in one metric")
                }
                if let timestampMs, let last = family.groupTimestamp, last > timestampMs, type != .info {
                    throw error(page, "timestamps go backwards within one metric")
                }
            } else if family.seenGroups.contains(group) {
                throw error(page, "samples of one metric do not stand together")
            }
        }
        family.group = group
        family.groupTimestamp = timestampMs
        family.seenGroups.insert(group)
    }

    // MARK: Histograms

    private func checkHistograms(_ page: Span<UInt8>, _ samples: [Sample]) throws(ExpositionError) {
        var index = 0
        while index < samples.count {
            var end = index
            while end < samples.count, samples[end].group == samples[index].group, samples[end].timestampMs == samples[index].timestampMs {
                end += 1
            }
            try checkHistogram(page, samples[index..<end])
            index = end
        }
    }

    private func checkHistogram(_ page: Span<UInt8>, _ samples: ArraySlice<Sample>) throws(ExpositionError) {
        var count: Double?
        var lastBound: Double?
        var lastValue = 0.0
        var hasNegativeBounds = false
        var hasSum = false
        var hasGaugeSum = false
        var hasNegativeGaugeSum = false
        for sample in samples {
            switch sample.suffix {
            case "_bucket":
                let bound = sample.bound ?? .nan
                if bound < 0 { hasNegativeBounds = true }
                if let lastBound, bound <= lastBound { throw error(page, "buckets are out of order") }
                if sample.value < lastValue { throw error(page, "counts of buckets must not go down") }
                lastBound = bound
                lastValue = sample.value
            case "_count", "_gcount": count = sample.value
            case "_sum": hasSum = true
            case "_gsum":
                hasGaugeSum = true
                hasNegativeGaugeSum = sample.value < 0
            default: break
            }
        }
        if lastBound != .infinity { throw error(page, "a histogram without a bucket +Inf") }
        if let count, count != lastValue { throw error(page, "the count is not that of the bucket +Inf") }
        if hasSum || hasGaugeSum, count == nil { throw error(page, "a sum needs a count") }
        if count != nil, !hasSum, !hasGaugeSum { throw error(page, "a count needs a sum") }
        if hasNegativeBounds, hasSum { throw error(page, "a histogram with negative buckets must not have a sum") }
        if !hasNegativeBounds, hasNegativeGaugeSum { throw error(page, "a negative sum without negative buckets") }
    }
}
