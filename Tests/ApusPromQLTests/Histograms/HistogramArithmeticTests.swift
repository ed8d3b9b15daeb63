import ApusModel
import Testing

@testable import ApusPromQL

@Suite("Arithmetic of native histograms") struct HistogramArithmeticTests {
    private func exponential(
        _ schema: Int32, offset: Int32 = 0, _ buckets: [Double], threshold: Double = 0, zero: Double = 0, hint: CounterResetHint = .unknown
    ) -> FloatHistogram {
        FloatHistogram(
            layout: HistogramLayout(
                schema: schema, zeroThreshold: threshold,
                positiveSpans: buckets.isEmpty ? [] : [HistogramSpan(offset: offset, length: UInt32(buckets.count))]),
            hint: hint, count: buckets.reduce(zero, +), zeroCount: zero, sum: 1, buckets: buckets)
    }

    private func custom(_ bounds: [Double], _ buckets: [Double]) -> FloatHistogram {
        FloatHistogram(
            layout: HistogramLayout(
                schema: HistogramLayout.customSchema, positiveSpans: [HistogramSpan(offset: 0, length: UInt32(buckets.count))],
                customBounds: bounds),
            count: buckets.reduce(0, +), sum: 1, buckets: buckets)
    }

    private func sum(_ a: FloatHistogram, _ b: FloatHistogram) throws -> (FloatHistogram, HistogramNotes) {
        var result = a
        let notes = try result.add(b)
        return (result, notes)
    }

    @Test("Equal layouts are shared, and added bucket by bucket") func sameLayout() throws {
        let a = exponential(0, [1, 2, 3])
        let (total, notes) = try sum(a, a)
        #expect(total.layout === a.layout)
        #expect(total.buckets == [2, 4, 6])
        #expect(total.count == 12)
        #expect(notes == [])
    }

    @Test("Missing buckets are made, in order") func missingBuckets() throws {
        let (total, _) = try sum(exponential(0, offset: 0, [1, 2]), exponential(0, offset: 4, [5, 6]))
        #expect(total.layout.positiveSpans == [HistogramSpan(offset: 0, length: 2), HistogramSpan(offset: 2, length: 2)])
        #expect(total.buckets == [1, 2, 5, 6])
    }

    @Test("The sum has the lower of both resolutions") func resolution() throws {
        // Of schema 1 the buckets 1 and 2 are bucket 1 of schema 0, and 3 and 4 are bucket 2.
        let (total, _) = try sum(exponential(1, offset: 1, [1, 2, 3, 4]), exponential(0, offset: 1, [10, 20]))
        #expect(total.layout.schema == 0)
        #expect(total.buckets == [13, 27])
        let (reverse, _) = try sum(exponential(0, offset: 1, [10, 20]), exponential(1, offset: 1, [1, 2, 3, 4]))
        #expect(reverse == total)
    }

    @Test("The wider zero bucket takes in what lies in it, and what its end would cut") func zeroBuckets() throws {
        // (0.25, 0.5] (0.5, 1] (1, 2] and a zero bucket that ends at 0.7.
        let (total, _) = try sum(exponential(0, offset: -1, [1, 2, 4]), exponential(0, offset: 1, [8], threshold: 0.7, zero: 16))
        #expect(total.layout.zeroThreshold == 1)
        #expect(total.zeroCount == 19)
        #expect(total.buckets == [12])
        #expect(total.count == 31)
    }

    @Test("Of custom bounds those stay that both have") func customBounds() throws {
        let (total, notes) = try sum(custom([1, 2, 3], [1, 2, 4, 8]), custom([2, 3, 4], [16, 32, 64, 128]))
        #expect(total.layout.customBounds == [2, 3])
        #expect(total.buckets == [19, 36, 200])
        #expect(notes == .customBoundsReconciled)
    }

    @Test("Custom and exponential buckets do not mix") func mixed() {
        #expect(throws: HistogramError.self) { try sum(custom([1], [1, 2]), exponential(0, [1])) }
        #expect(throws: HistogramError.self) { try sum(exponential(0, [1]), custom([1], [1, 2])) }
    }

    @Test(
        "Hints join",
        arguments: [
            (CounterResetHint.noReset, CounterResetHint.noReset, CounterResetHint.noReset, false), (.reset, .noReset, .unknown, true),
            (.noReset, .reset, .unknown, true), (.gauge, .reset, .gauge, false), (.unknown, .gauge, .gauge, false),
            (.reset, .unknown, .unknown, false), (.reset, .reset, .reset, false),
        ])
    func hints(_ left: CounterResetHint, _ right: CounterResetHint, _ expected: CounterResetHint, _ collide: Bool) throws {
        let (total, notes) = try sum(exponential(0, [1], hint: left), exponential(0, [1], hint: right))
        #expect(total.hint == expected)
        #expect(notes.contains(.counterResetCollision) == collide)
    }

    @Test("A negative factor makes a gauge; by zero there are no buckets") func factors() {
        let a = exponential(0, [1, 2], hint: .noReset)
        #expect(a.scaled(by: 3).buckets == [3, 6])
        #expect(a.scaled(by: 3).hint == .noReset)
        #expect(a.negated.buckets == [-1, -2])
        #expect(a.negated.hint == .gauge)
        #expect(a.divided(by: 2).buckets == [0.5, 1])
        let nothing = a.divided(by: 0)
        #expect(nothing.buckets.isEmpty && nothing.layout.bucketCount == 0)
        #expect(nothing.count == .infinity)
    }

    @Test("Compaction drops empty buckets and joins spans") func compaction() {
        let layout = HistogramLayout(
            positiveSpans: [HistogramSpan(offset: 1, length: 3), HistogramSpan(offset: 0, length: 1), HistogramSpan(offset: 2, length: 1)],
            negativeSpans: [HistogramSpan(offset: -3, length: 2)])
        let compacted = FloatHistogram(layout: layout, count: 9, buckets: [0, 2, 3, 4, 0, 0, 0]).compacted()
        #expect(compacted.layout.positiveSpans == [HistogramSpan(offset: 2, length: 3)])
        #expect(compacted.layout.negativeSpans.isEmpty)
        #expect(compacted.buckets == [2, 3, 4])
    }

    @Test("A sum of many is compensated in every number") func compensation() throws {
        let big = FloatHistogram(
            layout: HistogramLayout(zeroThreshold: 0.5, positiveSpans: [HistogramSpan(offset: 2, length: 1)]), count: 0x1p53,
            zeroCount: 0x1p53, sum: 0x1p53, buckets: [0x1p53])
        let one = FloatHistogram(layout: big.layout, count: 1, zeroCount: 1, sum: 1, buckets: [1])
        var sum = HistogramSum(first: big)
        try sum.add(one)
        try sum.add(one)
        let total = sum.total
        #expect([total.count, total.zeroCount, total.sum] + total.buckets == Array(repeating: 0x1p53 + 2, count: 4))
    }

    @Test("A mean whose sum would overflow moves") func mean() throws {
        let big = exponential(0, [1.5e308, 1e308])
        var mean = HistogramMean(first: big)
        for _ in 0..<3 { try mean.add(big) }
        let buckets = mean.mean.buckets
        #expect(abs(buckets[0] / 1.5e308 - 1) < 1e-15 && abs(buckets[1] / 1e308 - 1) < 1e-15)
    }

    // MARK: Against a table of counts by index

    /// What a sum must hold, from a table of counts by index; equal thresholds only.
    private func naiveSum(_ histograms: [FloatHistogram]) -> [[Int32: Double]] {
        let schema = histograms.map(\.layout.schema).min() ?? 0
        var sides: [[Int32: Double]] = [[:], [:]]
        for histogram in histograms {
            let steps = histogram.layout.schema - schema
            for (side, spans, counts) in [
                (0, histogram.layout.positiveSpans, histogram.positiveBuckets), (1, histogram.layout.negativeSpans, histogram.negativeBuckets),
            ] {
                for (index, count) in zip(BucketIndices(spans), counts) {
                    // The bucket of the coarser schema that ends at or above the end of this one.
                    let coarse = Int32((Double(index) / Double(1 << steps)).rounded(.up))
                    sides[side][coarse, default: 0] += count
                }
            }
        }
        return sides.map { $0.filter { $0.value != 0 } }
    }

    @Test("Sums, differences and the order of terms", arguments: 0..<400 as Range<UInt64>) func properties(_ seed: UInt64) throws {
        var random = SplitMix(seed)
        let threshold = random.pick([0, 0.001])
        let terms = (0..<3).map { _ in random.histogram(threshold: threshold) }
        let (left, _) = try sum(sum(terms[0], terms[1]).0, terms[2])
        let (right, _) = try sum(terms[0], sum(terms[1], terms[2]).0)
        let (reversed, _) = try sum(sum(terms[2], terms[1]).0, terms[0])
        #expect(left.compacted() == right.compacted(), "seed \(seed)")
        #expect(left.compacted() == reversed.compacted(), "seed \(seed)")
        let naive = naiveSum(terms)
        let table = naiveSum([left])
        #expect(table == naive, "seed \(seed)")

        var back = left
        _ = try back.subtract(terms[2])
        let (two, _) = try sum(terms[0], terms[1])
        #expect(back.compacted() == two.reduced(toSchema: left.layout.schema).compacted(), "seed \(seed)")

        var compensated = HistogramSum(first: terms[0])
        for term in terms.dropFirst() { try compensated.add(term) }
        #expect(compensated.total.compacted() == left.compacted(), "seed \(seed)")
    }

    @Test("No observation is lost, whatever the zero buckets", arguments: 0..<400 as Range<UInt64>) func totals(_ seed: UInt64) throws {
        var random = SplitMix(seed)
        // One resolution: a zero bucket that ends at a bucket of the finer one may end inside a bucket of the coarser.
        let schemas = [random.pick([-1, 0, 2] as [Int32])]
        let pair =
            random.chance(3)
            ? [random.customHistogram(), random.customHistogram()] : [random.histogram(schemas: schemas), random.histogram(schemas: schemas)]
        let (total, _) = try sum(pair[0], pair[1])
        #expect(total.count == pair[0].count + pair[1].count)
        #expect(total.buckets.reduce(total.zeroCount, +) == total.count, "seed \(seed)")
        let (reverse, _) = try sum(pair[1], pair[0])
        #expect(reverse.compacted() == total.compacted(), "seed \(seed)")
        for bounds in [total.layout.customBounds] where total.hasCustomBounds {
            #expect(bounds.allSatisfy { pair[0].layout.customBounds.contains($0) && pair[1].layout.customBounds.contains($0) })
        }
    }

    @Test("Nonsense gives nonsense, and nothing worse", arguments: 0..<3_000 as Range<UInt64>) func nonsense(_ seed: UInt64) {
        var random = SplitMix(seed)
        var a = random.nonsense()
        let b = random.nonsense()
        _ = a.detectsReset(after: b)
        _ = a == b
        _ = a.quantile(Double(random.below(12)) / 10)
        _ = a.fraction(lower: random.pick([-.infinity, 0, 1, .nan]), upper: random.pick([.infinity, 2, -1]))
        _ = (a.average, a.standardDeviation, a.text, a.compacted(), a.negated, a.divided(by: 0))
        _ = a.reduced(toSchema: random.pick([-4, 0, .min]))
        _ = a.trimmed(random.chance(2) ? .keepingAbove : .keepingBelow, random.pick([0, 1, -2, .infinity, -.infinity, .nan]))
        var mean = HistogramMean(first: a)
        try? mean.add(b)
        try? mean.add(a)
        _ = mean.mean
        var sum = HistogramSum(first: b)
        try? sum.add(a)
        try? sum.add(b)
        #expect(sum.total.buckets.count == sum.total.layout.bucketCount)
        _ = try? a.add(b)
        _ = try? a.subtract(b)
        #expect(a.buckets.count == a.layout.bucketCount, "seed \(seed)")
    }
}
