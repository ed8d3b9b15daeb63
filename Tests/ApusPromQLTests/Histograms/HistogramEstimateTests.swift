import ApusModel
import Testing

@testable import ApusPromQL

@Suite("What a native histogram tells") struct HistogramEstimateTests {
    private func histogram(_ literal: String) throws -> FloatHistogram {
        var position = 0
        return try #require(HistogramLiteral(Array(literal.utf8)[...], &position)).histogram
    }

    @Test("Quantiles interpolate exponentially, and linearly in the zero bucket and between custom bounds")
    func quantiles() throws {
        // (1, 2] and (2, 4]: the median is where one ends.
        let plain = try histogram("{{schema:0 count:4 sum:8 offset:1 buckets:[2 2]}}")
        #expect(plain.quantile(0.5).value == 2)
        // A quarter of the way: 2^0.5 of the bucket.
        #expect(abs(plain.quantile(0.25).value - 2.0.squareRoot()) < 1e-15)
        #expect(plain.quantile(-0.1).value == -.infinity)
        #expect(plain.quantile(1.1).value == .infinity)
        #expect(plain.quantile(.nan).value.isNaN)
        let zero = try histogram("{{schema:0 count:4 sum:8 z_bucket:4 z_bucket_w:1 offset:2 buckets:[0]}}")
        #expect(zero.quantile(0.25).value == 0.25)  // from 0, as there are positive buckets only
        let custom = try histogram("{{schema:-53 count:4 sum:8 custom_values:[5 10] buckets:[2 2]}}")
        #expect(custom.quantile(0.25).value == 2.5)
        #expect(custom.quantile(0.75).value == 7.5)
        let last = try histogram("{{schema:-53 count:4 sum:8 custom_values:[5 10] buckets:[1 1 2]}}")
        #expect(last.quantile(0.9).value == 10)
        let negative = try histogram("{{schema:0 count:4 sum:8 n_offset:1 n_buckets:[2 2]}}")
        #expect(negative.quantile(0.5).value == -2)
        #expect(try histogram("{{}}").quantile(0.5).value.isNaN)
    }

    @Test("NaN observations are at the upper end") func nanObservations() throws {
        let some = try histogram("{{schema:0 count:5 sum:NaN offset:1 buckets:[4]}}")
        #expect(some.quantile(0.5).note == .skewsHigher)
        #expect(some.quantile(0.9).value.isNaN)
        #expect(some.quantile(0.9).note == .resultIsNaN)
        #expect(some.fraction(lower: -.infinity, upper: .infinity) == (0.8, .excluded))
        // Both infinities make the sum NaN, too, and are in buckets.
        let all = try histogram("{{schema:0 count:4 sum:NaN offset:1 buckets:[4]}}")
        #expect(all.quantile(0.5).note == nil)
        #expect(all.fraction(lower: -.infinity, upper: .infinity) == (1, nil))
    }

    @Test("Mean and spread") func spread() throws {
        let one = try histogram("{{schema:0 count:2 sum:4 offset:1 buckets:[2]}}")
        #expect(one.average == 2)
        let middle = 2.0.squareRoot()
        #expect(one.standardVariance == (middle - 2) * (middle - 2))
        #expect(one.standardDeviation == (2 - middle).magnitude)
        let zero = try histogram("{{count:2 sum:0 z_bucket:2 z_bucket_w:1}}")
        #expect(zero.standardDeviation == 0)
        let custom = try histogram("{{schema:-53 count:2 sum:2 custom_values:[0 2] buckets:[0 2]}}")
        #expect(custom.standardVariance == 0)
    }

    @Test("A trim divides the bucket that holds the cut") func trims() throws {
        let plain = try histogram("{{schema:0 count:4 sum:8 offset:1 buckets:[2 2]}}")
        #expect(plain.trimmed(.keepingBelow, 2).buckets == [2])
        #expect(plain.trimmed(.keepingAbove, 2).layout.positiveSpans == [HistogramSpan(offset: 2, length: 1)])
        #expect(plain.trimmed(.keepingBelow, 4) == plain)
        #expect(plain.trimmed(.keepingAbove, -.infinity).sum == 8)
        let cut = plain.trimmed(.keepingBelow, 2.0.squareRoot())
        #expect(cut.buckets.count == 1 && abs(cut.buckets[0] - 1) < 1e-15)
        let custom = try histogram("{{schema:-53 count:4 sum:8 custom_values:[5 10] buckets:[2 1 1]}}")
        let low = custom.trimmed(.keepingBelow, 2.5)
        #expect(low.buckets == [1])
        #expect(low.sum == 1.25)
        let high = custom.trimmed(.keepingAbove, 20)
        #expect(high.buckets == [1])
        #expect(high.sum == 20)
    }

    @Test("A fraction undoes a quantile", arguments: 0..<300 as Range<UInt64>) func inverse(_ seed: UInt64) {
        var random = SplitMix(seed)
        // All that is in a zero bucket of no width is at one place, where no fraction can tell it apart.
        let threshold = random.pick([0.001, 0.125, 1])
        let histogram = random.chance(3) ? random.customHistogram() : random.histogram(threshold: threshold)
        guard histogram.count > 0 else { return }
        for step in 1...19 {
            let phi = Double(step) / 20
            let value = histogram.quantile(phi).value
            // In a bucket without bounds there is nothing to undo, and two buckets may end where a gap begins.
            if histogram.hasCustomBounds, value == histogram.layout.customBounds.first || value == histogram.layout.customBounds.last { continue }
            if histogram.hasCustomBounds, histogram.layout.customBounds.first ?? 1 <= 0 { continue }
            if histogram.layout.customBounds.isEmpty, histogram.hasCustomBounds { continue }
            let back = histogram.fraction(lower: -.infinity, upper: value).value
            #expect(abs(back - phi) < 1e-9, "seed \(seed), φ \(phi), value \(value), back \(back): \(histogram.text)")
        }
    }

    @Test("Both halves of a trim make the whole", arguments: 0..<300 as Range<UInt64>) func halves(_ seed: UInt64) {
        var random = SplitMix(seed)
        let histogram = random.histogram()
        let cut = Double(random.below(2_000) - 1_000) / 128
        let below = histogram.trimmed(.keepingBelow, cut)
        let above = histogram.trimmed(.keepingAbove, cut)
        #expect(abs(below.count + above.count - histogram.count) < 1e-9 * max(1, histogram.count), "seed \(seed)")
        if histogram.count > 0 {
            let share = histogram.fraction(lower: -.infinity, upper: cut).value
            #expect(abs(below.count / histogram.count - share) < 1e-9, "seed \(seed), cut \(cut): \(histogram.text)")
        }
    }

    @Test("Powers and logarithms of two", arguments: [-1_074, -1_022, -3, -1, 0, 1, 2, 52, 1_023]) func powers(_ exponent: Int) {
        let power = powerOfTwo(Double(exponent))
        #expect(power == (exponent < -1_022 ? .leastNonzeroMagnitude : Double(sign: .plus, exponent: exponent, significand: 1)))
        #expect(binaryLogarithm(power) == Double(exponent))
        #expect(abs(powerOfTwo(binaryLogarithm(3)) - 3) < 1e-15 * 4)
        #expect(powerOfTwo(2_000) == .infinity)
        #expect(powerOfTwo(-2_000) == 0)
    }
}
