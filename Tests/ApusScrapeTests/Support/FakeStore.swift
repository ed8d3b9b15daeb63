import ApusBytes
import ApusModel
import ApusStorage

@testable import ApusScrape

/// A store in a dictionary, with the rules of a real one: time only goes forward, and one time has one value.
final class FakeStore: SampleStore {
    struct Content: Sendable {
        var refs: [LabelSet: UInt64] = [:]
        var labels: [UInt64: LabelSet] = [:]
        var samples: [UInt64: [Sample]] = [:]
        var nextRef: UInt64 = 1
        var histograms: [UInt64: [NativeHistogram]] = [:]
        var exemplars: [UInt64: [Exemplar]] = [:]
        var metadata: [UInt64: MetricMetadata] = [:]
        var startTimestampsMs: [Int64] = []
        var batches = 0
        /// Names of the threads that appended.
        var threads: [String] = []
    }
    private let content = Locked(Content())
    /// Series the store makes at most.
    let limit: Int
    let mayStall: Bool
    init(limit: Int = .max, mayStall: Bool = false) {
        self.limit = limit
        self.mayStall = mayStall
    }

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
        let histograms = batch.histograms
        let exemplars = batch.exemplars
        let metadata = batch.metadata
        let starts = batch.startTimestampsMs
        let threadName = Self.threadName
        return content.withLock { content in
            var outcome = AppendOutcome()
            content.batches += 1
            content.threads.append(threadName)
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
            for (index, one) in histograms.enumerated() {
                guard content.labels[one.ref.rawValue] != nil else {
                    outcome.rejections.append(.init(index: index, part: .histogram, reason: .unknownSeries))
                    continue
                }
                content.histograms[one.ref.rawValue, default: []].append(one.histogram)
                outcome.appended += 1
            }
            for (index, one) in exemplars.enumerated() {
                if let last = content.exemplars[one.ref.rawValue]?.last, last.timestampMs >= one.exemplar.timestampMs {
                    let isSame = last == one.exemplar
                    outcome.rejections.append(.init(index: index, part: .exemplar, reason: isSame ? .duplicateExemplar : .outOfOrderExemplar))
                    continue
                }
                content.exemplars[one.ref.rawValue, default: []].append(one.exemplar)
                outcome.exemplarsAppended += 1
            }
            for one in metadata { content.metadata[one.ref.rawValue] = one.metadata }
            content.startTimestampsMs += starts
            return outcome
        }
    }

    func histograms(_ labels: LabelSet) -> [NativeHistogram] {
        content.withLock { content in content.refs[labels].flatMap { content.histograms[$0] } ?? [] }
    }
    func exemplars(_ labels: LabelSet) -> [Exemplar] {
        content.withLock { content in content.refs[labels].flatMap { content.exemplars[$0] } ?? [] }
    }
    func metadata(_ labels: LabelSet) -> MetricMetadata? {
        content.withLock { content in content.refs[labels].flatMap { content.metadata[$0] } }
    }
    var startTimestampsMs: [Int64] { content.withLock { $0.startTimestampsMs } }

    func labels(of ref: SeriesRef) -> LabelSet? { content.withLock { $0.labels[ref.rawValue] } }

    /// Forgets a series, as a head that is truncated does.
    func drop(_ labels: LabelSet) {
        content.withLock {
            guard let ref = $0.refs.removeValue(forKey: labels) else { return }
            $0.labels[ref] = nil
            $0.samples[ref] = nil
        }
    }

    private static var threadName: String {
        let line = readFile("/proc/thread-self/comm", limit: 100) ?? []
        return String(decoding: line.dropLast(), as: UTF8.self)
    }
    /// The threads that appended, in order, by name.
    var threads: [String] { content.withLock { $0.threads } }

    /// Appends so far.
    var batches: Int { content.withLock { $0.batches } }

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
