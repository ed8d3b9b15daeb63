/// Sets of slots as sorted arrays without repetition: what matchers are turned into.
enum SortedSlots {
    /// Keeps in `slots` those that `other` holds too.
    static func intersect(_ slots: inout [UInt32], with other: UnsafeBufferPointer<UInt32>) {
        unsafe filter(&slots, by: other, keepFound: true)
    }

    /// Removes from `slots` those that `other` holds.
    static func subtract(_ slots: inout [UInt32], _ other: UnsafeBufferPointer<UInt32>) {
        if other.count > 0 { unsafe filter(&slots, by: other, keepFound: false) }
    }

    /// One pass over both. In `other` it gallops: doubling steps, then a binary search, so a short list against a long
    /// one costs the short one's length times a logarithm.
    private static func filter(_ slots: inout [UInt32], by other: UnsafeBufferPointer<UInt32>, keepFound: Bool) {
        let otherCount = other.count
        let kept = unsafe slots.withUnsafeMutableBufferPointer { mine in
            // SAFETY: `kept` never passes `index`, and both searches stay below `otherCount`.
            var kept = 0
            var position = 0
            for index in 0..<mine.count {
                let wanted = unsafe mine[index]
                if unsafe position < otherCount && other[position] < wanted {
                    var step = 1
                    var low = position
                    while unsafe low &+ step < otherCount && other[low &+ step] < wanted {
                        low &+= step
                        step &<<= 1
                    }
                    var high = min(low &+ step, otherCount)
                    while low &+ 1 < high {
                        let middle = (low &+ high) &>> 1
                        if unsafe other[middle] < wanted { low = middle } else { high = middle }
                    }
                    position = high
                }
                let found = unsafe position < otherCount && other[position] == wanted
                if found == keepFound {
                    unsafe mine[kept] = wanted
                    kept &+= 1
                }
            }
            return kept
        }
        slots.removeLast(slots.count - kept)
    }
}
