import ApusBytes
public import ApusModel
public import ApusStorage

/// The newest exemplars of all series, in a ring: when it is full, the one that came first makes room.
///
///     entries   │ a₃ │ b₂ │ a₄ │ c₁ │ a₁ │ b₁ │ a₂ │      in order of arrival, `next` is where the next one goes
///                                     ▲ next
///     series    a: oldest, newest ─▶ entries linked both ways, in order of time
///
/// Entries are made as they come, 48 bytes and the labels each, up to the capacity. Exemplars outlive their series: what a
/// query needs of the series, its labels, is here. It may be used from any thread; its lock is its own.
public final class ExemplarRing: Sendable {
    /// No ring is larger; links are 32 bits wide.
    public static let maxCapacity = Int(Int32.max)

    /// What became of an exemplar.
    public enum Verdict: Equatable, Sendable {
        case stored
        /// Not stored, and not the sender's fault: its timestamp is there already, or the ring has no room at all.
        case ignored
        case rejected(AppendOutcome.Reason)
    }

    public struct Statistics: Equatable, Sendable {
        public var capacity = 0
        public var count = 0
        public var series = 0
        /// Of the exemplar that will be the next to go, ms; 0 when there is none.
        public var oldestTimestampMs: Int64 = 0
        public var appended: UInt64 = 0
        public var outOfOrder: UInt64 = 0
    }

    private static let none = Int32(-1)

    private struct Entry {
        var exemplar: Exemplar
        /// A ref; 0 for an entry that is empty.
        var series: UInt64
        var previous = ExemplarRing.none
        var next = ExemplarRing.none
    }

    private struct Series {
        let labels: LabelSet
        /// By time, not by arrival.
        var oldest = ExemplarRing.none
        var newest = ExemplarRing.none
    }

    private struct State {
        var entries: [Entry] = []
        var capacity: Int
        /// Where the next one goes, once the entries are as many as the capacity.
        var next = 0
        var series: [UInt64: Series] = [:]
        var windowMs: Int64 = 0
        var statistics = Statistics()
    }

    private let state: Locked<State>

    /// - Parameter capacity: exemplars to keep; 0 for none at all.
    public init(capacity: Int) { state = Locked(State(capacity: min(max(0, capacity), Self.maxCapacity))) }

    public var capacity: Int { state.withLock { $0.capacity } }

    /// An exemplar may be older than its series' newest by less than this; 0 for not at all.
    public func setOutOfOrderWindow(ms: Int64) { state.withLock { $0.windowMs = max(0, ms) } }

    public func statistics() -> Statistics {
        state.withLock { state in
            var result = state.statistics
            result.capacity = state.capacity
            result.count = state.entries.count
            result.series = state.series.count
            if !state.entries.isEmpty {
                result.oldestTimestampMs = state.entries[state.entries.count < state.capacity ? 0 : state.next].exemplar.timestampMs
            }
            return result
        }
    }

    // MARK: Adding

    /// Why `add` would not store an exemplar; nil when it would, or would ignore it. Changes nothing.
    public func check(_ ref: SeriesRef, _ exemplar: Exemplar) -> AppendOutcome.Reason? {
        state.withLock { state in Self.reason(state, ref.rawValue, exemplar) }
    }

    /// - Parameter labels: of the series; asked for when it has no exemplar yet.
    public func add(_ ref: SeriesRef, _ exemplar: Exemplar, labels: () -> LabelSet?) -> Verdict {
        state.withLock { state in
            if state.capacity == 0 { return .ignored }
            let key = ref.rawValue
            if let reason = Self.reason(state, key, exemplar) {
                if reason == .outOfOrderExemplar { state.statistics.outOfOrder &+= 1 }
                return .rejected(reason)
            }
            if let known = state.series[key], exemplar.timestampMs < state.entries[Int(known.newest)].exemplar.timestampMs {
                let before = Self.entryBefore(state, known, exemplar.timestampMs)
                // Taken for the same: to compare with each of this time would cost too much.
                if before != Self.none && state.entries[Int(before)].exemplar.timestampMs == exemplar.timestampMs { return .ignored }
            } else if state.series[key] == nil {
                guard key != 0, let labels = labels() else { return .rejected(.unknownSeries) }
                state.series[key] = Series(labels: labels)
            }
            let index: Int32
            let entry = Entry(exemplar: exemplar, series: key)
            if state.entries.count < state.capacity {
                index = Int32(truncatingIfNeeded: state.entries.count)
                state.entries.append(entry)
            } else {
                index = Int32(truncatingIfNeeded: state.next)
                Self.unlink(&state, index, keeping: key)
                state.entries[state.next] = entry
                state.next = (state.next + 1) % state.capacity
            }
            Self.link(&state, index)
            state.statistics.appended &+= 1
            return .stored
        }
    }

    private static func reason(_ state: State, _ key: UInt64, _ exemplar: Exemplar) -> AppendOutcome.Reason? {
        if state.capacity == 0 { return nil }
        if characters(of: exemplar.labels, limit: Exemplar.maxLabelCharacters) > Exemplar.maxLabelCharacters { return .exemplarLabelsTooLong }
        guard let series = state.series[key] else { return nil }
        let newest = state.entries[Int(series.newest)].exemplar
        let isSameTime = exemplar.timestampMs == newest.timestampMs
        if newest.value == exemplar.value && newest.labels == exemplar.labels
            && (isSameTime || !(newest.hasTimestamp || exemplar.hasTimestamp))
        {
            return .duplicateExemplar
        }
        if isSameTime {
            // Those of one time come in order of value, one for each bucket: what is not behind the newest was there before.
            // Differs from Prometheus: equal values are told apart by their labels and not by a hash of them.
            if exemplar.value < newest.value { return .outOfOrderExemplar }
            if exemplar.value == newest.value && exemplar.labels < newest.labels { return .outOfOrderExemplar }
        } else if exemplar.timestampMs < newest.timestampMs {
            let (bound, overflow) = newest.timestampMs.subtractingReportingOverflow(state.windowMs)
            if !overflow && exemplar.timestampMs <= bound { return .outOfOrderExemplar }
        }
        return nil
    }

    /// Characters of names and values; counts on for a little above the limit only. A byte that is not UTF-8 is one.
    private static func characters(of labels: LabelSet, limit: Int) -> Int {
        let span = labels.encoded.span
        var count = 0
        for pair in labels.ranges {
            for range in [pair.name, pair.value] {
                count += unicodeScalars(span.extracting(range))
                if count > limit { return count }
            }
        }
        return count
    }

    /// The newest entry of a series at or before a time; `none` when all are later.
    private static func entryBefore(_ state: State, _ series: Series, _ timeMs: Int64) -> Int32 {
        // From the newest back: what is late is seldom very late.
        var index = series.newest
        while index != none && state.entries[Int(index)].exemplar.timestampMs > timeMs { index = state.entries[Int(index)].previous }
        return index
    }

    /// Puts an entry into its series' list.
    private static func link(_ state: inout State, _ index: Int32) {
        let entry = state.entries[Int(index)]
        guard var series = state.series[entry.series] else { return }
        let before = entryBefore(state, series, entry.exemplar.timestampMs)
        let after = before == none ? series.oldest : state.entries[Int(before)].next
        state.entries[Int(index)].previous = before
        state.entries[Int(index)].next = after
        if before == none { series.oldest = index } else { state.entries[Int(before)].next = index }
        if after == none { series.newest = index } else { state.entries[Int(after)].previous = index }
        state.series[entry.series] = series
    }

    /// Takes an entry out of its series' list, and the series away when it was the last, but for `kept`.
    private static func unlink(_ state: inout State, _ index: Int32, keeping kept: UInt64? = nil) {
        let entry = state.entries[Int(index)]
        guard var series = state.series[entry.series] else { return }
        if entry.previous == none { series.oldest = entry.next } else { state.entries[Int(entry.previous)].next = entry.next }
        if entry.next == none { series.newest = entry.previous } else { state.entries[Int(entry.next)].previous = entry.previous }
        state.series[entry.series] = series.oldest == none && entry.series != kept ? nil : series
    }

    // MARK: Size

    /// Changes the capacity, at run time too. Those that came last stay.
    /// - Returns: how many stayed.
    @discardableResult
    public func resize(to newCapacity: Int) -> Int {
        state.withLock { state in
            let newCapacity = min(max(0, newCapacity), Self.maxCapacity)
            if newCapacity == state.capacity { return state.entries.count }
            let count = state.entries.count
            let first = count < state.capacity ? 0 : state.next
            let dropped = max(0, count - newCapacity)
            for position in 0..<dropped { Self.unlink(&state, Int32(truncatingIfNeeded: (first + position) % count)) }
            // In order of arrival, from 0 on.
            var moved = [Int32](repeating: Self.none, count: count)
            var entries: [Entry] = []
            entries.reserveCapacity(count - dropped)
            for position in dropped..<count {
                let old = (first + position) % count
                moved[old] = Int32(truncatingIfNeeded: entries.count)
                entries.append(state.entries[old])
            }
            for index in entries.indices {
                if entries[index].previous != Self.none { entries[index].previous = moved[Int(entries[index].previous)] }
                if entries[index].next != Self.none { entries[index].next = moved[Int(entries[index].next)] }
            }
            for (key, series) in state.series {
                state.series[key]?.oldest = moved[Int(series.oldest)]
                state.series[key]?.newest = moved[Int(series.newest)]
            }
            state.entries = entries
            state.capacity = newCapacity
            state.next = 0
            return entries.count
        }
    }

    // MARK: Reading

    /// One series and some of its exemplars, in order of time.
    public struct Selected: Sendable, Equatable {
        public let labels: LabelSet
        public internal(set) var exemplars: [Exemplar]
    }

    /// The exemplars in `[minTimeMs, maxTimeMs]` of the series that match all matchers of any of the sets; in order of labels.
    public func select(_ matcherSets: [[Matcher]], minTimeMs: Int64, maxTimeMs: Int64) -> [Selected] {
        // Matched without the lock: a pattern over all series would make every scrape wait.
        let candidates: [(key: UInt64, labels: LabelSet)] = state.withLock { state in
            state.series.compactMap { key, series in
                let oldest = state.entries[Int(series.oldest)].exemplar.timestampMs
                let newest = state.entries[Int(series.newest)].exemplar.timestampMs
                return oldest > maxTimeMs || newest < minTimeMs ? nil : (key, series.labels)
            }
        }
        var matching = candidates.filter { candidate in
            matcherSets.contains { matchers in
                matchers.allSatisfy { matcher in
                    let span = candidate.labels.encoded.span
                    guard let range = candidate.labels.valueRange(of: matcher.name.bytes.span) else { return matcher.matchesEmpty }
                    return matcher.matches(span.extracting(range))
                }
            }
        }
        matching.sort { $0.labels < $1.labels }
        let found: [Selected] = state.withLock { state in
            matching.map { Selected(labels: $0.labels, exemplars: Self.exemplars(state, $0.key, minTimeMs, maxTimeMs)) }
        }
        var result: [Selected] = []
        for one in found where !one.exemplars.isEmpty {
            // A series that was collected and came again has two refs.
            if let last = result.last, last.labels == one.labels {
                result[result.count - 1].exemplars.append(contentsOf: one.exemplars)
                result[result.count - 1].exemplars.sort { $0.timestampMs < $1.timestampMs }
            } else {
                result.append(one)
            }
        }
        return result
    }

    private static func exemplars(_ state: State, _ key: UInt64, _ minTimeMs: Int64, _ maxTimeMs: Int64) -> [Exemplar] {
        guard let series = state.series[key] else { return [] }
        var result: [Exemplar] = []
        var index = series.oldest
        while index != none {
            let entry = state.entries[Int(index)]
            if entry.exemplar.timestampMs > maxTimeMs { break }
            if entry.exemplar.timestampMs >= minTimeMs { result.append(entry.exemplar) }
            index = entry.next
        }
        return result
    }

    /// Everything, in order of arrival: for a snapshot.
    public func all() -> [(labels: LabelSet, exemplar: Exemplar)] {
        state.withLock { state in
            let first = state.entries.count < state.capacity ? 0 : state.next
            return state.entries.indices.compactMap { position in
                let entry = state.entries[(first + position) % state.entries.count]
                return state.series[entry.series].map { ($0.labels, entry.exemplar) }
            }
        }
    }

    /// Checks what must hold between entries and series; for tests. Stops the process when something does not.
    func checkInvariants() {
        state.withLock { state in
            var listed = 0
            for (key, series) in state.series {
                var index = series.oldest
                var previous = Self.none
                while index != Self.none {
                    let entry = state.entries[Int(index)]
                    precondition(entry.series == key && entry.previous == previous, "an exemplar in the wrong list")
                    if previous != Self.none {
                        let before = state.entries[Int(previous)].exemplar.timestampMs
                        precondition(before <= entry.exemplar.timestampMs, "exemplars of a series out of order")
                    }
                    previous = index
                    index = entry.next
                    listed += 1
                }
                precondition(series.newest == previous && previous != Self.none, "a list of exemplars that does not end with its newest")
            }
            precondition(listed == state.entries.count && listed <= max(state.capacity, 0), "exemplars that are in no list")
        }
    }
}

/// Unicode scalars of some bytes, each byte that is not part of one counted as one.
func unicodeScalars(_ bytes: Span<UInt8>) -> Int {
    var count = 0
    var index = 0
    while index < bytes.count {
        let first = bytes[index]
        let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        index += length <= bytes.count - index && isValidUTF8(bytes.extracting(index..<index + length)) ? length : 1
        count += 1
    }
    return count
}
