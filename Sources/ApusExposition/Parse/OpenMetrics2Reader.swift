import ApusBytes
import ApusModel

/// Reads a page of OpenMetrics 2.0, as drafted in March 2026, sample by sample:
/// <https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/>.
///
///     # TYPE http_seconds histogram
///     http_seconds{path="/"} {count:3,sum:1.2,bucket:[0.5:2,+Inf:3]} 1700000000.5 st@1690000000 # {trace_id="x"} 0.4 1700000000.1
///     # EOF
///
/// Lines are those of 1.0, but for composite values, start timestamps and several exemplars. A histogram with classic buckets
/// and a summary come as the series that the older formats would have had; of native and classic buckets `HistogramReading`
/// says which are wanted.
struct OpenMetrics2Reader: EntryReader {
    private let histograms: HistogramReading
    private let seed: HashSeed
    private var lines = OpenMetricsParser.forMetadata()
    /// Entries that were read and not yet handed out, in reverse.
    private var waiting: [ReadEntry] = []

    init(histograms: HistogramReading, seed: HashSeed) {
        self.histograms = histograms
        self.seed = seed
    }

    mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> ReadEntry? {
        while true {
            if let entry = waiting.popLast() { return entry }
            guard try lines.begins(page) else { return nil }
            if page[lines.offset] == UInt8(ascii: "#") {
                switch try lines.parseComment(page) {
                case nil: return nil
                case .help(let name, let text): return .help(name, text)
                case .unit(let name, let unit): return .unit(name, unit)
                case .type(let name, let type): return .type(name, type)
                case .series: continue
                }
            }
            try readLine(page)
            waiting.reverse()
        }
    }

    func read(_ labels: inout PageLabels, _ page: Span<UInt8>, suffix: String, extra: (name: ByteString, bound: Double)?) {
        labels.set(lines.parts, page, type: lines.currentType)
        labels.addSuffix(suffix)
        if let extra { labels.append(extra.name.bytes.span, formatOpenMetricsNumber(extra.bound).span) }
    }

    // MARK: Lines

    private mutating func readLine(_ page: Span<UInt8>) throws(ExpositionError) {
        let start = lines.offset
        _ = try lines.parseSeriesAgain(page)
        guard lines.offset < page.count, page[lines.offset] == UInt8(ascii: " ") else {
            throw lines.unexpected(page, "expected value after metric", from: start)
        }
        lines.offset += 1
        var composite: CompositeValue?
        var number = 0.0
        if lines.offset < page.count, page[lines.offset] == UInt8(ascii: "{") {
            var offset = lines.offset
            composite = try CompositeValue(page, at: &offset)
            lines.offset = offset
        } else {
            number = try lines.parseNumber(page, "value", lineStart: start)
            if number.isNaN { number = Double(bitPattern: StaleNaN.normalBits) }
        }
        let tail = try readTail(page, lineStart: start)
        let identity = hashSpan(page.extracting(lines.parsedText), seed)
        guard let composite else {
            add(.float(number), identity, tail, exemplars: tail.exemplars)
            return
        }
        if let quantiles = composite.quantiles {
            addTotals(composite, identity, tail)
            for one in quantiles { add(.float(one.value), identity, tail, kind: 4, extra: ("quantile", one.quantile)) }
            return
        }
        try addHistogram(page, composite, identity, tail, lineStart: start)
    }

    /// What follows a value.
    private struct Tail {
        var timestampMs: Int64?
        var startMs: Int64 = 0
        var exemplars: [ReadExemplar] = []
    }

    private mutating func readTail(_ page: Span<UInt8>, lineStart: Int) throws(ExpositionError) -> Tail {
        var tail = Tail()
        if follows(page, " "), !follows(page, " st@"), !follows(page, " #") {
            lines.offset += 1
            tail.timestampMs = try lines.parseTimestamp(page, lineStart: lineStart)
        }
        if follows(page, " st@") {
            lines.offset += 4
            tail.startMs = try lines.parseTimestamp(page, lineStart: lineStart)
        }
        while follows(page, " #") {
            let part = try lines.parseExemplar(page, lineStart: lineStart)
            tail.exemplars.append(ReadExemplar(labels: lines.exemplarLabels(page), value: part.value, timestampMs: part.timestampMs))
        }
        guard lines.offset < page.count, page[lines.offset] == .newline else { throw lines.unexpected(page, "expected next entry", from: lineStart) }
        lines.offset += 1
        return tail
    }

    private func follows(_ page: Span<UInt8>, _ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard page.count - lines.offset > count else { return false }
        // SAFETY: a static text has `count` code units.
        for index in 0..<count where unsafe page[lines.offset + index] != text.utf8Start[index] { return false }
        return true
    }

    // MARK: Samples

    private mutating func add(
        _ value: ReadSample.Value, _ identity: UInt64, _ tail: Tail, suffix: String = "", kind: UInt64 = 1,
        extra: (name: ByteString, bound: Double)? = nil, exemplars: [ReadExemplar] = []
    ) {
        let own = foldedMultiply(identity ^ kind, seed.b ^ (extra?.bound.bitPattern ?? 0))
        waiting.append(
            .sample(
                ReadSample(
                    identity: own, labels: .metric(suffix: suffix, extra: extra), value: value, timestampMs: tail.timestampMs,
                    startTimestampMs: tail.startMs, exemplars: exemplars)))
    }

    private mutating func addTotals(_ value: CompositeValue, _ identity: UInt64, _ tail: Tail) {
        add(.float(value.count), identity, tail, suffix: value.isGauge ? "_gcount" : "_count", kind: 2)
        add(.float(value.sum), identity, tail, suffix: value.isGauge ? "_gsum" : "_sum", kind: 3)
    }

    private mutating func addHistogram(
        _ page: Span<UInt8>, _ value: CompositeValue, _ identity: UInt64, _ tail: Tail, lineStart: Int
    ) throws(ExpositionError) {
        let hint: CounterResetHint = value.isGauge ? .gauge : .unknown
        var histogram: NativeHistogram?
        if !histograms.ignoresNative {
            do throws(HistogramError) { histogram = try value.native(hint: hint) } catch {
                throw pageError(page, at: lineStart, "\(error)")
            }
        }
        if histogram == nil, histograms.convertsClassic { histogram = value.converted(hint: hint) }
        if let histogram {
            add(.histogram(histogram), identity, tail, kind: 5, exemplars: tail.exemplars)
            if !histograms.keepsClassic { return }
        }
        guard let buckets = value.buckets else { return }
        addTotals(value, identity, tail)
        var lower = -Double.infinity
        for bucket in buckets {
            let own = tail.exemplars.filter { $0.value > lower && $0.value <= bucket.bound }
            lower = bucket.bound
            // A series of floats shows one exemplar at a time, the newest.
            let newest = own.max { ($0.timestampMs ?? .min) < ($1.timestampMs ?? .min) }
            add(.float(bucket.count), identity, tail, suffix: "_bucket", kind: 6, extra: ("le", bucket.bound), exemplars: newest.map { [$0] } ?? [])
        }
    }
}
