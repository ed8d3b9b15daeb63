import ApusBytes
public import ApusModel
public import ApusStorage

/// A storage of a few series in plain arrays, for scripts and tests: obvious rather than fast.
public final class MemoryStorage: Queryable {
    struct Series: Sendable {
        var labels: LabelSet
        var timestampsMs: [Int64] = []
        var values: [Double] = []
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
    public func append(_ labels: LabelSet, timestampMs: Int64, value: Double) throws(AppendFailure) {
        try state.withLock { (state) throws(AppendFailure) in
            let index: Int
            if let known = state.indices[labels] {
                index = known
            } else {
                index = state.series.count
                state.indices[labels] = index
                state.series.append(Series(labels: labels))
            }
            if let newest = state.series[index].timestampsMs.last, timestampMs <= newest {
                if timestampMs < newest { throw .outOfOrder }
                if state.series[index].values.last?.bitPattern == value.bitPattern { return }
                throw .duplicateTimestamp
            }
            state.series[index].timestampsMs.append(timestampMs)
            state.series[index].values.append(value)
        }
    }

    public func removeAll() { state.withLock { $0 = State() } }

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        MemoryQuerier(series: state.withLock { $0.series }, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
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
        let one = series[index]
        let (from, to) = (max(minTimeMs, self.minTimeMs), min(maxTimeMs, self.maxTimeMs))
        for (timestamp, value) in zip(one.timestampsMs, one.values) where timestamp >= from && timestamp <= to {
            columns.append(timestampMs: timestamp, value: value)
        }
    }
}
