import ApusModel

/// Collects the series of one classic histogram and makes one native histogram with custom bounds of them.
struct ClassicHistogramBuilder {
    /// Ascending bounds, counts up to them.
    private var buckets: [(bound: Double, count: Double)] = []
    private var count: Double?
    var sum = 0.0
    /// Some part made no sense, so that the whole does not.
    private var isBroken = false

    /// A second bucket of one bound is ignored.
    mutating func setBucket(bound: Double, count: Double) {
        guard !isBroken else { return }
        guard !bound.isNaN, !(count < 0) else {
            isBroken = true
            return
        }
        // Pages list buckets in order, so this is the end in all but odd cases.
        var index = buckets.count
        while index > 0 && buckets[index - 1].bound >= bound { index -= 1 }
        if index < buckets.count && buckets[index].bound == bound { return }
        let isCumulative = (index == 0 || count >= buckets[index - 1].count) && (index == buckets.count || count <= buckets[index].count)
        guard isCumulative else {
            isBroken = true
            return
        }
        buckets.insert((bound, count), at: index)
    }

    mutating func setCount(_ value: Double) {
        if value < 0 { isBroken = true }
        count = value
    }

    /// The histogram, of whole numbers where all counts are; nil when the parts contradict each other.
    func build() -> NativeHistogram? {
        guard !isBroken else { return nil }
        var buckets = buckets
        guard let total = count ?? buckets.last?.count else { return nil }
        if buckets.last?.bound != .infinity {
            // A count below that of the last bucket shows as a negative bucket, which `validate` refuses.
            buckets.append((.infinity, total))
        }
        guard buckets.last?.count == total else { return nil }
        let bounds = buckets.dropLast().map(\.bound)
        let layout = HistogramLayout(
            schema: HistogramLayout.customSchema, positiveSpans: [HistogramSpan(offset: 0, length: UInt32(truncatingIfNeeded: buckets.count))],
            customBounds: bounds)
        guard let histogram = whole(buckets, total, layout) ?? float(buckets, total, layout) else { return nil }
        guard (try? histogram.validate()) != nil else { return nil }
        return histogram.compacted()
    }

    private func whole(_ buckets: [(bound: Double, count: Double)], _ total: Double, _ layout: HistogramLayout) -> NativeHistogram? {
        guard let count = UInt64(exactly: total) else { return nil }
        var deltas: [UInt64] = []
        var before: UInt64 = 0
        for bucket in buckets {
            guard let upTo = UInt64(exactly: bucket.count), upTo <= UInt64(Int64.max), upTo >= before else { return nil }
            deltas.append(upTo - before)
            before = upTo
        }
        return try? NativeHistogram(layout: layout, count: count, sum: sum, positive: deltas)
    }

    private func float(_ buckets: [(bound: Double, count: Double)], _ total: Double, _ layout: HistogramLayout) -> NativeHistogram? {
        var counts: [Double] = []
        var before = 0.0
        for bucket in buckets {
            counts.append(bucket.count - before)
            before = bucket.count
        }
        return try? NativeHistogram(layout: layout, floatCount: total, sum: sum, positive: counts)
    }
}
