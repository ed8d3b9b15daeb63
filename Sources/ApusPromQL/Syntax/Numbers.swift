import ApusBytes

/// Reads and writes numbers and durations as the language spells them.
enum NumberText {
    /// The value of a number token: Go's integers (decimal, `0x…`, octal with a leading 0), else its floats.
    /// - Returns: a value, or Go's error text.
    static func parse(_ text: ArraySlice<UInt8>) -> Result<Double, NumberError> {
        if let value = parseInteger(text) { return .success(Double(value)) }
        let lower = text.map(lowercased)
        if lower.elementsEqual("inf".utf8) { return .success(.infinity) }
        if lower.elementsEqual("nan".utf8) { return .success(.nan) }
        func failure(_ reason: String) -> Result<Double, NumberError> {
            .failure(NumberError(text: "strconv.ParseFloat: parsing \(quoted(text)): \(reason)"))
        }
        // A hexadecimal float needs a `p`, which no number token has.
        guard underscoresSeparateDigits(text), !(lower.count > 1 && lower[1] == UInt8(ascii: "x")),
            lower.contains(where: { isDigit($0) }), let last = lower.last, isDigit(last) || last == UInt8(ascii: "."),
            let value = Double(String(decoding: lower.filter { $0 != UInt8(ascii: "_") }, as: UTF8.self))
        else { return failure("invalid syntax") }
        return value.isInfinite ? failure("value out of range") : .success(value)
    }

    struct NumberError: Error { let text: String }

    /// `nil` when the text is not an integer, or not one of 63 bits.
    private static func parseInteger(_ text: ArraySlice<UInt8>) -> Int64? {
        guard underscoresSeparateDigits(text) else { return nil }
        var digits = text
        var base: UInt32 = 10
        if text.count > 1, text.first == UInt8(ascii: "0") {
            base = 8
            digits = text.dropFirst()
            if lowercased(text[text.startIndex + 1]) == UInt8(ascii: "x") {
                base = 16
                digits = text.dropFirst(2)
            }
        }
        var value: Int64 = 0
        var isEmpty = true
        for byte in digits where byte != UInt8(ascii: "_") {
            guard let digit = digitValue(byte), digit < base else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: Int64(base))
            let (sum, carry) = product.addingReportingOverflow(Int64(digit))
            if overflow || carry { return nil }
            value = sum
            isEmpty = false
        }
        return isEmpty ? nil : value
    }

    /// Go's rule: an underscore stands between digits, or between the base prefix and a digit.
    private static func underscoresSeparateDigits(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.contains(UInt8(ascii: "_")) else { return true }
        // What stood before: a digit (or base prefix), an underscore, or another character.
        var before = UInt8(ascii: "^")
        var rest = text
        var isHex = false
        if text.count > 1, text.first == UInt8(ascii: "0"), lowercased(text[text.startIndex + 1]) == UInt8(ascii: "x") {
            rest = text.dropFirst(2)
            before = UInt8(ascii: "0")
            isHex = true
        }
        for byte in rest {
            if isDigit(byte) || (isHex && digitValue(byte) != nil) {
                before = UInt8(ascii: "0")
            } else if byte == UInt8(ascii: "_") {
                if before != UInt8(ascii: "0") { return false }
                before = UInt8(ascii: "_")
            } else {
                if before == UInt8(ascii: "_") { return false }
                before = UInt8(ascii: "!")
            }
        }
        return before != UInt8(ascii: "_")
    }

    /// The shortest digits that read back as `value`, without an exponent; `+Inf`, `-Inf`, `NaN`.
    static func fixed(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Most numbers that people write.
        if value.magnitude < 1e15, value != 0, let whole = Int64(exactly: value) { return String(whole) }
        let (digits, exponent) = shortestDigits(value.magnitude)
        var text = value.sign == .minus ? "-" : ""
        if exponent <= 0 {
            text += "0." + String(repeating: "0", count: -exponent) + digits
        } else if exponent >= digits.count {
            text += digits + String(repeating: "0", count: exponent - digits.count)
        } else {
            text += digits.prefix(exponent) + "." + digits.dropFirst(exponent)
        }
        return value == 0 ? (value.sign == .minus ? "-0" : "0") : text
    }

    /// All digits of a finite value of at least 2⁵³, which is whole, and six zeros behind the point: Go's `%f`.
    static func exact(_ value: Double) -> String {
        guard value.isFinite, value.magnitude >= 0x1p53 else { return fixed(value) }
        // Decimal digits, the last first, doubled as often as the exponent says.
        var digits = String(value.significandBitPattern | 1 << 52).utf8.reversed().map { $0 - UInt8(ascii: "0") }
        for _ in 52..<Int(value.exponent) {
            var carry: UInt8 = 0
            for index in digits.indices {
                let doubled = digits[index] * 2 + carry
                (digits[index], carry) = (doubled % 10, doubled / 10)
            }
            if carry > 0 { digits.append(carry) }
        }
        return (value < 0 ? "-" : "") + digits.reversed().map { String($0) }.joined() + ".000000"
    }

    /// As `fixed`, but with an exponent below 1e-4 and from 1e21 on: Go's `%v`.
    static func general(_ value: Double) -> String {
        guard value.isFinite, value != 0, value.magnitude < 1e-4 || value.magnitude >= 1e21 else { return fixed(value) }
        let (digits, exponent) = shortestDigits(value.magnitude)
        let power = exponent - 1
        let fraction = digits.dropFirst()
        return (value < 0 ? "-" : "") + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction) + "e" + (power < 0 ? "-" : "+")
            + (abs(power) < 10 ? "0" : "") + String(abs(power))
    }

    /// Digits `d₁d₂…` and the exponent of `0.d₁d₂… × 10ᵉ`, for a finite value.
    private static func shortestDigits(_ value: Double) -> (digits: String, exponent: Int) {
        let text = value.description
        let parts = text.split(separator: "e")
        let mantissa = parts.first ?? "0"
        var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let halves = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        let whole = halves.first ?? ""
        var digits = String(whole) + (halves.count > 1 ? String(halves[1]) : "")
        exponent += whole.count
        while digits.hasSuffix("0"), digits.count > 1 { digits.removeLast() }
        while digits.hasPrefix("0"), digits.count > 1 {
            digits.removeFirst()
            exponent -= 1
        }
        return (digits, exponent)
    }
}

/// Reads and writes durations such as `1h30m`.
enum DurationText {
    private static let units: [(name: String, milliseconds: Int64, onlyIfWhole: Bool)] = [
        ("y", 365 * 86_400_000, true), ("w", 7 * 86_400_000, true), ("d", 86_400_000, false), ("h", 3_600_000, false),
        ("m", 60_000, false), ("s", 1_000, false), ("ms", 1, false),
    ]

    /// Prometheus holds durations as 64-bit nanoseconds.
    private static let limitMs = UInt64(Int64.max / 1_000_000)

    struct DurationError: Error { let text: String }

    /// Milliseconds of units in falling order, each at most once.
    static func parse(_ text: ArraySlice<UInt8>) -> Result<Int64, DurationError> {
        let invalid = DurationError(text: "not a valid duration string: \(quoted(text))")
        let outOfRange = DurationError(text: "duration out of range")
        var total: UInt64 = 0
        var next = 0
        var index = text.startIndex
        while index < text.endIndex {
            var value: UInt64 = 0
            let start = index
            while index < text.endIndex, isDigit(text[index]) {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(text[index] - UInt8(ascii: "0")))
                if overflow || carry { return .failure(invalid) }
                value = sum
                index += 1
            }
            let unitStart = index
            while index < text.endIndex, !isDigit(text[index]) { index += 1 }
            let unit = text[unitStart..<index]
            guard unitStart > start, !unit.isEmpty else { return .failure(invalid) }
            guard let found = units.firstIndex(where: { unit.elementsEqual($0.name.utf8) }) else {
                return .failure(DurationError(text: "unknown unit \(quoted(unit)) in duration \(quoted(text))"))
            }
            guard found >= next else { return .failure(invalid) }
            next = found + 1
            let (product, overflow) = value.multipliedReportingOverflow(by: units[found].milliseconds.magnitude)
            let (sum, carry) = total.addingReportingOverflow(product)
            if overflow || carry || sum > limitMs { return .failure(outOfRange) }
            total = sum
        }
        return text.isEmpty ? .failure(invalid) : .success(Int64(total))
    }

    /// `90d`, `1h30m`, `0s`; years and weeks only where nothing remains; a sign before.
    static func format(_ milliseconds: Int64) -> String {
        if milliseconds == 0 { return "0s" }
        var rest = milliseconds.magnitude
        var text = milliseconds < 0 ? "-" : ""
        for unit in units {
            let size = unit.milliseconds.magnitude
            if unit.onlyIfWhole, rest % size != 0 { continue }
            if rest / size > 0 {
                text += "\(rest / size)\(unit.name)"
                rest %= size
            }
        }
        return text
    }
}
