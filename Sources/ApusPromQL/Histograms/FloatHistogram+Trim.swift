#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
import ApusModel

extension FloatHistogram {
    /// Which observations stay when a histogram is cut at a value.
    public enum Trim: Sendable { case keepingBelow, keepingAbove }

    /// Cuts off the observations above a value (`</`) or below it (`>/`). A bucket that holds the value is divided by
    /// interpolation. Count and sum are estimated anew, from the middles of the buckets, if anything was cut off.
    public func trimmed(_ trim: Trim, _ cut: Double) -> FloatHistogram {
        var totals = TrimmedTotals()
        var trimmed = self
        var isPopulated = (positive: false, negative: false)
        for isPositive in [true, false] {
            var walk = SpanWalk(isPositive ? layout.positiveSpans : layout.negativeSpans, isReversed: false)
            while let (position, index) = walk.next() {
                let place = isPositive ? position : position + layout.positiveCount
                guard place < buckets.count else { break }
                if buckets[place] == 0 { continue }
                if isPositive { isPopulated.positive = true } else { isPopulated.negative = true }
                let (near, far) = (layout.bound(index &- 1), layout.bound(index))
                let bucket = TrimmedBucket(
                    lower: isPositive ? near : -far, upper: isPositive ? far : -near, count: buckets[place], isPositive: isPositive,
                    isLinear: hasCustomBounds)
                trimmed.buckets[place] = totals.take(bucket.cut(trim, cut), of: buckets[place])
            }
        }
        if zeroCount > 0 {
            let zero = ZeroTrim(
                lower: isPopulated.positive && !isPopulated.negative ? 0 : -layout.zeroThreshold,
                upper: isPopulated.negative && !isPopulated.positive ? 0 : layout.zeroThreshold, count: zeroCount)
            trimmed.zeroCount = totals.take(zero.cut(trim, cut), of: zeroCount)
        }
        // Untouched, the exact sum is better than an estimate.
        guard totals.hasChanged else { return self }
        trimmed.count = totals.count
        trimmed.sum = totals.sum
        return trimmed.compacted()
    }
}

/// What stays of a bucket, and the value that its observations are taken to have.
private struct Kept {
    var count: Double
    var middle: Double
}

private struct TrimmedTotals {
    var count = 0.0
    var sum = 0.0
    var hasChanged = false

    mutating func take(_ kept: Kept, of before: Double) -> Double {
        if kept.count != before { hasChanged = true }
        count += kept.count
        // An estimate of infinitely much times nothing is nothing.
        if kept.count != 0 { sum += kept.middle * kept.count }
        return kept.count
    }
}

private struct TrimmedBucket {
    var lower: Double
    var upper: Double
    var count: Double
    var isPositive: Bool
    var isLinear: Bool

    func cut(_ trim: FloatHistogram.Trim, _ cut: Double) -> Kept {
        switch trim {
        case .keepingBelow:
            if upper <= cut { return Kept(count: count, middle: middle(lower, upper)) }
            if !(lower < cut) { return Kept(count: 0, middle: 0) }
        case .keepingAbove:
            if lower >= cut { return Kept(count: count, middle: middle(lower, upper)) }
            if !(upper > cut) { return Kept(count: 0, middle: 0) }
        }
        if lower == -.infinity { return cutFirst(trim, cut) }
        if upper == .infinity {
            // How far up its observations are is unknown: above any value that it contains, to be careful, or nowhere.
            return trim == .keepingAbove ? Kept(count: count, middle: cut) : Kept(count: 0, middle: 0)
        }
        let below = countBelow(cut)
        return trim == .keepingBelow
            ? Kept(count: below, middle: middle(lower, cut)) : Kept(count: count - below, middle: middle(cut, upper))
    }

    /// A bucket without lower bound: it begins at 0 when it ends above.
    private func cutFirst(_ trim: FloatHistogram.Trim, _ cut: Double) -> Kept {
        let isBounded = upper != .infinity
        switch trim {
        case .keepingBelow:
            if cut > 0, upper > 0, isBounded { return Kept(count: count * cut / upper, middle: cut / 2) }
            if upper <= 0 { return Kept(count: count, middle: cut) }
        case .keepingAbove:
            if cut >= 0, isBounded { return Kept(count: count * (1 - cut / upper), middle: (cut + upper) / 2) }
        }
        return Kept(count: 0, middle: 0)
    }

    private func countBelow(_ cut: Double) -> Double {
        if isLinear { return count * ((cut - lower) / (upper - lower)) }
        let (low, high) = (binaryLogarithm(lower.magnitude), binaryLogarithm(upper.magnitude))
        let place = binaryLogarithm(cut.magnitude)
        return count * (isPositive ? (place - low) / (high - low) : 1 - (place - high) / (low - high))
    }

    private func middle(_ lower: Double, _ upper: Double) -> Double {
        if lower.isInfinite {
            if upper.isInfinite { return 0 }
            return upper > 0 ? upper / 2 : upper
        }
        if upper.isInfinite { return lower }
        if isLinear { return (lower + upper) / 2 }
        let geometric = (lower * upper).magnitude.squareRoot()
        return isPositive ? geometric : -geometric
    }
}

private struct ZeroTrim {
    var lower: Double
    var upper: Double
    var count: Double

    func cut(_ trim: FloatHistogram.Trim, _ cut: Double) -> Kept {
        let all = Kept(count: count, middle: (lower + upper) / 2)
        let none = Kept(count: 0, middle: 0)
        switch trim {
        case .keepingBelow:
            if cut <= lower { return none }
            if cut >= upper { return all }
            return Kept(count: count * ((cut - lower) / (upper - lower)), middle: (lower + cut) / 2)
        case .keepingAbove:
            if cut <= lower { return all }
            if cut >= upper { return none }
            return Kept(count: count * ((upper - cut) / (upper - lower)), middle: (cut + upper) / 2)
        }
    }
}
