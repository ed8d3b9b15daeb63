import ApusStorage

/// A series that was taken out of the head, while readers may still hold it.
struct CollectedSeries: BitwiseCopyable {
    let slot: UInt32
    let labelOffset: UInt32
}

/// The refs of collected series, with the last segment of the log that may name them.
///
/// A checkpoint must keep the labels of such a ref as long as segments that it does not replace may hold samples of it:
/// a start reads the checkpoint first and then those segments, and would find samples of a series it does not know.
struct CollectedRefs {
    /// One collection: its refs in growing order.
    struct Group {
        let segment: Int
        let refs: [UInt64]
    }
    var groups: [Group] = []

    var count: Int { groups.reduce(0) { $0 + $1.refs.count } }

    /// - Parameter segment: no later one names these refs.
    mutating func add(_ refs: [UInt64], segment: Int) {
        if !refs.isEmpty { groups.append(Group(segment: segment, refs: refs.sorted())) }
    }

    /// Whether a segment above `segment` may name the ref.
    func isNamed(_ ref: UInt64, after segment: Int) -> Bool {
        groups.contains { group in
            guard group.segment > segment else { return false }
            var low = 0
            var high = group.refs.count
            while low < high {
                let middle = (low + high) / 2
                if group.refs[middle] < ref { low = middle + 1 } else { high = middle }
            }
            return low < group.refs.count && group.refs[low] == ref
        }
    }

    /// Forgets those that no segment after `segment` names.
    mutating func forget(upTo segment: Int) { groups.removeAll { $0.segment <= segment } }
}

/// Refs of the log that stand for series which have another ref now. A checkpoint keeps their labels for as long as it
/// may keep samples that are written under them.
struct SecondRefs {
    var refs = Set<UInt64>()
    /// No sample under one of them is newer.
    var maxTime = Int64.min
    /// No later segment names them.
    var lastSegment = 0
}
