import ApusBytes
import ApusModel
import ApusStorage

/// Several storages read as one: the head, the blocks, and whatever else has series.
///
///     sources   head │ block of what came out of order │ newest block │ … │ oldest block
///               ◀── wins where two have one timestamp        decoded first, it is the oldest ──▶
///
/// A series that one source alone has is read from it as if there were no other. The samples of a series that several have
/// are decoded one source after the other, the last first; blocks seldom overlap, so that is nearly always all. Where a
/// source begins before the one behind it ended, the two are merged.
final class MergeQuerier: Querier {
    private let sources: [any Querier]

    /// One source comes back as it is.
    /// - Parameter sources: the first wins; otherwise from the newest to the oldest, if they are to be read fast.
    static func merge(_ sources: [any Querier]) -> any Querier {
        sources.count == 1 ? sources[0] : MergeQuerier(sources)
    }

    private init(_ sources: [any Querier]) { self.sources = sources }

    func close() { for source in sources { source.close() } }

    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
        var sets: [any SeriesSet] = []
        for source in sources {
            let set = try source.select(matchers, hints: hints, sorted: sorted)
            if set.count > 0 { sets.append(set) }
        }
        if sets.isEmpty { return EmptySeriesSet() }
        return sets.count == 1 ? sets[0] : MergeSeriesSet(sets, sorted: sorted)
    }

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        var lists: [[ByteString]] = []
        for source in sources { lists.append(try source.labelNames(matchers, limit: limit)) }
        return union(lists, limit)
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        var lists: [[ByteString]] = []
        for source in sources { lists.append(try source.labelValues(name, matchers, limit: limit)) }
        return union(lists, limit)
    }

    /// Each source gave one more than the limit if it had them, so the first of all are among what they gave.
    private func union(_ lists: [[ByteString]], _ limit: Int) -> [ByteString] {
        let filled = lists.filter { !$0.isEmpty }
        if filled.count < 2 { return filled.first ?? [] }
        let sorted = Set(filled.joined()).sorted()
        let (bound, overflow) = limit.addingReportingOverflow(1)
        return limit > 0 && !overflow && sorted.count > bound ? Array(sorted[..<bound]) : sorted
    }
}

/// No series.
final class EmptySeriesSet: SeriesSet {
    var count: Int { 0 }
    func labels(at index: Int) -> LabelSet { preconditionFailure("an empty set has no series") }
    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        preconditionFailure("an empty set has no series")
    }
}

/// The series of several sets, those with equal labels joined.
final class MergeSeriesSet: SeriesSet {
    /// A series of one of the sets.
    private struct Part {
        let set: Int32
        let index: Int32
    }
    private let sets: [any SeriesSet]
    /// The parts of series `i` are `parts[starts[i]..<starts[i + 1]]`, the one that wins first.
    private let parts: [Part]
    private let starts: [Int]

    init(_ sets: [any SeriesSet], sorted: Bool) {
        self.sets = sets
        (parts, starts) = Self.joinAligned(sets) ?? (sorted ? Self.joinSorted(sets) : Self.joinHashed(sets))
    }

    var count: Int { starts.count - 1 }

    func labels(at index: Int) -> LabelSet {
        let part = parts[starts[index]]
        return sets[Int(part.set)].labels(at: Int(part.index))
    }

    func labelReader(keeping names: [ByteString]) -> any LabelReader {
        MergeLabelReader(self, sets.map { $0.labelReader(keeping: names) })
    }

    /// Of the part that gives series `index` its labels.
    fileprivate func labels(at index: Int, _ readers: [any LabelReader]) -> LabelSet {
        let part = parts[starts[index]]
        return readers[Int(part.set)].labels(at: Int(part.index))
    }

    /// Blocks that follow one another mostly have the same series in the same order, and so the same numbers for their labels:
    /// then those are compared, and no label set is made. Nil when it is not so.
    private static func joinAligned(_ sets: [any SeriesSet]) -> ([Part], [Int])? {
        guard let first = sets[0] as? BlockSeriesSet else { return nil }
        for set in sets.dropFirst() {
            guard let other = set as? BlockSeriesSet, first.hasSameLabels(as: other) else { return nil }
        }
        var parts: [Part] = []
        parts.reserveCapacity(first.count * sets.count)
        for index in 0..<first.count {
            for number in sets.indices { parts.append(Part(set: Int32(number), index: Int32(index))) }
        }
        return (parts, (0...first.count).map { $0 * sets.count })
    }

    /// The sets are runs in order, of which the sort makes use: it compares each series about log₂ (sets) times.
    private static func joinSorted(_ sets: [any SeriesSet]) -> ([Part], [Int]) {
        var all: [(labels: LabelSet, part: Part)] = []
        all.reserveCapacity(sets.reduce(0) { $0 + $1.count })
        for (number, set) in sets.enumerated() {
            for index in 0..<set.count { all.append((set.labels(at: index), Part(set: Int32(number), index: Int32(index)))) }
        }
        all.sort { left, right in
            let order = left.labels.compare(to: right.labels)
            return order != 0 ? order < 0 : left.part.set < right.part.set
        }
        var starts: [Int] = []
        for index in all.indices where index == 0 || all[index].labels != all[index - 1].labels { starts.append(index) }
        starts.append(all.count)
        return (all.map(\.part), starts)
    }

    private static func joinHashed(_ sets: [any SeriesSet]) -> ([Part], [Int]) {
        var groups: [[Part]] = []
        var byLabels: [LabelSet: Int] = [:]
        byLabels.reserveCapacity(sets.map(\.count).max() ?? 0)
        for (number, set) in sets.enumerated() {
            for index in 0..<set.count {
                let part = Part(set: Int32(number), index: Int32(index))
                let labels = set.labels(at: index)
                if let group = byLabels[labels] {
                    groups[group].append(part)
                } else {
                    // Within one set all labels differ, so the last set need not be found again.
                    if number < sets.count - 1 { byLabels[labels] = groups.count }
                    groups.append([part])
                }
            }
        }
        var starts = [0]
        starts.reserveCapacity(groups.count + 1)
        var parts: [Part] = []
        for group in groups {
            parts.append(contentsOf: group)
            starts.append(parts.count)
        }
        return (parts, starts)
    }

    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let base = columns.count
        for part in parts[starts[index]..<starts[index + 1]].reversed() {
            let start = columns.count
            try sets[Int(part.set)].decode(Int(part.index), minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
            if start > base { mergeTail(of: &columns, from: start, base: base) }
        }
    }
}

private final class MergeLabelReader: LabelReader {
    private let set: MergeSeriesSet
    private let readers: [any LabelReader]

    init(_ set: MergeSeriesSet, _ readers: [any LabelReader]) {
        self.set = set
        self.readers = readers
    }

    func labels(at index: Int) -> LabelSet { set.labels(at: index, readers) }
}

/// Merges the samples from `start` on, which came from another source, with those from `base` to `start`; both are in
/// order of time. Of two with one timestamp that from `start` on stays.
///
/// A histogram behind one of another source loses its hint: it was about a predecessor that is another one now.
func mergeTail(of columns: inout SampleColumns, from start: Int, base: Int) {
    if columns.count == start { return }
    if start == base { return }
    let first = columns.timestampMs(at: start)
    if columns.timestampMs(at: start - 1) < first {
        forgetHint(in: &columns, at: start)
        return
    }
    // What lies before the first of the new ones stays where it is.
    var low = base
    var high = start
    while low < high {
        let middle = (low + high) / 2
        if columns.timestampMs(at: middle) < first { low = middle + 1 } else { high = middle }
    }
    var old = SampleColumns(capacity: start - low, histograms: columns.wantsHistograms)
    var new = SampleColumns(capacity: columns.count - start, histograms: columns.wantsHistograms)
    old.append(contentsOf: columns, low..<start)
    new.append(contentsOf: columns, start..<columns.count)
    columns.truncate(toCount: low)
    var (oldIndex, newIndex) = (0, 0)
    // Stretches of one source are copied whole.
    while oldIndex < old.count || newIndex < new.count {
        let at = columns.count
        let isNewFirst =
            newIndex < new.count && (oldIndex == old.count || new.timestampMs(at: newIndex) <= old.timestampMs(at: oldIndex))
        if isNewFirst {
            let begin = newIndex
            let bound = oldIndex < old.count ? old.timestampMs(at: oldIndex) : .max
            repeat { newIndex += 1 } while newIndex < new.count && new.timestampMs(at: newIndex) <= bound
            if oldIndex < old.count && new.timestampMs(at: newIndex - 1) == bound { oldIndex += 1 }
            columns.append(contentsOf: new, begin..<newIndex)
        } else {
            let begin = oldIndex
            repeat { oldIndex += 1 } while oldIndex < old.count
                && (newIndex == new.count || old.timestampMs(at: oldIndex) < new.timestampMs(at: newIndex))
            columns.append(contentsOf: old, begin..<oldIndex)
        }
        forgetHint(in: &columns, at: at)
    }
}

/// The histogram at `index` has another predecessor than the one its hint is about.
func forgetHint(in columns: inout SampleColumns, at index: Int) {
    guard let hint = columns.histogramHint(at: index), hint == .reset || hint == .noReset else { return }
    columns.setHistogramHint(.unknown, at: index)
}
