/// Makes native histograms with custom bounds of classic ones: of the cumulative buckets, the count and the sum that a
/// target or a script gives for one moment. Use one again and again.
///
///     le="1" 3   le="5" 7   le="+Inf" 9   _sum 31   ▶   bounds 1 5, buckets 3 4 2, count 9, sum 31
public struct ClassicHistogramBuilder: Sendable {
    private var bounds: [Double] = []
    /// How many observations are at most the bound.
    private var counts: [Double] = []
    private var count: Double?
    private var sum = 0.0
    private var isSorted = true
    private var hasInvalidBound = false

    public init() {}

    public mutating func removeAll() {
        bounds.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
        count = nil
        sum = 0
        isSorted = true
        hasInvalidBound = false
    }

    /// Whether neither bucket nor count was given.
    public var isEmpty: Bool { bounds.isEmpty && count == nil }

    /// Of bounds given twice the first stays.
    public mutating func setBucket(upperBound: Double, cumulativeCount: Double) {
        if upperBound.isNaN { return hasInvalidBound = true }
        if let last = bounds.last, !(last < upperBound) { isSorted = false }
        bounds.append(upperBound)
        counts.append(cumulativeCount)
    }

    public mutating func setCount(_ count: Double) { self.count = count }
    public mutating func setSum(_ sum: Double) { self.sum = sum }

    /// The histogram: of whole numbers if all counts are, else of floats. Without a count the highest bucket's is taken,
    /// without a bucket for +Inf one that reaches the count. Buckets that hold nothing are left out.
    ///
    /// Throws when counts are negative, fall from one bound to a higher, or do not reach the count, when a bound is NaN, and
    /// when there is neither bucket nor count.
    public mutating func build(hint: CounterResetHint = .unknown) throws(HistogramError) -> NativeHistogram {
        if isEmpty { throw HistogramError("there is neither a bucket nor a count") }
        if hasInvalidBound { throw HistogramError("the bound of a bucket is no number") }
        sort()
        var previous = 0.0
        for (bound, cumulative) in zip(bounds, counts) {
            if !(cumulative >= 0) { throw HistogramError("the bucket le=\(bound) has a count of \(cumulative)") }
            if cumulative < previous {
                throw HistogramError("the bucket le=\(bound) counts \(cumulative), fewer than the \(previous) of the bucket before it")
            }
            previous = cumulative
        }
        let total = count ?? previous
        if !(total >= 0) { throw HistogramError("the count is \(total)") }
        if bounds.last != .infinity {
            bounds.append(.infinity)
            counts.append(total)
            if total < previous { throw HistogramError("the count is \(total), fewer than the \(previous) of the highest bucket") }
        } else if counts.last != total {
            throw HistogramError("the count is \(total), the bucket le=\"+Inf\" has \(previous)")
        }
        return try histogram(total, hint)
    }

    private func histogram(_ total: Double, _ hint: CounterResetHint) throws(HistogramError) -> NativeHistogram {
        var spans: [HistogramSpan] = []
        var following: Int32 = 0
        var buckets: [Double] = []
        var previous = 0.0
        for (position, cumulative) in counts.enumerated() where cumulative != previous {
            let index = Int32(clamping: position)
            if index == following, !spans.isEmpty {
                spans[spans.count - 1].length += 1
            } else {
                spans.append(HistogramSpan(offset: index &- following, length: 1))
            }
            following = index &+ 1
            buckets.append(cumulative - previous)
            previous = cumulative
        }
        let layout = HistogramLayout(
            schema: HistogramLayout.customSchema, positiveSpans: spans, customBounds: Array(bounds.dropLast()))
        if let whole = try whole(total, layout, hint) { return whole }
        return try NativeHistogram(layout: layout, hint: hint, floatCount: total, sum: sum, positive: buckets)
    }

    /// With whole counts, whose differences are taken as such: doubles would round them. `nil` when some count is none.
    private func whole(
        _ total: Double, _ layout: HistogramLayout, _ hint: CounterResetHint
    ) throws(HistogramError) -> NativeHistogram? {
        var buckets: [UInt64] = []
        var previous: UInt64 = 0
        for cumulative in counts {
            guard let count = UInt64(exactly: cumulative), count <= UInt64(Int64.max), count >= previous else { return nil }
            if count != previous { buckets.append(count - previous) }
            previous = count
        }
        guard let count = UInt64(exactly: total) else { return nil }
        return try NativeHistogram(layout: layout, hint: hint, count: count, sum: sum, positive: buckets)
    }

    private mutating func sort() {
        if isSorted { return }
        // Stable, so that of equal bounds the first stays.
        let order = bounds.indices.sorted { bounds[$0] != bounds[$1] ? bounds[$0] < bounds[$1] : $0 < $1 }
        var sortedBounds: [Double] = []
        var sortedCounts: [Double] = []
        for index in order where sortedBounds.last != bounds[index] {
            sortedBounds.append(bounds[index])
            sortedCounts.append(counts[index])
        }
        (bounds, counts, isSorted) = (sortedBounds, sortedCounts, true)
    }
}
