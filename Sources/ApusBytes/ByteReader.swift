/// Why bytes could not be read as what they should be, and where.
public struct ByteReaderError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        /// The bytes end before the value does.
        case truncated
        /// A varint that does not fit 64 bits.
        case varintOverflow
        /// A length that exceeds what follows it.
        case length(UInt64)
    }
    public let reason: Reason
    /// Where the value began, counted from the first byte the reader was given.
    public let offset: Int

    public init(_ reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    public var description: String {
        switch reason {
        case .truncated: "the bytes end too early, at offset \(offset)"
        case .varintOverflow: "a varint at offset \(offset) exceeds 64 bits"
        case .length(let length): "a length of \(length) at offset \(offset) exceeds what follows"
        }
    }
}

/// A cursor over bytes in memory: fixed integers (big endian), varints, and runs of bytes with their length in front.
///
/// Every read checks the end and throws; a failed read does not move the cursor. Nothing is copied or allocated.
///
/// To make one is the unsafe part: whoever does vouches that the bytes stay where they are, unchanged, for as long as the
/// reader and every buffer it returns are in use. After that promise its methods are safe with any bytes.
@safe public struct ByteReader {
    @usableFromInline let base: UnsafePointer<UInt8>
    /// Bytes in all.
    public let count: Int
    /// Bytes read so far.
    public var offset: Int { position }
    @usableFromInline var position = 0

    @inlinable @unsafe public init(_ bytes: UnsafeRawBufferPointer) {
        // Without bytes an address that is never read.
        unsafe base =
            bytes.baseAddress.map { unsafe $0.assumingMemoryBound(to: UInt8.self) } ?? UnsafePointer(bitPattern: 8).unsafelyUnwrapped
        count = bytes.count
    }

    /// Bytes that are left.
    @inlinable public var remaining: Int { count &- position }
    @inlinable public var isAtEnd: Bool { position == count }

    /// What is left.
    @inlinable @unsafe public var rest: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base + position, count: remaining) }

    /// Goes to `offset`, counted from the first byte; up to and including `count`.
    @inlinable public mutating func seek(to offset: Int) throws(ByteReaderError) {
        guard offset >= 0, offset <= count else { throw ByteReaderError(.truncated, offset: position) }
        position = offset
    }

    @inlinable public mutating func skip(_ length: Int) throws(ByteReaderError) {
        guard length >= 0, length <= remaining else { throw ByteReaderError(.truncated, offset: position) }
        position &+= length
    }

    // SAFETY of the loads below: each is of bytes before `count`, tested first.

    @inlinable public mutating func u8() throws(ByteReaderError) -> UInt8 {
        guard position < count else { throw ByteReaderError(.truncated, offset: position) }
        let value = unsafe base[position]
        position &+= 1
        return value
    }

    @inlinable public mutating func u16() throws(ByteReaderError) -> UInt16 {
        guard remaining >= 2 else { throw ByteReaderError(.truncated, offset: position) }
        let value = unsafe UnsafeRawPointer(base + position).loadUnaligned(as: UInt16.self)
        position &+= 2
        return UInt16(bigEndian: value)
    }

    @inlinable public mutating func u32() throws(ByteReaderError) -> UInt32 {
        guard remaining >= 4 else { throw ByteReaderError(.truncated, offset: position) }
        let value = unsafe UnsafeRawPointer(base + position).loadUnaligned(as: UInt32.self)
        position &+= 4
        return UInt32(bigEndian: value)
    }

    @inlinable public mutating func u64() throws(ByteReaderError) -> UInt64 {
        guard remaining >= 8 else { throw ByteReaderError(.truncated, offset: position) }
        let value = unsafe UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self)
        position &+= 8
        return UInt64(bigEndian: value)
    }

    @inlinable public mutating func i64() throws(ByteReaderError) -> Int64 { Int64(bitPattern: try u64()) }

    /// The bits of a float, as a big-endian integer.
    @inlinable public mutating func f64() throws(ByteReaderError) -> Double { Double(bitPattern: try u64()) }

    @inlinable public mutating func uvarint() throws(ByteReaderError) -> UInt64 {
        if position < count {
            let first = unsafe base[position]
            if first < 0x80 {
                position &+= 1
                return UInt64(first)
            }
            if position &+ 1 < count, case let second = unsafe base[position &+ 1], second < 0x80 {
                position &+= 2
                return UInt64(second) &<< 7 | UInt64(first & 0x7F)
            }
        }
        return try longUvarint()
    }

    @usableFromInline mutating func longUvarint() throws(ByteReaderError) -> UInt64 {
        if position &+ 8 <= count {
            // Eight bytes at once: where the first without the high bit is, and the seven bits of each put together.
            let word = UInt64(littleEndian: unsafe UnsafeRawPointer(base + position).loadUnaligned(as: UInt64.self))
            let ends = ~word & 0x8080_8080_8080_8080
            if ends != 0 {
                var bits = word & (ends ^ (ends &- 1)) & 0x7F7F_7F7F_7F7F_7F7F
                bits = (bits & 0x007F_007F_007F_007F) | (bits & 0x7F00_7F00_7F00_7F00) &>> 1
                bits = (bits & 0x0000_3FFF_0000_3FFF) | (bits & 0x3FFF_0000_3FFF_0000) &>> 2
                bits = (bits & 0x0000_0000_0FFF_FFFF) | (bits & 0x0FFF_FFFF_0000_0000) &>> 4
                position &+= ends.trailingZeroBitCount &>> 3 &+ 1
                return bits
            }
        }
        var value: UInt64 = 0
        var shift: UInt64 = 0
        var index = position
        while index < count {
            let byte = unsafe base[index]
            index &+= 1
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 { throw ByteReaderError(.varintOverflow, offset: position) }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                position = index
                return value
            }
            shift &+= 7
        }
        throw ByteReaderError(.truncated, offset: position)
    }

    /// Zigzag: small magnitudes of either sign are few bytes.
    @inlinable public mutating func varint() throws(ByteReaderError) -> Int64 {
        let raw = try uvarint()
        return Int64(bitPattern: raw &>> 1) ^ (0 &- Int64(bitPattern: raw & 1))
    }

    /// The next `length` bytes, in place.
    @inlinable @unsafe public mutating func bytes(_ length: Int) throws(ByteReaderError) -> UnsafeRawBufferPointer {
        let start = position
        try skip(length)
        return unsafe UnsafeRawBufferPointer(start: base + start, count: length)
    }

    /// A length as uvarint and as many bytes, in place.
    @inlinable @unsafe public mutating func uvarintBytes() throws(ByteReaderError) -> UnsafeRawBufferPointer {
        let start = position
        let length = try uvarint()
        guard length <= UInt64(truncatingIfNeeded: remaining) else {
            position = start
            throw ByteReaderError(.length(length), offset: start)
        }
        return try unsafe bytes(Int(truncatingIfNeeded: length))
    }

    /// The same, where it lies: a range counted from the first byte.
    @inlinable public mutating func uvarintRange() throws(ByteReaderError) -> Range<Int> {
        let length = try unsafe uvarintBytes().count
        return position &- length..<position
    }

    /// The same, copied.
    @inlinable public mutating func uvarintByteString() throws(ByteReaderError) -> ByteString {
        ByteString(unsafe [UInt8](try uvarintBytes()))
    }
}
