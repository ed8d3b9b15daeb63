/// A bucket of a histogram in a result, as the HTTP API shows it.
public struct ResultBucket: Sendable, Equatable {
    /// Which of its bounds belong to a bucket; the raw value is the number that the HTTP API writes.
    public enum Boundaries: Int, Sendable { case upper = 0, lower = 1, neither = 2, both = 3 }
    public var boundaries: Boundaries
    public var lower: Double
    public var upper: Double
    public var count: Double
}

extension FloatHistogram: CustomStringConvertible {
    /// The buckets in which something is, from the lowest values to the highest.
    ///
    /// In JSON, `{"count": "…", "sum": "…", "buckets": [[boundaries, "lower", "upper", "count"], …]}`, all numbers but
    /// `boundaries` as strings; without buckets the key `buckets` is left out.
    public var resultBuckets: [ResultBucket] {
        var result: [ResultBucket] = []
        var walk = SpanWalk(layout.negativeSpans, isReversed: true)
        while let (position, index) = walk.next() {
            add(&result, position + layout.positiveCount, lower: -layout.bound(index), upper: -layout.bound(index &- 1), index)
        }
        if zeroCount > 0 {
            result.append(
                ResultBucket(
                    boundaries: .both, lower: -layout.zeroThreshold, upper: layout.zeroThreshold, count: zeroCount))
        }
        walk = SpanWalk(layout.positiveSpans, isReversed: false)
        while let (position, index) = walk.next() {
            add(&result, position, lower: layout.bound(index &- 1), upper: layout.bound(index), index)
        }
        return result
    }

    private func add(_ result: inout [ResultBucket], _ place: Int, lower: Double, upper: Double, _ index: Int32) {
        guard place < buckets.count, buckets[place] != 0 else { return }
        var bucket = ResultBucket(boundaries: .neither, lower: lower, upper: upper, count: buckets[place])
        let (ownsLower, ownsUpper) = hasCustomBounds ? (index == 0, true) : (lower < 0, upper > 0)
        bucket.boundaries = ownsUpper ? (ownsLower ? .both : .upper) : (ownsLower ? .lower : .neither)
        // Observations near zero are in the zero bucket, whatever the bounds of the buckets beside it.
        if bucket.lower > 0, bucket.lower < layout.zeroThreshold { bucket.lower = layout.zeroThreshold }
        if bucket.upper < 0, bucket.upper > -layout.zeroThreshold { bucket.upper = -layout.zeroThreshold }
        result.append(bucket)
    }

    /// `{count:5, sum:8, [-0.001,0.001]:2, (1,2]:3}`: as Prometheus prints histograms.
    public var description: String {
        var text = "{count:\(NumberText.general(count)), sum:\(NumberText.general(sum))"
        for bucket in resultBuckets {
            let opens = bucket.boundaries == .lower || bucket.boundaries == .both ? "[" : "("
            let closes = bucket.boundaries == .upper || bucket.boundaries == .both ? "]" : ")"
            text +=
                ", \(opens)\(NumberText.general(bucket.lower)),\(NumberText.general(bucket.upper))\(closes)"
                + ":\(NumberText.general(bucket.count))"
        }
        return text + "}"
    }
}
