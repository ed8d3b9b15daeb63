/// Variable-length integers, seven bits a byte, least significant first, the high bit meaning "more follows":
/// Go's `encoding/binary` and protobuf both write them so. A 64-bit value takes 1 to 10 bytes.
extension Array where Element == UInt8 {
    @inlinable
    public mutating func appendUvarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest &>>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// Zigzag: small magnitudes of either sign take few bytes.
    @inlinable
    public mutating func appendVarint(_ value: Int64) {
        appendUvarint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }
}

/// Reads an unsigned varint at `offset` and moves past it; nil when the bytes end first or it exceeds 64 bits.
@inlinable
public func decodeUvarint(_ bytes: Span<UInt8>, at offset: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    var index = offset
    while index < bytes.count {
        let byte = bytes[index]
        index &+= 1
        if shift == 63 && byte > 1 { return nil }
        value |= UInt64(byte & 0x7F) &<< shift
        if byte < 0x80 {
            offset = index
            return value
        }
        shift &+= 7
        if shift > 63 { return nil }
    }
    return nil
}

@inlinable
public func decodeVarint(_ bytes: Span<UInt8>, at offset: inout Int) -> Int64? {
    guard let raw = decodeUvarint(bytes, at: &offset) else { return nil }
    return Int64(bitPattern: raw &>> 1) ^ -Int64(bitPattern: raw & 1)
}
