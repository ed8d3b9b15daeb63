#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How a double is written. All styles print the fewest digits that read back as the same double, `NaN`, `+Inf`, `-Inf`
/// and `-0`; they differ in when an exponent (of at least two digits: `1e+06`, `1e-07`) takes the place of zeros.
public enum DoubleStyle: Sendable {
    /// Go's `FormatFloat(v, 'g', -1, 64)`, as its clients and Prometheus write the text format: an exponent below 1e-4
    /// and from 1e6 on. `1e+06`, `1.234567e+06`, `123456`, `0.0001`, `1e-05`.
    case general
    /// Prometheus's API: an exponent below 1e-6 and from 1e21 on, plain otherwise.
    case json
    /// Never an exponent, up to 327 bytes: Go's `FormatFloat(v, 'f', -1, 64)`.
    case fixed
    /// An exponent below 1e-4 and from 1e21 on: the text format with whole numbers kept readable.
    case plain

    /// The most bytes `writeDouble` writes in this style.
    @inlinable public var maxBytes: Int { self == .fixed ? maxFixedDoubleBytes : maxDoubleBytes }

    /// The decimal exponents (of the first digit) that are written without an exponent.
    fileprivate var plainExponents: Range<Int> {
        switch self {
        case .general: -4..<6
        case .json: -6..<21
        case .fixed: -400..<400
        case .plain: -4..<21
        }
    }
}

/// The most bytes `writeDouble` writes in any style but `.fixed`: `-0.0000012345678901234567` has 25.
public let maxDoubleBytes = 32
/// The most bytes `writeDouble` writes in the style `.fixed`: `-0.`, 307 zeros and 17 digits.
public let maxFixedDoubleBytes = 336

/// Writes `value` and returns how many bytes that were, at most `style.maxBytes`, which `out` must have room for.
///
/// Whole numbers up to 2⁵³ and numbers of up to three decimals, which most samples are, take short cuts; the rest takes
/// `shortestDecimal`.
@unsafe
public func writeDouble(_ value: Double, style: DoubleStyle, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let magnitude = value.magnitude
    // Not `isFinite`: this one comparison is false for NaN too.
    guard magnitude < .infinity else { return unsafe writeNonFinite(value, to: out) }
    var sign = 0
    if value.sign == .minus {
        unsafe out[0] = UInt8(ascii: "-")
        sign = 1
    }
    let start = unsafe out + sign
    var decimal: ShortestDecimal
    if magnitude < 9_007_199_254_740_992, case let whole = UInt64(magnitude), Double(whole) == magnitude {
        // Neighbours of a whole number below 2⁵³ are at most 1 away: its own digits are the shortest.
        if whole < 1_000_000 || style != .general { return unsafe sign &+ writeDecimal(whole, to: start) }
        decimal = ShortestDecimal(digits: whole, exponent: 0)
    } else if magnitude < 1e12, magnitude >= 0.001, case let thousandths = UInt64(magnitude * 1000 + 0.5),
        Double(thousandths) / 1000 == magnitude
    {
        // At most 15 digits: no other decimal of so few digits reads back as this double, so they are the shortest.
        if magnitude < 1e6 || style != .general { return unsafe sign &+ writeThousandths(thousandths, to: start) }
        decimal = ShortestDecimal(digits: thousandths, exponent: -3)
    } else {
        decimal = shortestDecimal(magnitude)
    }
    decimal = decimal.trimmed
    return unsafe sign &+ writeDecimal(decimal, style: style, to: start)
}

extension Array where Element == UInt8 {
    /// Appends `value` in the given style.
    public mutating func appendDouble(_ value: Double, style: DoubleStyle) {
        if style == .fixed {
            unsafe appendWritten(atMost: maxFixedDoubleBytes) { unsafe writeDouble(value, style: style, to: $0) }
        } else {
            unsafe appendWritten(atMost: maxDoubleBytes) { unsafe writeDouble(value, style: style, to: $0) }
        }
    }
}

private func writeNonFinite(_ value: Double, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let text: StaticString = value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf"
    // SAFETY: at most 4 bytes, and every style has room for 32.
    unsafe memcpy(out, text.utf8Start, text.utf8CodeUnitCount)
    return text.utf8CodeUnitCount
}

/// `1234500` as `1234.5`. Not a whole number, so at least one decimal remains.
private func writeThousandths(_ thousandths: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let (whole, rest) = thousandths.quotientAndRemainder(dividingBy: 1000)
    var count = unsafe writeDecimal(whole, to: out)
    unsafe out[count] = UInt8(ascii: ".")
    unsafe writeDigits(rest, count: 3, to: out + (count &+ 1))
    count &+= 4
    while unsafe out[count &- 1] == UInt8(ascii: "0") { count &-= 1 }
    return count
}

private func writeDecimal(_ decimal: ShortestDecimal, style: DoubleStyle, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let digitCount = decimalDigitCount(decimal.digits)
    /// How many digits stand before the decimal point; none or less for numbers below 1.
    let point = digitCount &+ decimal.exponent
    let zero = UInt8(ascii: "0")
    // SAFETY: digitCount ≤ 17 and −323 ≤ point − 1 ≤ 308; the longest branch is `0.`, 307 zeros and 17 digits.
    guard style.plainExponents.contains(point &- 1) else {
        return unsafe writeScientific(decimal.digits, digitCount: digitCount, exponent: point &- 1, to: out)
    }
    if point <= 0 {
        unsafe out[0] = zero
        unsafe out[1] = UInt8(ascii: ".")
        unsafe memset(out + 2, Int32(zero), -point)
        unsafe writeDigits(decimal.digits, count: digitCount, to: out + (2 &- point))
        return 2 &- point &+ digitCount
    }
    if point >= digitCount {
        unsafe writeDigits(decimal.digits, count: digitCount, to: out)
        unsafe memset(out + digitCount, Int32(zero), point &- digitCount)
        return point
    }
    unsafe writeDigits(decimal.digits, count: digitCount, to: out + 1)
    unsafe memmove(out, out + 1, point)
    unsafe out[point] = UInt8(ascii: ".")
    return digitCount &+ 1
}

/// `d.ddde±xx`, the exponent with at least two digits.
private func writeScientific(_ digits: UInt64, digitCount: Int, exponent: Int, to out: UnsafeMutablePointer<UInt8>) -> Int {
    // SAFETY: at most 17 digits, a point, `e-` and three digits: 23 bytes.
    unsafe writeDigits(digits, count: digitCount, to: out + 1)
    unsafe out[0] = out[1]
    var count = 1
    if digitCount > 1 {
        unsafe out[1] = UInt8(ascii: ".")
        count = digitCount &+ 1
    }
    unsafe out[count] = UInt8(ascii: "e")
    unsafe out[count &+ 1] = exponent < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")
    let width = exponent.magnitude >= 100 ? 3 : 2
    unsafe writeDigits(UInt64(exponent.magnitude), count: width, to: out + (count &+ 2))
    return count &+ 2 &+ width
}
