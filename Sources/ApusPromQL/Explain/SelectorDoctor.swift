import ApusBytes
import ApusModel
import ApusStorage

/// Finds out why a selector yields nothing: which of its matchers, or the time.
///
/// Asks the storage for series, mostly without samples, after the query has run; only for selectors that came out empty.
struct SelectorDoctor {
    private let explainer: QueryExplainer
    private let id: NodeID
    private let selector: VectorSelector
    /// Nil for an instant selector.
    private let rangeMs: Int64?

    /// Matchers of which each is tried: with so many, the storage is asked that often.
    static let maxMatchers = 32
    /// Values of a label that a reason lists.
    static let maxValues = 10
    /// Series whose samples are looked at.
    static let maxSeries = 20
    /// Names among which a similar one is searched.
    static let maxNames = 100_000
    /// How far back samples are searched, one after the other, until there are some.
    static let searchMs: [Int64] = [3_600_000, 86_400_000, 30 * 86_400_000]

    init(_ explainer: QueryExplainer, _ id: NodeID, _ selector: VectorSelector, rangeMs: Int64?) {
        self.explainer = explainer
        self.id = id
        self.selector = selector
        self.rangeMs = rangeMs
    }

    private var placement: QueryPlan.Placement { explainer.evaluator.plan.placements[id.index] }

    func reasons() -> [String] {
        do { return try timeReasons() ?? matcherReasons() } catch { return ["the storage could not be asked why: \(error)"] }
    }

    // MARK: Time

    /// Nil when it is not for the time: no series match at any.
    private func timeReasons() throws(StorageError) -> [String]? {
        let record = explainer.tracer.records[id.index]
        let (minTimeMs, maxTimeMs) = (placement.minTimeMs, placement.maxTimeMs)
        var matching = Int(clamping: record.selectedSeries)
        for back in Self.searchMs {
            let from = QueryPlan.clamped(minTimeMs - back)
            let found = try withQuerier(from, maxTimeMs) { (querier) throws(StorageError) in
                let set = try select(querier, selector.matchers, from, maxTimeMs)
                return (set.count, try newest(set, from, maxTimeMs))
            }
            matching = max(matching, found.0)
            if let newest = found.1 { return [timeReason(newest, series: found.0)] }
        }
        let anywhere = try withQuerier(-QueryPlan.timeLimitMs, QueryPlan.timeLimitMs) { (querier) throws(StorageError) in
            try select(querier, selector.matchers, -QueryPlan.timeLimitMs, QueryPlan.timeLimitMs).count
        }
        if max(matching, anywhere) == 0 { return nil }
        return [
            "\(counted(max(matching, anywhere), "series")) match, but none has a sample in \(window), nor in the 30 days before"
        ]
    }

    private struct Newest {
        var timestampMs: Int64
        var isStale: Bool
    }

    private func newest(_ set: any SeriesSet, _ from: Int64, _ through: Int64) throws(StorageError) -> Newest? {
        var result: Newest?
        var columns = SampleColumns()
        for index in 0..<min(set.count, Self.maxSeries) {
            columns.removeAll()
            try set.decode(index, minTimeMs: from, maxTimeMs: through, into: &columns)
            guard columns.count > 0 else { continue }
            let last = columns.count - 1
            let timestampMs = columns.timestampMs(at: last)
            if timestampMs >= result?.timestampMs ?? .min {
                result = Newest(timestampMs: timestampMs, isStale: StaleNaN.isStale(columns.value(at: last)))
            }
        }
        return result
    }

    private func timeReason(_ newest: Newest, series: Int) -> String {
        let reference = placement.maxTimeMs
        let age = formatDuration(rounded(max(0, reference - newest.timestampMs)))
        let matching = "\(counted(series, "series")) match"
        if newest.isStale {
            return "\(matching), but they ended: the newest was marked stale \(age) before \(moment)"
        }
        if newest.timestampMs >= placement.minTimeMs {
            return "\(matching) and have samples, but none at a step of the query"
        }
        return "\(matching), but none has a sample in \(window): the newest is \(age) older than \(moment)"
    }

    private var moment: String { explainer.evaluator.plan.steps.count > 1 ? "the last step" : "the time asked for" }

    private var window: String {
        if let rangeMs { return "the range of \(formatDuration(rangeMs))" }
        return "the lookback of \(formatDuration(explainer.evaluator.lookbackMs))"
    }

    /// About how far apart samples are, by the gaps of a few series; nil when no series has two within a day.
    func intervalMs() -> Int64? {
        for back in Self.searchMs.prefix(2) {
            let from = QueryPlan.clamped(placement.minTimeMs - back)
            let gaps = try? withQuerier(from, placement.maxTimeMs) { (querier) throws(StorageError) in
                let set = try select(querier, selector.matchers, from, placement.maxTimeMs)
                return try self.gaps(set, from, placement.maxTimeMs)
            }
            if let gaps, !gaps.isEmpty { return gaps.sorted()[gaps.count / 2] }
        }
        return nil
    }

    private func gaps(_ set: any SeriesSet, _ from: Int64, _ through: Int64) throws(StorageError) -> [Int64] {
        var gaps: [Int64] = []
        var columns = SampleColumns()
        for index in 0..<min(set.count, Self.maxSeries) {
            columns.removeAll()
            try set.decode(index, minTimeMs: from, maxTimeMs: through, into: &columns)
            for sample in 1..<max(1, columns.count) {
                gaps.append(columns.timestampMs(at: sample) &- columns.timestampMs(at: sample - 1))
            }
        }
        return gaps
    }

    // MARK: Matchers

    private func matcherReasons() throws(StorageError) -> [String] {
        if selector.matchers.count > Self.maxMatchers {
            return ["no series matches, at any time; which of more than \(Self.maxMatchers) matchers is to blame was not looked at"]
        }
        let limit = QueryPlan.timeLimitMs
        return try withQuerier(-limit, limit) { (querier) throws(StorageError) in
            func count(_ matchers: [Matcher]) throws(StorageError) -> Int {
                matchers.isEmpty ? 0 : try select(querier, matchers, -limit, limit).count
            }
            // As people read them: the name first.
            let matchers = selector.matchers.filter { $0.name == LabelNames.name } + selector.matchers.filter { $0.name != LabelNames.name }
            for matcher in matchers where matcher.kind == .equal && !matcher.value.isEmpty {
                if try count([matcher]) == 0 { return [try unknownValue(matcher, querier)] }
            }
            var reasons: [String] = []
            for (index, matcher) in matchers.enumerated() {
                var others = matchers
                others.remove(at: index)
                let without = try count(others)
                if without == 0 { continue }
                var text = "`\(shown(matcher))` removes all: without it \(counted(without, "series")) match"
                text += try values(of: matcher.name, among: others, querier)
                reasons.append(text)
            }
            if !reasons.isEmpty { return reasons }
            var kept: [Matcher] = []
            var before = 0
            for matcher in matchers {
                kept.append(matcher)
                let left = try count(kept)
                if left == 0, before > 0 {
                    let earlier = kept.dropLast().map(shown).joined(separator: ",")
                    return [
                        "`\(shown(matcher))` matches none of the \(counted(before, "series")) that `{\(earlier)}` finds"
                            + (try values(of: matcher.name, among: Array(kept.dropLast()), querier))
                    ]
                }
                before = left
            }
            return ["no series matches, at any time"]
        }
    }

    /// `; there, pod is: "a", "b"`
    private func values(of name: ByteString, among matchers: [Matcher], _ querier: any Querier) throws(StorageError) -> String {
        let values = try querier.labelValues(name, matchers, limit: 0)
        if values.isEmpty { return "; none of them has the label \(name)" }
        let more = values.count > Self.maxValues ? ", … (\(values.count))" : ""
        return "; there, \(name) is \(values.prefix(Self.maxValues).map { quoted($0.bytes) }.joined(separator: ", "))\(more)"
    }

    private func unknownValue(_ matcher: Matcher, _ querier: any Querier) throws(StorageError) -> String {
        var text =
            matcher.name == LabelNames.name
            ? "no series is called \(matcher.value)" : "no series at all has `\(shown(matcher))`"
        let known = try querier.labelValues(matcher.name, [], limit: 0)
        if known.isEmpty {
            text += matcher.name == LabelNames.name ? "; there are no series" : "; no series has the label \(matcher.name)"
        } else if let near = similar(to: matcher.value, in: known.prefix(Self.maxNames)) {
            text += "; did you mean \(quoted(near.bytes))?"
        } else if known.count <= Self.maxValues {
            text += "; known values are \(known.map { quoted($0.bytes) }.joined(separator: ", "))"
        }
        return text
    }

    private func shown(_ matcher: Matcher) -> String { "\(matcher.name)\(matcher.kind.rawValue)\(quoted(matcher.value.bytes))" }

    // MARK: Storage

    private func withQuerier<R>(
        _ minTimeMs: Int64, _ maxTimeMs: Int64, _ body: (any Querier) throws(StorageError) -> R
    ) throws(StorageError) -> R {
        let querier = try explainer.storage.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
        defer { querier.close() }
        return try body(querier)
    }

    private func select(
        _ querier: any Querier, _ matchers: [Matcher], _ minTimeMs: Int64, _ maxTimeMs: Int64
    ) throws(StorageError) -> any SeriesSet {
        // Time and patience are the query's; what went wrong with them is told by the query, not here.
        do { try explainer.evaluator.bounds.check() } catch { throw StorageError(error.message) }
        return try querier.select(matchers, hints: SelectHints(startMs: minTimeMs, endMs: maxTimeMs), sorted: false)
    }
}

/// The text that differs least from `text`, if that is by a third of it at most: a slip of the pen.
func similar(to text: ByteString, in candidates: some Sequence<ByteString>) -> ByteString? {
    let (wanted, limit) = (text.bytes, min(text.count / 3, 4))
    guard limit > 0 else { return nil }
    var best: (distance: Int, text: ByteString)?
    for candidate in candidates {
        let bytes = candidate.bytes
        guard abs(bytes.count - wanted.count) <= limit, bytes.count <= 256 else { continue }
        let distance = editDistance(wanted, bytes)
        if distance > 0, distance <= limit, distance < best?.distance ?? .max { best = (distance, candidate) }
    }
    return best?.text
}

/// How many bytes have to be put in, taken out or changed.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, byte) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (byte == other ? 0 : 1))
            diagonal = above
        }
    }
    return row[b.count]
}
