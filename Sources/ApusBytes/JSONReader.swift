/// A JSON value as it was read. Numbers stay text, so that no digit of a 64-bit integer is lost.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number([UInt8])
    case string(ByteString)
    case array([JSONValue])
    /// In the order of the text; a name may occur twice.
    case object([(name: ByteString, value: JSONValue)])

    /// The last field of that name, nil when there is none or this is no object.
    public subscript(name: ByteString) -> JSONValue? {
        guard case .object(let fields) = self else { return nil }
        return fields.last { $0.name == name }?.value
    }

    /// Nil unless a number without fraction and exponent that fits.
    public var int64: Int64? {
        guard case .number(let text) = self else { return nil }
        return parseInteger(text)
    }
    /// Nil unless a number without sign, fraction and exponent that fits.
    public var uint64: UInt64? {
        guard case .number(let text) = self else { return nil }
        return parseInteger(text)
    }

    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let l), .bool(let r)): l == r
        case (.number(let l), .number(let r)): l == r
        case (.string(let l), .string(let r)): l == r
        case (.array(let l), .array(let r)): l == r
        case (.object(let l), .object(let r)):
            l.count == r.count && zip(l, r).allSatisfy { $0.name == $1.name && $0.value == $1.value }
        default: false
        }
    }
}

private func parseInteger<I: FixedWidthInteger>(_ text: [UInt8]) -> I? { I(String(decoding: text, as: UTF8.self)) }

/// Why a text is not JSON, in Go's words, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    /// Bytes from the start of the text.
    public let offset: Int

    public init(description: String, offset: Int) {
        self.description = description
        self.offset = offset
    }
}

/// Reads one JSON text (RFC 8259), strictly, with a limit on depth. For small files: what is read is held in memory.
public struct JSONReader {
    /// Arrays and objects inside one another. The reader calls itself as deep as that.
    public static let maxDepth = 64

    private let bytes: [UInt8]
    private var offset = 0

    /// The value that `bytes` are.
    /// - Throws: also when anything but white space follows the value.
    public static func read(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        if reader.offset < bytes.count { throw reader.unexpected("after top-level value") }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { offset += 1 }
    }

    private func unexpected(_ context: String) -> JSONError {
        guard let byte = next else { return JSONError(description: "unexpected end of JSON input", offset: offset) }
        let shown =
            switch byte {
            case UInt8(ascii: "'"): "'\\''"
            case UInt8(ascii: "\n"): "'\\n'"
            case UInt8(ascii: "\r"): "'\\r'"
            case UInt8(ascii: "\t"): "'\\t'"
            case 0x20...0x7E: "'\(UnicodeScalar(byte))'"
            default: "'\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16) + "'"
            }
        return JSONError(description: "invalid character \(shown) \(context)", offset: offset)
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        if depth > Self.maxDepth { throw JSONError(description: "exceeded max depth", offset: offset) }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try literal("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try literal("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try literal("null")
            return .null
        case UInt8(ascii: "-"), .some(0x30...0x39): return .number(try number())
        default: throw unexpected("looking for beginning of value")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var fields: [(name: ByteString, value: JSONValue)] = []
        skipSpace()
        if next == UInt8(ascii: "}") {
            offset += 1
            return .object(fields)
        }
        while true {
            skipSpace()
            if next != UInt8(ascii: "\"") { throw unexpected("looking for beginning of object key string") }
            let name = try string()
            skipSpace()
            if next != UInt8(ascii: ":") { throw unexpected("after object key") }
            offset += 1
            fields.append((name, try value(depth: depth + 1)))
            skipSpace()
            switch next {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "}"):
                offset += 1
                return .object(fields)
            default: throw unexpected("after object key:value pair")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var values: [JSONValue] = []
        skipSpace()
        if next == UInt8(ascii: "]") {
            offset += 1
            return .array(values)
        }
        while true {
            values.append(try value(depth: depth + 1))
            skipSpace()
            switch next {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "]"):
                offset += 1
                return .array(values)
            default: throw unexpected("after array element")
            }
        }
    }

    private mutating func literal(_ word: StaticString) throws(JSONError) {
        let text = word.description
        for expected in text.utf8 {
            if next != expected { throw unexpected("in literal \(text) (expecting '\(UnicodeScalar(expected))')") }
            offset += 1
        }
    }

    private mutating func number() throws(JSONError) -> [UInt8] {
        let start = offset
        if next == UInt8(ascii: "-") { offset += 1 }
        if next == UInt8(ascii: "0") { offset += 1 } else { try digits("in numeric literal") }
        if next == UInt8(ascii: ".") {
            offset += 1
            try digits("after decimal point in numeric literal")
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            try digits("in exponent of numeric literal")
        }
        return Array(bytes[start..<offset])
    }

    private mutating func digits(_ context: String) throws(JSONError) {
        guard let first = next, (0x30...0x39).contains(first) else { throw unexpected(context) }
        while let byte = next, (0x30...0x39).contains(byte) { offset += 1 }
    }

    private mutating func string() throws(JSONError) -> ByteString {
        offset += 1
        var content: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                return ByteString(content)
            case UInt8(ascii: "\\"):
                offset += 1
                try escape(into: &content)
            case 0..<0x20: throw unexpected("in string literal")
            default:
                content.append(byte)
                offset += 1
            }
        }
        throw unexpected("in string literal")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw unexpected("in string escape code") }
        let plain: UInt8
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = byte
        case UInt8(ascii: "b"): plain = 0x08
        case UInt8(ascii: "f"): plain = 0x0C
        case UInt8(ascii: "n"): plain = 0x0A
        case UInt8(ascii: "r"): plain = 0x0D
        case UInt8(ascii: "t"): plain = 0x09
        case UInt8(ascii: "u"):
            offset += 1
            return try unicodeEscape(into: &content)
        default: throw unexpected("in string escape code")
        }
        offset += 1
        content.append(plain)
    }

    /// `XXXX` of `\uXXXX`, and the second half of a pair. A half alone is U+FFFD, as in Go.
    private mutating func unicodeEscape(into content: inout [UInt8]) throws(JSONError) {
        let first = try fourHexDigits()
        var scalar = UnicodeScalar(first)
        if (0xD800..<0xDC00).contains(first), offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
            bytes[offset + 1] == UInt8(ascii: "u")
        {
            let back = offset
            offset += 2
            let second = try fourHexDigits()
            if (0xDC00..<0xE000).contains(second) {
                scalar = UnicodeScalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            } else {
                offset = back
            }
        }
        content.append(contentsOf: String(scalar ?? "\u{FFFD}").utf8)
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = hexDigit(byte) else {
                throw unexpected("in \\u hexadecimal character escape")
            }
            value = value << 4 | digit
            offset += 1
        }
        return value
    }
}

private func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte) - 0x30
    case 0x41...0x46: UInt32(byte) - 0x41 + 10
    case 0x61...0x66: UInt32(byte) - 0x61 + 10
    default: nil
    }
}
