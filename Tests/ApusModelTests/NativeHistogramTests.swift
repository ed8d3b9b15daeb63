import ApusModel
import Testing

private func spans(_ pairs: (Int32, UInt32)...) -> [HistogramSpan] { pairs.map { HistogramSpan(offset: $0.0, length: $0.1) } }

private func integer(
    schema: Int32 = 0, threshold: Double = 0, count: UInt64, zero: UInt64 = 0, sum: Double = 1, positive: [HistogramSpan] = [],
    _ positiveDeltas: [Int64] = [], negative: [HistogramSpan] = [], _ negativeDeltas: [Int64] = [], custom: [Double] = []
) throws(HistogramError) -> NativeHistogram {
    try NativeHistogram(
        layout: HistogramLayout(
            schema: schema, zeroThreshold: threshold, positiveSpans: positive, negativeSpans: negative, customBounds: custom),
        count: count, zeroCount: zero, sum: sum, positiveDeltas: positiveDeltas, negativeDeltas: negativeDeltas)
}

private func reason(_ make: () throws(HistogramError) -> NativeHistogram) -> String? {
    do throws(HistogramError) {
        try make().validate()
        return nil
    } catch { return error.description }
}

@Suite("Native histogram") struct NativeHistogramTests {
    @Test("differences and counts are two views of the same buckets")
    func deltas() throws {
        let histogram = try integer(count: 9, positive: spans((0, 2), (3, 1)), [3, -1, 2], negative: spans((-2, 1)), [5])
        #expect(histogram.positiveWords == [3, 2, 4] && histogram.negativeWords == [5])
        #expect(histogram.positiveDeltas == [3, -1, 2] && histogram.negativeDeltas == [5])
        #expect(Array(BucketIndices(histogram.layout.positiveSpans)) == [0, 1, 5])
        #expect(Array(BucketIndices(histogram.layout.negativeSpans)) == [-2])
    }

    @Test("differences that wrap come back")
    func wrapping() throws {
        let wild: [Int64] = [.max, .max, .min, -1]
        #expect(try integer(count: 0, positive: spans((0, 4)), wild).positiveDeltas == wild)
    }

    @Test("whole numbers become floats and share the layout")
    func toFloat() throws {
        let histogram = try integer(count: 7, zero: 2, sum: -0.5, positive: spans((1, 2)), [1, 1], negative: spans((0, 1)), [2])
        let float = histogram.toFloat()
        #expect(float.isFloat && float.count == 7 && float.zeroCount == 2 && float.sum == -0.5)
        #expect(float.positiveCounts == [1, 2] && float.negativeCounts == [2])
        #expect(float.layout === histogram.layout)
        #expect(float != histogram)
        #expect(float.toFloat() == float)
    }

    @Test("equality looks at bits and hints, sameness of data at bits only")
    func equality() throws {
        func make(_ sum: UInt64, _ hint: CounterResetHint) throws -> NativeHistogram {
            try NativeHistogram(
                layout: HistogramLayout(positiveSpans: spans((0, 1))), hint: hint, floatCount: 1, sum: Double(bitPattern: sum), positive: [1])
        }
        #expect(try make(StaleNaN.normalBits, .gauge) == make(StaleNaN.normalBits, .gauge))
        #expect(try make(StaleNaN.normalBits, .gauge) != make(StaleNaN.bits, .gauge))
        #expect(try make(1, .gauge) != make(1, .reset))
        #expect(try make(1, .gauge).hasSameData(as: make(1, .reset)))
        #expect(try make(0, .gauge) != make(Double(-0.0).bitPattern, .gauge))
    }

    @Test("a stale marker is one")
    func stale() {
        #expect(NativeHistogram.stale(isFloat: true).isStale && NativeHistogram.stale(isFloat: false).isStale)
        #expect(NativeHistogram.stale(isFloat: true) == NativeHistogram.stale(isFloat: true))
    }

    @Test("what a store must not take is refused in upstream's words")
    func validation() {
        #expect(reason { () throws(HistogramError) in try integer(count: 6, zero: 1, positive: spans((0, 2)), [2, 1]) } == nil)
        #expect(
            reason { () throws(HistogramError) in try integer(count: 5, zero: 1, positive: spans((0, 2)), [2, 1]) }
                == "6 observations found in buckets, but the Count field is 5: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)")
        #expect(reason { () throws(HistogramError) in try integer(count: 9, sum: .nan, positive: spans((0, 2)), [2, 1]) } == nil)
        #expect(
            reason { () throws(HistogramError) in try integer(count: 4, sum: .nan, positive: spans((0, 2)), [2, 1]) }
                == "5 observations found in buckets, but the Count field is 4: histogram's observation count should be at least the number of observations found in the buckets")
        #expect(
            reason { () throws(HistogramError) in try integer(count: 1, positive: spans((0, 1), (-1, 1)), [1, 0]) }
                == "positive side: span number 2 with offset -1: histogram has a span whose offset is negative")
        #expect(
            reason { () throws(HistogramError) in try integer(count: 1, negative: spans((0, 2)), [1]) }
                == "negative side: spans need 2 buckets, have 1 buckets: histogram spans specify different number of buckets than provided")
        #expect(
            reason { () throws(HistogramError) in try integer(count: 1, positive: spans((0, 2)), [1, -2]) }
                == "positive side: bucket number 2 has observation count of -1: histogram has a bucket whose observation count is negative")
        #expect(
            reason { () throws(HistogramError) in try integer(schema: 9, count: 0) }
                == "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema 9")
        #expect(
            reason { () throws(HistogramError) in try integer(count: 0, custom: [1]) }
                == "histogram with exponential schema must not have custom bounds")
        #expect(
            reason { () throws(HistogramError) in
                try NativeHistogram(layout: HistogramLayout(positiveSpans: spans((0, 1))), floatCount: 1, sum: 1, positive: [-1.5])
            } == "positive side: bucket number 1 has observation count of -1.5: histogram has a bucket whose observation count is negative")
        #expect(
            reason { () throws(HistogramError) in try integer(count: 2, positive: spans((0, 2)), [.max, 0], negative: spans((0, 2)), [.max, 0]) }?
                .hasPrefix("more than 18446744073709551615 observations") == true)
    }

    @Test("custom bounds have rules of their own")
    func customBounds() {
        func check(_ bounds: [Double], _ length: UInt32 = 1, offset: Int32 = 0, threshold: Double = 0, zero: UInt64 = 0) -> String? {
            reason { () throws(HistogramError) in
                try integer(
                    schema: -53, threshold: threshold, count: UInt64(length), zero: zero, positive: spans((offset, length)),
                    [1] + Array(repeating: 0, count: Int(length) - 1), custom: bounds)
            }
        }
        #expect(check([1, 2.5], 3) == nil)
        #expect(
            check([1, 2.5], 4)
                == "custom buckets: only 2 custom bounds defined which is insufficient to cover total span length of 4: histogram custom bounds are too few")
        #expect(
            check([2.5, -1])
                == "custom buckets: previous bound is 2.500000 and current is -1.000000: histogram custom bounds must be in strictly increasing order")
        #expect(check([1, .nan]) == "custom buckets: histogram custom bounds must not be NaN")
        #expect(
            check([1, .infinity])
                == "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")
        #expect(
            check([1], offset: -1) == "custom buckets: span number 1 with offset -1: histogram has a span whose offset is negative")
        #expect(check([1], threshold: 0.5) == "custom buckets: must have zero threshold of 0")
        #expect(check([1], zero: 1) == "custom buckets: must have zero count of 0")
    }

    @Test("exemplars compare by bits")
    func exemplars() {
        let labels: LabelSet = ["trace_id": "a"]
        #expect(Exemplar(labels: labels, value: .nan, timestampMs: 1) == Exemplar(labels: labels, value: .nan, timestampMs: 1))
        #expect(Exemplar(labels: labels, value: 0, timestampMs: 1) != Exemplar(labels: labels, value: -0.0, timestampMs: 1))
        #expect(
            Exemplar(labels: labels, value: 0, timestampMs: 1)
                != Exemplar(labels: labels, value: 0, timestampMs: 1, hasTimestamp: false))
    }
}
