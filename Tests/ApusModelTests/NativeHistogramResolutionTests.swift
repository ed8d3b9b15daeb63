import ApusModel
import Testing

@Suite("Native histograms with fewer buckets") struct NativeHistogramResolutionTests {
    static func make(schema: Int32, _ spans: [HistogramSpan], _ counts: [UInt64]) throws -> NativeHistogram {
        try NativeHistogram(
            layout: HistogramLayout(schema: schema, positiveSpans: spans), count: counts.reduce(0, +), sum: 1, positive: counts)
    }

    @Test("joins neighbours when the schema goes down") func reduces() throws {
        let histogram = try Self.make(schema: 2, [HistogramSpan(offset: -3, length: 5), HistogramSpan(offset: 2, length: 1)], [1, 2, 4, 8, 16, 32])
        // Indices −3 −2 −1 0 1 and 4: of schema 1 they lie in −1 −1 0 0 1 and 2.
        let half = histogram.reduced(toSchema: 1)
        #expect(half.layout.positiveSpans == [HistogramSpan(offset: -1, length: 4)] && half.words == [3, 12, 16, 32])
        let quarter = histogram.reduced(toSchema: 0)
        #expect(quarter.layout.positiveSpans == [HistogramSpan(offset: 0, length: 2)] && quarter.words == [15, 48])
        #expect(quarter == half.reduced(toSchema: 0) && quarter.layout.schema == 0)
        try quarter.validate()
    }

    @Test("leaves out empty buckets") func compacts() throws {
        let histogram = try Self.make(schema: 0, [HistogramSpan(offset: 1, length: 0), HistogramSpan(offset: 1, length: 4)], [0, 1, 0, 2])
        let compact = histogram.compacted()
        #expect(compact.layout.positiveSpans == [HistogramSpan(offset: 3, length: 1), HistogramSpan(offset: 1, length: 1)] && compact.words == [1, 2])
        #expect(compact.compacted().layout === compact.layout)
        #expect(zip(BucketIndices(compact.layout.positiveSpans), compact.words).map { $0 } .map(\.0) == [3, 5])
    }

    @Test("floats add up as floats") func floats() throws {
        let histogram = try NativeHistogram(
            layout: HistogramLayout(schema: 1, positiveSpans: [HistogramSpan(offset: 1, length: 2)]), floatCount: 4, sum: 1, positive: [1.5, 2.5])
        #expect(histogram.reduced(toSchema: 0).positiveCounts == [4])
    }
}
