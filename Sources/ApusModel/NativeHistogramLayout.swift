/// Whether a histogram counts on from the one before it in its series.
public enum CounterResetHint: UInt8, Sendable, CaseIterable {
    /// Nobody looked.
    case unknown = 0
    /// Counting began anew with this histogram.
    case reset = 1
    case noReset = 2
    /// A gauge histogram: its counts go up and down, and resets mean nothing.
    case gauge = 3
}

/// A stretch of buckets side by side.
public struct HistogramSpan: Hashable, Sendable {
    /// Buckets left out since the span before; for the first span the index of its first bucket, which may be negative.
    public var offset: Int32
    /// Buckets in the span.
    public var length: UInt32
    @inlinable public init(offset: Int32, length: UInt32) {
        self.offset = offset
        self.length = length
    }
}

/// Which buckets a native histogram has, without their counts. The samples of a series share one for as long as no
/// bucket appears.
///
/// Of an exponential schema `s`, the bucket with index `i` holds observations in `(b^(i−1), b^i]` with `b = 2^(2^−s)`, on
/// the negative side mirrored; observations of at most `zeroThreshold` either way are in the zero bucket. With custom
/// bounds the bucket with index `i` ends at `customBounds[i]`, inclusive, and the one behind the last at +Inf.
///
///     spans (offset 0, length 3), (offset 2, length 1)   ▶   indices 0 1 2 · · 5
public final class HistogramLayout: Sendable, Hashable {
    /// Schemas that may be stored, but for `customSchema`.
    public static let exponentialSchemas: ClosedRange<Int32> = -4...8
    /// Schemas of the same formula that a reader must know, and may meet with fewer or more buckets than we store.
    public static let reservedSchemas: ClosedRange<Int32> = -9...52
    /// "Bounds are given": histograms made of classic buckets.
    public static let customSchema: Int32 = -53
    /// Of a histogram without buckets, which is what a stale marker is.
    public static let empty = HistogramLayout()

    public let schema: Int32
    /// Half the width of the zero bucket.
    public let zeroThreshold: Double
    public let positiveSpans: [HistogramSpan]
    public let negativeSpans: [HistogramSpan]
    /// Upper bounds without +Inf, ascending; only with `customSchema`.
    public let customBounds: [Double]
    /// How many buckets the spans hold on each side. Not to be trusted as a size to allocate when the spans came from outside.
    public let positiveCount: Int
    public let negativeCount: Int

    public init(
        schema: Int32 = 0, zeroThreshold: Double = 0, positiveSpans: [HistogramSpan] = [], negativeSpans: [HistogramSpan] = [],
        customBounds: [Double] = []
    ) {
        self.schema = schema
        self.zeroThreshold = zeroThreshold
        self.positiveSpans = positiveSpans
        self.negativeSpans = negativeSpans
        self.customBounds = customBounds
        // No overflow: each length is below 2³², and there are not 2³¹ spans in memory.
        positiveCount = positiveSpans.reduce(0) { $0 + Int($1.length) }
        negativeCount = negativeSpans.reduce(0) { $0 + Int($1.length) }
    }

    /// Buckets on both sides.
    @inlinable public var bucketCount: Int { positiveCount + negativeCount }
    @inlinable public var hasCustomBounds: Bool { schema == Self.customSchema }

    /// Spans as they are written, bounds by their bits.
    public static func == (left: HistogramLayout, right: HistogramLayout) -> Bool {
        if left === right { return true }
        return left.schema == right.schema && left.zeroThreshold.bitPattern == right.zeroThreshold.bitPattern
            && left.positiveSpans == right.positiveSpans && left.negativeSpans == right.negativeSpans
            && left.customBounds.count == right.customBounds.count
            && zip(left.customBounds, right.customBounds).allSatisfy { $0.bitPattern == $1.bitPattern }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(schema)
        hasher.combine(zeroThreshold.bitPattern)
        hasher.combine(positiveSpans)
        hasher.combine(negativeSpans)
        for bound in customBounds { hasher.combine(bound.bitPattern) }
    }
}

/// The bucket indices of spans, in order. Spans from outside may run beyond what 32 bits hold: the indices then wrap,
/// as upstream's do.
public struct BucketIndices: Sequence, IteratorProtocol, Sendable {
    @usableFromInline let spans: [HistogramSpan]
    @usableFromInline var span = 0
    @usableFromInline var left: UInt32 = 0
    @usableFromInline var following: Int32 = 0

    @inlinable public init(_ spans: [HistogramSpan]) { self.spans = spans }

    @inlinable public mutating func next() -> Int32? {
        while left == 0 {
            if span >= spans.count { return nil }
            following &+= spans[span].offset
            left = spans[span].length
            span += 1
        }
        left -= 1
        defer { following &+= 1 }
        return following
    }
}
