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
}

/// What a select can say before it has run a pattern.
struct SelectPlan {
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
        var plan = SelectPlan()
        var required: [LabelPair] = []
        var removed: [LabelPair] = []
        for matcher in matchers {
            let matchesEmpty = matcher.matchesEmpty
            let name = symbols.find(matcher.name.bytes.span)
            if matcher.kind == .equal && !matchesEmpty || matcher.kind == .notEqual && matchesEmpty {
                var pair: LabelPair?
                if let name, let value = symbols.find(matcher.value.bytes.span), let number = index.find(name: name, value: value) {
                    pair = index.pairs[Int(number)]
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
                    if let name, let value = symbols.find(literal.bytes.span), let pair = index.find(name: name, value: value),
                        !pairs.contains(pair)
                    {
                        pairs.append(pair)
                    }
                }
                plan.resolved.append(.init(subtracts: matchesEmpty, pairs: pairs))
            } else {
                plan.tests.append(
                    .init(matcher: matcher, subtracts: matchesEmpty, name: name, pairs: name.map { index.pairs(ofName: $0) } ?? []))
            }
        }
        if required.isEmpty {
            if removed.isEmpty { return plan }
            // Only `!=`: from all series. With a pattern that selects, those two orders give the same.
            plan.candidates = allSlots()
        } else {
            required.sort { $0.count < $1.count }
            var slots = unsafe index.withPostings(of: required[0]) { unsafe Array($0) }
            for pair in required.dropFirst() { unsafe index.withPostings(of: pair) { unsafe SortedSlots.intersect(&slots, with: $0) } }
            plan.candidates = slots
        }
        if var slots = plan.candidates {
            plan.candidates = nil
            for pair in removed { unsafe index.withPostings(of: pair) { unsafe SortedSlots.subtract(&slots, $0) } }
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

    private func allSlots() -> [UInt32] {
        var slots: [UInt32] = []
        slots.reserveCapacity(seriesCount)
        unsafe series.forEachLive { slot, _ in slots.append(slot) }
        return slots
    }

    /// The slots on any of the lists. A series has one value for a name, so no slot is on two.
    private func union(of pairs: [UInt32]) -> [UInt32] {
        let lists = pairs.map { index.pairs[Int($0)] }.filter { $0.count > 0 }
        guard let first = lists.first else { return [] }
        if lists.count == 1 { return unsafe index.withPostings(of: first) { unsafe Array($0) } }
        let total = lists.reduce(0) { $0 + Int($1.count) }
        var slots: [UInt32] = []
        slots.reserveCapacity(total)
        if total < series.nextSlot / 64 {
            for list in lists { unsafe index.withPostings(of: list) { unsafe slots.append(contentsOf: $0) } }
            slots.sort()
            return slots
        }
        // Many: a bit for each slot sorts in one pass.
        var words = [UInt64](repeating: 0, count: series.nextSlot / 64 + 1)
        for list in lists {
            unsafe index.withPostings(of: list) { list in
                for unsafe slot in unsafe list { words[Int(slot &>> 6)] |= 1 &<< UInt64(slot & 63) }
            }
        }
        for (position, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                slots.append(UInt32(truncatingIfNeeded: position &* 64 &+ rest.trailingZeroBitCount))
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
            guard state.isLive, state.hasSamples, state.firstTime <= maxTime, state.xor.time >= oldest else { continue }
            views.append(
                SeriesView(
                    sealed: state.sealed, slot: slot, labelOffset: state.labelOffset, sealedCount: state.sealedCount,
                    openCount: state.open == 0 ? 0 : state.xor.count))
        }
        return views
    }

    /// Whether a pair has a series with samples in the range: usually the first it looks at.
    func isUsed(_ pair: UInt32, minTime: Int64, maxTime: Int64) -> Bool {
        let oldest = max(minTime, oldestTime)
        return unsafe index.withPostings(of: index.pairs[Int(pair)]) { slots in
            for unsafe slot in unsafe slots {
                guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive, unsafe entry.pointee.hasSamples,
                    unsafe entry.pointee.firstTime <= maxTime, unsafe entry.pointee.xor.time >= oldest
                else { continue }
                return true
            }
            return false
        }
    }

    // MARK: Without the lock, by readers whose epoch holds the series

    /// The pair of `name` in a run, nil when the series has no such label.
    func pair(ofName name: UInt32, at labelOffset: UInt32) -> UInt32? {
        for unsafe pair in unsafe run(at: labelOffset) {
            // SAFETY: runs hold numbers of known pairs; their symbols never change.
            if unsafe index.pairs.base[Int(pair)].name == name { return pair }
        }
        return nil
    }

    func value(of pair: UInt32) -> UInt32 { unsafe index.pairs.base[Int(pair)].value }
    func name(of pair: UInt32) -> UInt32 { unsafe index.pairs.base[Int(pair)].name }

    func matches(_ matcher: Matcher, value symbol: UInt32) -> Bool {
        let content = unsafe symbols.content(symbol)
        return unsafe matcher.matches(content.span)
    }

    /// The pairs that decide a test: those to select, or those to take away.
    func resolve(_ test: SelectPlan.Test) -> ResolvedTest {
        ResolvedTest(
            subtracts: test.subtracts, pairs: test.pairs.filter { matches(test.matcher, value: value(of: $0)) != test.subtracts })
    }

    /// Applies a test to each view's own labels, each value judged once.
    func filter(_ views: [SeriesView], _ test: SelectPlan.Test) -> [SeriesView] {
        guard let name = test.name else { return test.subtracts ? views : [] }
        var verdicts: [UInt32: Bool] = [:]
        return views.filter { view in
            guard let pair = pair(ofName: name, at: view.labelOffset) else { return test.subtracts }
            if let verdict = verdicts[pair] { return verdict }
            let verdict = matches(test.matcher, value: value(of: pair))
            verdicts[pair] = verdict
            return verdict
        }
    }

    /// Sorts by labels in byte order.
    ///
    /// A comparison of two label sets would read symbols all over the arena, n log n times. So the distinct pairs are
    /// sorted once, and series are compared by the ranks of their pairs: the first two that tell any of them apart in
    /// one integer, the others when those are equal.
    func sort(_ views: inout [SeriesView]) {
        if views.count < 2 { return }
        // The runs one after the other, first as pair numbers and then as ranks, each ended by 0: a prefix sorts first.
        var ranks: [UInt32] = []
        ranks.reserveCapacity(views.count * 8)
        var starts: [Int] = []
        starts.reserveCapacity(views.count)
        for view in views {
            starts.append(ranks.count)
            for unsafe pair in unsafe run(at: view.labelOffset) { ranks.append(pair &+ 1) }
            ranks.append(0)
        }
        rankPairs(&ranks)

        var keys: [(key: UInt64, index: Int)] = []
        keys.reserveCapacity(views.count)
        let common = commonPrefix(ranks, starts)
        for (index, start) in starts.enumerated() {
            let first = ranks[start + common]
            let second = first == 0 ? 0 : ranks[start + common + 1]
            keys.append((UInt64(first) &<< 32 | UInt64(second), index))
        }
        unsafe ranks.withUnsafeBufferPointer { ranks in
            keys.sort { left, right in
                if left.key != right.key { return left.key < right.key }
                // SAFETY: every run ends with 0, and no two series have equal runs.
                var (l, r) = (starts[left.index] + common, starts[right.index] + common)
                while unsafe ranks[l] == ranks[r] && ranks[l] != 0 {
                    l &+= 1
                    r &+= 1
                }
                return unsafe ranks[l] < ranks[r]
            }
        }
        views = keys.map { views[$0.index] }
    }

    /// Pairs that all runs begin with, so that the keys start where series differ.
    private func commonPrefix(_ ranks: [UInt32], _ starts: [Int]) -> Int {
        var common = 0
        while ranks[starts[0] + common] != 0 {
            let rank = ranks[starts[0] + common]
            for start in starts where ranks[start + common] != rank { return common }
            common += 1
        }
        return common
    }

    /// Replaces each pair number + 1 by the rank of the pair + 1; zeros stay.
    private func rankPairs(_ numbers: inout [UInt32]) {
        var distinct: [UInt32] = []
        // A mark for each pair there is, when they are not many more than those asked for; else a sort.
        let isDense = index.pairCount <= numbers.count &* 4 &+ 1024
        var table = [UInt32](repeating: 0, count: isDense ? index.pairCount + 1 : 0)
        if isDense {
            for number in numbers where number != 0 && table[Int(number)] == 0 {
                table[Int(number)] = 1
                distinct.append(number)
            }
        } else {
            distinct = Array(Set(numbers))
            distinct.removeAll { $0 == 0 }
        }
        distinct.sort { left, right in
            let byName = symbols.compare(name(of: left &- 1), name(of: right &- 1))
            return byName != 0 ? byName < 0 : symbols.compare(value(of: left &- 1), value(of: right &- 1)) < 0
        }
        if isDense {
            for (rank, number) in distinct.enumerated() { table[Int(number)] = UInt32(truncatingIfNeeded: rank &+ 1) }
            for position in numbers.indices where numbers[position] != 0 { numbers[position] = table[Int(numbers[position])] }
        } else {
            var ranks: [UInt32: UInt32] = [:]
            for (rank, number) in distinct.enumerated() { ranks[number] = UInt32(truncatingIfNeeded: rank &+ 1) }
            for position in numbers.indices where numbers[position] != 0 { numbers[position] = ranks[numbers[position]] ?? 0 }
        }
    }
}
