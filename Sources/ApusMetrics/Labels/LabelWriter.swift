public import ApusBytes

/// Takes the texts of a series' label values, one after the other, into a buffer on the stack; they are the key by
/// which the series is found.
///
///     ┌──────────────┬─────────────┬──────────────┬─────────────┬───
///     │ first value  │ length, u32 │ second value │ length, u32 │ …
///     └──────────────┴─────────────┴──────────────┴─────────────┴───
///
/// The length stands behind its value, so a value can be written in pieces and no byte is special. What does not fit
/// the buffer is counted and not written: the caller then comes again with a buffer of `count` bytes.
@safe
public struct LabelWriter {
    // The owner of the buffer keeps it alive for as long as the writer is used; the writer never leaves that scope.
    @usableFromInline let start: UnsafeMutablePointer<UInt8>
    @usableFromInline let capacity: Int
    /// Bytes so far, whether they fitted or not.
    @usableFromInline var count = 0
    @usableFromInline var valueStart = 0

    @inlinable init(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
        unsafe start = buffer.baseAddress.unsafelyUnwrapped
        capacity = buffer.count
    }

    @usableFromInline var fits: Bool { @inlinable get { count <= capacity } }

    @inlinable public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { unsafe append($0) }
    }

    @inlinable public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        let end = count &+ bytes.count
        if end <= capacity, let source = bytes.baseAddress {
            // SAFETY: `count..<end` lies in the buffer, and the source is none of it.
            unsafe Self.copy(UnsafeRawPointer(source), bytes.count, to: UnsafeMutableRawPointer(start + count))
        }
        count = end
    }

    /// Label values are short: two loads and stores that may overlap beat a call of memmove.
    @inlinable @inline(__always)
    static func copy(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) {
        // SAFETY: each load and store lies within `count` bytes from its start.
        if count > 16 {
            unsafe target.copyMemory(from: source, byteCount: count)
        } else if count >= 8 {
            unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
            let last = unsafe source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            unsafe target.storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
        } else if count >= 4 {
            unsafe target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
            let last = unsafe source.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            unsafe target.storeBytes(of: last, toByteOffset: count &- 4, as: UInt32.self)
        } else {
            for index in 0..<count {
                unsafe target.storeBytes(
                    of: source.load(fromByteOffset: index, as: UInt8.self), toByteOffset: index, as: UInt8.self)
            }
        }
    }

    @inlinable public mutating func append(decimal value: Int64) {
        if count &+ maxDecimalBytes <= capacity {
            // SAFETY: room for the longest integer was checked.
            count &+= unsafe writeDecimal(value, to: start + count)
        } else {
            append(String(value))
        }
    }

    /// Appends values that were written before, with their lengths.
    @inlinable mutating func append(key: [UInt8]) {
        unsafe key.withUnsafeBufferPointer { unsafe append($0) }
        valueStart = count
    }

    /// Ends a value: its length goes behind it.
    @inlinable mutating func endValue() {
        let length = UInt32(truncatingIfNeeded: count &- valueStart)
        if count &+ 4 <= capacity {
            // SAFETY: four bytes fit, as was checked; unaligned stores are what `storeBytes` is for.
            unsafe UnsafeMutableRawPointer(start + count).storeBytes(of: length, as: UInt32.self)
        }
        count &+= 4
        valueStart = count
    }
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
