import ApusModel

/// One bucket with its bounds; how many observations lie between them.
struct HistogramBucket: Equatable {
    var lower: Double
    var upper: Double
    var count: Double
}

extension HistogramLayout {
    /// The bound, away from zero, of the bucket `index`. With custom bounds -Inf before the first and +Inf behind the last.
    @inline(__always) func bound(_ index: Int32) -> Double {
        guard hasCustomBounds else { return HistogramBounds.upper(index, schema: schema) }
        if index < 0 { return -.infinity }
        return Int(index) < customBounds.count ? customBounds[Int(index)] : .infinity
    }

    /// How many of a side's first buckets lie inside a zero bucket of `threshold`: none where histograms are in order.
    static func countInZeroBucket(_ spans: [HistogramSpan], schema: Int32, threshold: Double) -> Int {
        if !(threshold > 0) || schema == customSchema { return 0 }
        var walk = SpanWalk(spans, isReversed: false)
        while let bucket = walk.next() {
            if !(HistogramBounds.upper(bucket.index, schema: schema) <= threshold) { return bucket.position }
        }
        return walk.position
    }
}

/// The buckets of one side in order, or in reverse: where they are in the array of counts, and what index they have.
struct SpanWalk {
    private let spans: [HistogramSpan]
    private let isReversed: Bool
    private var span: Int
    /// Buckets of the span that are still to come.
    private var left: UInt32
    private var index: Int32
    /// How many buckets come before, in the order of the spans.
    private(set) var position: Int

    init(_ spans: [HistogramSpan], isReversed: Bool) {
        self.spans = spans
        self.isReversed = isReversed
        if isReversed {
            span = spans.count - 1
            left = spans.last?.length ?? 0
            index = spans.reduce(0) { $0 &+ $1.offset &+ Int32(truncatingIfNeeded: $1.length) }
            position = spans.reduce(0) { $0 + Int($1.length) }
        } else {
            span = -1
            left = 0
            index = 0
            position = 0
        }
    }

    @inline(__always) mutating func next() -> (position: Int, index: Int32)? {
        if isReversed {
            while left == 0 {
                if span <= 0 { return nil }
                index &-= spans[span].offset
                span -= 1
                left = spans[span].length
            }
            left -= 1
            index &-= 1
            position -= 1
            return (position, index)
        }
        while left == 0 {
            if span + 1 >= spans.count { return nil }
            span += 1
            index &+= spans[span].offset
            left = spans[span].length
        }
        left -= 1
        defer {
            index &+= 1
            position += 1
        }
        return (position, index)
    }
}

/// All buckets of a histogram from the lowest values to the highest, or the other way round; the zero bucket only if
/// something is in it. Buckets that reach into the zero bucket begin where it ends.
///
///     ascending    negative, the highest index first ▶ zero ▶ positive, the lowest index first
struct BucketWalk {
    private let layout: HistogramLayout
    private let counts: [Double]
    private let zeroCount: Double
    private let isAscending: Bool
    private var first: SpanWalk
    private var second: SpanWalk
    private var isPastZero = false

    init(_ histogram: FloatHistogram, isAscending: Bool) {
        layout = histogram.layout
        counts = histogram.buckets
        zeroCount = layout.hasCustomBounds ? 0 : histogram.zeroCount
        self.isAscending = isAscending
        first = SpanWalk(isAscending ? layout.negativeSpans : layout.positiveSpans, isReversed: true)
        second = SpanWalk(isAscending ? layout.positiveSpans : layout.negativeSpans, isReversed: false)
    }

    mutating func next() -> HistogramBucket? {
        if !isPastZero {
            if let (position, index) = first.next() { return bucket(position, index, isPositive: !isAscending) }
            isPastZero = true
            if zeroCount > 0 {
                return HistogramBucket(lower: -layout.zeroThreshold, upper: layout.zeroThreshold, count: zeroCount)
            }
        }
        guard let (position, index) = second.next() else { return nil }
        return bucket(position, index, isPositive: isAscending)
    }

    private func bucket(_ position: Int, _ index: Int32, isPositive: Bool) -> HistogramBucket {
        let place = isPositive ? position : position + layout.positiveCount
        let (near, far) = (layout.bound(index &- 1), layout.bound(index))
        var bucket = HistogramBucket(
            lower: isPositive ? near : -far, upper: isPositive ? far : -near, count: place < counts.count ? counts[place] : 0)
        if bucket.lower > 0, bucket.lower < layout.zeroThreshold { bucket.lower = layout.zeroThreshold }
        if bucket.upper < 0, bucket.upper > -layout.zeroThreshold { bucket.upper = -layout.zeroThreshold }
        return bucket
    }
}

/// Writes indices down as spans.
struct SpanBuilder {
    private(set) var spans: [HistogramSpan] = []
    /// The index that would prolong the last span.
    private var following: Int32 = 0

    mutating func append(_ index: Int32) {
        if index == following, !spans.isEmpty, spans[spans.count - 1].length < UInt32.max {
            spans[spans.count - 1].length += 1
        } else {
            spans.append(HistogramSpan(offset: index &- following, length: 1))
        }
        following = index &+ 1
    }
}
