/// Why a duration could not be parsed. `description` is Prometheus's text.
public struct DurationError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A unit of a duration, and what it is worth.
private struct DurationUnit {
    let name: String
    let milliseconds: Int64
    /// Whether `formatDuration` may use it only if it alone says all: `1w` is a week, eight days are `8d` and not `1w1d`.
    let exactOnly: Bool

    /// From the longest to the shortest, which is the order a duration must be written in.
    static let all: [DurationUnit] = [
        .init(name: "y", milliseconds: 365 * 86_400_000, exactOnly: true),
        .init(name: "w", milliseconds: 7 * 86_400_000, exactOnly: true),
        .init(name: "d", milliseconds: 86_400_000, exactOnly: false),
        .init(name: "h", milliseconds: 3_600_000, exactOnly: false),
        .init(name: "m", milliseconds: 60_000, exactOnly: false),
        .init(name: "s", milliseconds: 1_000, exactOnly: false),
        .init(name: "ms", milliseconds: 1, exactOnly: false),
    ]
}

/// Parses `1h30m`, `15s`, `0`: whole numbers with the units y w d h m s ms, each at most once and from long to short.
///
/// Returns milliseconds, never negative. What does not fit 2⁶³ ns (292 years), Prometheus's range, is out of range.
public func parseDuration(_ text: String) throws(DurationError) -> Int64 {
    if text.isEmpty { throw DurationError("empty duration string") }
    let bytes = Array(text.utf8)
    if bytes == [UInt8(ascii: "0")] { return 0 }
    let invalid = DurationError("not a valid duration string: \(goQuoted(text))")
    let outOfRange = DurationError("duration out of range")
    let longestMs = Int64.max / 1_000_000

    var total: Int64 = 0
    var overflow = false
    var nextUnit = 0
    var index = 0
    while index < bytes.count {
        var value: Int64 = 0
        let firstDigit = index
        while index < bytes.count, case let digit = bytes[index], digit >= 48, digit <= 57 {
            let (product, tooLong) = value.multipliedReportingOverflow(by: 10)
            let (sum, tooLongToo) = product.addingReportingOverflow(Int64(digit - 48))
            if tooLong || tooLongToo { overflow = true } else { value = sum }
            index += 1
        }
        if index == firstDigit { throw invalid }
        let firstLetter = index
        while index < bytes.count, bytes[index] >= 97, bytes[index] <= 122 { index += 1 }
        let name = String(decoding: bytes[firstLetter..<index], as: UTF8.self)
        guard let unitIndex = DurationUnit.all[nextUnit...].firstIndex(where: { $0.name == name }) else { throw invalid }
        nextUnit = unitIndex + 1
        let (product, tooLong) = value.multipliedReportingOverflow(by: DurationUnit.all[unitIndex].milliseconds)
        let (sum, tooLongToo) = total.addingReportingOverflow(product)
        if tooLong || tooLongToo || sum > longestMs { overflow = true } else { total = sum }
    }
    if overflow { throw outOfRange }
    return total
}

/// Writes milliseconds as Prometheus does: `1h30m`, `90s` as `1m30s`, `0s`; years and weeks only when they divide it.
/// A negative duration has a minus before it.
public func formatDuration(_ milliseconds: Int64) -> String {
    if milliseconds == 0 { return "0s" }
    var rest = milliseconds.magnitude
    var text = milliseconds < 0 ? "-" : ""
    for unit in DurationUnit.all {
        let size = UInt64(unit.milliseconds)
        if unit.exactOnly && rest % size != 0 { continue }
        let count = rest / size
        if count > 0 {
            text += "\(count)\(unit.name)"
            rest -= count * size
        }
    }
    return text
}

/// `text` in double quotes as Go's `%q` prints it.
public func goQuoted(_ text: String) -> String {
    func hex(_ value: UInt32, width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\u{07}": result += "\\a"
        case "\u{08}": result += "\\b"
        case "\u{0C}": result += "\\f"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\u{0B}": result += "\\v"
        default:
            if scalar.value < 0x20 || scalar.value == 0x7F {
                result += "\\x" + hex(scalar.value, width: 2)
            } else if isPrintable(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += scalar.value < 0x10000 ? "\\u" + hex(scalar.value, width: 4) : "\\U" + hex(scalar.value, width: 8)
            }
        }
    }
    return result + "\""
}

/// Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
    case .spaceSeparator: scalar == " "
    default: true
    }
}
