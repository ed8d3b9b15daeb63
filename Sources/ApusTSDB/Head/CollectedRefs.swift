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

/// The refs under which chunk files name series, where these are not the series' own.
///
/// A log may name one label set twice, under two refs: a series was collected, came back, and the checkpoint has both. We
/// and Prometheus then know it under the first. But Prometheus gives a series the chunks of that ref only whose record comes
/// last in the log, and believes the markers that the late samples of all others are in chunks, too: so whatever we write to
/// a chunk file goes under that last one, or its late samples would be lost to Prometheus.
struct FileRefs {
    private var bySlot: [UInt32: SeriesRef] = [:]
    private var refs = Set<UInt64>()

    var isEmpty: Bool { bySlot.isEmpty }

    subscript(slot: UInt32) -> SeriesRef? { bySlot[slot] }

    /// - Parameter ref: nil when it is the series' own.
    mutating func set(_ ref: SeriesRef?, for slot: UInt32) {
        if let before = bySlot.removeValue(forKey: slot) { refs.remove(before.rawValue) }
        guard let ref else { return }
        bySlot[slot] = ref
        refs.insert(ref.rawValue)
    }

    /// Whether it is one of those in use: a checkpoint keeps its labels.
    func contains(_ ref: SeriesRef) -> Bool { refs.contains(ref.rawValue) }
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
