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

    public init() {}

    public mutating func removeAll() {
        bounds.removeAll(keepingCapacity: true)
        counts.removeAll(keepingCapacity: true)
        count = nil
        sum = 0
        isSorted = true
    }

    /// Whether neither bucket nor count was given.
    public var isEmpty: Bool { bounds.isEmpty && count == nil }

    /// A bound that is NaN is left out; of bounds given twice the first stays.
    public mutating func setBucket(upperBound: Double, cumulativeCount: Double) {
        if upperBound.isNaN { return }
        if let last = bounds.last, !(last < upperBound) { isSorted = false }
        bounds.append(upperBound)
        counts.append(cumulativeCount)
    }

    public mutating func setCount(_ count: Double) { self.count = count }
    public mutating func setSum(_ sum: Double) { self.sum = sum }

    /// The histogram: of whole numbers if all counts are, else of floats. Without a count the highest bucket's is taken,
    /// without a bucket for +Inf one that reaches the count. Buckets that hold nothing are left out.
    ///
    /// Throws when counts are negative, fall from one bound to a higher, or do not reach the count.
    public mutating func build(hint: CounterResetHint = .unknown) throws(HistogramError) -> NativeHistogram {
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
        // Differences of whole numbers that a double holds are such numbers, too.
        if counts.allSatisfy({ UInt64(exactly: $0) != nil && $0 < 0x1p53 }), let whole = UInt64(exactly: total) {
            return try NativeHistogram(
                layout: layout, hint: hint, count: whole, sum: sum, positive: buckets.map { UInt64(exactly: $0) ?? 0 })
        }
        return try NativeHistogram(layout: layout, hint: hint, floatCount: total, sum: sum, positive: buckets)
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
