import ApusExposition

/// A family as it was last written to a protobuf page: what `LineCache` is for lines. Of counters, gauges and unknowns, and of
/// histograms with classic buckets only; the others are written anew each time.
struct MessageCache {
    let escaping: NameEscaping
    /// Of the set of series that it is for.
    let version: UInt64
    private let children: [Instrument]
    // One of the two. Not an enum: its payload can't be changed in place.
    private var numbers: NumberMessage?
    private var histograms: FamilyMessage?
    /// Of the histograms.
    private let bounds: [Double]
    /// The values in the message, and since when they count.
    private var words: [UInt64] = []
    private let createdMs: [Int64]
    /// The values now; kept for its memory.
    private var newWords: [UInt64] = []

    /// Nil if the family is of other values.
    init?(_ family: FamilySnapshot, of children: [Instrument], bounds: [Double]?, version: UInt64, escaping: NameEscaping) {
        guard children.count == family.points.count else { return nil }
        for point in family.points { point.value.appendWords(to: &words) }
        self.bounds = bounds ?? []
        if let bounds {
            guard words.count == children.count * (bounds.count + 3) else { return nil }
            histograms = FamilyMessage(family, escaping: escaping)
        } else {
            guard words.count == children.count, let message = NumberMessage(family, escaping: escaping) else { return nil }
            numbers = message
        }
        self.escaping = escaping
        self.version = version
        self.children = children
        createdMs = family.points.map { $0.createdMs ?? 0 }
    }

    /// Appends the family as it is now; false, with nothing appended, if one of its series began anew.
    mutating func append(to page: inout [UInt8]) -> Bool {
        newWords.removeAll(keepingCapacity: true)
        for (index, child) in children.enumerated() {
            child.appendWords(to: &newWords)
            if let created = child.countsSinceMs, created != createdMs[index] { return false }
        }
        guard newWords.count == words.count else { return false }
        if newWords != words { update() }
        if let numbers { page.append(contentsOf: numbers.bytes) }
        histograms?.append(to: &page)
        return true
    }

    /// Puts the new values into the message.
    private mutating func update() {
        if numbers != nil {
            for index in words.indices where newWords[index] != words[index] { numbers?.setValue(newWords[index], at: index) }
        } else {
            let size = bounds.count + 3
            for index in children.indices {
                let range = index * size..<(index + 1) * size
                if newWords[range] != words[range] { histograms?.setValue(Self.histogram(newWords[range], bounds), at: index) }
            }
        }
        swap(&words, &newWords)
    }

    /// A histogram of the values of its lines: cumulative counts, sum, count.
    private static func histogram(_ words: ArraySlice<UInt64>, _ bounds: [Double]) -> PointValue {
        var counts: [UInt64] = []
        var below: UInt64 = 0
        for cumulative in words.prefix(bounds.count + 1) {
            counts.append(cumulative &- below)
            below = cumulative
        }
        let sum = words.dropFirst(bounds.count + 1).first ?? 0
        return .histogram(HistogramPoint(upperBounds: bounds, counts: counts, sum: Double(bitPattern: sum)))
    }
}
