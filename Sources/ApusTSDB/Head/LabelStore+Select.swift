import ApusBytes
import ApusStorage

/// What a select asks of label sets. Without the head's lock, by readers whose epoch holds the series.
extension LabelStore {
    /// The pair of `name` in a run, nil when the series has no such label.
    func pair(ofName name: UInt32, at labelOffset: UInt32) -> UInt32? {
        for unsafe pair in unsafe run(at: labelOffset) {
            // SAFETY: runs hold numbers of known pairs; their symbols never change.
            if unsafe index.pairs.base[Int(pair)].name == name { return pair }
        }
        return nil
    }

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
        // A mark for each number up to the highest, when they are not many more than those asked for; else a sort.
        let highest = Int(numbers.max() ?? 0)
        let isDense = highest <= numbers.count &* 4 &+ 1024
        var table = [UInt32](repeating: 0, count: isDense ? highest + 1 : 0)
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
