#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What a text says as a floating-point number.
public enum ParsedDouble: Equatable, Sendable {
    case value(Double)
    /// Well-formed, but its magnitude rounds to infinity.
    case outOfRange
    case malformed
}

/// The number that `bytes` spell, correctly rounded, in the syntax of Go's `strconv.ParseFloat`; nil for anything else
/// and for what would round to infinity.
///
/// Accepted: decimal (`1`, `.5`, `1.`, `-1e+09`), hexadecimal with its mandatory exponent (`0x1.8p3`), `inf` and
/// `infinity` with or without sign and `nan` without one, in any case. Underscores are refused. All bytes must be used.
public func parseDouble(_ bytes: Span<UInt8>) -> Double? {
    if case .value(let value) = parseDoubleDetailed(bytes) { value } else { nil }
}

/// The same, telling a malformed number from one out of range.
public func parseDoubleDetailed(_ bytes: Span<UInt8>) -> ParsedDouble {
    let count = bytes.count
    guard count > 0 else { return .malformed }
    var index = 0
    var negative = false
    if bytes[0] == UInt8(ascii: "-") || bytes[0] == UInt8(ascii: "+") {
        negative = bytes[0] == UInt8(ascii: "-")
        index = 1
    }
    guard index < count else { return .malformed }
    switch bytes[index] | 0x20 {
    case UInt8(ascii: "i"):
        guard spells(bytes, from: index, "inf") || spells(bytes, from: index, "infinity") else { return .malformed }
        return .value(negative ? -.infinity : .infinity)
    case UInt8(ascii: "n"):
        guard index == 0, spells(bytes, from: 0, "nan") else { return .malformed }
        return .value(Double(bitPattern: 0x7FF8_0000_0000_0001))
    default: break
    }
    let isHexadecimal = count - index > 2 && bytes[index] == UInt8(ascii: "0") && bytes[index + 1] | 0x20 == UInt8(ascii: "x")
    if isHexadecimal { index += 2 }
    guard let parts = NumberParts(bytes, from: index, hexadecimal: isHexadecimal) else { return .malformed }
    return parts.value(negative: negative)
}

/// Whether `bytes[from...]` is exactly `word` (lower case letters), in any case.
private func spells(_ bytes: Span<UInt8>, from: Int, _ word: String) -> Bool {
    guard bytes.count - from == word.utf8.count else { return false }
    var index = from
    for letter in word.utf8 {
        if bytes[index] | 0x20 != letter { return false }
        index += 1
    }
    return true
}

/// A number taken apart: at most `significantLimit` significant digits, and where the point belongs.
///
/// Digits beyond the limit only matter by whether one of them is not zero, so a number of any length costs a fixed
/// buffer: 768 digits decide the rounding of every double.
private struct NumberParts {
    static let significantLimit = 800
    /// Exponents beyond this decide between zero and infinity alone.
    static let exponentLimit = 1_000_000

    var digits: [UInt8] = []
    /// The value is 0.d₁d₂d₃… × base^pointOffset × 2 or 10^exponent.
    var pointOffset = 0
    var exponent = 0
    var droppedNonZero = false
    let hexadecimal: Bool
    /// The first 19 digits as an integer, to try the exact path.
    var mantissa: UInt64 = 0

    init?(_ bytes: Span<UInt8>, from start: Int, hexadecimal: Bool) {
        self.hexadecimal = hexadecimal
        var index = start
        var sawDigit = false
        var sawPoint = false
        digits.reserveCapacity(24)
        scan: while index < bytes.count {
            let byte = bytes[index]
            var digit = byte &- UInt8(ascii: "0")
            if byte == UInt8(ascii: ".") {
                if sawPoint { return nil }
                sawPoint = true
                index += 1
                continue
            }
            if digit >= 10 {
                let letter = (byte | 0x20) &- UInt8(ascii: "a")
                guard hexadecimal, letter < 6 else { break scan }
                digit = letter &+ 10
            }
            sawDigit = true
            index += 1
            if digits.isEmpty && digit == 0 {
                if sawPoint { pointOffset &-= 1 }
                continue
            }
            if !sawPoint { pointOffset &+= 1 }
            if digits.count < Self.significantLimit {
                digits.append(byte)
                if digits.count <= 19 && !hexadecimal { mantissa = mantissa &* 10 &+ UInt64(digit) }
            } else if digit != 0 {
                droppedNonZero = true
            }
        }
        guard sawDigit else { return nil }
        let marker = hexadecimal ? UInt8(ascii: "p") : UInt8(ascii: "e")
        if index < bytes.count {
            guard bytes[index] | 0x20 == marker else { return nil }
            index += 1
            var negative = false
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                negative = bytes[index] == UInt8(ascii: "-")
                index += 1
            }
            guard index < bytes.count else { return nil }
            while index < bytes.count {
                let digit = bytes[index] &- UInt8(ascii: "0")
                guard digit < 10 else { return nil }
                if exponent < Self.exponentLimit { exponent = exponent * 10 + Int(digit) }
                index += 1
            }
            if negative { exponent = -exponent }
        } else if hexadecimal {
            return nil  // A hexadecimal mantissa needs its exponent.
        }
    }

    func value(negative: Bool) -> ParsedDouble {
        if digits.isEmpty { return .value(negative ? -0.0 : 0.0) }
        if !hexadecimal && digits.count <= 19 && !droppedNonZero && mantissa <= 1 << 53 {
            // Clinger: both factors are exact, so one rounding is the right rounding.
            let power = exponent + pointOffset - digits.count
            if power >= -22 && power <= 22 {
                let magnitude = unsafe power < 0
                    ? Double(mantissa) / PowersOfTen.table.values[-power] : Double(mantissa) * PowersOfTen.table.values[power]
                return .value(negative ? -magnitude : magnitude)
            }
        }
        if !hexadecimal && digits.count <= 19 && !droppedNonZero,
            let magnitude = scaledDouble(mantissa, exponent: exponent &+ pointOffset &- digits.count)
        {
            return .value(negative ? -magnitude : magnitude)
        }
        // The C library rounds correctly; it gets a text of our own making, bounded and terminated.
        var text: [UInt8] = []
        text.reserveCapacity(digits.count + 40)
        if negative { text.append(UInt8(ascii: "-")) }
        if hexadecimal { text.append(contentsOf: "0x".utf8) }
        text.append(contentsOf: "0.".utf8)
        text.append(contentsOf: digits)
        if droppedNonZero { text.append(UInt8(ascii: "1")) }
        text.append(hexadecimal ? UInt8(ascii: "p") : UInt8(ascii: "e"))
        let scale = hexadecimal ? 4 : 1
        text.append(contentsOf: String(exponent &+ pointOffset &* scale).utf8)
        text.append(0)
        // SAFETY: `text` ends with a zero byte.
        let result = unsafe text.withUnsafeBytes { buffer -> Double in
            guard let start = buffer.baseAddress else { return .nan }
            return unsafe strtod(start.assumingMemoryBound(to: CChar.self), nil)
        }
        return result.isInfinite ? .outOfRange : .value(result)
    }
}

/// 10⁰ … 10²², the powers of ten that a double holds exactly.
@safe public struct PowersOfTen: @unchecked Sendable {
    // `@unchecked`: the table is written once, before the value is shared, and never freed.
    public let values: UnsafePointer<Double>
    public static let table = PowersOfTen()
    private init() {
        let memory = UnsafeMutablePointer<Double>.allocate(capacity: 23)
        var power = 1.0
        for exponent in 0...22 {
            unsafe memory[exponent] = power
            power *= 10
        }
        unsafe values = UnsafePointer(memory)
    }
}

/// `mantissa` × 10^`exponent`, correctly rounded; nil where that cannot be told here: next to the middle between two
/// doubles, and for what is subnormal or beyond the largest double. `mantissa` is not 0.
///
/// Source: Daniel Lemire, "Number Parsing at a Gigabyte per Second", 2021, but told by an interval: the 128 highest bits of
/// the product are off by less than 1 in the last place, so where both ends of that interval round alike, so does the number.
@usableFromInline
func scaledDouble(_ mantissa: UInt64, exponent: Int) -> Double? {
    guard exponent >= ScaledPowersOfTen.smallest, exponent <= ScaledPowersOfTen.largest, mantissa != 0 else { return nil }
    let power = ScaledPowersOfTen.shared[exponent]
    let leadingZeros = mantissa.leadingZeroBitCount
    let normalized = mantissa &<< UInt64(truncatingIfNeeded: leadingZeros)
    let upper = power.high.multipliedFullWidth(by: normalized)
    let lower = power.low.multipliedFullWidth(by: normalized)
    let (middle, carry) = upper.low.addingReportingOverflow(lower.high)
    let high = upper.high &+ (carry ? 1 : 0)
    // The number is (high, middle) × 2^(⌊exponent × log₂ 10⌋ − leadingZeros − 63), give or take 1 in `middle`.
    let isLong = high &>> 63 != 0
    let shift: UInt64 = isLong ? 11 : 10
    // What is cut off below the 53 bits, and half of a unit in their last place.
    let rest = high & ((1 &<< shift) &- 1)
    let half: UInt64 = 1 &<< (shift &- 1)
    if rest == half && middle <= 1 || rest == half &- 1 && middle == .max { return nil }
    var significand = high &>> shift
    if rest >= half { significand &+= 1 }
    let binaryExponent = (exponent &* 1_741_647) &>> 19
    var biased = binaryExponent &- leadingZeros &- 63 &+ 64 &+ Int(shift) &+ 52 &+ 1023
    if significand &>> 53 != 0 {
        significand &>>= 1
        biased &+= 1
    }
    guard biased > 0, biased < 2047 else { return nil }
    return Double(bitPattern: UInt64(biased) &<< 52 | significand & ((1 &<< 52) &- 1))
}

/// Reads a plain decimal number, the usual case of a page, and returns how many bytes it took, or 0 when the text is of
/// another form or cannot be rounded exactly here: then ask `parseDouble`. What follows the number is not looked at.
///
/// For hot loops inside a fence: a byte that is none of `0-9.eE+-` must follow within the memory the pointer may read.
/// - Parameter powersOfTen: `PowersOfTen.table.values`, kept in a local by the loop.
@inlinable @inline(__always)
public func parsePlainDouble(
    _ start: UnsafePointer<UInt8>, powersOfTen: UnsafePointer<Double>, into value: inout Double
) -> Int {
    var index = 0
    var negative = false
    if unsafe start[0] == 0x2D {
        negative = true
        index = 1
    }
    var mantissa: UInt64 = 0
    let firstDigit = index
    var digit = unsafe start[index] &- 0x30
    while digit < 10 {
        mantissa = mantissa &* 10 &+ UInt64(truncatingIfNeeded: digit)
        index &+= 1
        digit = unsafe start[index] &- 0x30
    }
    var digitCount = index &- firstDigit
    var exponent = 0
    if unsafe start[index] == 0x2E {
        index &+= 1
        let firstFraction = index
        digit = unsafe start[index] &- 0x30
        while digit < 10 {
            mantissa = mantissa &* 10 &+ UInt64(truncatingIfNeeded: digit)
            index &+= 1
            digit = unsafe start[index] &- 0x30
        }
        exponent = firstFraction &- index
        digitCount &+= index &- firstFraction
    }
    if digitCount == 0 || digitCount > 19 { return 0 }
    if unsafe start[index] | 0x20 == 0x65 {
        index &+= 1
        var negativeExponent = false
        if unsafe start[index] == 0x2B {
            index &+= 1
        } else if unsafe start[index] == 0x2D {
            negativeExponent = true
            index &+= 1
        }
        var written = 0
        let firstExponentDigit = index
        digit = unsafe start[index] &- 0x30
        while digit < 10 {
            written = written &* 10 &+ Int(truncatingIfNeeded: digit)
            index &+= 1
            digit = unsafe start[index] &- 0x30
        }
        let length = index &- firstExponentDigit
        if length == 0 || length > 4 { return 0 }
        exponent &+= negativeExponent ? 0 &- written : written
    }
    // Clinger's exact case: a mantissa below 2⁵³ and a power of ten that a double holds need one rounding only.
    if mantissa > 1 << 53 || exponent < -22 || exponent > 22 {
        guard let magnitude = scaledDouble(mantissa, exponent: exponent) else { return 0 }
        value = negative ? -magnitude : magnitude
        return index
    }
    var magnitude = Double(Int64(bitPattern: mantissa))
    if exponent < 0 {
        unsafe magnitude /= powersOfTen[0 &- exponent]
    } else if exponent > 0 {
        unsafe magnitude *= powersOfTen[exponent]
    }
    value = negative ? -magnitude : magnitude
    return index
}
