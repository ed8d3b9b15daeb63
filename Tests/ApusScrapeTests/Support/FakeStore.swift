import ApusBytes
import ApusModel
import ApusStorage

/// A store in a dictionary, with the rules of a real one: time only goes forward, and one time has one value.
final class FakeStore: SampleStore {
    struct Content: Sendable {
        var refs: [LabelSet: UInt64] = [:]
        var labels: [UInt64: LabelSet] = [:]
        var samples: [UInt64: [Sample]] = [:]
        var nextRef: UInt64 = 1
        var batches = 0
    }
    private let content = Locked(Content())
    /// Series the store makes at most.
    let limit: Int
    init(limit: Int = .max) { self.limit = limit }

    func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        let limit = limit
        let ref: UInt64? = content.withLock {
            if let known = $0.refs[labels] { return known }
            if $0.refs.count >= limit { return nil }
            let ref = $0.nextRef
            $0.nextRef += 1
            $0.refs[labels] = ref
            $0.labels[ref] = labels
            return ref
        }
        guard let ref else { throw .limit("too many series") }
        return SeriesRef(rawValue: ref)
    }

    func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        let refs = batch.refs
        let times = batch.timestampsMs
        let values = batch.values
        return content.withLock { content in
            var outcome = AppendOutcome()
            content.batches += 1
            for index in refs.indices {
                let ref = refs[index].rawValue
                guard content.labels[ref] != nil else {
                    outcome.rejections.append(.init(index: index, reason: .unknownSeries))
                    continue
                }
                if let last = content.samples[ref]?.last {
                    if last.timestampMs > times[index] {
                        outcome.rejections.append(.init(index: index, reason: .outOfOrder))
                        continue
                    }
                    if last.timestampMs == times[index] {
                        if last.value.bitPattern != values[index].bitPattern {
                            outcome.rejections.append(.init(index: index, reason: .duplicateTimestamp))
                        }
                        continue
                    }
                }
                content.samples[ref, default: []].append(Sample(timestampMs: times[index], value: values[index]))
                outcome.appended += 1
            }
            return outcome
        }
    }

    func labels(of ref: SeriesRef) -> LabelSet? { content.withLock { $0.labels[ref.rawValue] } }

    /// Forgets a series, as a head that is truncated does.
    func drop(_ labels: LabelSet) {
        content.withLock {
            guard let ref = $0.refs.removeValue(forKey: labels) else { return }
            $0.labels[ref] = nil
            $0.samples[ref] = nil
        }
    }

    func samples(_ labels: LabelSet) -> [Sample] {
        content.withLock { content in content.refs[labels].flatMap { content.samples[$0] } ?? [] }
    }
    var seriesCount: Int { content.withLock { $0.refs.count } }

    /// `name{labels} time value …`, a line a series, sorted; `stale` for staleness markers.
    func dump(without names: Set<ByteString> = ["scrape_duration_seconds"]) -> [String] {
        content.withLock { content in
            content.samples.sorted { content.labels[$0.key]! < content.labels[$1.key]! }.compactMap { ref, samples in
                guard let labels = content.labels[ref], let name = labels[LabelSet.metricName], !names.contains(name) else {
                    return nil
                }
                let rest = labels.labels.filter { $0.name != LabelSet.metricName }
                    .map { "\($0.name)=\($0.value)" }.joined(separator: ",")
                let text = samples.map { "\($0.timestampMs):\(StaleNaN.isStale($0.value) ? "stale" : short($0.value))" }
                return "\(name){\(rest)} " + text.joined(separator: " ")
            }
        }
    }
}

private func short(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
}
