import ApusBytes
import ApusModel

// What the parsers of pages share: names, quoted texts, and errors that show the place.

extension UInt8 {
    static let newline = UInt8(ascii: "\n")
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")
}

@inline(__always) func isNameStart(_ byte: UInt8, colon: Bool) -> Bool {
    (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_") || (colon && byte == UInt8(ascii: ":"))
}
@inline(__always) func isNameByte(_ byte: UInt8, colon: Bool) -> Bool {
    isNameStart(byte, colon: colon) || byte &- UInt8(ascii: "0") < 10
}

/// The range between the quote at `start` and the one that ends it, escapes kept; nil when the string does not end.
func quotedContent(_ page: Span<UInt8>, at start: Int) -> Range<Int>? {
    var index = start + 1
    while index < page.count {
        switch page[index] {
        case .quote: return start + 1..<index
        case .backslash:
            guard index + 1 < page.count, page[index + 1] != .newline else { return nil }
            index += 2
        default: index += 1
        }
    }
    return nil
}

/// The bytes of `range` with `\\` and `\n`, and in quoted text `\"`, resolved; other backslashes stay.
func unescaped(_ page: Span<UInt8>, _ range: Range<Int>, quoted: Bool, keepQuotes: Bool = false) -> ByteString {
    let bytes = page.extracting(range)
    guard quoted || keepQuotes, firstIndex(of: .backslash, in: bytes, from: 0) < bytes.count else { return ByteString(copying: bytes) }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
        let byte = bytes[index]
        index += 1
        guard byte == .backslash, index < bytes.count else {
            result.append(byte)
            continue
        }
        switch bytes[index] {
        case .backslash: result.append(.backslash)
        case UInt8(ascii: "n"): result.append(.newline)
        case .quote where !keepQuotes: result.append(.quote)
        default:
            result.append(.backslash)
            continue
        }
        index += 1
    }
    return ByteString(result)
}

/// The label set's value as it is stored: one bucket bound must not become two series because a client writes 1 and
/// another 1.0.
func canonicalValue(_ value: ByteString, of name: ByteString, type: MetricType?) -> ByteString {
    guard let bound = boundName(type), name == bound, let number = parseDouble(value.bytes.span)
    else { return value }
    return ByteString(formatOpenMetricsNumber(number))
}

/// The label whose values are numbers, in families of a type.
func boundName(_ type: MetricType?) -> ByteString? {
    switch type {
    case .histogram: bucketBound
    case .summary: quantileBound
    default: nil
    }
}
private let bucketBound: ByteString = "le"
private let quantileBound: ByteString = "quantile"

/// - Parameters:
///   - position: where the fault is, in bytes of the page.
///   - from: start of the text that the reason shows up to `to`.
func pageError(
    _ page: Span<UInt8>, at position: Int, _ reason: String, from: Int? = nil, to: Int = 0
) -> ExpositionError {
    var line = 1
    var lineStart = 0
    for index in 0..<min(position, page.count) where page[index] == .newline {
        line += 1
        lineStart = index + 1
    }
    var reason = reason
    if let from { reason += " while parsing: \(quotedForError(page.extracting(from..<max(from, min(to, page.count)))))" }
    return ExpositionError(line: line, column: position - lineStart + 1, reason: reason)
}

/// `bytes` in double quotes as Go's `%q` shows them, cut after 100 bytes: a page without a newline is one long line.
func quotedForError(_ bytes: Span<UInt8>) -> String {
    let limit = 100
    var text = "\""
    for index in 0..<min(bytes.count, limit) {
        switch bytes[index] {
        case .quote: text += "\\\""
        case .backslash: text += "\\\\"
        case .newline: text += "\\n"
        case UInt8(ascii: "\t"): text += "\\t"
        case UInt8(ascii: "\r"): text += "\\r"
        case let byte where byte < 0x20 || byte >= 0x7F:
            let digits = String(byte, radix: 16)
            text += byte < 16 ? "\\x0\(digits)" : "\\x\(digits)"
        case let byte: text.unicodeScalars.append(Unicode.Scalar(byte))
        }
    }
    return text + (bytes.count > limit ? "\"…" : "\"")
}

/// How a bound is written.
enum BoundForm {
    /// As it is kept.
    case canonical
    /// As it is kept, but for a `.0` behind it.
    case whole
    /// In any other way, or it is no number.
    case other
}

/// Most bounds need no parsing: no other decimal of at most 15 digits reads as the same double, so the digits are the
/// shortest already, and only numbers from 10⁻⁴ to 10⁶ are kept without an exponent.
func boundForm(_ text: Span<UInt8>) -> BoundForm {
    let count = text.count
    if equalBytes(text, infiniteBound.span) { return .canonical }
    guard count > 0, count <= 16 else { return .other }
    var index = 0
    while index < count, text[index] &- UInt8(ascii: "0") < 10 { index += 1 }
    let isBelowOne = text[0] == UInt8(ascii: "0")
    guard index > 0, index <= 6, !isBelowOne || index == 1 else { return .other }
    if index == count { return .whole }
    guard text[index] == UInt8(ascii: ".") else { return .other }
    let fraction = index + 1
    var zeros = 0
    index = fraction
    while index < count, text[index] &- UInt8(ascii: "0") < 10 {
        if text[index] == UInt8(ascii: "0"), zeros == index - fraction { zeros += 1 }
        index += 1
    }
    guard index == count, fraction < count else { return .other }
    // A zero at the end is one too many, unless it is all there is.
    if text[count - 1] == UInt8(ascii: "0") { return count - fraction == 1 ? .canonical : .other }
    return isBelowOne && zeros > 3 ? .other : .canonical
}
private let infiniteBound = Array("+Inf".utf8)
