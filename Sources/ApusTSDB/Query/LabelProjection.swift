import ApusBytes
import ApusModel

/// The label sets that occur when label sets are cut to a few names, each made once.
///
/// A storage knows a label by numbers. What is left of a series is the numbers of its values for the names that matter:
///
///     names      instance   job          (path, status, … are not asked for)
///     numbers    │  17  │  3  │   ─▶   {instance="a", job="b"}, made for the first such series
///
/// Four names or less fit into the key; with more, nothing is remembered.
struct LabelProjection {
    static let maximumNames = 4
    /// For a series without the label.
    static let none = UInt32.max

    struct Key: Hashable {
        var values = SIMD4<UInt32>(repeating: LabelProjection.none)

        static func == (left: Key, right: Key) -> Bool { left.values == right.values }
        func hash(into hasher: inout Hasher) {
            hasher.combine(UInt64(values[0]) << 32 | UInt64(values[1]))
            hasher.combine(UInt64(values[2]) << 32 | UInt64(values[3]))
        }
    }

    private var known: [Key: LabelSet] = [:]
    private var last: (key: Key, labels: LabelSet)?

    /// - Parameter make: makes the label set of a key that comes for the first time.
    mutating func labels(_ key: Key, _ make: () -> LabelSet) -> LabelSet {
        if let last, last.key == key { return last.labels }
        let labels: LabelSet
        if let found = known[key] {
            labels = found
        } else {
            labels = make()
            known[key] = labels
        }
        last = (key, labels)
        return labels
    }
}
