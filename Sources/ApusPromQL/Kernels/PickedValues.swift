/// The k greatest, or least, of some values: what `topk` and `bottomk` pick, and in which order.
///
/// Of equal values any may be picked, and people compare answers; so ties are settled as in Prometheus: by a heap that
/// has the value to lose first on top, with the sift operations of Go's `container/heap`, and in the end an insertion
/// sort.
struct PickedValues {
    struct Pick {
        let value: Double
        /// The number of the series it is of.
        let position: Int
    }
    /// A heap, until `sort` is called.
    private(set) var picks: [Pick] = []
    let isTop: Bool

    init(isTop: Bool) { self.isTop = isTop }

    mutating func removeAll() { picks.removeAll(keepingCapacity: true) }

    /// Whether `a` is to be lost before `b`. NaN goes before all.
    private func isLess(_ a: Pick, _ b: Pick) -> Bool {
        a.value.isNaN || (isTop ? a.value < b.value : a.value > b.value)
    }

    mutating func offer(_ value: Double, _ position: Int, atMost limit: Int) {
        let pick = Pick(value: value, position: position)
        if picks.count < limit {
            picks.append(pick)
            siftUp(picks.count - 1)
            return
        }
        guard let worst = picks.first?.value else { return }
        if (isTop ? worst < value : worst > value) || (worst.isNaN && !value.isNaN) {
            picks[0] = pick
            siftDown(0)
        }
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard isLess(picks[child], picks[parent]) else { return }
            picks.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while 2 * parent + 1 < picks.count {
            var child = 2 * parent + 1
            if child + 1 < picks.count, isLess(picks[child + 1], picks[child]) { child += 1 }
            guard isLess(picks[child], picks[parent]) else { return }
            picks.swapAt(child, parent)
            parent = child
        }
    }

    /// Puts the best first.
    mutating func sort() {
        // Up to here Go sorts by insertion; beyond it, what becomes of equal values is nobody's expectation.
        let longestInsertion = 12
        if picks.count > longestInsertion {
            let order = picks.indices.sorted {
                if isLess(picks[$1], picks[$0]) != isLess(picks[$0], picks[$1]) { return isLess(picks[$1], picks[$0]) }
                return $0 < $1
            }
            picks = order.map { picks[$0] }
            return
        }
        for index in picks.indices.dropFirst() {
            var place = index
            while place > 0, isLess(picks[place - 1], picks[place]) {
                picks.swapAt(place, place - 1)
                place -= 1
            }
        }
    }
}
