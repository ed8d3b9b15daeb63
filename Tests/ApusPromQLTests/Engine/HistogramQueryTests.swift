import ApusBytes
import ApusModel
import Testing

@testable import ApusPromQL

@Suite("Queries of native histograms") struct HistogramQueryTests {
    private static func histogram(
        _ buckets: [Double], schema: Int32 = 0, bounds: [Double] = [], hint: CounterResetHint = .unknown
    ) -> FloatHistogram {
        FloatHistogram(
            layout: HistogramLayout(
                schema: bounds.isEmpty ? schema : HistogramLayout.customSchema,
                positiveSpans: [HistogramSpan(offset: 0, length: UInt32(buckets.count))], customBounds: bounds),
            hint: hint, count: buckets.reduce(0, +), sum: 10, buckets: buckets)
    }

    /// Every 15 s for ten minutes: a counter, a gauge, one that is a float at every other sample, one with custom bounds and
    /// one with other bounds, one whose buckets change kind, a float, and a classic histogram that falls.
    private static func storage() throws -> MemoryStorage {
        let storage = MemoryStorage()
        func add(_ name: String, _ index: Int, _ histogram: FloatHistogram, _ labels: [Label] = []) throws {
            let native = try #require(histogram.native)
            try storage.append(
                LabelSet([Label("__name__", ByteString(name))] + labels), timestampMs: Int64(index) * 15_000, histogram: native)
        }
        func add(_ name: String, _ index: Int, _ value: Double, _ labels: [Label] = []) throws {
            try storage.append(
                LabelSet([Label("__name__", ByteString(name))] + labels), timestampMs: Int64(index) * 15_000, value: value)
        }
        for index in 0...40 {
            let growth = Double(index)
            try add("counter", index, histogram([growth, 2 * growth]))
            try add("gauge", index, histogram([growth, 3], hint: .gauge))
            if index.isMultiple(of: 2) { try add("mixed", index, histogram([1, growth])) } else { try add("mixed", index, growth) }
            try add("custom", index, histogram([growth, 1], bounds: [1, 2]), [Label("bounds", "two")])
            try add("custom", index, histogram([growth, 1], bounds: [1, 5]), [Label("bounds", "five")])
            try add("kinds", index, index.isMultiple(of: 2) ? histogram([1]) : histogram([1], bounds: [3]))
            try add("float", index, growth)
            for (bound, count) in [("0.5", 4.0), ("2", 1), ("10", 3), ("+Inf", 6)] {
                try add("falling_bucket", index, count, [Label("le", ByteString(bound))])
            }
        }
        return storage
    }

    private static let link =
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile"

    @Test(
        "says what Prometheus says",
        arguments: [
            ("rate(counter[1m])", []),
            ("rate(gauge[1m])", ["warning: this native histogram metric is not a counter: \"gauge\" (1:6)"]),
            ("delta(counter[1m])", ["warning: this native histogram metric is not a gauge: \"counter\" (1:7)"]),
            ("delta(gauge[1m])", []),
            ("sum_over_time(mixed[1m])", ["warning: encountered a mix of histograms and floats for metric name \"mixed\" (1:15)"]),
            ("irate(mixed[1m])", ["warning: encountered a mix of histograms and floats for metric name \"mixed\" (1:7)"]),
            ("max_over_time(mixed[1m])", [
                "info: ignored histograms in a range containing both floats and histograms for metric name \"mixed\" (1:15)"
            ]),
            ("max_over_time(counter[1m])", []),
            ("rate(kinds[1m])", [
                "warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"kinds\" (1:6)"
            ]),
            ("sum({__name__=~\"counter|float\"})", ["warning: encountered a mix of histograms and floats for aggregation (1:5)"]),
            ("avg by (a) ({__name__=~\"counter|custom\", bounds=~\"two|\"})", [
                "warning: vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"custom\" (1:13)"
            ]),
            ("sum(custom)", ["info: mismatched custom buckets were reconciled during aggregation (1:5)"]),
            ("custom{bounds=\"two\"} - ignoring (bounds) custom{bounds=\"five\"}", [
                "info: mismatched custom buckets were reconciled during subtraction (1:1)"
            ]),
            ("counter + on () custom{bounds=\"two\"}", [
                "warning: incompatible bucket layout encountered for binary operator + (1:1)"
            ]),
            ("1 + counter", ["info: incompatible sample types encountered for binary operator \"+\": float + histogram (1:1)"]),
            ("counter > 1", ["info: incompatible sample types encountered for binary operator \">\": histogram > float (1:1)"]),
            ("float </ 2", ["info: incompatible sample types encountered for binary operator \"</\": float </ float (1:1)"]),
            ("counter ^ on () gauge", [
                "info: incompatible sample types encountered for binary operator \"^\": histogram ^ histogram (1:1)"
            ]),
            ("min(counter)", ["info: ignored histogram in min aggregation (1:5)"]),
            ("topk(1, counter)", ["info: ignored histogram in topk aggregation (1:1)"]),
            ("quantile(0.5, counter)", ["info: ignored histogram in quantile aggregation (1:15)"]),
            ("limitk(1, counter)", []),
            ("histogram_quantile(0.5, label_replace(counter, \"le\", \"1\", \"\", \"\") or float)", [
                "warning: bucket label \"le\" is missing or has a malformed value of \"\" for metric name \"float\" (1:25)"
            ]),
            // The same text at two places stands once, at the place evaluated last.
            ("rate(gauge[1m]) + rate(gauge[2m])", ["warning: this native histogram metric is not a counter: \"gauge\" (1:24)"]),
        ])
    func annotates(query: String, expected: [String]) throws {
        var options = EngineOptions()
        options.parser.enableExperimentalFunctions = true
        let result = try QueryEngine(options: options).instant(ByteString(query), atMs: 600_000, on: Self.storage())
        #expect(result.warnings + result.infos == expected.map { "PromQL " + $0 })
    }

    @Test("one info for all repairs of a metric, with what was repaired and when")
    func annotatesRepairs() throws {
        let result = try QueryEngine().range(
            "histogram_quantile(0.9, falling_bucket)", startMs: 60_000, endMs: 120_000, stepMs: 30_000, on: Self.storage())
        #expect(
            result.infos == [
                "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \(Self.link)), from buckets 2 to 10, "
                    + "with a max diff of 3, over 3 samples from 1970-01-01T00:01:00Z to 1970-01-01T00:02:00Z (1:25)"
            ])
    }

    @Test("no more than ten of a kind are shown")
    func limitsAnnotations() throws {
        let query = (1...12).map { "histogram_quantile(\($0 + 1), counter)" }.joined(separator: " or ")
        let result = try QueryEngine().instant(ByteString(query), atMs: 600_000, on: Self.storage())
        #expect(result.warnings.count == 11)
        #expect(result.warnings.last == "2 more warning annotations omitted")
    }

    @Test("floats and histograms of a series come in columns of their own")
    func rangeResult() throws {
        let result = try QueryEngine().range(
            "mixed", startMs: 0, endMs: 60_000, stepMs: 15_000, on: Self.storage())
        guard case .matrix(let series) = result.value else {
            Issue.record("no matrix")
            return
        }
        #expect(series.count == 1)
        #expect(series.first?.timestampsMs == [15_000, 45_000])
        #expect(series.first?.values == [1, 3])
        #expect(series.first?.histogramTimestampsMs == [0, 30_000, 60_000])
        #expect(series.first?.histograms.map(\.count) == [1, 3, 5])
        #expect(series.first?.histograms.last?.description == "{count:5, sum:10, (0.5,1]:1, (1,2]:4}")
    }

    @Test("a histogram counts for several samples under the limit of samples")
    func weighs() throws {
        var options = EngineOptions()
        // Two buckets in one span and 176 bytes: 12 samples of 16 bytes.
        options.maxSamples = 30
        let engine = QueryEngine(options: options)
        #expect(try engine.instant("counter", atMs: 600_000, on: Self.storage()).statistics.peakSamples == 24)
        #expect(throws: QueryError.self) { try engine.instant("counter[1m]", atMs: 600_000, on: Self.storage()) }
        #expect(throws: Never.self) { try engine.instant("float[1m]", atMs: 600_000, on: Self.storage()) }
    }

    @Test("rows keep histograms beside their floats")
    func rows() {
        let arena = RowArena(width: 3)
        let row = arena.makeRow()
        #expect(!row.mayHoldHistograms)
        row[0] = 7
        row.setHistogram(Self.histogram([1]), at: 1)
        #expect(row.mayHoldHistograms)
        #expect(row.presentCount == 2)
        #expect(row.histogram(0) == nil)
        let copy = arena.makeCopy(of: row)
        #expect(copy.histogram(1) == Self.histogram([1]))
        // What is left of a histogram under a float means nothing.
        row[1] = 2
        #expect(row.histogram(1) == nil)
        let other = arena.makeRow()
        other.setHistogram(Self.histogram([5]), at: 2)
        #expect(copy.absorb(other))
        #expect(copy.histogram(2) == Self.histogram([5]))
        #expect(!copy.absorb(other))
        #expect(copy.dropHistograms())
        #expect(copy.presentCount == 1)
        #expect(!copy.mayHoldHistograms)
    }

    @Test("only what a scan could take for a mark is one")
    func marks() {
        #expect(Absent.value.isMark)
        #expect(HistogramMark.value.isMark)
        #expect(!Double(bitPattern: Absent.bits - 1).isMark)
        #expect(!Double(bitPattern: HistogramMark.bits + 1).isMark)
        #expect(!Double.nan.isMark)
        #expect(!StaleNaN.value.isMark)
    }

    @Test("a target that sends the bits of a mark has sent a NaN", arguments: [Absent.bits, HistogramMark.bits])
    func marksFromOutside(bits: UInt64) throws {
        let storage = MemoryStorage()
        try storage.append(["__name__": "x"], timestampMs: 0, value: Double(bitPattern: bits))
        for query in ["x", "last_over_time(x[1m])", "sum(x)", "x smoothed"] {
            var options = EngineOptions()
            options.parser.enableExtendedRangeSelectors = true
            guard case .vector(let samples) = try QueryEngine(options: options).instant(ByteString(query), atMs: 0, on: storage).value
            else { continue }
            #expect(samples.count == 1)
            #expect(samples.allSatisfy { $0.value.isNaN && $0.histogram == nil })
        }
    }

    /// Goal: no histogram, however senseless, stops a query: a bad target must not take the server down.
    @Test("nonsense goes through every function", arguments: 0..<60)
    func nonsense(seed: Int) throws {
        var random = SplitMix(UInt64(seed) &* 15_485_863 &+ 11)
        let storage = MemoryStorage()
        for name in ["a", "b"] {
            for index in 0..<12 {
                let labels: LabelSet = ["__name__": ByteString(name)]
                switch random.below(6) {
                case 0: try storage.append(labels, timestampMs: Int64(index) * 10_000, value: Double(index))
                default:
                    guard let histogram = random.nonsense().native else { continue }
                    try storage.append(labels, timestampMs: Int64(index) * 10_000, histogram: histogram)
                }
            }
        }
        var options = EngineOptions()
        options.parser.enableExperimentalFunctions = true
        options.parser.enableExtendedRangeSelectors = true
        let engine = QueryEngine(options: options)
        let queries = [
            "a", "rate(a[1m])", "increase(a[1m] anchored)", "rate(a[1m] smoothed)", "a smoothed", "delta(b[1m])", "irate(a[1m])",
            "idelta(b[1m])", "sum_over_time(a[1m])", "avg_over_time(b[1m])", "resets(a[1m])", "changes(b[1m])", "a + on () b",
            "a - on () b", "a == on () b", "a </ 1", "b >/ -1", "a * -1", "b / 0", "-a", "sum({__name__=~\"a|b\"})",
            "avg({__name__=~\"a|b\"})", "count_values(\"v\", {__name__=~\"a|b\"})", "histogram_quantile(0.3, a)",
            "histogram_quantile(0.9, b)", "histogram_fraction(-1, 2, a)", "histogram_stddev(b)", "histogram_avg(sum(rate(a[1m])))",
            "rate(a[1m:7s])", "limitk(1, a)", "a[1m]", "last_over_time(b[1m])", "max_over_time(a[1m])",
        ]
        for query in queries {
            let result = try engine.instant(ByteString(query), atMs: 90_000, on: storage)
            if case .vector(let samples) = result.value {
                for sample in samples { #expect(sample.histogram?.description.isEmpty != true) }
            }
            if !query.hasSuffix("]") {
                _ = try engine.range(ByteString(query), startMs: 0, endMs: 110_000, stepMs: 9_000, on: storage)
            }
        }
    }
}
