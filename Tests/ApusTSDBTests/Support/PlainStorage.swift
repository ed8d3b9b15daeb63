import ApusBytes
import ApusModel
import ApusStorage

@testable import ApusTSDB

/// A sample as a test compares it.
struct PlainSample: Equatable, Hashable {
    var time: Int64
    /// Of a float.
    var bits: UInt64 = 0
    var histogram: NativeHistogram?
    /// Start timestamp, 0 for none.
    var startMs: Int64 = 0
    static func == (left: PlainSample, right: PlainSample) -> Bool {
        left.time == right.time && left.bits == right.bits && left.histogram == right.histogram && left.startMs == right.startMs
    }
    func hash(into hasher: inout Hasher) { hasher.combine(time) }
}

/// A storage of arrays: what merges read in tests.
final class PlainStorage: Querier {
    let series: [(labels: LabelSet, samples: [PlainSample])]
    private let closed = Locked(0)

    init(_ series: [LabelSet: [PlainSample]]) {
        self.series = series.map { ($0.key, $0.value) }
    }

    var closeCount: Int { closed.withLock { $0 } }
    func close() { closed.withLock { $0 += 1 } }

    private func matching(_ matchers: [Matcher]) -> [(labels: LabelSet, samples: [PlainSample])] {
        series.filter { one in
            matchers.allSatisfy { matcher in
                let value = one.labels[matcher.name]?.bytes ?? []
                return matcher.matches(value.span)
            }
        }
    }

    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
        let found = matching(matchers)
        return PlainSet(sorted ? found.sorted { $0.labels < $1.labels } : found)
    }

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        cut(Set(matching(matchers).flatMap { $0.labels.labels.map(\.name) }), limit)
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        cut(Set(matching(matchers).compactMap { $0.labels[name] }), limit)
    }

    private func cut(_ found: Set<ByteString>, _ limit: Int) -> [ByteString] {
        let sorted = found.sorted()
        return limit > 0 && sorted.count > limit ? Array(sorted[...limit]) : sorted
    }

    final class PlainSet: SeriesSet {
        let series: [(labels: LabelSet, samples: [PlainSample])]
        init(_ series: [(labels: LabelSet, samples: [PlainSample])]) { self.series = series }
        var count: Int { series.count }
        func labels(at index: Int) -> LabelSet { series[index].labels }
        func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
            for sample in series[index].samples where sample.time >= minTimeMs && sample.time <= maxTimeMs { columns.append(sample) }
        }
    }
}

/// The same as chunks, for what blocks are written from.
final class PlainChunks: ChunkSeriesSet {
    private let series: [(labels: LabelSet, chunks: [EncodedChunk])]
    private var position = -1

    init(_ series: [(labels: LabelSet, samples: [PlainSample])], samplesPerChunk: Int = 120) {
        self.series = series.map { one in
            var columns = SampleColumns(histograms: true)
            for sample in one.samples { columns.append(sample) }
            return (one.labels, encodeChunks(columns, samplesPerChunk: samplesPerChunk))
        }.sorted { $0.labels < $1.labels }
    }

    func next() throws(StorageError) -> Bool {
        position = min(position + 1, series.count)
        return position < series.count
    }
    var labels: LabelSet { series[position].labels }
    var chunks: [EncodedChunk] { series[position].chunks }
}

extension SampleColumns {
    mutating func append(_ sample: PlainSample) {
        if let histogram = sample.histogram {
            append(timestampMs: sample.time, histogram: histogram)
        } else {
            append(timestampMs: sample.time, value: Double(bitPattern: sample.bits))
        }
        setStartTimestampMs(sample.startMs, at: count - 1)
    }

    /// All samples, without the hints of histograms, which depend on where chunks begin.
    func plain() -> [PlainSample] {
        var result: [PlainSample] = []
        for index in 0..<count {
            if var histogram = histogram(at: index) {
                histogram.hint = .unknown
                result.append(PlainSample(time: timestampMs(at: index), histogram: histogram, startMs: startTimestampMs(at: index)))
            } else {
                result.append(
                    PlainSample(time: timestampMs(at: index), bits: value(at: index).bitPattern, startMs: startTimestampMs(at: index)))
            }
        }
        return result
    }
}

/// Everything that a querier has of some series, with histograms.
func readPlain(
    _ querier: any Querier, _ matchers: [Matcher] = [], _ range: ClosedRange<Int64> = .min ... .max, sorted: Bool = true
) throws -> [LabelSet: [PlainSample]] {
    let set = try querier.select(matchers, hints: SelectHints(startMs: range.lowerBound, endMs: range.upperBound), sorted: sorted)
    var columns = SampleColumns(histograms: true)
    var result: [LabelSet: [PlainSample]] = [:]
    for index in 0..<set.count {
        columns.removeAll()
        try set.decode(index, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, into: &columns)
        let samples = columns.plain()
        if samples.isEmpty { continue }
        precondition(result[set.labels(at: index)] == nil, "a series came twice")
        result[set.labels(at: index)] = samples
    }
    return result
}

/// A histogram that no other test value equals.
func plainHistogram(_ number: Int, gauge: Bool = false) throws -> NativeHistogram {
    let layout = HistogramLayout(
        schema: 2, zeroThreshold: 0.001, positiveSpans: [HistogramSpan(offset: Int32(number % 3), length: 2)], negativeSpans: [],
        customBounds: [])
    return try NativeHistogram(
        layout: layout, hint: gauge ? .gauge : .unknown, count: UInt64(number * 2 + 3), zeroCount: 1, sum: Double(number),
        positive: [UInt64(number) + 1, UInt64(number) + 1], negative: [])
}
