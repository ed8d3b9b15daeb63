/// 10ᵏ for −292 ≤ k ≤ 324 as 128-bit numbers with the highest bit set, rounded up: what turning a double into decimal
/// digits multiplies by.
///
///     10ᵏ ≈ significand × 2^(⌊k log₂ 10⌋ − 127),   exact for 0 ≤ k ≤ 55
///
/// The 9.9 KB are computed on first use, exactly, in about 0.2 ms: 10ᵏ for positive k by multiplying a long integer,
/// for negative k by dividing 2¹²¹⁶ again and again (a quotient of quotients is the quotient, so no error piles up).
@safe
struct ScaledPowersOfTen: @unchecked Sendable {
    // `@unchecked`: written before it is published and never again.
    private let entries: UnsafePointer<Significand>

    struct Significand {
        let high: UInt64
        let low: UInt64
    }

    static let smallest = -292
    static let largest = 324
    static let shared = ScaledPowersOfTen()

    private init() {
        let count = Self.largest - Self.smallest + 1
        // Never freed: one table for the life of the process.
        let table = UnsafeMutablePointer<Significand>.allocate(capacity: count)
        // Words are little-endian. 10³²⁴ has 1,077 bits, 17 words; 2¹²¹⁶ ÷ 10²⁹² keeps 246 bits, more than the 128 wanted.
        var power = [UInt64](repeating: 0, count: 18)
        power[0] = 1
        var fraction = [UInt64](repeating: 0, count: 20)
        fraction[19] = 1
        for exponent in 0...Self.largest {
            // SAFETY: exponent − smallest is in 292…616, below `count`.
            unsafe (table + (exponent - Self.smallest)).initialize(to: Self.leading128(of: power))
            Self.multiplyByTen(&power)
        }
        for exponent in 1...(-Self.smallest) {
            Self.divideByTen(&fraction)
            // SAFETY: −exponent − smallest is in 0…291.
            unsafe (table + (-exponent - Self.smallest)).initialize(to: Self.leading128(of: fraction, isTruncated: true))
        }
        unsafe entries = UnsafePointer(table)
    }

    /// 10ᵏ. `exponent` must lie in `smallest...largest`, which holds for every finite double.
    @inline(__always)
    subscript(exponent: Int) -> Significand {
        assert(exponent >= Self.smallest && exponent <= Self.largest, "no double needs 10 to the \(exponent)")
        // SAFETY: the assertion above; `shortestDecimal` derives the exponent from eleven bits of the double.
        return unsafe entries[exponent &- Self.smallest]
    }

    private static func multiplyByTen(_ words: inout [UInt64]) {
        var carry: UInt64 = 0
        for index in words.indices {
            let product = words[index].multipliedFullWidth(by: 10)
            let (sum, overflow) = product.low.addingReportingOverflow(carry)
            words[index] = sum
            carry = product.high &+ (overflow ? 1 : 0)
        }
    }

    private static func divideByTen(_ words: inout [UInt64]) {
        var remainder: UInt64 = 0
        for index in words.indices.reversed() {
            (words[index], remainder) = UInt64(10).dividingFullWidth((remainder, words[index]))
        }
    }

    /// The 128 highest bits from the highest set one on, rounded up where anything lies below them.
    private static func leading128(of words: [UInt64], isTruncated: Bool = false) -> Significand {
        func word(_ index: Int) -> UInt64 { index < 0 ? 0 : words[index] }
        let top = words.lastIndex { $0 != 0 } ?? 0
        let shift = UInt64(words[top].leadingZeroBitCount)
        func shifted(_ index: Int) -> UInt64 { shift == 0 ? word(index) : word(index) << shift | word(index - 1) >> (64 - shift) }
        var high = shifted(top)
        var low = shifted(top - 1)
        var rest = shifted(top - 2)
        for index in 0..<max(top - 2, 0) { rest |= words[index] }
        if rest != 0 || isTruncated {
            low &+= 1
            if low == 0 { high &+= 1 }
        }
        return Significand(high: high, low: low)
    }
}
