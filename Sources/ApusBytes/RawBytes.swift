#if canImport(Glibc)
    public import Glibc
#elseif canImport(Musl)
    public import Musl
#else
    public import Darwin
#endif

/// Negative, zero or positive as `left` sorts before, with or after `right`, byte by byte; a prefix sorts first.
@inlinable
public func compareBytes(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Int {
    let common = min(left.count, right.count)
    if common > 0 {
        // SAFETY: both pointers are valid for `common` bytes during the closures, and memcmp keeps neither.
        let order = unsafe left.withUnsafeBufferPointer { l in
            unsafe right.withUnsafeBufferPointer { r in unsafe memcmp(l.baseAddress!, r.baseAddress!, common) }
        }
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}

@inlinable
public func equalBytes(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    left.count == right.count && compareBytes(left, right) == 0
}

/// A 64-bit hash of `bytes` under `seed`, by folded 64×64→128 multiplication eight bytes at a time (the wyhash
/// construction of Wang Yi). Not cryptographic. Give tables that outsiders can fill a random seed.
@inlinable
public func hashBytes(_ bytes: Span<UInt8>, seed: UInt64 = 0) -> UInt64 {
    // SAFETY: the pointer is valid for `count` bytes during the closure and is not kept.
    unsafe bytes.withUnsafeBufferPointer { unsafe hashBytes($0.baseAddress, count: $0.count, seed: seed) }
}

/// The same over raw memory. `start` may be nil only when `count` is 0.
@inlinable @inline(__always)
public func hashBytes(_ start: UnsafePointer<UInt8>?, count: Int, seed: UInt64) -> UInt64 {
    var hash = (0x9E37_79B9_7F4A_7C15 ^ seed) ^ (UInt64(truncatingIfNeeded: count) &* 0xA076_1D64_78BD_642F)
    guard let start = unsafe start else { return hash }
    let raw = unsafe UnsafeRawPointer(start)
    var offset = 0
    // SAFETY: every load below ends at or before `count`, which the caller vouches for.
    while offset &+ 8 <= count {
        let word = unsafe raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let product = (hash ^ word).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        hash = product.high ^ product.low
        offset &+= 8
    }
    if offset < count {
        var word: UInt64 = 0
        if count >= 8 {
            word = unsafe raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
        } else {
            while offset < count {
                word = unsafe word &<< 8 | UInt64(start[offset])
                offset &+= 1
            }
        }
        let product = (hash ^ word).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
        hash = product.high ^ product.low
    }
    let product = (hash ^ 0x8EBC_6AF0_9C88_C6E3).multipliedFullWidth(by: 0x5899_65CC_7537_4CC3)
    return product.high ^ product.low
}

/// The first index from `start` on at which `byte` stands, or the count of `bytes` when there is none.
@inlinable
public func firstIndex(of byte: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int {
    let count = bytes.count
    guard start < count else { return count }
    precondition(start >= 0, "an index below 0")
    // SAFETY: `count − start` bytes from `start` on are valid during the closure, and memchr keeps no pointer.
    return unsafe bytes.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress, let found = unsafe memchr(base + start, Int32(byte), count &- start) else { return count }
        return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }
}

/// Whether `bytes` are well-formed UTF-8 (no surrogates, no overlong forms, nothing above U+10FFFF). O(n).
public func isValidUTF8(_ bytes: Span<UInt8>) -> Bool {
    let count = bytes.count
    var index = asciiPrefix(bytes)
    while index < count {
        let first = bytes[index]
        if first < 0x80 {
            index &+= 1
            continue
        }
        let length: Int
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        switch first {
        case 0xC2...0xDF: length = 2
        case 0xE0:
            length = 3
            low = 0xA0
        case 0xED:
            length = 3
            high = 0x9F
        case 0xE1...0xEF: length = 3
        case 0xF0:
            length = 4
            low = 0x90
        case 0xF4:
            length = 4
            high = 0x8F
        case 0xF1...0xF3: length = 4
        default: return false
        }
        guard length <= count - index, (low...high).contains(bytes[index + 1]) else { return false }
        for offset in 2..<max(length, 2) where bytes[index + offset] & 0xC0 != 0x80 { return false }
        index &+= length
    }
    return true
}

/// How many of the first bytes are ASCII for sure: found eight at a time, so up to seven more may be.
@inline(__always)
private func asciiPrefix(_ bytes: Span<UInt8>) -> Int {
    // SAFETY: each load ends at or before `count`.
    unsafe bytes.withUnsafeBytes { buffer in
        var index = 0
        while index &+ 8 <= buffer.count {
            if unsafe buffer.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
            index &+= 8
        }
        return index
    }
}
