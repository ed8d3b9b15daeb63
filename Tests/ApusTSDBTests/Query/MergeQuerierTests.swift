import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("MergeQuerier") struct MergeQuerierTests {
    private static func labels(_ number: Int) -> LabelSet {
        LabelSet([Label("__name__", ByteString("m\(number % 3)")), Label("instance", ByteString("i\(number)"))])
    }

    /// Sources with random series in random stretches of time, most of them one behind the other.
    private static func sources(_ random: inout Generator) throws -> [[LabelSet: [PlainSample]]] {
        var result: [[LabelSet: [PlainSample]]] = []
        for source in 0..<1 + random.below(4) {
            var series: [LabelSet: [PlainSample]] = [:]
            let overlaps = random.below(3) == 0
            for number in 0..<12 where random.below(3) > 0 {
                var time = overlaps ? 0 : Int64(1000 - source * 100)
                var samples: [PlainSample] = []
                for _ in 0..<random.below(40) {
                    time += 1 + Int64(random.below(overlaps ? 30 : 4))
                    samples.append(
                        random.below(5) == 0
                            ? PlainSample(time: time, histogram: try plainHistogram(random.below(1000)))
                            : PlainSample(time: time, bits: Double(random.below(1_000_000)).bitPattern))
                }
                series[labels(number)] = samples
            }
            result.append(series)
        }
        return result
    }

    /// The first source wins.
    static func merged(_ sources: [[LabelSet: [PlainSample]]]) -> [LabelSet: [PlainSample]] {
        var result: [LabelSet: [Int64: PlainSample]] = [:]
        for source in sources.reversed() {
            for (labels, samples) in source { for sample in samples { result[labels, default: [:]][sample.time] = sample } }
        }
        return result.mapValues { $0.values.sorted { $0.time < $1.time } }.filter { !$0.value.isEmpty }
    }

    /// Goal: several sources read as one map would. Method: random sources, merged by dictionaries.
    @Test("answers as a dictionary", arguments: 0..<60) func property(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let sources = try Self.sources(&random)
        let expected = Self.merged(sources)
        let querier = MergeQuerier.merge(sources.map { PlainStorage($0) })
        defer { querier.close() }
        let matchers = random.below(2) == 0 ? [] : [Matcher("__name__", equals: "m1")]
        let range = random.below(2) == 0 ? Int64.min ... .max : Int64(random.below(400))...Int64(400 + random.below(900))
        let wanted = expected.filter { matchers.isEmpty || $0.key["__name__"] == "m1" }
        #expect(
            try readPlain(querier, matchers, range, sorted: seed % 2 == 0)
                == wanted.mapValues { $0.filter { range.contains($0.time) } }.filter { !$0.value.isEmpty })
        let known = Set(sources.flatMap(\.keys)).filter { matchers.isEmpty || $0["__name__"] == "m1" }
        #expect(try querier.labelValues("instance", matchers, limit: 0) == Set(known.compactMap { $0["instance"] }).sorted())
        #expect(try querier.labelNames(matchers, limit: 0) == Set(known.flatMap { $0.labels.map(\.name) }).sorted())
        #expect(try querier.labelValues("instance", [], limit: 2).count == min(3, Set(sources.flatMap(\.keys)).count))
        let sorted = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        let order = (0..<sorted.count).map { sorted.labels(at: $0) }
        #expect(order == order.sorted())
    }

    @Test("one source is not wrapped, and one set is passed on") func untouched() throws {
        let one = PlainStorage([Self.labels(1): [PlainSample(time: 1)]])
        #expect(MergeQuerier.merge([one]) === one)
        let empty = PlainStorage([:])
        let set = try MergeQuerier.merge([empty, one]).select([], hints: SelectHints(startMs: 0, endMs: 9), sorted: false)
        #expect(set is PlainStorage.PlainSet)
        let none = try MergeQuerier.merge([empty, empty]).select([], hints: SelectHints(startMs: 0, endMs: 9), sorted: false)
        #expect(none.count == 0)
    }

    @Test("closes every source") func closes() {
        let sources = [PlainStorage([:]), PlainStorage([:])]
        MergeQuerier.merge(sources).close()
        #expect(sources.map(\.closeCount) == [1, 1])
    }

    @Test("a histogram's hint does not survive another predecessor") func hints() throws {
        func columns(_ hints: [(Int64, CounterResetHint)]) throws -> [(Int64, NativeHistogram)] {
            try hints.map { time, hint in
                var histogram = try plainHistogram(Int(time))
                histogram.hint = hint
                return (time, histogram)
            }
        }
        var merged = SampleColumns(histograms: true)
        for (time, histogram) in try columns([(1, .reset), (2, .noReset), (5, .noReset), (6, .gauge)]) {
            merged.append(timestampMs: time, histogram: histogram)
        }
        for (time, histogram) in try columns([(3, .noReset), (4, .noReset)]) { merged.append(timestampMs: time, histogram: histogram) }
        mergeTail(of: &merged, from: 4, base: 0)
        let found = (0..<merged.count).map { merged.histogramHint(at: $0) }
        #expect(found == [.reset, .noReset, .unknown, .noReset, .unknown, .gauge])
    }
}
