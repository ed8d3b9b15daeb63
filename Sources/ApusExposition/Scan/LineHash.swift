/// The key of `hashLine`, drawn at random: whoever writes pages must not be able to make two lines collide.
struct HashSeed: Sendable {
    let a: UInt64
    let b: UInt64
    let c: UInt64
    init(_ seed: UInt64) {
        a = foldedMultiply(seed ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB)
        b = foldedMultiply(seed ^ 0x8EBC_6AF0_9C88_C6E3, a)
        c = foldedMultiply(seed ^ 0x5899_65CC_7537_4CC3, b)
    }
}

@inline(__always)
func foldedMultiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}

/// A keyed 64-bit hash, by folded 64×64→128 multiplication of sixteen bytes at a time in two lanes (the construction of
/// Wang Yi's wyhash): about 10 ns for a line of 90 bytes.
@inline(__always)
func hashLine(_ start: UnsafePointer<UInt8>, _ count: Int, _ seed: HashSeed) -> UInt64 {
    // SAFETY: every load below ends at or before `count`, which the caller vouches for.
    let raw = unsafe UnsafeRawPointer(start)
    var low: UInt64 = 0
    var high: UInt64 = 0
    var state = seed.a ^ UInt64(truncatingIfNeeded: count)
    if count > 16 {
        var offset = 0
        if count > 32 {
            var second = seed.b
            while offset &+ 32 < count {
                state = unsafe foldedMultiply(
                    raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ seed.b,
                    raw.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self) ^ state)
                second = unsafe foldedMultiply(
                    raw.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self) ^ seed.c,
                    raw.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self) ^ second)
                offset &+= 32
            }
            state ^= second
        }
        if offset &+ 16 < count {
            state = unsafe foldedMultiply(
                raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ seed.b,
                raw.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self) ^ state)
        }
        unsafe low = raw.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self)
        unsafe high = raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    } else if count >= 8 {
        unsafe low = raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
        unsafe high = raw.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    } else {
        var index = 0
        while index < count {
            unsafe low = low &<< 8 | UInt64(start[index])
            index &+= 1
        }
    }
    return foldedMultiply(seed.c ^ UInt64(truncatingIfNeeded: count), foldedMultiply(low ^ seed.b, high ^ state))
}

/// The same of a span.
func hashSpan(_ bytes: Span<UInt8>, _ seed: HashSeed) -> UInt64 {
    // SAFETY: the pointer is valid for `count` bytes during the closure.
    unsafe bytes.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return 0 }
        return unsafe hashLine(base, buffer.count, seed)
    }
}
