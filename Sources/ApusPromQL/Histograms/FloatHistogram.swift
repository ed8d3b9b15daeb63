public import ApusModel
public import ApusStorage

/// A native histogram as queries compute with it: counts are doubles, and a value like any other.
///
///     layout    schema, zero threshold, spans, custom bounds: shared between histograms, never changed
///     buckets   │ positive, in the order of the layout's spans │ negative │      absolute counts
///
/// Arithmetic is in `FloatHistogram+Arithmetic` and `HistogramSum`, changes of layout in `FloatHistogram+Layout`, what a
/// histogram tells in `FloatHistogram+Quantile` and `FloatHistogram+Statistics`, resets in `FloatHistogram+Reset`, the trim operators in
/// `FloatHistogram+Trim`; the functions over windows are in `HistogramWindow`.
public struct FloatHistogram: Sendable {
    public internal(set) var layout: HistogramLayout
    public internal(set) var hint: CounterResetHint
    /// Number of observations, those that were NaN included.
    public internal(set) var count: Double
    public internal(set) var zeroCount: Double
    public internal(set) var sum: Double
    /// As many as the layout has buckets.
    public internal(set) var buckets: [Double]

    /// - Parameter buckets: positive, then negative; made as long as the layout says if they are not.
    public init(
        layout: HistogramLayout = .empty, hint: CounterResetHint = .unknown, count: Double = 0, zeroCount: Double = 0, sum: Double = 0,
        buckets: [Double] = []
    ) {
        self.layout = layout
        self.hint = hint
        self.count = count
        self.zeroCount = zeroCount
        self.sum = sum
        self.buckets = buckets
        // Spans that came from outside may promise any number of buckets: then there are none of them.
        if buckets.count != layout.bucketCount {
            if layout.bucketCount <= Self.maxBuckets {
                self.buckets = Array(buckets.prefix(layout.bucketCount))
                self.buckets.append(contentsOf: repeatElement(0, count: layout.bucketCount - self.buckets.count))
            } else {
                self.layout = HistogramLayout(
                    schema: layout.schema, zeroThreshold: layout.zeroThreshold, customBounds: layout.customBounds)
                self.buckets = []
            }
        }
    }

    /// More buckets are not made where they would have to be invented.
    static let maxBuckets = 1 << 20

    public init(_ histogram: NativeHistogram) {
        layout = histogram.layout
        hint = histogram.hint
        count = histogram.count
        zeroCount = histogram.zeroCount
        sum = histogram.sum
        let isFloat = histogram.isFloat
        buckets = histogram.words.map { Self.bucket($0, isFloat: isFloat) }
    }

    /// The histogram at an index of columns; `nil` for a float.
    public init?(_ columns: borrowing SampleColumns, at index: Int) {
        self.init()
        if !load(columns, at: index) { return nil }
    }

    /// Becomes the histogram at an index of columns, in the memory that it has already.
    /// - Returns: false, and then it means nothing, for a float.
    mutating func load(_ columns: borrowing SampleColumns, at index: Int) -> Bool {
        guard let layout = columns.histogramLayout(at: index), let hint = columns.histogramHint(at: index) else { return false }
        let isFloat = columns.kind(at: index) == .floatHistogram
        let sum = columns.value(at: index)
        // Moved out meanwhile, so that it is changed in place.
        var buckets: [Double] = []
        swap(&buckets, &self.buckets)
        let totals = columns.withHistogramWords(at: index) { words -> (Double, Double)? in
            guard words.count == layout.bucketCount + 2, words.count >= 2 else { return nil }
            if buckets.count != words.count - 2 { buckets = Array(repeating: 0, count: words.count - 2) }
            BucketLoops.convert(words.dropFirst(2), to: &buckets, isFloat: isFloat)
            return (Self.number(words[words.startIndex], isFloat: isFloat), Self.number(words[words.startIndex + 1], isFloat: isFloat))
        }
        guard let totals, let totals else { return false }
        self.layout = layout
        self.hint = hint
        (count, zeroCount) = totals
        self.sum = sum
        self.buckets = buckets
        return true
    }

    @inline(__always) static func number(_ word: UInt64, isFloat: Bool) -> Double {
        isFloat ? Double(bitPattern: word) : Double(word)
    }

    /// Buckets are signed: a wrapped one reads as negative, as it does upstream.
    @inline(__always) static func bucket(_ word: UInt64, isFloat: Bool) -> Double {
        isFloat ? Double(bitPattern: word) : Double(Int64(bitPattern: word))
    }

    /// As stored and sent: with float counts.
    public var native: NativeHistogram? {
        try? NativeHistogram(
            layout: layout, hint: hint, isFloat: true, countWord: count.bitPattern, zeroCountWord: zeroCount.bitPattern, sum: sum,
            words: buckets.map(\.bitPattern))
    }

    public var hasCustomBounds: Bool { layout.hasCustomBounds }
    public var positiveBuckets: ArraySlice<Double> { buckets[..<min(layout.positiveCount, buckets.count)] }
    public var negativeBuckets: ArraySlice<Double> { buckets[min(layout.positiveCount, buckets.count)...] }
}

/// What happened on the way to a result, for whoever may want to warn of it.
public struct HistogramNotes: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// One of the operands began after a counter reset, the other did not.
    public static let counterResetCollision = HistogramNotes(rawValue: 1)
    /// The custom bounds differed: the result has those that both had.
    public static let customBoundsReconciled = HistogramNotes(rawValue: 2)
}

extension HistogramError {
    /// Buckets at powers of two and buckets at bounds of someone's choice have nothing to do with each other.
    static let incompatibleSchemas = HistogramError(
        "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")
}

extension FloatHistogram: Equatable {
    /// The same buckets, empty ones too, with the same counts, bit by bit. Hints do not count, nor how spans are cut.
    public static func == (left: FloatHistogram, right: FloatHistogram) -> Bool {
        guard left.count.bitPattern == right.count.bitPattern, left.sum.bitPattern == right.sum.bitPattern,
            left.zeroCount.bitPattern == right.zeroCount.bitPattern, left.layout.hasSameBuckets(as: right.layout),
            left.buckets.count == right.buckets.count
        else { return false }
        return zip(left.buckets, right.buckets).allSatisfy { $0.bitPattern == $1.bitPattern }
    }
}

extension HistogramLayout {
    /// Whether both have the same buckets, however their spans are cut.
    func hasSameBuckets(as other: HistogramLayout) -> Bool {
        if self === other { return true }
        return schema == other.schema && zeroThreshold == other.zeroThreshold
            && (!hasCustomBounds || customBounds == other.customBounds)
            && Self.sameIndices(positiveSpans, other.positiveSpans) && Self.sameIndices(negativeSpans, other.negativeSpans)
    }

    private static func sameIndices(_ left: [HistogramSpan], _ right: [HistogramSpan]) -> Bool {
        if left == right { return true }
        var (these, those) = (SpanWalk(left, isReversed: false), SpanWalk(right, isReversed: false))
        while let bucket = these.next() {
            guard let other = those.next(), other.index == bucket.index else { return false }
        }
        return those.next() == nil
    }
}
