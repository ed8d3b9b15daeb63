#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
import ApusModel

/// What a quantile or a fraction of a histogram has to say beside its value, all of them because of observations that
/// were NaN: those are counted, and are in no bucket.
public enum HistogramNaNNote: Sendable, Equatable {
    /// The quantile would be among the NaN observations.
    case resultIsNaN
    /// They rank above everything else.
    case skewsHigher
    /// They belong to no fraction.
    case excluded
}

extension FloatHistogram {
    /// The value below which the share `phi` of the observations lies, interpolated within a bucket: exponentially where
    /// buckets are exponential, linearly in the zero bucket and between custom bounds.
    ///
    /// The zero bucket begins at 0 when there are positive buckets only, and ends at 0 when there are negative ones only.
    /// -Inf for a `phi` below 0, +Inf for one above 1; NaN without observations.
    public func quantile(_ phi: Double) -> (value: Double, note: HistogramNaNNote?) {
        if phi < 0 { return (-.infinity, nil) }
        if phi > 1 { return (.infinity, nil) }
        if count == 0 || phi.isNaN { return (.nan, nil) }

        // From the end that is nearer. NaN observations are all at the upper end, out of sight.
        let isAscending = sum.isNaN || phi < 0.5
        var rank = isAscending ? phi * count : (1 - phi) * count
        var walk = BucketWalk(self, isAscending: isAscending)
        var bucket = HistogramBucket(lower: 0, upper: 0, count: 0)
        var passed = 0.0
        while let next = walk.next() {
            bucket = next
            if bucket.count == 0 { continue }
            passed += bucket.count
            if passed >= rank { break }
        }
        if hasCustomBounds {
            if bucket.lower == -.infinity {
                if bucket.upper <= 0 { return (bucket.upper, nil) }
                bucket.lower = 0
            } else if bucket.upper == .infinity {
                return (bucket.lower, nil)
            }
        } else if bucket.lower < 0, bucket.upper > 0 {
            narrowZeroBucket(&bucket)
        }
        // Rounding may have found more than there were.
        if passed > count { passed = count }
        if passed < rank { return sum.isNaN ? (.nan, .resultIsNaN) : (bucket.upper, nil) }
        rank = isAscending ? rank - (passed - bucket.count) : passed - rank

        var note: HistogramNaNNote?
        if sum.isNaN {
            // Observations of both infinities make the sum NaN, too; those are in buckets.
            var total = passed
            while let next = walk.next() { total += next.count }
            if total < count { note = .skewsHigher }
        }
        return (interpolated(bucket, rank / bucket.count), note)
    }

    private func interpolated(_ bucket: HistogramBucket, _ fraction: Double) -> Double {
        if hasCustomBounds || (bucket.lower <= 0 && bucket.upper >= 0) {
            return bucket.lower + (bucket.upper - bucket.lower) * fraction
        }
        let lower = binaryLogarithm(bucket.lower.magnitude)
        let upper = binaryLogarithm(bucket.upper.magnitude)
        if bucket.lower > 0 { return powerOfTwo(lower + (upper - lower) * fraction) }
        return -powerOfTwo(upper + (lower - upper) * (1 - fraction))
    }

    private func narrowZeroBucket(_ bucket: inout HistogramBucket) {
        if layout.negativeCount == 0, layout.positiveCount > 0 {
            bucket.lower = 0
        } else if layout.positiveCount == 0, layout.negativeCount > 0 {
            bucket.upper = 0
        }
    }

    /// The share of observations between two values, interpolated as `quantile` does. NaN without observations.
    public func fraction(lower: Double, upper: Double) -> (value: Double, note: HistogramNaNNote?) {
        if count == 0 || lower.isNaN || upper.isNaN { return (.nan, nil) }
        if lower >= upper { return (0, nil) }
        // How many observations are below each of the two.
        var lowerRank: Double?
        var upperRank: Double?
        var rank = 0.0
        var seen = 0.0
        var walk = BucketWalk(self, isAscending: true)
        while let next = walk.next() {
            var bucket = next
            seen += bucket.count
            let isLinear = hasCustomBounds || (bucket.lower <= 0 && bucket.upper >= 0)
            if bucket.lower <= 0, bucket.upper >= 0 { narrowZeroBucket(&bucket) }
            if lowerRank == nil { lowerRank = self.rank(of: lower, in: bucket, rank, isLinear: isLinear) }
            if upperRank == nil { upperRank = self.rank(of: upper, in: bucket, rank, isLinear: isLinear) }
            if lowerRank != nil, upperRank != nil { break }
            rank += bucket.count
        }
        var total = count
        var note: HistogramNaNNote?
        if sum.isNaN {
            while let next = walk.next() { seen += next.count }
            if seen < count { note = .excluded }
            total = seen
        }
        return ((min(upperRank ?? total, total) - min(lowerRank ?? total, total)) / count, note)
    }

    /// How many observations are below `value` when `rank` are below the bucket; `nil` when it is above the bucket.
    private func rank(of value: Double, in bucket: HistogramBucket, _ rank: Double, isLinear: Bool) -> Double? {
        if bucket.lower >= value { return rank }
        guard bucket.upper > value else { return nil }
        if isLinear {
            // Where observations lie in a bucket without start, nobody knows: they count as below.
            if bucket.lower == -.infinity { return bucket.count }
            return rank + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower)
        }
        let lower = binaryLogarithm(bucket.lower.magnitude)
        let upper = binaryLogarithm(bucket.upper.magnitude)
        let place = binaryLogarithm(value.magnitude)
        let fraction = value > 0 ? (place - lower) / (upper - lower) : 1 - (place - upper) / (lower - upper)
        return rank + bucket.count * fraction
    }
}

/// log₂ to the last bit as Prometheus has it: exact at powers of two, and a natural logarithm's rounding between them.
func binaryLogarithm(_ value: Double) -> Double {
    guard value.isFinite, value > 0 else { return log2(value) }
    var exponent: Int32 = 0
    let fraction = unsafe frexp(value, &exponent)
    if fraction == 0.5 { return Double(exponent - 1) }
    return log(fraction) * (1 / 0.693147180559945309417232121458176568) + Double(exponent)
}

/// 2^x, to the last bit as Prometheus has it.
///
/// With x = k + t, |t| ≤ ½: e^(t ln 2) by the rational approximation of FreeBSD's `e_exp.c`, times 2^k.
func powerOfTwo(_ value: Double) -> Double {
    if value.isNaN || value == .infinity { return value }
    if value == -.infinity { return 0 }
    if value > 1.0239999999999999e+03 { return .infinity }
    if value < -1.0740e+03 { return 0 }
    let whole = (value > 0 ? value + 0.5 : value < 0 ? value - 0.5 : 0).rounded(.towardZero)
    let rest = value - whole
    let high = rest * 6.93147180369123816490e-01
    let low = -rest * 1.90821492927058770002e-10
    let reduced = high - low
    let square = reduced * reduced
    let tail =
        square
        * (1.66666666666666657415e-01
            + square
            * (-2.77777777770155933842e-03
                + square * (6.61375632143793436117e-05 + square * (-1.65339022054652515390e-06 + square * 4.13813679705723846039e-08))))
    let correction = reduced - tail
    let mantissa = 1 - ((low - (reduced * correction) / (2 - correction)) - high)
    return ldexp(mantissa, Int32(clamping: Int(whole)))
}
