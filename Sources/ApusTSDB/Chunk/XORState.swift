/// The writing end of an XOR chunk: what must be remembered between two samples of a series. The bytes are elsewhere.
///
///     ┌────────────┬─────────────┬──────────┬──────────────┬─────────┬───────┬─────────┬───
///     │ count, u16 │ t₀, varint  │ v₀, f64  │ Δt₁, uvarint │ v₁ ⊕ v₀ │ Δ²t₂  │ v₂ ⊕ v₁ │ …
///     └────────────┴─────────────┴──────────┴──────────────┴─────────┴───────┴─────────┴───
///
/// Source: Pelkonen et al., "Gorilla: A Fast, Scalable, In-Memory Time Series Database", VLDB 2015, §4.1, with the bit
/// widths of Prometheus's `XOR` chunk. The count is written when the chunk is read or sealed, not at every sample.
///
/// 30 bytes, so that the state of an open chunk fits into the 64 bytes of its series.
struct XORState: BitwiseCopyable {
    /// Of the newest sample.
    var time: Int64 = 0
    /// Bit pattern of the newest sample.
    var value: UInt64 = 0
    /// Between the two newest samples, wrapping.
    var delta: UInt64 = 0
    /// Bits written, the count's 16 included.
    var bitCount: UInt16 = 16
    var count: UInt16 = 0
    /// The window of significant bits used last; 0xFF leading for none yet.
    var leading: UInt8 = 0xFF
    var trailing: UInt8 = 0

    /// No sample takes more: 4 + 64 bits of time and 13 + 64 of value, or the first's 80 + 64; with the 8-byte window
    /// that is rewritten behind the last of them.
    static let maxSampleBytes = 28
    static let maxSampleBits = 145
    /// The count of bits is 16 bits wide.
    static let maxSamples = 440

    var sizeBytes: Int { (Int(bitCount) &+ 7) &>> 3 }

    /// Writes one sample. Needs `maxSampleBytes` writable bytes from the byte that holds bit `bitCount` on; those after
    /// that bit are overwritten, whatever they held.
    @inline(__always)
    mutating func append(_ newTime: Int64, _ newValue: UInt64, to base: UnsafeMutableRawPointer) {
        unsafe writeSample(newTime, newValue, to: base)
        time = newTime
        value = newValue
        count &+= 1
    }

    @inline(__always)
    private mutating func writeSample(_ newTime: Int64, _ newValue: UInt64, to base: UnsafeMutableRawPointer) {
        let xor = newValue ^ value
        if count > 1 {
            let newDelta = UInt64(bitPattern: newTime &- time)
            let change = Int64(bitPattern: newDelta &- delta)
            if change == 0 {
                // A target that answers on time with the same value is the usual case: one write of two bits.
                if xor == 0 {
                    unsafe put(0, 2, to: base)
                    return
                }
                unsafe put(0, 1, to: base)
            } else {
                let bits = UInt64(bitPattern: change)
                // Each range is lopsided, −(2ⁿ⁻¹ − 1) … 2ⁿ⁻¹, by the format.
                switch change {
                case -8_191...8_192: unsafe put(0b10 &<< 14 | bits & 0x3FFF, 16, to: base)
                case -65_535...65_536: unsafe put(0b110 &<< 17 | bits & 0x1_FFFF, 20, to: base)
                case -524_287...524_288: unsafe put(0b1110 &<< 20 | bits & 0xF_FFFF, 24, to: base)
                default:
                    unsafe put(0b1111, 4, to: base)
                    unsafe put64(bits, to: base)
                }
                delta = newDelta
                if xor == 0 {
                    unsafe put(0, 1, to: base)
                    return
                }
            }
            unsafe putXOR(xor, to: base)
        } else if count == 0 {
            unsafe putUvarint(UInt64(bitPattern: (newTime &<< 1) ^ (newTime &>> 63)), to: base)
            unsafe put64(newValue, to: base)
        } else {
            delta = UInt64(bitPattern: newTime &- time)
            unsafe putUvarint(delta, to: base)
            if xor == 0 { unsafe put(0, 1, to: base) } else { unsafe putXOR(xor, to: base) }
        }
    }

    @inline(__always)
    private mutating func putXOR(_ xor: UInt64, to base: UnsafeMutableRawPointer) {
        // Five bits hold the number of leading zeros, so more than 31 count as 31.
        let newLeading = min(xor.leadingZeroBitCount, 31)
        let newTrailing = xor.trailingZeroBitCount
        if leading != 0xFF && newLeading >= Int(leading) && newTrailing >= Int(trailing) {
            let width = 64 &- Int(leading) &- Int(trailing)
            let bits = xor &>> UInt64(trailing)
            if width <= 54 {
                unsafe put(0b10 &<< UInt64(truncatingIfNeeded: width) | bits, width &+ 2, to: base)
            } else {
                unsafe put(0b10, 2, to: base)
                unsafe putWide(bits, width, to: base)
            }
        } else {
            leading = UInt8(truncatingIfNeeded: newLeading)
            trailing = UInt8(truncatingIfNeeded: newTrailing)
            let width = 64 &- newLeading &- newTrailing
            // Six bits hold the number of significant bits; 64 is written as 0, since there is at least one.
            let header = 0b11 &<< 11 | UInt64(truncatingIfNeeded: newLeading) &<< 6 | UInt64(truncatingIfNeeded: width & 63)
            unsafe put(header, 13, to: base)
            unsafe putWide(xor &>> UInt64(truncatingIfNeeded: newTrailing), width, to: base)
        }
    }

    /// Appends the low `width` bits of `bits`, at most 56, the others being zero.
    @inline(__always)
    private mutating func put(_ bits: UInt64, _ width: Int, to base: UnsafeMutableRawPointer) {
        let position = Int(bitCount)
        // SAFETY: the caller of `append` vouches for the room. The first byte keeps its bits, the window behind is new.
        let cell = unsafe base + (position &>> 3)
        let old = UInt64(unsafe cell.load(as: UInt8.self)) & ~(0xFF &>> UInt64(position & 7))
        let window = old &<< 56 | bits &<< UInt64(truncatingIfNeeded: 64 &- width &- (position & 7))
        unsafe cell.storeBytes(of: window.bigEndian, as: UInt64.self)
        bitCount &+= UInt16(truncatingIfNeeded: width)
    }

    @inline(__always)
    private mutating func putWide(_ bits: UInt64, _ width: Int, to base: UnsafeMutableRawPointer) {
        if width <= 56 {
            unsafe put(bits, width, to: base)
        } else {
            unsafe put(bits &>> 32, width &- 32, to: base)
            unsafe put(bits & 0xFFFF_FFFF, 32, to: base)
        }
    }

    @inline(__always)
    private mutating func put64(_ bits: UInt64, to base: UnsafeMutableRawPointer) {
        unsafe put(bits &>> 32, 32, to: base)
        unsafe put(bits & 0xFFFF_FFFF, 32, to: base)
    }

    private mutating func putUvarint(_ value: UInt64, to base: UnsafeMutableRawPointer) {
        var rest = value
        while rest >= 0x80 {
            unsafe put(rest & 0x7F | 0x80, 8, to: base)
            rest &>>= 7
        }
        unsafe put(rest, 8, to: base)
    }
}
