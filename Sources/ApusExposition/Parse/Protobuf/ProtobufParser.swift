public import ApusBytes
import ApusModel

/// Reads a page of delimited protobuf messages, `io.prometheus.client.MetricFamily`, sample by sample.
///
///     ┌─────────────────┬──────────────┬─────────────────┬───
///     │ length, uvarint │ MetricFamily │ length, uvarint │ …
///     └─────────────────┴──────────────┴─────────────────┴───
///
/// <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>. The only format that carries
/// native histograms. A classic histogram or summary comes as the series that the text format would have had, with
/// `_count`, `_sum` and `_bucket` behind the name.
struct ProtobufParser: EntryReader {
    /// Families that a metric type has a number for.
    private static let types: [UInt64: MetricType] = [0: .counter, 1: .gauge, 2: .summary, 3: .unknown, 4: .histogram, 5: .gaugehistogram]

    private struct Family {
        var name: ByteString = ""
        var help: ByteString = ""
        var unit: ByteString = ""
        var type = MetricType.counter
        var metrics: [Range<Int>] = []
        var hash: UInt64 = 0
    }

    private let options: HistogramReading
    private let seed: HashSeed
    private var messages: WireReader
    private var family = Family()
    private var nextMetric = 0
    /// Label pairs of the metric that was read last.
    private var labelRanges: [Range<Int>] = []
    /// Entries that were read and not yet handed out, in reverse.
    private var waiting: [ReadEntry] = []

    init(_ page: Span<UInt8>, options: HistogramReading, seed: HashSeed) {
        self.options = options
        self.seed = seed
        messages = WireReader(0..<page.count)
    }

    /// The next entry, or nil at the end of the page.
    mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> ReadEntry? {
        while true {
            if let entry = waiting.popLast() { return entry }
            if nextMetric < family.metrics.count {
                let range = family.metrics[nextMetric]
                nextMetric += 1
                try readMetric(page, range)
                waiting.reverse()
                continue
            }
            guard messages.offset < messages.end else { return nil }
            try readFamily(page, try messages.delimited(page))
        }
    }

    /// Sets the labels of a sample that `next` returned, before the next call: `__name__` first.
    func read(_ labels: inout PageLabels, _ page: Span<UInt8>, suffix: String, extra: (name: ByteString, bound: Double)?) {
        labels.reset()
        let metricName = LabelSet.metricName
        labels.append(metricName.bytes.span, family.name.bytes.span)
        labels.addSuffix(suffix)
        for range in labelRanges {
            let pair = Self.labelPair(page, range)
            labels.append(page.extracting(pair.name), page.extracting(pair.value))
        }
        if let extra { labels.append(extra.name.bytes.span, formatOpenMetricsNumber(extra.bound).span) }
    }

    private static func labelPair(_ page: Span<UInt8>, _ range: Range<Int>) -> (name: Range<Int>, value: Range<Int>) {
        var (name, value) = (0..<0, 0..<0)
        var fields = WireReader(range)
        // The pair was walked once before: nothing is thrown here.
        while let field = try? fields.next(page) {
            guard let text = field.value.range else { continue }
            if field.number == 1 { name = text }
            if field.number == 2 { value = text }
        }
        return (name, value)
    }

    // MARK: Families and metrics

    private mutating func readFamily(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) {
        family = Family()
        nextMetric = 0
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            case (1, .bytes(let text)): family.name = ByteString(copying: page.extracting(text))
            case (2, .bytes(let text)): family.help = ByteString(copying: page.extracting(text))
            case (3, .varint(let number)):
                guard let type = Self.types[number] else { throw wireError(at: range.lowerBound, "unknown metric type \(number)") }
                family.type = type
            case (4, .bytes(let metric)): family.metrics.append(metric)
            case (5, .bytes(let text)): family.unit = ByteString(copying: page.extracting(text))
            default: break
            }
        }
        guard !family.metrics.isEmpty else { return }
        guard !family.name.isEmpty, family.name.isValidUTF8 else {
            throw wireError(at: range.lowerBound, "invalid metric name: \(quotedForError(family.name.bytes.span))")
        }
        let name = quotedForError(family.name.bytes.span)
        guard family.help.isValidUTF8 else { throw wireError(at: range.lowerBound, "invalid help for metric \(name)") }
        if !family.unit.isEmpty {
            var base = family.name
            let isCounter = family.type == .counter && base.hasSuffix("_total")
            if isCounter { base = ByteString(base.bytes.dropLast(6)) }
            guard base.hasSuffix("_" + family.unit) else {
                let unit = quotedForError(family.unit.bytes.span)
                throw wireError(at: range.lowerBound, "unit \(unit) not a suffix of \(isCounter ? "counter" : "metric") \(name)")
            }
        }
        family.hash = hashSpan(family.name.bytes.span, seed)
        // In reverse, since they are taken from the end.
        waiting.append(.type(family.name, family.type))
        if !family.unit.isEmpty { waiting.append(.unit(family.name, family.unit)) }
        waiting.append(.help(family.name, family.help))
    }

    private mutating func readMetric(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) {
        labelRanges.removeAll(keepingCapacity: true)
        var identity = family.hash
        var timestamp: Int64?
        var value: Range<Int>?
        let wanted: UInt64 =
            switch family.type {
            case .gauge: 2
            case .counter: 3
            case .summary: 4
            case .histogram, .gaugehistogram: 7
            default: 5
            }
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            case (1, .bytes(let pair)):
                try checkPair(page, pair)
                labelRanges.append(pair)
                identity = foldedMultiply(identity ^ hashSpan(page.extracting(pair), seed), 0x9E37_79B9_7F4A_7C15)
            case (6, .varint(let ms)) where ms != 0: timestamp = Int64(bitPattern: ms)
            case (wanted, .bytes(let message)): value = message
            default: break
            }
        }
        // A message without fields is one of zeros, and may be left out altogether.
        let message = value ?? range.upperBound..<range.upperBound
        switch family.type {
        case .summary: try readSummary(page, message, identity, timestamp)
        case .histogram, .gaugehistogram: try readHistogram(page, message, identity, timestamp)
        case .counter: try readCounter(page, message, identity, timestamp)
        default:
            var number = 0.0
            var fields = WireReader(message)
            while let field = try fields.next(page) { if field.number == 1 { number = field.value.double } }
            add(.float(number), identity, timestamp)
        }
    }

    private func checkPair(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) {
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            guard field.number <= 2, let text = field.value.range else { continue }
            if !isValidUTF8(page.extracting(text)) {
                let shown = quotedForError(page.extracting(text))
                throw wireError(at: text.lowerBound, "invalid label \(field.number == 1 ? "name" : "value"): \(shown)")
            }
        }
    }

    // MARK: Samples

    private mutating func add(
        _ value: ReadSample.Value, _ identity: UInt64, _ timestamp: Int64?, suffix: String = "", kind: UInt64 = 1,
        extra: (name: ByteString, bound: Double)? = nil, start: Int64 = 0, exemplars: [ReadExemplar] = []
    ) {
        let own = foldedMultiply(identity ^ kind, 0xA076_1D64_78BD_642F ^ (extra?.bound.bitPattern ?? 0))
        waiting.append(
            .sample(
                ReadSample(
                    identity: own, labels: .metric(suffix: suffix, extra: extra), value: value, timestampMs: timestamp,
                    startTimestampMs: start, exemplars: exemplars)))
    }

    private mutating func readCounter(
        _ page: Span<UInt8>, _ range: Range<Int>, _ identity: UInt64, _ timestamp: Int64?
    ) throws(ExpositionError) {
        var value = 0.0
        var start: Int64 = 0
        var exemplars: [ReadExemplar] = []
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            case (1, _): value = field.value.double
            case (2, .bytes(let message)): exemplars = [try readExemplar(page, message)]
            case (3, .bytes(let message)): start = try decodeTimestampMs(page, message)
            default: break
            }
        }
        add(.float(value), identity, timestamp, start: start, exemplars: exemplars)
    }

    private mutating func readSummary(
        _ page: Span<UInt8>, _ range: Range<Int>, _ identity: UInt64, _ timestamp: Int64?
    ) throws(ExpositionError) {
        var count: UInt64 = 0
        var sum = 0.0
        var start: Int64 = 0
        var quantiles: [(quantile: Double, value: Double)] = []
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            case (1, _): count = field.value.unsigned
            case (2, _): sum = field.value.double
            case (3, .bytes(let message)):
                var one = (quantile: 0.0, value: 0.0)
                var inner = WireReader(message)
                while let field = try inner.next(page) {
                    if field.number == 1 { one.quantile = field.value.double }
                    if field.number == 2 { one.value = field.value.double }
                }
                quantiles.append(one)
            case (4, .bytes(let message)): start = try decodeTimestampMs(page, message)
            default: break
            }
        }
        add(.float(Double(count)), identity, timestamp, suffix: "_count", kind: 2, start: start)
        add(.float(sum), identity, timestamp, suffix: "_sum", kind: 3, start: start)
        for one in quantiles {
            add(.float(one.value), identity, timestamp, kind: 4, extra: ("quantile", one.quantile), start: start)
        }
    }

    private mutating func readHistogram(
        _ page: Span<UInt8>, _ range: Range<Int>, _ identity: UInt64, _ timestamp: Int64?
    ) throws(ExpositionError) {
        let message = try ProtobufHistogram(page, range)
        let isNative = message.isNative && !options.ignoresNative
        if isNative {
            let histogram: NativeHistogram
            do throws(HistogramError) {
                histogram = try message.native(isGauge: family.type == .gaugehistogram)
            } catch {
                throw wireError(at: range.lowerBound, "histogram \(quotedForError(family.name.bytes.span)): \(error)")
            }
            add(
                .histogram(histogram), identity, timestamp, kind: 5, start: message.startMs,
                exemplars: try readNativeExemplars(page, message))
            guard options.keepsClassic, !message.buckets.isEmpty else { return }
        } else if options.convertsClassic && family.type == .histogram {
            if let converted = message.converted {
                var exemplars: [ReadExemplar] = []
                for bucket in message.buckets { if let range = bucket.exemplar { exemplars.append(try readExemplar(page, range)) } }
                add(.histogram(converted), identity, timestamp, kind: 5, start: message.startMs, exemplars: exemplars)
            }
            guard options.keepsClassic else { return }
        }
        add(.float(message.count), identity, timestamp, suffix: "_count", kind: 2, start: message.startMs)
        add(.float(message.sum), identity, timestamp, suffix: "_sum", kind: 3, start: message.startMs)
        for bucket in message.buckets {
            var exemplars: [ReadExemplar] = []
            if let range = bucket.exemplar { exemplars = [try readExemplar(page, range)] }
            add(
                .float(bucket.count), identity, timestamp, suffix: "_bucket", kind: 6, extra: ("le", bucket.bound),
                start: message.startMs, exemplars: exemplars)
            // Whatever stands behind +Inf means nothing.
            if bucket.bound == .infinity { return }
        }
        add(.float(message.count), identity, timestamp, suffix: "_bucket", kind: 6, extra: ("le", .infinity), start: message.startMs)
    }

    /// Those with a timestamp: without one nobody could tell a new one from the one of the scrape before.
    private func readNativeExemplars(_ page: Span<UInt8>, _ message: ProtobufHistogram) throws(ExpositionError) -> [ReadExemplar] {
        let ranges = message.exemplars.isEmpty ? message.buckets.compactMap(\.exemplar) : message.exemplars
        var found: [ReadExemplar] = []
        for range in ranges {
            let one = try readExemplar(page, range)
            if one.timestampMs != nil { found.append(one) }
        }
        return found
    }

    private func readExemplar(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) -> ReadExemplar {
        var exemplar = ReadExemplar(labels: [], value: 0, timestampMs: nil)
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            case (1, .bytes(let pair)):
                try checkPair(page, pair)
                let (name, value) = Self.labelPair(page, pair)
                exemplar.labels.append(Label(ByteString(copying: page.extracting(name)), ByteString(copying: page.extracting(value))))
            case (2, _): exemplar.value = field.value.double
            case (3, .bytes(let message)): exemplar.timestampMs = try decodeTimestampMs(page, message)
            default: break
            }
        }
        return exemplar
    }

}

/// `google.protobuf.Timestamp` in ms.
func decodeTimestampMs(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) -> Int64 {
    var seconds: Int64 = 0
    var nanoseconds: Int64 = 0
    var fields = WireReader(range)
    while let field = try fields.next(page) {
        if field.number == 1 { seconds = field.value.signed }
        if field.number == 2 { nanoseconds = field.value.signed }
    }
    let (ms, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    guard !overflow else { throw wireError(at: range.lowerBound, "timestamp of \(seconds) s is out of range") }
    let (sum, tooLarge) = ms.addingReportingOverflow(nanoseconds / 1_000_000)
    guard !tooLarge else { throw wireError(at: range.lowerBound, "timestamp of \(seconds) s is out of range") }
    return sum
}

/// The names of the families of a protobuf page.
public func protobufFamilyNames(_ page: Span<UInt8>) -> Set<ByteString> {
    var names: Set<ByteString> = []
    var messages = WireReader(0..<page.count)
    while messages.offset < messages.end, let range = try? messages.delimited(page) {
        var fields = WireReader(range)
        while let field = try? fields.next(page) {
            if field.number == 1, let text = field.value.range { names.insert(ByteString(copying: page.extracting(text))) }
        }
    }
    return names
}
