import ApusBytes
import ApusModel
import ApusStorage

@testable import ApusTSDB

/// What the head should answer, kept in plain arrays and dictionaries: the model of the property tests.
struct NaiveHead {
    struct Series {
        var labels: LabelSet
        var samples: [(time: Int64, bits: UInt64)] = []
    }
    let chunkRangeMs: Int64
    var series: [SeriesRef: Series] = [:]
    var maxTime = Int64.min
    var oldestTime = Int64.min

    func reason(_ ref: SeriesRef, _ time: Int64, _ bits: UInt64, bound: Int64) -> (stored: Bool, AppendOutcome.Reason?) {
        if time < bound { return (false, .outOfBounds) }
        guard let series = series[ref] else { return (false, .unknownSeries) }
        guard let last = series.samples.last else { return (true, nil) }
        if time > last.time { return (true, nil) }
        if time < last.time { return (false, .outOfOrder) }
        return (false, bits == last.bits ? nil : .duplicateTimestamp)
    }

    mutating func append(_ batch: SampleBatch) -> AppendOutcome {
        var outcome = AppendOutcome()
        let newest = maxTime == .min ? batch.timestampsMs[0] : maxTime
        let bound = max(newest - chunkRangeMs / 2, oldestTime)
        for index in 0..<batch.count {
            let (time, bits) = (batch.timestampsMs[index], batch.values[index].bitPattern)
            let (stored, reason) = reason(batch.refs[index], time, bits, bound: bound)
            if let reason { outcome.rejections.append(.init(index: index, reason: reason)) }
            if stored {
                series[batch.refs[index]]?.samples.append((time, bits))
                outcome.appended += 1
                maxTime = max(maxTime, time)
            }
        }
        return outcome
    }

    mutating func truncate(before time: Int64) {
        let bound = HeadState.period(of: time, length: chunkRangeMs) * chunkRangeMs
        if bound <= oldestTime { return }
        oldestTime = bound
        let oldest = series.values.compactMap(\.samples.first?.time).min() ?? .max
        if oldest >= bound { return }
        for (ref, one) in series {
            let kept = one.samples.filter { $0.time >= bound }
            series[ref] = kept.isEmpty ? nil : Series(labels: one.labels, samples: kept)
        }
    }

    func select(_ matchers: [Matcher]) -> [Series] {
        return series.values.filter { one in
            matchers.allSatisfy { matcher in
                let value = one.labels[matcher.name]?.bytes ?? []
                return matcher.matches(value.span)
            }
        }.sorted { $0.labels < $1.labels }
    }
}

/// Everything a querier says about some series, as plain values.
func readAll(
    _ querier: any Querier, _ matchers: [Matcher], _ range: ClosedRange<Int64>
) throws -> [(labels: LabelSet, samples: [(time: Int64, bits: UInt64)])] {
    let set = try querier.select(matchers, hints: SelectHints(startMs: range.lowerBound, endMs: range.upperBound), sorted: true)
    var columns = SampleColumns()
    return try (0..<set.count).map { index in
        columns.removeAll()
        try set.decode(index, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, into: &columns)
        return (set.labels(at: index), (0..<columns.count).map { (columns.timestampMs(at: $0), columns.value(at: $0).bitPattern) })
    }
}
