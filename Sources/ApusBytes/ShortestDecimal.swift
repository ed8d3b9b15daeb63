/// A positive number as `digits` × 10^`exponent`. `digits` has at most 17 digits and may end in zeros.
struct ShortestDecimal: Equatable {
    var digits: UInt64
    var exponent: Int

    /// The same number without zeros at the end of `digits`.
    var trimmed: ShortestDecimal {
        var result = self
        while result.digits >= 10 {
            let (tenth, last) = result.digits.quotientAndRemainder(dividingBy: 10)
            guard last == 0 else { break }
            result.digits = tenth
            result.exponent &+= 1
        }
        return result
    }
}

/// The decimal with the fewest digits that reads back as `magnitude`, and of those the closest to it: the digits that
/// Go's `strconv` and Swift's `description` print. `magnitude` must be positive and finite.
///
/// Source: Raffaello Giulietti, "The Schubfach way to render doubles", 2020. A double stands for all reals nearer to it
/// than to its neighbours. With 10ᵏ the largest power of ten not wider than that interval, one or two multiples of
/// 10ᵏ⁺¹ or two to eleven of 10ᵏ can lie in it: four candidates next to the value decide. Interval ends and value are
/// scaled by 4 × 10⁻ᵏ with one 64×128-bit product each, whose lost fraction survives as the lowest bit ("round to odd"),
/// which is all the comparisons need.
func shortestDecimal(_ magnitude: Double) -> ShortestDecimal {
    let fraction = magnitude.significandBitPattern
    let biasedExponent = Int(magnitude.exponentBitPattern)
    let isNormal = biasedExponent != 0
    // magnitude = significand × 2^exponent, both integers.
    let significand = isNormal ? fraction | 1 &<< 52 : fraction
    let exponent = (isNormal ? biasedExponent : 1) &- 1075

    // The neighbour below a power of two is half as far away as the one above.
    let lowerIsCloser = fraction == 0 && biasedExponent > 1
    // An interval's end reads back as the double whose significand is even.
    let excludesEnds = significand & 1
    let lowerEnd = 4 &* significand &- 2 &+ (lowerIsCloser ? 1 : 0)
    let middle = 4 &* significand
    let upperEnd = 4 &* significand &+ 2

    // ⌊log₁₀ 2^exponent⌋, or of ¾ × 2^exponent for the lopsided interval; right for every exponent of a double.
    let power = (exponent &* 1_262_611 &- (lowerIsCloser ? 524_031 : 0)) &>> 22
    // 1...4: what remains of the binary exponent beside that of 10^−power, ⌊−power × log₂ 10⌋.
    let shift = UInt64(truncatingIfNeeded: exponent &+ (-power &* 1_741_647) &>> 19 &+ 1)
    let scale = ScaledPowersOfTen.shared[-power]
    let lower = roundedToOdd(scale, lowerEnd &<< shift) &+ excludesEnds
    let value = roundedToOdd(scale, middle &<< shift)
    let upper = roundedToOdd(scale, upperEnd &<< shift) &- excludesEnds

    let units = value &>> 2
    if units >= 10 {
        let tens = units / 10
        let belowIsInside = lower <= 40 &* tens
        let aboveIsInside = 40 &* tens &+ 40 <= upper
        if belowIsInside != aboveIsInside {
            return ShortestDecimal(digits: tens &+ (aboveIsInside ? 1 : 0), exponent: power &+ 1)
        }
    }
    let belowIsInside = lower <= 4 &* units
    let aboveIsInside = 4 &* units &+ 4 <= upper
    if belowIsInside != aboveIsInside { return ShortestDecimal(digits: units &+ (aboveIsInside ? 1 : 0), exponent: power) }
    // Both or neither: the closer one, the even one of two equally close.
    let half = 4 &* units &+ 2
    let roundsUp = value > half || (value == half && units & 1 == 1)
    return ShortestDecimal(digits: units &+ (roundsUp ? 1 : 0), exponent: power)
}

/// ⌊scale × factor ÷ 2¹²⁸⌋, its lowest bit set when anything more than the rounding of `scale` was cut off.
@inline(__always)
private func roundedToOdd(_ scale: ScaledPowersOfTen.Significand, _ factor: UInt64) -> UInt64 {
    let low = scale.low.multipliedFullWidth(by: factor)
    let high = scale.high.multipliedFullWidth(by: factor)
    let (middle, carry) = high.low.addingReportingOverflow(low.high)
    return (high.high &+ (carry ? 1 : 0)) | (middle > 1 ? 1 : 0)
}
