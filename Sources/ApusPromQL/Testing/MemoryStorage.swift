import ApusBytes
public import ApusModel
public import ApusStorage

/// A storage of a few series in plain arrays, for scripts and tests: obvious rather than fast.
///
/// Histograms come back as a database of chunks gives them: each run of a counter begins with one of which nothing is
/// known, and the others go on counting.
public final class MemoryStorage: Queryable {
    struct Series: Sendable {
        var labels: LabelSet
        var samples: [Sample] = []
        /// The newest sample as it was appended, with its hint; `nil` when it is a float.
        var newest: FloatHistogram?
    }
    struct Sample: Sendable {
        var timestampMs: Int64
        /// Of a float.
        var value: Double
        var histogram: NativeHistogram?
        /// 0 for none.
        var startMs: Int64
    }
    private struct State: Sendable {
        var series: [Series] = []
        var indices: [LabelSet: Int] = [:]
    }
    private let state = Locked(State())

    public init() {}

    /// Why a sample was not taken.
    public enum AppendFailure: Error { case outOfOrder, duplicateTimestamp }

    /// Adds a sample after the newest of its series. The newest once more, time and value alike, is taken for done.
    /// - Parameter startMs: when the counting began; 0 for unknown.
    public func append(_ labels: LabelSet, timestampMs: Int64, value: Double, startMs: Int64 = 0) throws(AppendFailure) {
        try append(labels, Sample(timestampMs: timestampMs, value: value, startMs: startMs), nil)
    }

    /// Likewise for a histogram. Its hint says what is known of the one before it, and is replaced by what follows from
    /// both; only gauges stay gauges.
    public func append(
        _ labels: LabelSet, timestampMs: Int64, histogram: NativeHistogram, startMs: Int64 = 0
    ) throws(AppendFailure) {
        try append(
            labels, Sample(timestampMs: timestampMs, value: histogram.sum, histogram: histogram, startMs: startMs),
            FloatHistogram(histogram))
    }

    private func append(_ labels: LabelSet, _ sample: Sample, _ histogram: FloatHistogram?) throws(AppendFailure) {
        try state.withLock { (state) throws(AppendFailure) in
            let index: Int
            if let known = state.indices[labels] {
                index = known
            } else {
                index = state.series.count
                state.indices[labels] = index
                state.series.append(Series(labels: labels))
            }
            if let newest = state.series[index].samples.last, sample.timestampMs <= newest.timestampMs {
                if sample.timestampMs < newest.timestampMs { throw .outOfOrder }
                if let histogram = sample.histogram {
                    if newest.histogram?.hasSameData(as: histogram) == true { return }
                } else if newest.histogram == nil, newest.value.bitPattern == sample.value.bitPattern {
                    return
                }
                throw .duplicateTimestamp
            }
            var sample = sample
            sample.histogram?.hint = histogram.map { $0.storedHint(after: state.series[index].newest) } ?? .unknown
            state.series[index].samples.append(sample)
            state.series[index].newest = histogram
        }
    }

    public func removeAll() { state.withLock { $0 = State() } }

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        MemoryQuerier(series: state.withLock { $0.series }, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }
}

extension FloatHistogram {
    /// The hint with which a database gives back a histogram that was appended after `previous`.
    fileprivate func storedHint(after previous: FloatHistogram?) -> CounterResetHint {
        if hint == .gauge { return .gauge }
        guard let previous, previous.hint != .gauge, hint != .reset, layout.schema == previous.layout.schema,
            layout.zeroThreshold == previous.layout.zeroThreshold, layout.customBounds == previous.layout.customBounds
        else { return .unknown }
        var current = self
        current.hint = .unknown
        return current.detectsReset(after: previous) ? .unknown : .noReset
    }
}

private final class MemoryQuerier: Querier {
    private let series: [MemoryStorage.Series]
    private let minTimeMs: Int64
    private let maxTimeMs: Int64

    init(series: [MemoryStorage.Series], minTimeMs: Int64, maxTimeMs: Int64) {
        self.series = series
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }

    private func matching(_ matchers: [Matcher]) -> [MemoryStorage.Series] {
        series.filter { one in
            matchers.allSatisfy { matcher in
                let value = one.labels[matcher.name] ?? ByteString()
                return matcher.matches(value.bytes.span)
            }
        }
    }

    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
        var found = matching(matchers)
        if sorted { found.sort { $0.labels < $1.labels } }
        return MemorySeriesSet(series: found, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        Array(Set(matching(matchers).flatMap { $0.labels.map(\.name) })).sorted()
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        Array(Set(matching(matchers).compactMap { $0.labels[name] })).sorted()
    }

    func close() {}
}

private final class MemorySeriesSet: SeriesSet {
    private let series: [MemoryStorage.Series]
    private let minTimeMs: Int64
    private let maxTimeMs: Int64

    init(series: [MemoryStorage.Series], minTimeMs: Int64, maxTimeMs: Int64) {
        self.series = series
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }

    var count: Int { series.count }
    func labels(at index: Int) -> LabelSet { series[index].labels }

    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let (from, to) = (max(minTimeMs, self.minTimeMs), min(maxTimeMs, self.maxTimeMs))
        for sample in series[index].samples where sample.timestampMs >= from && sample.timestampMs <= to {
            if let histogram = sample.histogram {
                if !columns.wantsHistograms { continue }
                columns.append(timestampMs: sample.timestampMs, histogram: histogram)
            } else {
                columns.append(timestampMs: sample.timestampMs, value: sample.value)
            }
            if sample.startMs != 0 { columns.setStartTimestampMs(sample.startMs, at: columns.count - 1) }
        }
    }
}
