import ApusBytes

/// Walks the fields of a protobuf message without copying: <https://protobuf.dev/programming-guides/encoding/>.
///
///     ┌─────────────────────────────────┬────────────────────────────────────────────┬───
///     │ key, uvarint: number « 3 | type │ uvarint, 8 bytes, 4 bytes, or length+bytes │ …
///     └─────────────────────────────────┴────────────────────────────────────────────┴───
///
/// It holds offsets into the page; lend the same page to every call.
struct WireReader {
    enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        /// A text, a message or packed numbers.
        case bytes(Range<Int>)
    }
    struct Field {
        let number: UInt64
        let value: Value
    }

    private(set) var offset: Int
    let end: Int

    init(_ range: Range<Int>) {
        offset = range.lowerBound
        end = range.upperBound
    }

    /// The next field, or nil at the end of the message.
    mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> Field? {
        guard offset < end else { return nil }
        let start = offset
        let key = try uvarint(page, "a field's key")
        let number = key >> 3
        guard number > 0 else { throw wireError(at: start, "field number 0") }
        switch key & 7 {
        case 0: return Field(number: number, value: .varint(try uvarint(page, "a number")))
        case 1: return Field(number: number, value: .fixed64(try fixed(page, 8)))
        case 5: return Field(number: number, value: .fixed32(UInt32(truncatingIfNeeded: try fixed(page, 4))))
        case 2:
            let length = try uvarint(page, "a length")
            guard length <= UInt64(end - offset) else {
                throw wireError(at: start, "a field of \(length) bytes does not fit into the \(end - offset) bytes left of its message")
            }
            let range = offset..<offset + Int(length)
            offset = range.upperBound
            return Field(number: number, value: .bytes(range))
        case let type: throw wireError(at: start, "wire type \(type) is not used by this format")
        }
    }

    /// A length and that many bytes: what frames each message of a page.
    mutating func delimited(_ page: Span<UInt8>) throws(ExpositionError) -> Range<Int> {
        let start = offset
        let length = try uvarint(page, "a message's length")
        guard length <= UInt64(end - offset) else {
            throw wireError(at: start, "a message of \(length) bytes does not fit into the \(end - offset) bytes left of the page")
        }
        defer { offset += Int(length) }
        return offset..<offset + Int(length)
    }

    mutating func uvarint(_ page: Span<UInt8>, _ what: String) throws(ExpositionError) -> UInt64 {
        let start = offset
        guard let value = decodeUvarint(page.extracting(0..<end), at: &offset) else {
            throw wireError(at: start, "\(what) is cut off or longer than 64 bits")
        }
        return value
    }

    mutating func fixed(_ page: Span<UInt8>, _ size: Int) throws(ExpositionError) -> UInt64 {
        guard end - offset >= size else { throw wireError(at: offset, "a number of \(size) bytes is cut off") }
        var value: UInt64 = 0
        for index in 0..<size { value |= UInt64(page[offset + index]) << UInt64(8 * index) }
        offset += size
        return value
    }
}

/// In a binary page the "line" is 1 and the column the offset plus 1.
func wireError(at offset: Int, _ reason: String) -> ExpositionError {
    ExpositionError(line: 1, column: offset + 1, reason: "protobuf: " + reason)
}

extension WireReader.Value {
    // proto3 has no wrong types, only unknown fields; one of another type counts as absent.
    var double: Double { if case .fixed64(let bits) = self { Double(bitPattern: bits) } else { 0 } }
    var unsigned: UInt64 { if case .varint(let value) = self { value } else { 0 } }
    var signed: Int64 { Int64(bitPattern: unsigned) }
    /// `sint32` and `sint64`.
    var zigzag: Int64 { Int64(bitPattern: unsigned >> 1) ^ -Int64(bitPattern: unsigned & 1) }
    var range: Range<Int>? { if case .bytes(let range) = self { range } else { nil } }
}
