import ApusBytes
import ApusModel

/// A pair of a line; a quoted name and every value may still carry their escapes.
struct PairRange: Sendable {
    let name: Range<Int>
    let nameIsQuoted: Bool
    let value: Range<Int>
    /// False only where no backslash stands between the value's quotes.
    let mayHaveEscapes: Bool
}

/// Pairs in order of appearance, in memory that is used again for line after line.
struct PairList: Sendable {
    private var storage: [PairRange] = []
    private(set) var count = 0

    mutating func removeAll() { count = 0 }

    @inline(__always)
    mutating func append(_ pair: PairRange) {
        if count < storage.count { storage[count] = pair } else { storage.append(pair) }
        count &+= 1
    }

    subscript(index: Int) -> PairRange {
        precondition(index < count, "no such pair")
        return storage[index]
    }
}

/// The pieces of what names a series in a line, as offsets from its start: so they hold for each line that has the same text.
struct SeriesParts: Sendable {
    /// Of the page: from the metric's name or the brace to the closing brace.
    var text = 0..<0
    var name: Range<Int>?
    var nameIsQuoted = false
    var pairs = PairList()
    /// Whether it was read as a part of a plain line.
    var isPlain = false

    mutating func removeAll() {
        isPlain = false
        text = 0..<0
        name = nil
        nameIsQuoted = false
        pairs.removeAll()
    }

    /// `__name__` first, then in order of appearance. Duplicates and empty values are kept, for the caller to judge.
    /// - Parameter type: decides how bounds are written.
    func labels(_ page: Span<UInt8>, type: MetricType?) -> [Label] {
        var result: [Label] = []
        result.reserveCapacity(pairs.count + 1)
        let text = page.extracting(text)
        if let name { result.append(Label(LabelSet.metricName, unescaped(text, name, quoted: nameIsQuoted))) }
        for index in 0..<pairs.count {
            let label = label(text, index)
            result.append(Label(label.name, canonicalValue(label.value, of: label.name, type: type)))
        }
        return result
    }

    /// The pairs as they are written, but for escapes: without the metric's name, bounds not made alike.
    func rawPairs(_ page: Span<UInt8>) -> [Label] {
        let text = page.extracting(text)
        return (0..<pairs.count).map { label(text, $0) }
    }

    private func label(_ text: Span<UInt8>, _ index: Int) -> Label {
        let pair = pairs[index]
        return Label(unescaped(text, pair.name, quoted: pair.nameIsQuoted), unescaped(text, pair.value, quoted: true))
    }
}
