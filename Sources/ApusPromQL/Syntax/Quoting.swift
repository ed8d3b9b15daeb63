import ApusBytes

/// The character at `index` and its length in bytes. Bytes that are not UTF-8 give U+FFFD, one byte at a time, as in Go.
func decodeRune(_ bytes: ArraySlice<UInt8>, at index: Int) -> (rune: UInt32, width: Int) {
    let first = bytes[index]
    if first < 0x80 { return (UInt32(first), 1) }
    let (length, minimum, bits): (Int, UInt32, UInt32)
    switch first {
    case 0xc2...0xdf: (length, minimum, bits) = (2, 0x80, UInt32(first & 0x1f))
    case 0xe0...0xef: (length, minimum, bits) = (3, 0x800, UInt32(first & 0x0f))
    case 0xf0...0xf4: (length, minimum, bits) = (4, 0x1_0000, UInt32(first & 0x07))
    default: return (replacementRune, 1)
    }
    guard index + length <= bytes.endIndex else { return (replacementRune, 1) }
    var rune = bits
    for offset in 1..<length {
        let byte = bytes[index + offset]
        guard byte & 0xc0 == 0x80 else { return (replacementRune, 1) }
        rune = rune << 6 | UInt32(byte & 0x3f)
    }
    guard rune >= minimum, rune <= 0x10_ffff, !(0xd800...0xdfff).contains(rune) else { return (replacementRune, 1) }
    return (rune, length)
}

let replacementRune: UInt32 = 0xfffd

/// `bytes` in double quotes with Go's escapes: `strconv.Quote`.
func quoted(_ bytes: some Collection<UInt8>) -> String {
    var output: [UInt8] = []
    output.appendQuoted(ByteString(bytes))
    return String(decoding: output, as: UTF8.self)
}

/// A character in single quotes, as Go's `%q` prints it; `nil` stands for the end of the input.
func quotedRune(_ rune: UInt32?) -> String {
    var output: [UInt8] = [UInt8(ascii: "'")]
    output.appendEscaped(rune ?? replacementRune, quote: UInt8(ascii: "'"))
    output.append(UInt8(ascii: "'"))
    return String(decoding: output, as: UTF8.self)
}

/// `U+0071 'q'`, as Go's `%#U` prints a character.
func namedRune(_ rune: UInt32) -> String {
    let digits = String(rune, radix: 16, uppercase: true)
    let name = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    guard let scalar = Unicode.Scalar(rune), isPrintable(scalar) else { return name }
    return "\(name) '\(scalar)'"
}

private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7f { return scalar.value >= 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator:
        return false
    default: return true
    }
}

extension [UInt8] {
    mutating func appendQuoted(_ text: ByteString) {
        append(UInt8(ascii: "\""))
        var index = 0
        let bytes = text.bytes[...]
        while index < bytes.endIndex {
            let (rune, width) = decodeRune(bytes, at: index)
            if rune == replacementRune, width == 1 {
                append(contentsOf: "\\x".utf8)
                appendHex(UInt32(bytes[index]), digits: 2)
            } else {
                appendEscaped(rune, quote: UInt8(ascii: "\""))
            }
            index += width
        }
        append(UInt8(ascii: "\""))
    }

    fileprivate mutating func appendEscaped(_ rune: UInt32, quote: UInt8) {
        if rune == UInt32(quote) || rune == UInt32(UInt8(ascii: "\\")) {
            append(UInt8(ascii: "\\"))
            append(UInt8(truncatingIfNeeded: rune))
            return
        }
        if let scalar = Unicode.Scalar(rune), isPrintable(scalar) {
            append(contentsOf: String(scalar).utf8)
            return
        }
        switch rune {
        case 0x07: append(contentsOf: "\\a".utf8)
        case 0x08: append(contentsOf: "\\b".utf8)
        case 0x0c: append(contentsOf: "\\f".utf8)
        case 0x0a: append(contentsOf: "\\n".utf8)
        case 0x0d: append(contentsOf: "\\r".utf8)
        case 0x09: append(contentsOf: "\\t".utf8)
        case 0x0b: append(contentsOf: "\\v".utf8)
        case ..<0x20, 0x7f:
            append(contentsOf: "\\x".utf8)
            appendHex(rune, digits: 2)
        case ..<0x1_0000:
            append(contentsOf: "\\u".utf8)
            appendHex(rune, digits: 4)
        default:
            append(contentsOf: "\\U".utf8)
            appendHex(rune, digits: 8)
        }
    }

    private mutating func appendHex(_ value: UInt32, digits: Int) {
        for digit in stride(from: digits - 1, through: 0, by: -1) {
            let nibble = UInt8(truncatingIfNeeded: value >> UInt32(4 * digit) & 0xf)
            append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
        }
    }

    fileprivate mutating func appendUTF8(_ rune: UInt32) {
        guard let scalar = Unicode.Scalar(rune) else { return }
        append(contentsOf: String(scalar).utf8)
    }
}

/// The value of a string literal, its quotes included. The lexer has checked the escapes, so `nil` is not expected.
func unquoted(_ literal: ArraySlice<UInt8>) -> ByteString? {
    guard literal.count >= 2, let quote = literal.first, quote == literal.last else { return nil }
    let body = literal.dropFirst().dropLast()
    if quote == UInt8(ascii: "`") { return ByteString(body) }
    var output: [UInt8] = []
    output.reserveCapacity(body.count)
    var index = body.startIndex
    while index < body.endIndex {
        let byte = body[index]
        index += 1
        guard byte == UInt8(ascii: "\\") else {
            output.append(byte)
            continue
        }
        guard index < body.endIndex else { return nil }
        let escape = body[index]
        index += 1
        switch escape {
        case UInt8(ascii: "a"): output.append(0x07)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0c)
        case UInt8(ascii: "n"): output.append(0x0a)
        case UInt8(ascii: "r"): output.append(0x0d)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "v"): output.append(0x0b)
        case UInt8(ascii: "\\"), quote: output.append(escape)
        default:
            let (start, digits, base): (Int, Int, UInt32)
            switch escape {
            case UInt8(ascii: "0")...UInt8(ascii: "7"): (start, digits, base) = (index - 1, 3, 8)
            case UInt8(ascii: "x"): (start, digits, base) = (index, 2, 16)
            case UInt8(ascii: "u"): (start, digits, base) = (index, 4, 16)
            case UInt8(ascii: "U"): (start, digits, base) = (index, 8, 16)
            default: return nil
            }
            guard start + digits <= body.endIndex else { return nil }
            var value: UInt32 = 0
            for position in start..<start + digits {
                guard let digit = digitValue(body[position]), digit < base else { return nil }
                value = value &* base &+ digit
            }
            index = start + digits
            // `\x` and octal escapes are bytes, `\u` and `\U` are characters.
            if digits < 4 { output.append(UInt8(truncatingIfNeeded: value)) } else { output.appendUTF8(value) }
        }
    }
    return ByteString(output)
}

func digitValue(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
}
