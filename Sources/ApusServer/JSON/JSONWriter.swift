public import ApusBytes

/// Writes JSON straight into bytes, with commas where they belong.
///
/// Names and values are bytes; what is not UTF-8 becomes U+FFFD, so that the document is always valid. Nesting is the
/// nesting of the closures: an object that was opened is closed.
public struct JSONWriter: Sendable {
    public var bytes: [UInt8] = []
    /// What stands before `bytes`, where others wrote a part of the document.
    private var finished: [[UInt8]] = []
    /// A value stands before the next one on the same level.
    private var needsComma = false

    public init() {}

    public mutating func object(_ members: (inout JSONWriter) -> Void) { nested("{", "}", members) }
    public mutating func array(_ elements: (inout JSONWriter) -> Void) { nested("[", "]", elements) }

    private mutating func nested(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ content: (inout JSONWriter) -> Void) {
        beginValue()
        bytes.append(UInt8(ascii: open))
        needsComma = false
        content(&self)
        bytes.append(UInt8(ascii: close))
        needsComma = true
    }

    /// The name of a member; its value comes next.
    public mutating func key(_ name: String) {
        beginValue()
        appendQuoted(Array(name.utf8).span)
        endKey()
    }
    public mutating func key(_ name: Span<UInt8>) {
        beginValue()
        appendQuoted(name)
        endKey()
    }

    public mutating func string(_ text: Span<UInt8>) {
        beginValue()
        appendQuoted(text)
    }
    public mutating func string(_ text: ByteString) { string(text.bytes.span) }
    public mutating func string(_ text: String) { string(Array(text.utf8).span) }
    public mutating func integer(_ value: some BinaryInteger) {
        beginValue()
        bytes.appendDecimal(Int64(clamping: value))
    }
    /// `null` for what JSON cannot say: NaN and the infinities.
    public mutating func number(_ value: Double) {
        guard value.isFinite else { return null() }
        beginValue()
        bytes.appendDouble(value, style: .json)
    }
    public mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }
    public mutating func null() { raw("null") }
    public mutating func strings(_ texts: some Sequence<String>) {
        array { json in
            for text in texts { json.string(text) }
        }
    }

    /// Lends the bytes for one value that the caller writes itself: the hot loops over samples.
    public mutating func value(_ write: (inout [UInt8]) -> Void) {
        beginValue()
        write(&bytes)
    }

    /// Takes over what other writers wrote for this place, commas included.
    mutating func splice(_ pieces: [[UInt8]]) {
        finished.append(bytes)
        finished += pieces
        bytes = []
        needsComma = true
    }

    /// The whole document.
    var pieces: [[UInt8]] { finished + [bytes] }

    private mutating func raw(_ text: StaticString) {
        beginValue()
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }
    private mutating func beginValue() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }
    private mutating func endKey() {
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }
    private mutating func appendQuoted(_ text: Span<UInt8>) { bytes.appendJSONString(text) }
}

extension Array where Element == UInt8 {
    /// A JSON string: quotes, backslashes and control characters escaped, invalid UTF-8 replaced by U+FFFD.
    mutating func appendJSONString(_ text: Span<UInt8>) {
        append(UInt8(ascii: "\""))
        // Nearly all strings are plain ASCII without anything to escape: they go in one piece.
        var plain = true
        for index in 0..<text.count where text[index] < 0x20 || text[index] >= 0x80 || text[index] == 0x22 || text[index] == 0x5C {
            plain = false
            break
        }
        if plain {
            // SAFETY: the pointer is valid for `count` bytes during the closure; append copies them.
            unsafe text.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
        } else if isValidUTF8(text) {
            appendEscaped(text)
        } else {
            let repaired = Array(String(decoding: Array(copying: text), as: UTF8.self).utf8)
            appendEscaped(repaired.span)
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func appendEscaped(_ text: Span<UInt8>) {
        let hexDigits: StaticString = "0123456789abcdef"
        for index in 0..<text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
            case UInt8(ascii: "\n"): append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
            case UInt8(ascii: "\r"): append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "r")])
            case UInt8(ascii: "\t"): append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "t")])
            case 0..<0x20:
                append(contentsOf: "\\u00".utf8)
                hexDigits.withUTF8Buffer { digits in
                    unsafe append(digits[Int(byte >> 4)])
                    unsafe append(digits[Int(byte & 15)])
                }
            default: append(byte)
            }
        }
    }

    fileprivate init(copying span: Span<UInt8>) {
        self.init(capacity: span.count) { output in
            for index in 0..<span.count { output.append(span[index]) }
        }
    }
}
