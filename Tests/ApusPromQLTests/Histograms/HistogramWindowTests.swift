import ApusModel
import Testing

@testable import ApusPromQL

@Suite("Range functions of native histograms") struct HistogramWindowTests {
    /// A counter that is scraped, with resets, and buckets that come with time; as a database gives it back.
    private struct Series {
        let scratch = ColumnScratch()
        var histograms: [FloatHistogram] = []
        var timesMs: [Int64] = []

        init(_ random: inout SplitMix, resets: Bool = true, layouts: Bool = true) throws {
            var current = random.histogram(schemas: [1], threshold: 0.001)
            var previous: FloatHistogram?
            for index in 0..<(2 + random.below(12)) {
                if resets, random.chance(5) {
                    current = random.histogram(schemas: [1], threshold: 0.001)
                } else if layouts, random.chance(4) {
                    _ = try current.add(random.histogram(schemas: [1], threshold: 0.001))
                } else {
                    _ = try current.add(current.scaled(by: Double(random.below(3))))
                }
                var sample = current
                sample.hint = previous.map { current.detectsReset(after: $0) ? .unknown : .noReset } ?? .unknown
                previous = current
                histograms.append(sample)
                timesMs.append(Int64(index) * 15_000 + Int64(random.below(3)) * 100)
                scratch.columns.append(timestampMs: timesMs[index], histogram: try #require(sample.native))
            }
        }

        /// The same with counts in place of histograms.
        func counts() -> ColumnScratch {
            let floats = ColumnScratch()
            for (timestampMs, histogram) in zip(timesMs, histograms) {
                floats.columns.append(timestampMs: timestampMs, value: histogram.count)
            }
            return floats
        }
    }

    private func count(_ value: WindowValue) -> Double? {
        if case .histogram(let histogram) = value { return histogram.count }
        return nil
    }

    /// Whatever is computed of histograms is computed of their counts, too; and those are floats.
    @Test("Counts go as floats do", arguments: 0..<300 as Range<UInt64>, [FunctionName.rate, .increase, .delta, .irate, .sumOverTime, .avgOverTime])
    func counts(_ seed: UInt64, _ function: FunctionName) throws {
        var random = SplitMix(seed)
        let series = try Series(&random)
        let floats = series.counts()
        let rangeMs: Int64 = 120_000
        let make = try #require(WindowFunctions.table[function])
        var kernel = make()
        var window = try #require(HistogramWindow(function, rangeMs: rangeMs))
        kernel.prepare(Samples(floats))
        window.prepare(series.scratch)
        var first = 0
        for last in series.timesMs.indices {
            let endMs = series.timesMs[last] + Int64(random.below(20_000))
            while series.timesMs[first] <= endMs - rangeMs { first += 1 }
            let range = first..<(series.timesMs.lastIndex { $0 <= endMs } ?? last) + 1
            var notes: WindowNotes = []
            let histogram = window.value(range, endMs: endMs, notes: &notes)
            let float = kernel.value(
                Window(samples: Samples(floats), range: range, rangeMs: rangeMs, endMs: endMs, stepTimeMs: endMs, step: 0))
            // A histogram may be reset though its count rose: floats do not see that.
            let hidden = range.dropFirst().contains {
                series.histograms[$0].hint == .unknown && series.histograms[$0].count >= series.histograms[$0 - 1].count
            }
            if hidden { continue }
            #expect((count(histogram) ?? Absent.value).bitPattern == float.bitPattern, "seed \(seed), \(range)")
        }
        withExtendedLifetime((floats, series.scratch)) {}
    }

    @Test("An increase is the last, less the first, and what was lost at resets", arguments: 0..<300 as Range<UInt64>)
    func increase(_ seed: UInt64) throws {
        var random = SplitMix(seed)
        let series = try Series(&random)
        var window = try #require(HistogramWindow(.increase, rangeMs: 3_600_000))
        window.prepare(series.scratch)
        let range = series.histograms.indices
        var expected = try #require(series.histograms.last)
        _ = try expected.subtract(series.histograms[0])
        for index in range.dropFirst() {
            var current = series.histograms[index]
            current.hint = .unknown
            if current.detectsReset(after: series.histograms[index - 1]) { _ = try expected.add(series.histograms[index - 1]) }
        }
        var notes: WindowNotes = []
        guard case .histogram(let got) = window.value(range, endMs: series.timesMs[range.count - 1], notes: &notes) else {
            Issue.record("no histogram, seed \(seed)")
            return
        }
        // What extrapolation adds is a factor; compare shapes.
        let factor = expected.count == 0 ? 1 : got.count / expected.count
        let scaled = expected.compacted().scaled(by: factor)
        #expect(got.layout.hasSameBuckets(as: scaled.layout), "seed \(seed)")
        for (a, b) in zip(got.buckets, scaled.buckets) { #expect(abs(a - b) <= 1e-9 * max(1, abs(b)), "seed \(seed)") }
        #expect(got.hint == .gauge && notes == [])
    }

    @Test("Floats and histograms in one window") func mixed() throws {
        let scratch = ColumnScratch()
        scratch.columns.append(timestampMs: 0, value: 1)
        let histogram = try #require(FloatHistogram(count: 2).native)
        scratch.columns.append(timestampMs: 1_000, histogram: histogram)
        scratch.columns.append(timestampMs: 2_000, value: 5)
        func run(_ function: FunctionName, _ range: Range<Int>) throws -> (Double?, WindowNotes) {
            var window = try #require(HistogramWindow(function, rangeMs: 10_000))
            window.prepare(scratch)
            var notes: WindowNotes = []
            switch window.value(range, endMs: 2_000, notes: &notes) {
            case .float(let value): return (value, notes)
            default: return (nil, notes)
            }
        }
        #expect(try run(.countOverTime, 0..<3) == (3, []))
        #expect(try run(.changes, 0..<3) == (2, []))
        #expect(try run(.resets, 0..<3) == (2, []))
        #expect(try run(.lastOverTime, 0..<3) == (5, []))
        #expect(try run(.tsOfFirstOverTime, 1..<3) == (1, []))
        #expect(try run(.rate, 0..<3) == (nil, .mixedFloats))
        #expect(try run(.sumOverTime, 0..<2) == (nil, .mixedFloats))
        #expect(try run(.irate, 1..<3) == (nil, .mixedFloats))
        let floatsOnly = HistogramWindow(.minOverTime, rangeMs: 1)
        #expect(floatsOnly.map { _ in true } == nil)
    }

    @Test("Gauges and counters where they do not belong") func kinds() throws {
        func notes(_ function: FunctionName, _ hints: [CounterResetHint]) throws -> WindowNotes {
            let scratch = ColumnScratch()
            for (index, hint) in hints.enumerated() {
                scratch.columns.append(
                    timestampMs: Int64(index) * 1_000, histogram: try #require(FloatHistogram(hint: hint, count: Double(index)).native))
            }
            var window = try #require(HistogramWindow(function, rangeMs: 10_000))
            window.prepare(scratch)
            var notes: WindowNotes = []
            _ = window.value(0..<hints.count, endMs: 3_000, notes: &notes)
            return notes
        }
        #expect(try notes(.rate, [.unknown, .noReset, .noReset]) == [])
        #expect(try notes(.rate, [.unknown, .gauge, .unknown]) == .notCounter)
        #expect(try notes(.delta, [.gauge, .unknown, .gauge]) == [])
        #expect(try notes(.delta, [.unknown, .noReset, .gauge]) == .notGauge)
        #expect(try notes(.idelta, [.gauge, .noReset]) == .notGauge)
        #expect(try notes(.irate, [.gauge, .noReset]) == .notCounter)
        #expect(try notes(.sumOverTime, [.noReset, .reset]) == .counterResetCollision)
    }
}

@Suite("Strict runs of scripts") struct StrictScriptTests {
    private func report(_ script: String, isStrict: Bool) -> ScriptReport {
        ScriptRunner().run(Array(script.utf8), name: "test", isStrict: isStrict)
    }

    @Test("What depends on the way of asking is found") func finds() {
        // An instant query has no step: its default in a duration is another one than that of a range query.
        let script = """
            load 1m
              x 0 1 2 3 4 5 6 7 8 9 10
              h {{count:1 sum:1 buckets:[1]}}x10

            eval instant at 5m x
              x 5

            eval instant at 5m h
              h {{count:1 sum:1 buckets:[1]}}

            eval instant at 5m x offset -1m
              x 6
            """
        #expect(report(script, isStrict: true).failures == [])
        #expect(report(script, isStrict: true).passed == 3)
        let wrong = script.replacing("  x 6", with: "  x 7")
        #expect(report(wrong, isStrict: true).failed == 1)
    }
}
