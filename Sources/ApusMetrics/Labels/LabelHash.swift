/// The hash of a series' label values, made while they are written.
///
///     hash₀ = a random seed, another one for each family
///     hashᵢ = fold((a ⊕ hash) × (b ⊕ hash, halves swapped, ⊕ a constant and the length))     a, b: the value's bytes
///
/// Two words take up to sixteen bytes, overlapping, which most values have; longer ones take as many turns as they need. Both
/// factors hold the secret seed, so that nobody can choose values that make one of them zero. The construction is that of
/// wyhash (Wang Yi).
@usableFromInline
enum LabelHash {
    @inlinable @inline(__always)
    static func mix(_ hash: UInt64, _ a: UInt64, _ b: UInt64, count: Int) -> UInt64 {
        let swapped = hash &<< 32 | hash &>> 32
        let length = UInt64(truncatingIfNeeded: count) &+ 0xA076_1D64_78BD_642F
        let product = (a ^ hash).multipliedFullWidth(by: b ^ swapped ^ length)
        return product.high ^ product.low
    }

    /// The hash after one more value of `count` bytes.
    @inlinable @inline(__always)
    static func mix(_ hash: UInt64, _ start: UnsafeRawPointer, count: Int) -> UInt64 {
        if count > 16 { return unsafe mixLong(hash, start, count: count) }
        let (a, b) = unsafe words(start, count: count)
        return mix(hash, a, b, count: count)
    }

    @inlinable @inline(never)
    static func mixLong(_ hash: UInt64, _ start: UnsafeRawPointer, count: Int) -> UInt64 {
        var hash = hash
        var offset = 0
        // SAFETY: every load lies within `count` bytes, which are more than sixteen.
        while offset &+ 16 < count {
            let (a, b) = unsafe words(start + offset, count: 16)
            hash = mix(hash, a, b, count: 0)
            offset &+= 16
        }
        let (a, b) = unsafe words(start + (count &- 16), count: 16)
        return mix(hash, a, b, count: count)
    }

    /// Up to sixteen bytes as two words.
    @inlinable @inline(__always)
    static func words(_ start: UnsafeRawPointer, count: Int) -> (UInt64, UInt64) {
        // SAFETY: every load lies within `count` bytes.
        if count >= 8 {
            return unsafe (
                start.loadUnaligned(as: UInt64.self), start.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            )
        }
        if count >= 4 {
            return unsafe (
                UInt64(start.loadUnaligned(as: UInt32.self)),
                UInt64(start.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            )
        }
        if count == 0 { return (0, 0) }
        // One to three bytes without a branch: the middle one may be the first or the last.
        let middle = count &>> 1
        let first = unsafe UInt64(start.load(as: UInt8.self))
        let second =
            unsafe UInt64(start.load(fromByteOffset: middle, as: UInt8.self)) &<< UInt64(truncatingIfNeeded: middle &<< 3)
        let last = unsafe UInt64(start.load(fromByteOffset: count &- 1, as: UInt8.self))
        return (first | second | last &<< UInt64(truncatingIfNeeded: (count &- 1) &<< 3), 0)
    }

    /// The hash of a whole key.
    static func hash(_ key: [UInt8], seed: UInt64) -> UInt64 {
        decodeLabelKey(key).reduce(seed) { hash, value in
            unsafe value.bytes.withUnsafeBytes { bytes in
                // SAFETY: an empty value may have no address, and then nothing is loaded.
                guard let start = bytes.baseAddress else { return mix(hash, 0, 0, count: 0) }
                return unsafe mix(hash, start, count: bytes.count)
            }
        }
    }
}
