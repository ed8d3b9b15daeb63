import ApusExposition

/// A family of counters, gauges or unknowns as it was last written to a protobuf page: what `LineCache` is for lines.
struct MessageCache {
    let escaping: NameEscaping
    /// Of the set of series that it is for.
    private(set) var version: UInt64
    private let children: [Instrument]
    private var message: NumberMessage
    /// The values in the message, and since when they count.
    private var words: [UInt64] = []
    private let createdMs: [Int64]
    /// The values now; kept for its memory.
    private var newWords: [UInt64] = []

    /// Nil if the family is of other values.
    init?(_ family: FamilySnapshot, of children: [Instrument], version: UInt64, escaping: NameEscaping) {
        guard children.count == family.points.count, let message = NumberMessage(family, escaping: escaping) else { return nil }
        self.escaping = escaping
        self.version = version
        self.children = children
        self.message = message
        for point in family.points { point.value.appendWords(to: &words) }
        createdMs = family.points.map { $0.createdMs ?? 0 }
    }

    /// Appends the family as it is now; false, with nothing appended, if one of its counters began anew.
    mutating func append(to page: inout [UInt8]) -> Bool {
        newWords.removeAll(keepingCapacity: true)
        for (index, child) in children.enumerated() {
            child.appendWords(to: &newWords)
            if let created = child.countsSinceMs, created != createdMs[index] { return false }
        }
        guard newWords.count == words.count else { return false }
        for index in words.indices where newWords[index] != words[index] { message.setValue(newWords[index], at: index) }
        swap(&words, &newWords)
        page.append(contentsOf: message.bytes)
        return true
    }
}
