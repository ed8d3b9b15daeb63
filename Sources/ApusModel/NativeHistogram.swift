import ApusBytes

/// One native histogram: how many observations fell into which bucket, their number and their sum.
///
/// Counts are whole numbers, as targets send them, or floats, as queries and remote writers make them; both exact. They are
/// kept as 64-bit words, absolute and not as differences, in one array: the positive side's buckets, then the negative's,
/// each in the order of the layout's spans. `isFloat` says whether a word is a number or the bit pattern of a `Double`.
///
/// A histogram always has as many buckets as its layout says; whether it makes sense otherwise is what `validate` asks.
/// A staleness marker is a histogram without buckets whose sum is `StaleNaN`.
public struct NativeHistogram: Sendable {
    public let layout: HistogramLayout
    public var hint: CounterResetHint
    public let isFloat: Bool
    /// Of all observations; NaN when one was NaN.
    public let sum: Double
    /// Number of observations, those that were NaN included: a number, or the bits of a `Double`.
    public let countWord: UInt64
    /// Those in the zero bucket: a number, or the bits of a `Double`.
    public let zeroCountWord: UInt64
    /// Positive buckets, then negative ones.
    public let words: [UInt64]

    /// Words as described above. Throws when there are not as many as the layout has buckets.
    public init(
        layout: HistogramLayout, hint: CounterResetHint = .unknown, isFloat: Bool, countWord: UInt64, zeroCountWord: UInt64, sum: Double,
        words: [UInt64]
    ) throws(HistogramError) {
        if words.count != layout.bucketCount {
            throw HistogramError("spans need \(layout.bucketCount) buckets, have \(words.count) buckets: " + HistogramError.spansMismatch)
        }
        self.init(
            unchecked: layout, hint: hint, isFloat: isFloat, countWord: countWord, zeroCountWord: zeroCountWord, sum: sum, words: words)
    }

    private init(
        unchecked layout: HistogramLayout, hint: CounterResetHint, isFloat: Bool, countWord: UInt64, zeroCountWord: UInt64, sum: Double,
        words: [UInt64]
    ) {
        self.layout = layout
        self.hint = hint
        self.isFloat = isFloat
        self.countWord = countWord
        self.zeroCountWord = zeroCountWord
        self.sum = sum
        self.words = words
    }

    /// An integer histogram from absolute counts.
    public init(
        layout: HistogramLayout, hint: CounterResetHint = .unknown, count: UInt64, zeroCount: UInt64 = 0, sum: Double, positive: [UInt64] = [],
        negative: [UInt64] = []
    ) throws(HistogramError) {
        try Self.checkSizes(layout, positive.count, negative.count)
        self.init(
            unchecked: layout, hint: hint, isFloat: false, countWord: count, zeroCountWord: zeroCount, sum: sum, words: positive + negative)
    }

    /// An integer histogram from the differences between neighbouring buckets, as protobuf messages and logs hold them; each
    /// side begins with an absolute count. Counts wrap, so that any differences come back as they were.
    public init(
        layout: HistogramLayout, hint: CounterResetHint = .unknown, count: UInt64, zeroCount: UInt64 = 0, sum: Double,
        positiveDeltas: [Int64], negativeDeltas: [Int64] = []
    ) throws(HistogramError) {
        try Self.checkSizes(layout, positiveDeltas.count, negativeDeltas.count)
        var words: [UInt64] = []
        words.reserveCapacity(positiveDeltas.count + negativeDeltas.count)
        for side in [positiveDeltas, negativeDeltas] {
            var current: UInt64 = 0
            for delta in side {
                current &+= UInt64(bitPattern: delta)
                words.append(current)
            }
        }
        self.init(unchecked: layout, hint: hint, isFloat: false, countWord: count, zeroCountWord: zeroCount, sum: sum, words: words)
    }

    /// A float histogram.
    public init(
        layout: HistogramLayout, hint: CounterResetHint = .unknown, floatCount: Double, zeroCount: Double = 0, sum: Double,
        positive: [Double] = [], negative: [Double] = []
    ) throws(HistogramError) {
        try Self.checkSizes(layout, positive.count, negative.count)
        self.init(
            unchecked: layout, hint: hint, isFloat: true, countWord: floatCount.bitPattern, zeroCountWord: zeroCount.bitPattern, sum: sum,
            words: positive.map(\.bitPattern) + negative.map(\.bitPattern))
    }

    private static func checkSizes(_ layout: HistogramLayout, _ positive: Int, _ negative: Int) throws(HistogramError) {
        let first = layout.hasCustomBounds ? "custom buckets" : "positive side"
        for (side, wanted, found) in [(first, layout.positiveCount, positive), ("negative side", layout.negativeCount, negative)]
        where wanted != found {
            throw HistogramError("\(side): spans need \(wanted) buckets, have \(found) buckets: " + HistogramError.spansMismatch)
        }
    }

    /// "This series ended here."
    public static func stale(isFloat: Bool) -> NativeHistogram {
        NativeHistogram(
            unchecked: .empty, hint: .unknown, isFloat: isFloat, countWord: 0, zeroCountWord: 0, sum: StaleNaN.value, words: [])
    }

    @inlinable public var isStale: Bool { StaleNaN.isStale(sum) }

    // MARK: Counts

    /// A word as a float, whatever the kind.
    @inlinable func double(_ word: UInt64) -> Double { isFloat ? Double(bitPattern: word) : Double(word) }

    /// Number of observations. Whole numbers above 2⁵³ are rounded; `countWord` is exact.
    @inlinable public var count: Double { double(countWord) }
    @inlinable public var zeroCount: Double { double(zeroCountWord) }
    @inlinable public var positiveWords: ArraySlice<UInt64> { words[..<layout.positiveCount] }
    @inlinable public var negativeWords: ArraySlice<UInt64> { words[layout.positiveCount...] }
    /// Counts of the positive buckets, in the order of the spans.
    @inlinable public var positiveCounts: [Double] { positiveWords.map(double) }
    @inlinable public var negativeCounts: [Double] { negativeWords.map(double) }

    /// Of an integer histogram: the differences between neighbours, each side beginning with its first count.
    public var positiveDeltas: [Int64] { Self.deltas(positiveWords) }
    public var negativeDeltas: [Int64] { Self.deltas(negativeWords) }

    private static func deltas(_ counts: ArraySlice<UInt64>) -> [Int64] {
        var previous: UInt64 = 0
        return counts.map { count in
            defer { previous = count }
            return Int64(bitPattern: count &- previous)
        }
    }

    /// The same with float counts; the layout is shared. Whole numbers above 2⁵³ are rounded.
    public func toFloat() -> NativeHistogram {
        if isFloat { return self }
        return NativeHistogram(
            unchecked: layout, hint: hint, isFloat: true, countWord: count.bitPattern, zeroCountWord: zeroCount.bitPattern, sum: sum,
            // Buckets are signed: a wrapped one reads as negative, as it does upstream.
            words: words.map { Double(Int64(bitPattern: $0)).bitPattern })
    }
}

extension NativeHistogram: Equatable {
    /// Same kind, hint, layout and counts, with floats compared by their bits.
    public static func == (left: NativeHistogram, right: NativeHistogram) -> Bool {
        left.isFloat == right.isFloat && left.hint == right.hint && left.hasSameData(as: right)
    }

    /// As `==`, whatever the hints say: what a store compares to tell a repeated sample from another.
    public func hasSameData(as other: NativeHistogram) -> Bool {
        isFloat == other.isFloat && countWord == other.countWord && zeroCountWord == other.zeroCountWord
            && sum.bitPattern == other.sum.bitPattern && words == other.words && layout == other.layout
    }
}

extension NativeHistogram: CustomStringConvertible {
    /// `{count:12, sum:18.4, [-0.001,0.001]:2, 0:3, 1:4}`: for display in tests and logs, buckets by their index.
    public var description: String {
        var text = "{count:\(count), sum:\(sum), schema:\(layout.schema), zero:\(zeroCount)"
        for (index, count) in zip(BucketIndices(layout.negativeSpans), negativeCounts) { text += ", -\(index):\(count)" }
        for (index, count) in zip(BucketIndices(layout.positiveSpans), positiveCounts) { text += ", \(index):\(count)" }
        return text + "}"
    }
}
