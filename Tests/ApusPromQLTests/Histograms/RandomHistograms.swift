import ApusModel

@testable import ApusPromQL

extension SplitMix {
    mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }

    /// A histogram as a client makes it: whole counts, buckets outside of the zero bucket, a count that is their total.
    mutating func histogram(schemas: [Int32] = [-2, 0, 1, 3], threshold: Double? = nil, hint: CounterResetHint = .unknown) -> FloatHistogram {
        let schema = pick(schemas)
        let zeroThreshold = threshold ?? pick([0, 0.001, 0.125, 1])
        // The first index whose bucket begins where the zero bucket ends, or above.
        var first: Int32 = -40
        while HistogramBounds.upper(first - 1, schema: schema) < zeroThreshold { first += 1 }
        func side() -> (spans: [HistogramSpan], counts: [Double]) {
            var builder = SpanBuilder()
            var counts: [Double] = []
            var index = first + Int32(below(6))
            for _ in 0..<below(9) {
                builder.append(index)
                counts.append(Double(below(20)))
                index += chance(3) ? 1 + Int32(below(5)) : 1
            }
            return (builder.spans, counts)
        }
        let positive = side()
        let negative = chance(2) ? side() : ([], [])
        let zeroCount = Double(below(10))
        let layout = HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positive.spans, negativeSpans: negative.0)
        let buckets = positive.counts + negative.1
        return FloatHistogram(
            layout: layout, hint: hint, count: buckets.reduce(zeroCount, +), zeroCount: zeroCount,
            sum: Double(below(1_000)), buckets: buckets)
    }

    mutating func customHistogram() -> FloatHistogram {
        var bounds: [Double] = []
        for bound in [-5.0, -1, 0, 0.5, 1, 2, 5, 10, 50] where !chance(3) { bounds.append(bound) }
        var builder = SpanBuilder()
        var counts: [Double] = []
        for index in 0...bounds.count where !chance(4) {
            builder.append(Int32(index))
            counts.append(Double(below(30)))
        }
        return FloatHistogram(
            layout: HistogramLayout(schema: HistogramLayout.customSchema, positiveSpans: builder.spans, customBounds: bounds),
            count: counts.reduce(0, +), sum: Double(below(500)), buckets: counts)
    }

    /// A histogram that nobody should send.
    mutating func nonsense() -> FloatHistogram {
        let numbers: [Double] = [0, -0.0, 1, -3, 0.1, 1e300, -1e300, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, 0x1p53]
        let offsets: [Int32] = [0, 1, -1, 7, -30, 1_024, -1_075, .max, .min, .max - 1]
        func spans(_ random: inout SplitMix) -> [HistogramSpan] {
            (0..<random.below(4)).map { _ in HistogramSpan(offset: random.pick(offsets), length: UInt32(random.below(4))) }
        }
        let layout = HistogramLayout(
            schema: pick([-4, -1, 0, 2, 8, -53, -53, -9, 52]), zeroThreshold: pick(numbers), positiveSpans: spans(&self),
            negativeSpans: spans(&self), customBounds: (0..<below(4)).map { _ in pick(numbers) })
        return FloatHistogram(
            layout: layout, hint: pick(CounterResetHint.allCases), count: pick(numbers), zeroCount: pick(numbers), sum: pick(numbers),
            buckets: (0..<layout.bucketCount).map { _ in pick(numbers) })
    }
}
