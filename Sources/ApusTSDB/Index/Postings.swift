/// The series that have one label pair, sorted, as they lie in the file: u32 each, big endian.
@safe struct PostingsList: BitwiseCopyable, @unchecked Sendable {
    // `@unchecked`: points into a mapping that is read-only; who made it keeps the file.
    private let base: UnsafeRawPointer
    let count: Int

    /// - Parameter base: `count` × 4 bytes that stay as long as the list.
    @unsafe init(_ base: UnsafeRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// `index` must be below `count`.
    @inline(__always)
    subscript(_ index: Int) -> UInt32 {
        // SAFETY: the callers below keep `index` in 0..<count.
        unsafe UInt32(bigEndian: base.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
    }

    /// All of them, decoded.
    var refs: [UInt32] {
        var refs: [UInt32] = []
        refs.reserveCapacity(count)
        for index in 0..<count { refs.append(self[index]) }
        return refs
    }
}

/// Sets of series as sorted arrays: what matchers are turned into.
enum Postings {
    /// Keeps in `refs` those that `other` holds too.
    static func intersect(_ refs: inout [UInt32], with other: PostingsList) { filter(&refs, by: other, keepFound: true) }

    /// Removes from `refs` those that `other` holds.
    static func subtract(_ refs: inout [UInt32], _ other: PostingsList) { filter(&refs, by: other, keepFound: false) }

    /// Keeps in `refs` those that `other` holds (`keepFound`), or those it does not hold.
    /// Whether a series is in both. Each side leaps over what the other has not.
    static func intersects(_ refs: [UInt32], _ other: PostingsList) -> Bool {
        var (mine, theirs) = (0, 0)
        while mine < refs.count && theirs < other.count {
            let (left, right) = (refs[mine], other[theirs])
            if left == right { return true }
            if left < right {
                mine = leap(from: mine, below: refs.count) { refs[$0] < right }
            } else {
                theirs = leap(from: theirs, below: other.count) { other[$0] < left }
            }
        }
        return false
    }

    /// The first index after `start` for which `isBefore` does not hold, given that it holds for all before it.
    @inline(__always)
    private static func leap(from start: Int, below count: Int, _ isBefore: (Int) -> Bool) -> Int {
        var (low, step) = (start, 1)
        while low + step < count, isBefore(low + step) {
            low += step
            step *= 2
        }
        var high = min(low + step, count)
        while low + 1 < high {
            let middle = (low + high) / 2
            if isBefore(middle) { low = middle } else { high = middle }
        }
        return high
    }

    static func filter(_ refs: inout [UInt32], by other: [UInt32], keepFound: Bool) {
        var position = 0
        var kept = 0
        for index in refs.indices {
            let wanted = refs[index]
            while position < other.count && other[position] < wanted { position &+= 1 }
            let found = position < other.count && other[position] == wanted
            if found == keepFound {
                refs[kept] = wanted
                kept &+= 1
            }
        }
        refs.removeLast(refs.count - kept)
    }

    /// One pass over both. In `other` it gallops: doubling steps, then a binary search, so a short list against a long
    /// one costs the short one's length times a logarithm, and pages of the file in between are not read.
    private static func filter(_ refs: inout [UInt32], by other: PostingsList, keepFound: Bool) {
        let otherCount = other.count
        let kept = unsafe refs.withUnsafeMutableBufferPointer { mine in
            // SAFETY: `kept` never passes `index`, and all places asked of `other` are below `otherCount`, sorted or not.
            var kept = 0
            var position = 0
            for index in 0..<mine.count {
                let wanted = unsafe mine[index]
                if position < otherCount && other[position] < wanted {
                    var step = 1
                    var low = position
                    while low &+ step < otherCount && other[low &+ step] < wanted {
                        low &+= step
                        step &<<= 1
                    }
                    var high = min(low &+ step, otherCount)
                    while low &+ 1 < high {
                        let middle = (low &+ high) &>> 1
                        if other[middle] < wanted { low = middle } else { high = middle }
                    }
                    position = high
                }
                let found = position < otherCount && other[position] == wanted
                if found == keepFound {
                    unsafe mine[kept] = wanted
                    kept &+= 1
                }
            }
            return kept
        }
        refs.removeLast(refs.count - kept)
    }

    /// The refs on any of the lists, sorted. A series has one value for a name, so none is on two lists of one name.
    /// - Parameter bound: no ref is above it.
    static func union(_ lists: [PostingsList], bound: Int) -> [UInt32] {
        guard let first = lists.first else { return [] }
        if lists.count == 1 { return first.refs }
        var total = 0
        for list in lists { total += list.count }
        var refs: [UInt32] = []
        refs.reserveCapacity(total)
        if total < bound / 64 {
            for list in lists { for index in 0..<list.count { refs.append(list[index]) } }
            refs.sort()
            return refs
        }
        // Many: a bit for each place sorts in one pass.
        var words = [UInt64](repeating: 0, count: bound / 64 + 1)
        let wordCount = words.count
        for list in lists {
            for index in 0..<list.count {
                let ref = list[index]
                let word = Int(ref >> 6)
                if word < wordCount { words[word] |= 1 &<< UInt64(ref & 63) }
            }
        }
        for (position, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                refs.append(UInt32(truncatingIfNeeded: position &* 64 &+ rest.trailingZeroBitCount))
                rest &= rest &- 1
            }
        }
        return refs
    }
}
