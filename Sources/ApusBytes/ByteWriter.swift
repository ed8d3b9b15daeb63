/// A growing run of bytes in memory, written from front to back: fixed integers (big endian), varints, runs of bytes.
///
/// For encoders that are called again and again: `removeAll` keeps the memory, and what is reserved is not cleared first.
/// It has one owner, who lends out its bytes; what was lent is valid until the next call that writes.
@safe public struct ByteWriter: ~Copyable, @unchecked Sendable {
    // `@unchecked`: the memory belongs to this value alone, and the value cannot be copied.
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    public private(set) var capacity: Int
    /// Bytes written.
    @inlinable public var count: Int { used }
    @usableFromInline var used = 0

    public init(capacity: Int = 256) {
        self.capacity = max(capacity, 16)
        unsafe base = .allocate(capacity: self.capacity)
    }

    deinit { unsafe base.deallocate() }

    @inlinable public var isEmpty: Bool { used == 0 }

    /// What was written.
    @inlinable @unsafe public var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: used) }

    /// What was written, copied.
    public var array: [UInt8] { unsafe [UInt8](bytes) }

    @inlinable public mutating func removeAll() { used = 0 }

    /// Forgets what was written after the first `count` bytes.
    @inlinable public mutating func truncate(to count: Int) { used = max(0, min(used, count)) }

    /// Gives memory back when more than `limit` bytes are held; forgets what was written.
    public mutating func removeAll(keepingAtMost limit: Int) {
        used = 0
        if capacity <= limit { return }
        unsafe base.deallocate()
        capacity = max(limit, 16)
        unsafe base = .allocate(capacity: capacity)
    }

    /// Makes room for `length` more bytes.
    @inlinable public mutating func reserve(_ length: Int) {
        if capacity &- used < length { grow(length) }
    }

    @usableFromInline @inline(never) mutating func grow(_ length: Int) {
        precondition(length >= 0)
        let wanted = max(used + length, capacity + capacity / 2)
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
        // SAFETY: `used` is at most either capacity.
        unsafe larger.update(from: base, count: used)
        unsafe base.deallocate()
        unsafe base = larger
        capacity = wanted
    }

    /// Where the next byte goes. Fill what was reserved and call `advance`.
    @inlinable @unsafe public var end: UnsafeMutablePointer<UInt8> { unsafe base + used }

    /// Counts `length` bytes as written that were put at `end`. They must have been reserved.
    @inlinable @unsafe public mutating func advance(by length: Int) {
        precondition(length >= 0 && length <= capacity &- used)
        used &+= length
    }

    // SAFETY of the stores below: each is into bytes that were reserved in the line before.

    @inlinable public mutating func u8(_ value: UInt8) {
        reserve(1)
        unsafe base[used] = value
        used &+= 1
    }

    @inlinable public mutating func u16(_ value: UInt16) {
        reserve(2)
        unsafe UnsafeMutableRawPointer(base + used).storeBytes(of: value.bigEndian, as: UInt16.self)
        used &+= 2
    }

    @inlinable public mutating func u32(_ value: UInt32) {
        reserve(4)
        unsafe UnsafeMutableRawPointer(base + used).storeBytes(of: value.bigEndian, as: UInt32.self)
        used &+= 4
    }

    @inlinable public mutating func u64(_ value: UInt64) {
        reserve(8)
        unsafe UnsafeMutableRawPointer(base + used).storeBytes(of: value.bigEndian, as: UInt64.self)
        used &+= 8
    }

    @inlinable public mutating func i64(_ value: Int64) { u64(UInt64(bitPattern: value)) }

    /// The bits of a float, as a big-endian integer.
    @inlinable public mutating func f64(_ value: Double) { u64(value.bitPattern) }

    @inlinable public mutating func uvarint(_ value: UInt64) {
        reserve(10)
        used &+= unsafe storeUvarint(value, at: base + used)
    }

    /// Zigzag: small magnitudes of either sign are few bytes.
    @inlinable public mutating func varint(_ value: Int64) { uvarint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))) }

    @inlinable @unsafe public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        unsafe UnsafeMutableRawPointer(base + used).copyMemory(from: start, byteCount: bytes.count)
        used &+= bytes.count
    }

    @inlinable public mutating func append(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe append($0) } }

    /// A length as uvarint and the bytes.
    @inlinable public mutating func uvarintBytes(_ bytes: [UInt8]) {
        uvarint(UInt64(bytes.count))
        append(bytes)
    }

    /// `length` zero bytes.
    public mutating func zeros(_ length: Int) {
        reserve(length)
        unsafe (base + used).update(repeating: 0, count: length)
        used &+= length
    }
}

/// Writes an unsigned varint; returns its 1 to 10 bytes' count, all of which must be writable.
@inlinable @inline(__always) @unsafe
public func storeUvarint(_ value: UInt64, at target: UnsafeMutablePointer<UInt8>) -> Int {
    var rest = value
    var length = 0
    while rest >= 0x80 {
        unsafe target[length] = UInt8(truncatingIfNeeded: rest) | 0x80
        rest &>>= 7
        length &+= 1
    }
    unsafe target[length] = UInt8(truncatingIfNeeded: rest)
    return length &+ 1
}
