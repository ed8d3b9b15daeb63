import ApusModel

extension FloatHistogram {
    /// Whether the counting began anew between `previous` and this: some count has fallen, or the buckets became finer
    /// or the zero bucket narrower, which a running histogram never does. A hint, where there is one, settles it.
    ///
    /// Gauges are looked at as if they were counters: whoever asks for the resets of a gauge gets what they asked for.
    public func detectsReset(after previous: FloatHistogram) -> Bool {
        if hint == .reset { return true }
        if hint == .noReset { return false }
        if count < previous.count { return true }
        if hasCustomBounds {
            if !previous.hasCustomBounds { return true }
            if layout.customBounds != previous.layout.customBounds { return hasFallenBetweenCommonBounds(previous) }
        }
        if layout === previous.layout || layout == previous.layout, !layout.reachesIntoZeroBucket {
            return zeroCount < previous.zeroCount || BucketLoops.anyLess(buckets, than: previous.buckets)
        }
        if layout.schema > previous.layout.schema || layout.zeroThreshold < previous.layout.zeroThreshold { return true }

        var before = FallCheck(
            positive: BucketSide(previous.layout.positiveSpans, previous.positiveBuckets, lost: nil),
            negative: BucketSide(previous.layout.negativeSpans, previous.negativeBuckets, lost: nil))
        var zero = CompensatedSum(previous.zeroCount)
        if layout.zeroThreshold != previous.layout.zeroThreshold {
            var threshold = layout.zeroThreshold
            _ = before.positive.pour(into: &zero, threshold: &threshold, schema: previous.layout.schema)
            _ = before.negative.pour(into: &zero, threshold: &threshold, schema: previous.layout.schema)
            // The wider zero bucket would end inside a bucket that held something.
            if threshold != layout.zeroThreshold { return true }
        }
        if zeroCount < zero.value { return true }
        if !hasCustomBounds {
            let steps = previous.layout.schema.subtractingReportingOverflow(layout.schema)
            before.positive = before.positive.reduced(by: steps.overflow ? 31 : steps.partialValue)
            before.negative = before.negative.reduced(by: steps.overflow ? 31 : steps.partialValue)
        }
        let now = FallCheck(
            positive: BucketSide(layout.positiveSpans, positiveBuckets, lost: nil),
            negative: BucketSide(layout.negativeSpans, negativeBuckets, lost: nil))
        return now.hasFallen(since: before, layout)
    }

    /// Compares what lies between the bounds that both have.
    private func hasFallenBetweenCommonBounds(_ previous: FloatHistogram) -> Bool {
        let common = commonBounds(layout.customBounds, previous.layout.customBounds)
        var difference = [Double](repeating: 0, count: common.count + 1)
        var before = difference
        Self.pour(self, into: &difference, common)
        Self.pour(previous, into: &before, common)
        return BucketLoops.anyLess(difference, than: before)
    }

    private static func pour(_ histogram: FloatHistogram, into sums: inout [Double], _ bounds: [Double]) {
        var walk = SpanWalk(histogram.layout.positiveSpans, isReversed: false)
        var target = 0
        while let (position, index) = walk.next(), position < histogram.buckets.count {
            let bound = histogram.layout.bound(index)
            while target < bounds.count, bounds[target] < bound { target += 1 }
            sums[target] += histogram.buckets[position]
        }
    }
}

/// Both sides of a histogram whose counts are compared with earlier ones.
private struct FallCheck {
    var positive: BucketSide
    var negative: BucketSide

    func hasFallen(since before: FallCheck, _ layout: HistogramLayout) -> Bool {
        hasFallen(positive, since: before.positive, layout) || hasFallen(negative, since: before.negative, layout)
    }

    /// Whether some bucket holds less than it did, or is gone and held something.
    private func hasFallen(_ now: BucketSide, since before: BucketSide, _ layout: HistogramLayout) -> Bool {
        func skipped(_ side: BucketSide) -> Int {
            guard layout.zeroThreshold > 0, !layout.hasCustomBounds else { return 0 }
            return side.indices.firstIndex { !(layout.bound($0) <= layout.zeroThreshold) } ?? side.indices.count
        }
        var position = skipped(now)
        for earlier in skipped(before)..<before.indices.count {
            while position < now.indices.count, now.indices[position] < before.indices[earlier] { position += 1 }
            if position < now.indices.count, now.indices[position] == before.indices[earlier] {
                if now.counts[position] < before.counts[earlier] { return true }
            } else if before.counts[earlier] != 0 {
                return true
            }
        }
        return false
    }
}
