import ApusModel
import Testing

@Suite("Classic histograms as native ones") struct ClassicHistogramBuilderTests {
    private func build(_ buckets: [(Double, Double)], count: Double? = nil, sum: Double? = nil) throws -> NativeHistogram {
        var builder = ClassicHistogramBuilder()
        for (bound, cumulative) in buckets { builder.setBucket(upperBound: bound, cumulativeCount: cumulative) }
        if let count { builder.setCount(count) }
        if let sum { builder.setSum(sum) }
        return try builder.build()
    }

    @Test("Bounds in any order become custom bounds; empty buckets are left out") func plain() throws {
        let histogram = try build([(5, 7), (1, 3), (.infinity, 9), (2, 3)], count: 9, sum: 31)
        #expect(histogram.layout.customBounds == [1, 2, 5])
        #expect(histogram.layout.positiveSpans == [HistogramSpan(offset: 0, length: 1), HistogramSpan(offset: 1, length: 2)])
        #expect(Array(histogram.positiveWords) == [3, 4, 2])
        #expect(histogram.countWord == 9 && histogram.sum == 31 && !histogram.isFloat)
        try histogram.validate()
    }

    @Test("What is missing is taken from the rest") func missing() throws {
        let withoutCount = try build([(1, 3), (.infinity, 4)])
        #expect(withoutCount.count == 4 && withoutCount.sum == 0)
        let withoutInfinity = try build([(1, 3)], count: 8)
        #expect(withoutInfinity.positiveCounts == [3, 5])
        let countOnly = try build([], count: 8)
        #expect(countOnly.layout.customBounds.isEmpty && countOnly.positiveCounts == [8])
    }

    @Test("Of equal bounds the first stays") func equal() throws {
        let histogram = try build([(1, 3), (1, 99), (.infinity, 4)])
        #expect(histogram.layout.customBounds == [1])
        #expect(histogram.positiveCounts == [3, 1])
    }

    @Test("Parts of observations make a float histogram") func floats() throws {
        let histogram = try build([(1, 0.5), (.infinity, 2)])
        #expect(histogram.isFloat)
        #expect(histogram.positiveCounts == [0.5, 1.5])
    }

    @Test("Whole counts above 2^53 are not rounded") func large() throws {
        let histogram = try build([(1, 0x1p53), (.infinity, 0x1p60)])
        #expect(Array(histogram.positiveWords) == [1 << 53, (1 << 60) - (1 << 53)])
    }

    @Test("Counts that fall, are negative, or do not fit are refused") func refused() {
        #expect(throws: HistogramError.self) { try build([(1, 3), (2, 2), (.infinity, 4)]) }
        #expect(throws: HistogramError.self) { try build([(1, -3), (.infinity, 4)]) }
        #expect(throws: HistogramError.self) { try build([(1, 3), (.infinity, 4)], count: 5) }
        #expect(throws: HistogramError.self) { try build([(1, 3)], count: 2) }
        #expect(throws: HistogramError.self) { try build([(1, .nan)]) }
        #expect(throws: HistogramError.self) { try build([(1, 3), (.nan, 5), (.infinity, 4)]) }
        #expect(throws: HistogramError.self) { try build([], sum: 4) }
    }
}
