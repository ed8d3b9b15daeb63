public import ApusBytes

/// Takes the texts of a series' label values, one after the other, into a buffer on the stack; they are the key by
/// which the series is found.
///
///     ┌──────────────┬─────────────┬──────────────┬─────────────┬───
///     │ first value  │ length, u32 │ second value │ length, u32 │ …
///     └──────────────┴─────────────┴──────────────┴─────────────┴───
///
/// The length stands behind its value, so a value can be written in pieces and no byte is special. A key that outgrows the
/// buffer goes on in one that is allocated.
///
/// The hash is made from the values' own bytes as they pass by, not from the buffer: to load what was just stored in
/// smaller pieces makes the processor wait. Everything is inlined where labels are given, so that most of what is asked
/// here, such as whether a piece is the first of its value, is known when the program is built.
@safe
public struct LabelWriter: ~Copyable {
    // The owner of the first buffer keeps it alive for as long as the writer is used; the writer never leaves that scope.
    @usableFromInline var start: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    /// Whether the buffer is the writer's own.
    @usableFromInline var isGrown = false
    @usableFromInline var count = 0
    @usableFromInline var valueStart = 0
    /// Of the values that have ended; and with the one that has not, if it is whole.
    @usableFromInline var hash: UInt64
    @usableFromInline var hashWithValue: UInt64
    /// Whether the value so far was appended at once.
    @usableFromInline var isWhole = true

    @inlinable @inline(__always) init(_ buffer: UnsafeMutableBufferPointer<UInt8>, hash: UInt64) {
        unsafe start = buffer.baseAddress.unsafelyUnwrapped
        capacity = buffer.count
        self.hash = hash
        hashWithValue = LabelHash.mix(hash, 0, 0, count: 0)
    }

    @inlinable @inline(__always) deinit { if isGrown { unsafe start.deallocate() } }

    /// Makes room for `more` bytes behind what was written.
    @inlinable @inline(__always) mutating func reserve(_ more: Int) {
        guard more > capacity &- count else { return }
        let larger = max(capacity &* 2, count &+ more)
        unsafe start = Self.moved(start, count: count, isGrown: isGrown, to: larger)
        capacity = larger
        isGrown = true
    }

    // Neither this nor anything else that is not inlined takes the writer itself, which therefore need not be in memory.
    @usableFromInline @inline(never)
    static func moved(
        _ start: UnsafeMutablePointer<UInt8>, count: Int, isGrown: Bool, to capacity: Int
    ) -> UnsafeMutablePointer<UInt8> {
        let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
        // SAFETY: `count` bytes were written, and fit the larger buffer too.
        unsafe UnsafeMutableRawPointer(buffer).copyMemory(from: start, byteCount: count)
        if isGrown { unsafe start.deallocate() }
        return unsafe buffer
    }

    /// What stands in the buffer, with its hash.
    @inlinable @inline(__always) var key: SeriesKey { unsafe SeriesKey(start: start, count: count, hash: hash) }

    @inlinable @inline(__always) public mutating func append(_ text: String) {
        // Not `withUTF8`: that wants a copy of its own, and counts a reference for it.
        if unsafe text.utf8.withContiguousStorageIfAvailable({ unsafe append($0) }) == nil { appendCopy(text) }
    }

    @inlinable @inline(__always) public mutating func append(_ text: Substring) {
        if unsafe text.utf8.withContiguousStorageIfAvailable({ unsafe append($0) }) == nil { appendCopy(String(text)) }
    }

    /// Of a string whose bytes are not where Swift would have them, which on Linux there is not.
    @inlinable mutating func appendCopy(_ text: String) {
        var text = text
        text.withUTF8 { unsafe append($0) }
    }

    @inlinable @inline(__always) public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let source = bytes.baseAddress else { return }
        reserve(bytes.count)
        isWhole = count == valueStart
        // SAFETY: there is room for them, and the source is none of it.
        let words = unsafe Self.copy(UnsafeRawPointer(source), bytes.count, to: UnsafeMutableRawPointer(start + count))
        if isWhole {
            hashWithValue =
                bytes.count > 16
                ? unsafe LabelHash.mixLong(hash, source, count: bytes.count)
                : LabelHash.mix(hash, words.0, words.1, count: bytes.count)
        }
        count &+= bytes.count
    }

    /// Label values are short: two loads and stores that may overlap beat a call of memmove. Returns what was loaded, as
    /// `LabelHash.words` would, of up to sixteen bytes.
    @inlinable @inline(__always)
    static func copy(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) -> (UInt64, UInt64) {
        // SAFETY: each load and store lies within `count` bytes from its start.
        if count > 16 {
            unsafe target.copyMemory(from: source, byteCount: count)
            return (0, 0)
        }
        let words = unsafe LabelHash.words(source, count: count)
        if count >= 8 {
            unsafe target.storeBytes(of: words.0, as: UInt64.self)
            unsafe target.storeBytes(of: words.1, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.0), as: UInt32.self)
            unsafe target.storeBytes(of: UInt32(truncatingIfNeeded: words.1), toByteOffset: count &- 4, as: UInt32.self)
        } else if count > 0 {
            unsafe target.storeBytes(of: UInt8(truncatingIfNeeded: words.0), as: UInt8.self)
            let middle = count &>> 1
            let last = count &- 1
            let shifted = words.0 &>> UInt64(truncatingIfNeeded: middle &<< 3)
            unsafe target.storeBytes(of: UInt8(truncatingIfNeeded: shifted), toByteOffset: middle, as: UInt8.self)
            let lastShifted = words.0 &>> UInt64(truncatingIfNeeded: last &<< 3)
            unsafe target.storeBytes(of: UInt8(truncatingIfNeeded: lastShifted), toByteOffset: last, as: UInt8.self)
        }
        return words
    }

    @inlinable @inline(__always) public mutating func append(decimal value: Int64) {
        // Statuses, above all.
        if value >= 100, value < 1000 {
            reserve(4)
            let hundreds = UInt32(truncatingIfNeeded: value) / 100
            let rest = UInt32(truncatingIfNeeded: value) &- hundreds &* 100
            let tens = rest / 10
            let digits = (hundreds | tens &<< 8 | (rest &- tens &* 10) &<< 16) | 0x30_3030
            // SAFETY: there is room for four bytes; the fourth is nothing yet.
            unsafe UnsafeMutableRawPointer(start + count).storeBytes(of: digits, as: UInt32.self)
            isWhole = count == valueStart
            if isWhole { hashWithValue = LabelHash.mix(hash, UInt64(digits), 0, count: 3) }
            count &+= 3
        } else {
            reserve(maxDecimalBytes)
            let before = count
            // SAFETY: there is room for the longest integer.
            count &+= unsafe writeDecimal(value, to: start + count)
            isWhole = before == valueStart
            if isWhole { hashWithValue = unsafe LabelHash.mix(hash, start + before, count: count &- before) }
        }
    }

    /// Appends values that were written before, with their lengths, and that are in the hash already.
    @inlinable @inline(__always) mutating func append(given key: [UInt8]) {
        if key.isEmpty { return }
        reserve(key.count)
        unsafe key.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            // SAFETY: there is room for them.
            unsafe UnsafeMutableRawPointer(start + count).copyMemory(from: source, byteCount: bytes.count)
        }
        count &+= key.count
        valueStart = count
    }

    /// Writes a value and ends it.
    @inlinable @inline(__always) mutating func add(_ value: some LabelValue) {
        value.write(to: &self)
        endValue()
    }

    /// Ends a value: its length goes behind it.
    @inlinable @inline(__always) mutating func endValue() {
        let size = count &- valueStart
        reserve(4)
        if isWhole { hash = hashWithValue } else { unsafe hash = LabelHash.mix(hash, start + valueStart, count: size) }
        // SAFETY: there is room for four bytes; unaligned stores are what `storeBytes` is for.
        unsafe UnsafeMutableRawPointer(start + count).storeBytes(of: UInt32(truncatingIfNeeded: size), as: UInt32.self)
        count &+= 4
        valueStart = count
        hashWithValue = LabelHash.mix(hash, 0, 0, count: 0)
        isWhole = true
    }
}

/// The label values of a series, as `LabelWriter` writes them, somewhere in memory for as long as a call lasts.
@unsafe @usableFromInline
struct SeriesKey {
    @usableFromInline let start: UnsafePointer<UInt8>
    @usableFromInline let count: Int
    @usableFromInline let hash: UInt64

    @inlinable @inline(__always) init(start: UnsafePointer<UInt8>, count: Int, hash: UInt64) {
        unsafe self.start = unsafe start
        unsafe self.count = count
        unsafe self.hash = hash
    }

    var bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: start, count: count)) }
}

/// The values of a key, in the order they were written.
func decodeLabelKey(_ key: [UInt8]) -> [ByteString] {
    var values: [ByteString] = []
    var end = key.count
    while end >= 4 {
        var length = 0
        for index in 1...4 { length = length << 8 | Int(key[end - index]) }
        let start = end - 4 - length
        guard start >= 0 else { break }
        values.append(ByteString(key[start..<(end - 4)]))
        end = start
    }
    return values.reversed()
}
