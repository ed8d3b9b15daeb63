import ApusBytes
import ApusModel
import ApusStorage

/// A series as a select saw it. What is appended later stays out of sight: sealed chunks that come later are not
/// reachable from `sealed`, and of the open chunk only the first `openCount` samples are decoded.
struct SeriesView: BitwiseCopyable {
    /// Address of the newest sealed chunk.
    let sealed: UInt
    let slot: UInt32
    let labelOffset: UInt32
    /// Tells whether the open chunk has been sealed since.
    let sealedCount: UInt32
    let openCount: UInt16

    init(_ slot: UInt32, _ series: MemSeries) {
        sealed = series.sealed
        self.slot = slot
        labelOffset = series.labelOffset
        sealedCount = series.sealedCount
        openCount = series.mayHaveOpenChunk ? series.xor.count : 0
    }
}

/// What a select found, with what is needed to read it.
struct Selection {
    var views: [SeriesView]
    /// The store that the views' label runs are in.
    let labels: LabelStore
    /// Deleted times by slot.
    let tombstones: [UInt32: TimeRanges]
}

/// What a select can say before it has run a pattern.
struct SelectPlan {
    /// The store that the numbers of pairs are of.
    let labels: LabelStore
    /// One matcher that needs a look at the values of its label.
    struct Test {
        let matcher: Matcher
        /// It matches a series without the label: then the series whose value does *not* match are taken away, since
        /// those without it are on no list.
        let subtracts: Bool
        /// Symbol of the label's name, nil when no series has it.
        let name: UInt32?
        let pairs: [UInt32]
    }
    /// What the equalities leave, nil when there was none and every series is still possible.
    var candidates: [UInt32]?
    /// The candidates as views, when there are candidates.
    var views: [SeriesView] = []
    var tests: [Test] = []
    /// Patterns that are lists of values, which the index answers like equalities.
    var resolved: [ResolvedTest] = []
}

/// A test with the pairs that decide it.
struct ResolvedTest {
    let subtracts: Bool
    let pairs: [UInt32]
}

extension HeadState {
    /// First step of a select: equalities by the index, patterns left for later.
    func plan(_ matchers: [Matcher], minTime: Int64, maxTime: Int64) -> SelectPlan {
        var plan = SelectPlan(labels: labels)
        var required: [LabelPair] = []
        var removed: [LabelPair] = []
        for matcher in matchers {
            let matchesEmpty = matcher.matchesEmpty
            let name = labels.symbols.find(matcher.name.bytes.span)
            if matcher.kind == .equal && !matchesEmpty || matcher.kind == .notEqual && matchesEmpty {
                var pair: LabelPair?
                if let name, let value = labels.symbols.find(matcher.value.bytes.span), let number = labels.index.find(name: name, value: value) {
                    pair = labels.index.pairs[Int(number)]
                }
                if matcher.kind == .equal {
                    guard let pair, pair.count > 0 else {
                        plan.candidates = []
                        return plan
                    }
                    required.append(pair)
                } else if let pair {
                    removed.append(pair)
                }
            } else if matcher.regex?.matchesEverything == true {
                if matcher.kind == .regex { continue }
                plan.candidates = []
                return plan
            } else if let literals = matcher.regex?.literalValues, matchesEmpty == (matcher.kind == .notRegex) {
                // None of the values is empty, so those of `=~` are to select and those of `!~` to take away.
                var pairs: [UInt32] = []
                for literal in literals {
                    if let name, let value = labels.symbols.find(literal.bytes.span), let pair = labels.index.find(name: name, value: value),
                        !pairs.contains(pair)
                    {
                        pairs.append(pair)
                    }
                }
                plan.resolved.append(.init(subtracts: matchesEmpty, pairs: pairs))
            } else {
                plan.tests.append(
                    .init(matcher: matcher, subtracts: matchesEmpty, name: name, pairs: name.map { labels.index.pairs(ofName: $0) } ?? []))
            }
        }
        if required.isEmpty {
            if removed.isEmpty { return plan }
            // Only `!=`: from all series. With a pattern that selects, those two orders give the same.
            plan.candidates = allSlots()
        } else {
            required.sort { $0.count < $1.count }
            var slots = unsafe labels.index.withPostings(of: required[0]) { unsafe Array($0) }
            for pair in required.dropFirst() { unsafe labels.index.withPostings(of: pair) { unsafe SortedSlots.intersect(&slots, with: $0) } }
            plan.candidates = slots
        }
        if var slots = plan.candidates {
            plan.candidates = nil
            for pair in removed { unsafe labels.index.withPostings(of: pair) { unsafe SortedSlots.subtract(&slots, $0) } }
            plan.views = views(of: slots, minTime: minTime, maxTime: maxTime)
            plan.candidates = slots
        }
        return plan
    }

    /// Last step, for the tests that go by postings.
    func finish(_ plan: SelectPlan, _ tests: [ResolvedTest], minTime: Int64, maxTime: Int64) -> [SeriesView] {
        var slots = plan.candidates
        for test in tests where !test.subtracts {
            let union = union(of: test.pairs)
            if var known = slots {
                slots = nil
                unsafe union.withUnsafeBufferPointer { unsafe SortedSlots.intersect(&known, with: $0) }
                slots = known
            } else {
                slots = union
            }
        }
        var result = slots ?? allSlots()
        for test in tests where test.subtracts {
            let union = union(of: test.pairs)
            unsafe union.withUnsafeBufferPointer { unsafe SortedSlots.subtract(&result, $0) }
        }
        return views(of: result, minTime: minTime, maxTime: maxTime)
    }

    func selection(_ views: [SeriesView]) -> Selection { Selection(views: views, labels: labels, tombstones: tombstones) }

    private func allSlots() -> [UInt32] {
        var slots: [UInt32] = []
        slots.reserveCapacity(seriesCount)
        unsafe series.forEachLive { slot, _ in slots.append(slot) }
        return slots
    }

    /// The slots on any of the lists. A series has one value for a name, so no slot is on two.
    private func union(of pairs: [UInt32]) -> [UInt32] {
        let lists = pairs.map { labels.index.pairs[Int($0)] }.filter { $0.count > 0 }
        guard let first = lists.first else { return [] }
        if lists.count == 1 { return unsafe labels.index.withPostings(of: first) { unsafe Array($0) } }
        let total = lists.reduce(0) { $0 + Int($1.count) }
        var slots: [UInt32] = []
        slots.reserveCapacity(total)
        if total < (series.nextSlot - series.firstSlot) / 64 {
            for list in lists { unsafe labels.index.withPostings(of: list) { unsafe slots.append(contentsOf: $0) } }
            slots.sort()
            return slots
        }
        // Many: a bit for each slot sorts in one pass.
        let firstWord = series.firstSlot / 64
        var words = [UInt64](repeating: 0, count: series.nextSlot / 64 + 1 - firstWord)
        for list in lists {
            unsafe labels.index.withPostings(of: list) { list in
                for unsafe slot in unsafe list {
                    let word = Int(slot &>> 6) &- firstWord
                    if word >= 0 && word < words.count { words[word] |= 1 &<< UInt64(slot & 63) }
                }
            }
        }
        for (position, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                slots.append(UInt32(truncatingIfNeeded: (position &+ firstWord) &* 64 &+ rest.trailingZeroBitCount))
                rest &= rest &- 1
            }
        }
        return slots
    }

    /// The series among `slots` that may have samples in `[minTime, maxTime]`, as they are now.
    private func views(of slots: [UInt32], minTime: Int64, maxTime: Int64) -> [SeriesView] {
        var views: [SeriesView] = []
        views.reserveCapacity(slots.count)
        let oldest = max(minTime, oldestTime)
        for slot in slots {
            guard let entry = unsafe series.pointer(Int(slot)) else { continue }
            // SAFETY: a slot that is not freed holds a series.
            let state = unsafe entry.pointee
            if state.isLive && (state.mayHaveSamples(in: oldest, maxTime) || hasOutOfOrder(slot, in: minTime, maxTime)) { views.append(SeriesView(slot, state)) }
        }
        return views
    }

    /// Whether a pair has a series with samples in the range: usually the first it looks at.
    func isUsed(_ pair: UInt32, minTime: Int64, maxTime: Int64) -> Bool {
        let oldest = max(minTime, oldestTime)
        return unsafe labels.index.withPostings(of: labels.index.pairs[Int(pair)]) { slots in
            for unsafe slot in unsafe slots {
                guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { continue }
                if unsafe entry.pointee.mayHaveSamples(in: oldest, maxTime) || hasOutOfOrder(slot, in: minTime, maxTime) { return true }
            }
            return false
        }
    }
}
