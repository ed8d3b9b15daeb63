public import ApusBytes

extension ParseError {
    /// The error for a person: the message, the line at fault with a mark below it, and what may have been meant.
    ///
    ///     1:5: parse error: unknown function with name "rat"
    ///       sum(rat(http_requests_total[5m]))
    ///           ^~~
    ///     did you mean rate?
    ///
    /// - Parameter query: the query that was parsed.
    public func explanation(of query: ByteString) -> String {
        let bytes = query.bytes
        let start = min(max(range.lowerBound, 0), bytes.count)
        let end = min(max(range.upperBound, start), bytes.count)
        let lineStart = bytes[..<start].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let lineEnd = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        // Of a long line the part around the fault.
        let from = Self.boundary(bytes, max(lineStart, start - Self.shownBytes / 2), lineStart)
        let to = Self.boundary(bytes, min(lineEnd, from + Self.shownBytes), from)
        let (before, fault, rest) = (bytes[from..<start], bytes[start..<max(start, min(end, to))], bytes[max(start, min(end, to))..<max(start, to)])
        func text(_ part: ArraySlice<UInt8>) -> String {
            String(decoding: part.map { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
        }
        // Columns are characters, so that the mark stands right below.
        let mark = String(repeating: " ", count: text(before).count) + "^" + String(repeating: "~", count: max(0, text(fault).count - 1))
        var result = "\(message)\n  \(text(before))\(text(fault))\(text(rest))\n  \(mark)"
        if let suggestion = suggestion(for: query) { result += "\ndid you mean \(suggestion)?" }
        return result
    }

    private static let shownBytes = 160

    /// The place itself, or the start of the character it lies in.
    private static func boundary(_ bytes: [UInt8], _ place: Int, _ lowest: Int) -> Int {
        var place = place
        while place > lowest, place < bytes.count, bytes[place] & 0xC0 == 0x80 { place -= 1 }
        return place
    }

    /// The function, aggregation or word nearest to the name at fault; `nil` when none is near, or the fault is another.
    public func suggestion(for query: ByteString) -> String? {
        let bytes = query.bytes
        guard message.contains("unknown function") || message.contains("unexpected identifier"), range.lowerBound >= 0,
            range.upperBound <= bytes.count
        else { return nil }
        let word = Array(bytes[range].prefix { isAlphaNumeric($0) }).map { $0 | 0x20 }
        guard word.count > 1, word.count <= Self.longestWord else { return nil }
        var best: (name: String, rank: Int)?
        for name in Self.words {
            let distance = Self.distance(word, Array(name.utf8))
            // Of two names as near, the one that goes on where the word ends.
            let rank = 2 * distance - (name.utf8.starts(with: word) ? 1 : 0)
            // A third of a word may be wrong.
            if distance > 0, distance * 3 <= max(word.count, 3), rank < best?.rank ?? .max { best = (name, rank) }
        }
        return best?.name
    }

    private static let longestWord = 64
    private static let words =
        FunctionName.allCases.map(\.rawValue) + AggregationOperator.allCases.map(\.rawValue)
        + ["by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "and", "or", "unless", "anchored", "smoothed"]

    /// How many letters have to be inserted, left out, replaced or swapped with their neighbour.
    ///
    /// Source: Damerau, "A technique for computer detection and correction of spelling errors", 1964; the restricted form.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var (older, old) = ([Int](), Array(0...b.count))
        for (i, x) in a.enumerated() {
            var new = [i + 1]
            for (j, y) in b.enumerated() {
                var cost = min(old[j] + (x == y ? 0 : 1), old[j + 1] + 1, new[j] + 1)
                if i > 0, j > 0, x == b[j - 1], a[i - 1] == y { cost = min(cost, older[j - 1] + 1) }
                new.append(cost)
            }
            (older, old) = (old, new)
        }
        return old[b.count]
    }
}
