import ApusModel

/// The exponential buckets of one histogram. A value: whoever has it holds its lock.
struct NativeCounts: Sendable {
    let options: NativeBuckets
    private(set) var schema: Int32
    private(set) var zeroThreshold: Double
    private(set) var zeroCount: UInt64 = 0
    private(set) var positive: [Int32: UInt64] = [:]
    private(set) var negative: [Int32: UInt64] = [:]

    init(_ options: NativeBuckets) {
        self.options = options
        schema = options.schema
        zeroThreshold = options.zeroThreshold
    }

    /// Whether it is coarser than it was declared.
    var isReduced: Bool { schema != options.schema || zeroThreshold != options.zeroThreshold }
    var hasTooManyBuckets: Bool { options.maxBuckets > 0 && positive.count + negative.count > options.maxBuckets }

    /// Counts a finite value.
    mutating func observe(_ value: Double) {
        if value > zeroThreshold {
            positive[HistogramBounds.index(of: value, schema: schema), default: 0] &+= 1
        } else if value < -zeroThreshold {
            negative[HistogramBounds.index(of: -value, schema: schema), default: 0] &+= 1
        } else {
            zeroCount &+= 1
        }
    }

    /// Makes fewer buckets of too many, without forgetting observations.
    mutating func reduce() {
        while hasTooManyBuckets {
            if widenZeroBucket() { continue }
            guard schema > HistogramLayout.exponentialSchemas.lowerBound else { return }
            halveResolution()
        }
    }

    private mutating func widenZeroBucket() -> Bool {
        guard let nearest = [positive.keys.min(), negative.keys.min()].compactMap({ $0 }).min() else { return false }
        let threshold = HistogramBounds.upper(nearest, schema: schema)
        guard threshold > zeroThreshold, threshold <= options.maxZeroThreshold else { return false }
        zeroThreshold = threshold
        zeroCount &+= positive.removeValue(forKey: nearest) ?? 0
        zeroCount &+= negative.removeValue(forKey: nearest) ?? 0
        return true
    }

    private mutating func halveResolution() {
        schema -= 1
        positive = Self.joined(positive)
        negative = Self.joined(negative)
    }

    /// The buckets with indices 2k − 1 and 2k become the one with index k.
    private static func joined(_ buckets: [Int32: UInt64]) -> [Int32: UInt64] {
        var joined: [Int32: UInt64] = [:]
        for (index, count) in buckets { joined[(index &- 1) >> 1 &+ 1, default: 0] &+= count }
        return joined
    }

    /// What was counted, with the sum of it.
    func histogram(sum: Double, hint: CounterResetHint = .unknown) -> NativeHistogram? {
        let (positiveSpans, positiveWords) = Self.spans(positive)
        let (negativeSpans, negativeWords) = Self.spans(negative)
        let layout = HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positiveSpans, negativeSpans: negativeSpans)
        let count = positiveWords.reduce(0, &+) &+ negativeWords.reduce(0, &+) &+ zeroCount
        return try? NativeHistogram(
            layout: layout, hint: hint, count: count, zeroCount: zeroCount, sum: sum, positive: positiveWords, negative: negativeWords)
    }

    private static func spans(_ buckets: [Int32: UInt64]) -> ([HistogramSpan], [UInt64]) {
        var spans: [HistogramSpan] = []
        var counts: [UInt64] = []
        var following: Int32 = 0
        for (index, count) in buckets.sorted(by: { $0.key < $1.key }) {
            if spans.isEmpty || index != following {
                spans.append(HistogramSpan(offset: index &- following, length: 1))
            } else {
                spans[spans.count - 1].length &+= 1
            }
            following = index &+ 1
            counts.append(count)
        }
        return (spans, counts)
    }
}
