import ApusBytes
import ApusModel

/// Reads a text page sample by sample where its lines must be put together: classic histograms that become native ones, and
/// `_created` lines that become start timestamps. Slower than lines that are expected, and asked for by configuration only.
struct LineReader: EntryReader {
    struct Options {
        var isOpenMetrics = false
        /// Classic histograms become native ones with custom bounds.
        var convertsClassic = false
        /// … and stay beside them.
        var keepsClassic = false
        /// `_created` lines become start timestamps of their series, and no series.
        var takesStartTimestamps = false
    }

    private let options: Options
    private let seed: HashSeed
    private var text = TextParser()
    private var openMetrics = OpenMetricsParser()
    /// The family that the last TYPE line declared.
    private var family: ByteString = ""
    private var type: MetricType?
    private var group: Group?
    /// Start timestamps by the labels of their family's metric, once the page was looked through for them.
    private var starts: [LabelSet: Int64]?
    private var waiting: [ReadEntry] = []

    /// The series of one classic histogram, as far as they were read.
    private struct Group {
        /// Without `le`, and with the family's name.
        let labels: LabelSet
        let timestampMs: Int64?
        var builder = ClassicHistogramBuilder()
        var exemplars: [ReadExemplar] = []
        var startMs: Int64 = 0
    }

    init(options: Options, seed: HashSeed) {
        self.options = options
        self.seed = seed
    }

    /// The next entry, or nil at the end of the page.
    mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> ReadEntry? {
        if options.takesStartTimestamps, starts == nil { starts = try Self.findStarts(page) }
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            let more = options.isOpenMetrics ? try readOpenMetrics(page) : try readText(page)
            if more { continue }
            endGroup()
            if waiting.isEmpty { return nil }
        }
    }

    /// Never asked for: its samples bring their labels.
    func read(_ labels: inout PageLabels, _ page: Span<UInt8>, suffix: String, extra: (name: ByteString, bound: Double)?) { labels.reset() }

    private mutating func readText(_ page: Span<UInt8>) throws(ExpositionError) -> Bool {
        guard let entry = try text.next(page) else { return false }
        switch entry {
        case .comment: break
        case .help(let name, let help): add(metadata: .help(name, help))
        case .type(let name, let type): declare(name, type)
        case .series(let line):
            addSeries(
                text.labels(page), text: page.extracting(line.text), value: line.value, timestampMs: line.timestampMs, exemplar: nil)
        }
        return true
    }

    private mutating func readOpenMetrics(_ page: Span<UInt8>) throws(ExpositionError) -> Bool {
        guard let entry = try openMetrics.next(page) else { return false }
        switch entry {
        case .help(let name, let help): add(metadata: .help(name, help))
        case .unit(let name, let unit): add(metadata: .unit(name, unit))
        case .type(let name, let type): declare(name, type)
        case .series(let line):
            let exemplar = line.exemplar.map {
                ReadExemplar(labels: openMetrics.exemplarLabels(page), value: $0.value, timestampMs: $0.timestampMs)
            }
            addSeries(
                openMetrics.labels(page), text: page.extracting(line.text), value: line.value, timestampMs: line.timestampMs,
                exemplar: exemplar)
        }
        return true
    }

    private mutating func declare(_ name: ByteString, _ type: MetricType) {
        add(metadata: .type(name, type))
        family = name
        self.type = type
    }

    private mutating func add(metadata entry: ReadEntry) {
        endGroup()
        waiting.append(entry)
    }

    // MARK: Series

    private mutating func addSeries(
        _ labels: [Label], text: Span<UInt8>, value: Double, timestampMs: Int64?, exemplar: ReadExemplar?
    ) {
        if options.takesStartTimestamps, isCreated(labels) { return }
        let start = startMs(labels)
        let exemplars = exemplar.map { [$0] } ?? []
        if options.convertsClassic, collect(labels, value, timestampMs, exemplars, start), !options.keepsClassic { return }
        waiting.append(
            .sample(
                ReadSample(
                    identity: hashSpan(text, seed), labels: .made(labels), value: .float(value), timestampMs: timestampMs,
                    startTimestampMs: start, exemplars: exemplars)))
    }

    /// Adds the sample to the histogram it is a part of. Returns false, and ends the group, when it is no part of one.
    private mutating func collect(
        _ labels: [Label], _ value: Double, _ timestampMs: Int64?, _ exemplars: [ReadExemplar], _ start: Int64
    ) -> Bool {
        guard type == .histogram, let name = labels.first?.value, name.hasPrefix(family) else {
            endGroup()
            return false
        }
        let suffix = ByteString(name.bytes.dropFirst(family.count))
        let bound = labels.last { $0.name == "le" }.flatMap { parseDouble($0.value.bytes.span) }
        guard suffix == "_count" || suffix == "_sum" || (suffix == "_bucket" && bound != nil && bound?.isNaN == false) else {
            endGroup()
            return false
        }
        let base = Self.baseLabels(labels, family: family, without: "le")
        if group?.labels != base {
            endGroup()
            group = Group(labels: base, timestampMs: timestampMs)
            group?.startMs = start
        }
        group?.exemplars += exemplars
        switch suffix {
        case "_count": group?.builder.setCount(value)
        case "_sum": group?.builder.setSum(value)
        default: group?.builder.setBucket(upperBound: bound ?? .nan, cumulativeCount: value)
        }
        return true
    }

    private mutating func endGroup() {
        guard var group else { return }
        self.group = nil
        // Parts that contradict each other make no histogram.
        guard let histogram = try? group.builder.build() else { return }
        waiting.append(
            .sample(
                ReadSample(
                    identity: foldedMultiply(group.labels.hash64(seed: seed.a), seed.b), labels: .made(group.labels.labels),
                    value: .histogram(histogram), timestampMs: group.timestampMs, startTimestampMs: group.startMs,
                    exemplars: group.exemplars)))
    }

    private static func baseLabels(_ labels: [Label], family: ByteString, without: ByteString?) -> LabelSet {
        LabelSet(labels.filter { $0.name != without && $0.name != LabelSet.metricName } + [Label(LabelSet.metricName, family)])
    }

    // MARK: Start timestamps

    private func isCreated(_ labels: [Label]) -> Bool {
        hasStart && labels.first?.value == family + "_created"
    }
    private var hasStart: Bool { type == .counter || type == .summary || type == .histogram }

    private func startMs(_ labels: [Label]) -> Int64 {
        guard hasStart, let starts, !starts.isEmpty, let name = labels.first?.value, name.hasPrefix(family) else { return 0 }
        return starts[Self.baseLabels(labels, family: family, without: Self.ownLabel(type))] ?? 0
    }

    private static func ownLabel(_ type: MetricType?) -> ByteString? {
        switch type {
        case .histogram: "le"
        case .summary: "quantile"
        default: nil
        }
    }

    /// `_created` lines may stand behind the series they are about, so the page is read once for them alone.
    private static func findStarts(_ page: Span<UInt8>) throws(ExpositionError) -> [LabelSet: Int64] {
        var found: [LabelSet: Int64] = [:]
        var parser = OpenMetricsParser()
        var family: ByteString = ""
        while let entry = try parser.next(page) {
            switch entry {
            case .type(let name, _): family = name
            case .series(let line):
                guard [.counter, .summary, .histogram].contains(parser.currentType) else { continue }
                let labels = parser.labels(page)
                guard labels.first?.value == family + "_created" else { continue }
                let ms = line.value * 1000
                guard ms > -0x1p63, ms < 0x1p63 else { continue }
                found[baseLabels(labels, family: family, without: nil)] = Int64(ms)
            default: break
            }
        }
        return found
    }
}
