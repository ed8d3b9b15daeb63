import ApusExposition

/// The lines of a family as they were written last. Writing them again copies what has not changed in as long pieces as
/// possible, and writes only the values that have.
///
///     text   header │ prefix value \n │ prefix value \n │ …
///     lines           start, prefix's size, value as a word │ …
struct LineCache {
    private struct Line {
        var word: UInt64
        var start: Int
        /// Bytes before the value.
        var prefixSize: Int32
        var isCount: Bool
    }
    private let format: TextLines
    var encoding: PageEncoding { format.encoding }
    /// Of the set of series that it is for.
    private(set) var version = UInt64.max
    private var children: [Instrument] = []
    private var text: [UInt8] = []
    private var lines: [Line] = []
    /// The values now; kept for its memory.
    private var words: [UInt64] = []

    init(_ format: TextLines) { self.format = format }

    /// Begins anew with other series.
    mutating func rebuild(_ children: [Instrument], version: UInt64, point: (Instrument) -> MetricPoint) {
        self.children = children
        self.version = version
        text.removeAll(keepingCapacity: true)
        lines.removeAll(keepingCapacity: true)
        format.appendHeader(to: &text)
        for child in children {
            let point = point(child)
            let labels = format.labelText(point.labels)
            format.forEachLine(of: point) { line in
                let start = text.count
                format.appendPrefix(of: line, labels: labels, to: &text)
                lines.append(
                    Line(
                        word: line.word, start: start, prefixSize: Int32(clamping: text.count - start), isCount: line.isCount))
                Self.appendValue(line.word, isCount: line.isCount, to: &text)
            }
        }
    }

    private static func appendValue(_ word: UInt64, isCount: Bool, to text: inout [UInt8]) {
        if isCount { text.appendDecimal(word) } else { text.appendDouble(Double(bitPattern: word), style: .plain) }
        text.append(UInt8(ascii: "\n"))
    }

    /// Whether OpenMetrics leaves lines out that are there otherwise: sums of histograms that are negative now.
    private var leavesOutSums: Bool {
        guard encoding.format == .openMetrics, format.type == .histogram else { return false }
        return lines.indices.contains { !lines[$0].isCount && Double(bitPattern: words[$0]) < 0 }
    }

    /// Appends the family as it is now; false, with nothing appended, if its lines are not those that were expected.
    mutating func append(to page: inout [UInt8]) -> Bool {
        words.removeAll(keepingCapacity: true)
        for child in children { child.appendWords(to: &words) }
        guard words.count == lines.count, !leavesOutSums else { return false }
        guard let first = lines.indices.first(where: { lines[$0].word != words[$0] }) else {
            page.append(contentsOf: text)
            return true
        }
        let pageStart = page.count
        // Where the text begins that is to be copied, and by how much the lines have moved.
        var copied = 0
        var shift = 0
        for index in first..<lines.count {
            let line = lines[index]
            lines[index].start = line.start + shift
            if line.word == words[index] { continue }
            let valueStart = line.start + Int(line.prefixSize)
            page.append(contentsOf: text[copied..<valueStart])
            Self.appendValue(words[index], isCount: line.isCount, to: &page)
            copied = index + 1 < lines.count ? lines[index + 1].start : text.count
            shift = page.count - pageStart - copied
            lines[index].word = words[index]
        }
        page.append(contentsOf: text[copied...])
        text.removeAll(keepingCapacity: true)
        text.append(contentsOf: page[pageStart...])
        return true
    }
}
