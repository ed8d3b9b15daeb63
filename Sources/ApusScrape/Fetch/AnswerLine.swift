/// One line of an answer's head. Only of the lines that matter is text made; most are passed over.
enum AnswerLine: Equatable {
    /// `HTTP/1.1 200 OK`; 0 for a status that is no number.
    case status(Int, phrase: String)
    case contentType(String)
    /// In small letters.
    case contentEncoding(String)
    case location(String)
    case contentLength(Int)
    case other

    init(_ line: Span<UInt8>) {
        let whole = Self.trimmed(line, 0..<line.count)
        if Self.hasName(line, whole, "http/", count: 5) {
            self = Self.readStatus(line, whole)
            return
        }
        var colon = whole.lowerBound
        while colon < whole.upperBound && line[colon] != UInt8(ascii: ":") { colon += 1 }
        guard colon < whole.upperBound else {
            self = .other
            return
        }
        let value = Self.trimmed(line, colon + 1..<whole.upperBound)
        let count = colon - whole.lowerBound
        // By length first: no two of them have the same.
        switch count {
        case 12 where Self.hasName(line, whole, "content-type", count: count): self = .contentType(Self.text(line, value))
        case 16 where Self.hasName(line, whole, "content-encoding", count: count): self = .contentEncoding(Self.text(line, value).lowercased())
        case 8 where Self.hasName(line, whole, "location", count: count): self = .location(Self.text(line, value))
        case 14 where Self.hasName(line, whole, "content-length", count: count):
            self = Int(Self.text(line, value)).map { .contentLength($0) } ?? .other
        default: self = .other
        }
    }

    private static func readStatus(_ line: Span<UInt8>, _ whole: Range<Int>) -> AnswerLine {
        let fields = text(line, whole).split(separator: " ", maxSplits: 2, omittingEmptySubsequences: true)
        return .status(fields.count > 1 ? Int(fields[1]) ?? 0 : 0, phrase: fields.count > 2 ? String(fields[2]) : "")
    }

    /// Whether `whole` begins with `name`, of `count` bytes in small letters.
    private static func hasName(_ line: Span<UInt8>, _ whole: Range<Int>, _ name: StaticString, count: Int) -> Bool {
        guard whole.count >= count, name.utf8CodeUnitCount == count else { return false }
        for index in 0..<count {
            let byte = line[whole.lowerBound + index]
            let small = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
            // SAFETY: a static string of `count` bytes.
            if unsafe small != name.utf8Start[index] { return false }
        }
        return true
    }

    /// `range` without the blanks at its ends.
    private static func trimmed(_ line: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while end > start && line[end - 1] <= 0x20 { end -= 1 }
        while start < end && line[start] <= 0x20 { start += 1 }
        return start..<end
    }

    private static func text(_ line: Span<UInt8>, _ range: Range<Int>) -> String {
        // SAFETY: the range lies in the line, and the buffer is used during the closure only.
        unsafe line.withUnsafeBufferPointer { unsafe String(decoding: UnsafeBufferPointer(rebasing: $0[range]), as: UTF8.self) }
    }
}
