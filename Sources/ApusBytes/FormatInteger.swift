/// The most bytes `writeDecimal` writes: a sign and 19 digits, or 20 digits.
public let maxDecimalBytes = 20
/// The most bytes `writeTimestampSeconds` writes.
public let maxTimestampBytes = 21

/// `00` to `99`, one after the other: digits are written in pairs.
private let digitPairs: StaticString = """
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """

private let powersOfTen: InlineArray<20, UInt64> = [
    1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000,
    1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000, 10_000_000_000_000_000,
    100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
]

/// How many decimal digits `value` has; 1 for 0.
@inline(__always)
func decimalDigitCount(_ value: UInt64) -> Int {
    // log₁₀ from the bit length (1233 ÷ 4096 ≈ log₁₀ 2) is at most one too small, which one comparison settles.
    let bitLength = 64 &- (value | 1).leadingZeroBitCount
    let estimate = (bitLength &* 1233) &>> 12
    return (value | 1) < powersOfTen[estimate] ? estimate : estimate &+ 1
}

/// Writes exactly `count` digits of `value`, zeros in front. `out` must have room for `count` bytes.
@inline(__always)
func writeDigits(_ value: UInt64, count: Int, to out: UnsafeMutablePointer<UInt8>) {
    let pairs = unsafe digitPairs.utf8Start
    var rest = value
    var index = count
    // SAFETY: `index` counts down from `count` to 0, so every store lies in `out..<out + count`; a pair lies in 0..<200.
    while index >= 2 {
        let quotient = rest / 100
        let pair = Int(truncatingIfNeeded: rest &- quotient &* 100) &* 2
        index &-= 2
        unsafe out[index] = pairs[pair]
        unsafe out[index &+ 1] = pairs[pair &+ 1]
        rest = quotient
    }
    if index == 1 { unsafe out[0] = UInt8(truncatingIfNeeded: rest % 10) &+ 0x30 }
}

/// Writes `value` in decimal, up to `maxDecimalBytes`, and returns how many bytes that were.
@unsafe
public func writeDecimal(_ value: UInt64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let count = decimalDigitCount(value)
    unsafe writeDigits(value, count: count, to: out)
    return count
}

/// Writes `value` in decimal, up to `maxDecimalBytes`, and returns how many bytes that were.
@unsafe
public func writeDecimal(_ value: Int64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    guard value < 0 else { return unsafe writeDecimal(value.magnitude, to: out) }
    unsafe out[0] = UInt8(ascii: "-")
    return unsafe writeDecimal(value.magnitude, to: out + 1) &+ 1
}

/// Writes milliseconds since the epoch as seconds, up to `maxTimestampBytes`, as Prometheus's API does: `1700000000`
/// when they are whole, else all three decimals, `1700000000.120`. Returns how many bytes that were.
@unsafe
public func writeTimestampSeconds(_ milliseconds: Int64, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let (seconds, rest) = milliseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    var count = 0
    if milliseconds < 0 {
        unsafe out[0] = UInt8(ascii: "-")
        count = 1
    }
    count &+= unsafe writeDecimal(seconds, to: out + count)
    if rest != 0 {
        unsafe out[count] = UInt8(ascii: ".")
        unsafe writeDigits(rest, count: 3, to: out + (count &+ 1))
        count &+= 4
    }
    return count
}

extension Array where Element == UInt8 {
    /// Appends up to `limit` bytes that `write` puts at the address it is given; `write` returns how many it wrote.
    @inline(__always)
    mutating func appendWritten(atMost limit: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Int) {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: limit) { buffer in
            guard let start = buffer.baseAddress else { return }
            // SAFETY: `write` keeps to the `limit` bytes of the buffer and initialises as many as it returns.
            let count = unsafe write(start)
            unsafe append(contentsOf: UnsafeBufferPointer(start: start, count: count))
        }
    }

    /// Appends `value` in decimal.
    public mutating func appendDecimal(_ value: Int64) {
        unsafe appendWritten(atMost: maxDecimalBytes) { unsafe writeDecimal(value, to: $0) }
    }
    /// Appends `value` in decimal.
    public mutating func appendDecimal(_ value: UInt64) {
        unsafe appendWritten(atMost: maxDecimalBytes) { unsafe writeDecimal(value, to: $0) }
    }
    /// Appends milliseconds since the epoch as seconds: `1700000000`, or with all three decimals `1700000000.120`.
    public mutating func appendTimestampSeconds(_ milliseconds: Int64) {
        unsafe appendWritten(atMost: maxTimestampBytes) { unsafe writeTimestampSeconds(milliseconds, to: $0) }
    }
}
