import ApusModel
import Testing

@testable import ApusMetrics

@Suite("Native histograms") struct NativeHistogramTests {
    @Test(
        "the schema is the coarsest within the factor",
        arguments: [(1.0001, 8), (1.1, 3), (1.2, 2), (1.5, 1), (2, 0), (3, 0), (4, -1), (16, -2), (300, -3), (70_000, -4), (1e300, -4)]
            as [(Double, Int32)])
    func schemas(factor: Double, schema: Int32) {
        #expect(NativeBuckets(factor: factor).schema == schema)
        // The next finer one would do with less, the chosen one does not exceed the factor (but at the ends of what there is).
        if schema > -4, schema < 8 { #expect(HistogramBounds.upper(1, schema: schema) <= factor) }
    }

    @Test("a value lies within the bounds of its bucket, in every schema", arguments: -4...8 as ClosedRange<Int32>)
    func indices(schema: Int32) {
        var random = Xorshift(state: 11)
        var values = [1, 2, 0.5, 1.0.nextUp, 1.0.nextDown, .greatestFiniteMagnitude, 0x1p-1021, 3]
        for _ in 0..<2000 { values.append(Double(bitPattern: random.next() & 0x7FFF_FFFF_FFFF_FFFF)) }
        // Of the smallest numbers the bounds below cannot be told apart.
        for value in values where value >= 0x1p-1021 && value.isFinite {
            let index = HistogramBounds.index(of: value, schema: schema)
            if value > HistogramBounds.upper(index, schema: schema) || value <= HistogramBounds.upper(index - 1, schema: schema) {
                Issue.record("\(value) in bucket \(index)")
            }
        }
    }

    @Test("positive, negative and zero observations, beside classic buckets")
    func both() throws {
        let registry = MetricRegistry()
        let histogram = try registry.histogram("h", help: "", buckets: [1, 2], native: NativeBuckets(factor: 2))
        for value in [1, 2, 3, 3, -4, 0, 1e-40, -1e-40] { histogram.observe(value) }
        for value in [Double.nan, .infinity] { histogram.observe(value) }
        let snapshot = histogram.snapshot()
        #expect(snapshot.counts == [5, 1, 2])
        #expect(snapshot.count == 8)
        #expect(snapshot.sum == 5)
        let native = try #require(snapshot.native)
        try native.validate()
        #expect(native.layout.schema == 0)
        #expect(native.layout.zeroThreshold == 2.938735877055719e-39)
        #expect(native.zeroCount == 3)
        #expect(native.layout.positiveSpans == [HistogramSpan(offset: 0, length: 3)])
        #expect(native.positiveCounts == [1, 1, 2])
        #expect(native.layout.negativeSpans == [HistogramSpan(offset: 2, length: 1)])
        #expect(native.count == 8)
        #expect(registry.faults.badObservations == 2)
        #expect(registry.samples == ["h_bucket{le=\"1\"} 5", "h_bucket{le=\"2\"} 6", "h_bucket{le=\"+Inf\"} 8", "h_sum 5", "h_count 8"])
    }

    @Test("only native buckets leave the text format count and sum")
    func nativeOnly() throws {
        let registry = MetricRegistry()
        try registry.histogram("h", help: "", buckets: .none, native: NativeBuckets()).observe(3)
        #expect(registry.samples == ["h_bucket{le=\"+Inf\"} 1", "h_sum 3", "h_count 1"])
        #expect(throws: MetricError.invalidBuckets(metric: "x")) { try registry.histogram("x", help: "", buckets: .none) }
        #expect(throws: MetricError.invalidBuckets(metric: "x")) {
            try registry.histogram("x", help: "", native: NativeBuckets(factor: 1))
        }
    }

    @Test("too many buckets: an old histogram begins anew")
    func reset() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        var options = NativeBuckets(factor: 1.1)
        options.maxBuckets = 4
        options.minResetMs = 60_000
        let histogram = try registry.histogram("h", help: "", buckets: [10], native: options)
        let created = histogram.countsSinceMs
        time.advance(ms: 60_000)
        for value in 1...4 { histogram.observe(Double(value)) }
        #expect(histogram.snapshot().count == 4)
        histogram.observe(100)
        #expect(histogram.snapshot().count == 1)
        #expect(histogram.snapshot().counts == [0, 1])
        #expect(histogram.snapshot().native?.layout.schema == 3)
        #expect(histogram.countsSinceMs == (created ?? 0) + 60_000)
        // Too young: it gets coarser, and has its resolution back when it is old enough.
        for value in 1...20 { histogram.observe(Double(value)) }
        #expect((histogram.snapshot().native?.layout.schema ?? 9) < 3)
        #expect(histogram.snapshot().count == 21)
        time.advance(ms: 60_000)
        histogram.observe(1)
        #expect(histogram.snapshot().native?.layout.schema == 3)
        #expect(histogram.snapshot().count == 1)
    }

    @Test("too many buckets: the zero bucket grows as far as it may, then the resolution is halved")
    func reduction() throws {
        var options = NativeBuckets(factor: 1.1)
        options.maxBuckets = 4
        options.maxZeroThreshold = 0.01
        let histogram = try MetricRegistry().histogram("h", help: "", buckets: .none, native: options)
        for value in [0.001, -0.001, 1, 2, 3] { histogram.observe(value) }
        var native = try #require(histogram.snapshot().native)
        #expect(native.layout.schema == 3)
        #expect(native.zeroCount == 2)
        #expect(native.layout.zeroThreshold >= 0.001 && native.layout.zeroThreshold <= 0.01)
        for value in 4...40 { histogram.observe(Double(value)) }
        native = try #require(histogram.snapshot().native)
        #expect(native.layout.schema < 3)
        #expect(native.layout.bucketCount <= 4)
        #expect(native.count == 42)
        try native.validate()
    }

    @Test("whatever comes, buckets stay within their limit and nothing is lost", arguments: 1...4)
    func random(seed: Int) throws {
        var random = Xorshift(state: UInt64(seed))
        var options = NativeBuckets(factor: 1.05)
        options.maxBuckets = 20
        options.maxZeroThreshold = seed % 2 == 0 ? 1e-3 : 0
        let histogram = try MetricRegistry().histogram("h", help: "", buckets: .none, native: options)
        var sum = 0.0
        for _ in 0..<5000 {
            let bits = random.next()
            let value = Double(sign: bits & 1 == 0 ? .plus : .minus, exponent: Int(bits % 120) - 60, significand: 1 + Double(bits >> 12 & 1023) / 1024)
            histogram.observe(value)
            sum += value
        }
        let native = try #require(histogram.snapshot().native)
        try native.validate()
        #expect(native.layout.bucketCount <= 20 || native.layout.schema == -4)
        #expect(native.count == 5000)
        #expect(histogram.snapshot().sum == sum)
    }

    @Test("exemplars of native buckets are bounded and make place for others when they are old")
    func exemplars() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        var options = NativeBuckets()
        options.maxExemplars = 3
        let histogram = try registry.histogram("h", help: "", buckets: .none, native: options)
        func values() -> [Double] {
            guard case .histogram(let point) = histogram.currentValue() else { return [] }
            return point.nativeExemplars.map(\.value)
        }
        for value in [1.0, 100, 10_000] { histogram.observe(value, exemplar: [("trace_id", "\(value)")]) }
        #expect(values() == [1, 100, 10_000])
        // The nearest makes place.
        histogram.observe(101, exemplar: [("trace_id", "x")])
        #expect(values() == [1, 10_000, 101])
        time.advance(ms: 300_001)
        histogram.observe(9_999, exemplar: [("trace_id", "y")])
        #expect(values() == [10_000, 101, 9_999])
    }
}
