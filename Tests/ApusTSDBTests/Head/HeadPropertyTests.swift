import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("Head against plain arrays") struct HeadPropertyTests {
    /// Goal: no order of appends, truncations and selects shows anything but what was stored. Method: the same random
    /// steps go to the head and to `NaiveHead`, from a seed that a failure prints.
    @Test("answers as the naive one", arguments: 0..<12)
    func agrees(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let range: Int64 = seed % 2 == 0 ? 100_000 : 7_000
        let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: range, samplesPerChunk: seed % 3 == 0 ? 5 : 120))
        var naive = NaiveHead(chunkRangeMs: range)
        var refs: [SeriesRef] = []
        var now: Int64 = seed % 5 == 0 ? -500_000 : 1_700_000_000_000
        for step in 0..<90 {
            switch random.below(12) {
            case 0...2:
                for _ in 0..<random.below(10) {
                    let labels = Self.labels(&random)
                    let ref = try head.seriesRef(for: labels)
                    if naive.series[ref] == nil {
                        naive.series[ref] = .init(labels: labels)
                        refs.append(ref)
                    }
                    #expect(naive.series[ref]?.labels == labels)
                    #expect(head.labels(of: ref) == labels)
                }
            case 3:
                let bound = now - Int64(random.below(Int(range) * 3))
                head.truncate(before: bound)
                naive.truncate(before: bound)
                // Series that never had a sample go with a truncation that drops something; ask again for those.
                for (ref, one) in naive.series where one.samples.isEmpty && head.labels(of: ref) == nil { naive.series[ref] = nil }
                for ref in refs where naive.series[ref] == nil { #expect(head.labels(of: ref) == nil, "seed \(seed) step \(step)") }
            case 4: now += Int64(random.below(Int(range)))
            default:
                var batch = SampleBatch()
                for _ in 0..<random.below(200) where !refs.isEmpty {
                    let time = now + Int64(random.below(2000)) - (random.below(20) == 0 ? Int64(random.below(Int(range))) : 0)
                    let value = random.below(3) == 0 ? 1 : Double(random.below(1_000_000)) / 7
                    batch.append(refs[random.below(refs.count)], timestampMs: time, value: random.below(30) == 0 ? StaleNaN.value : value)
                }
                if batch.count == 0 { continue }
                let outcome = try head.append(batch)
                let expected = naive.append(batch)
                #expect(outcome.appended == expected.appended, "seed \(seed) step \(step)")
                #expect(outcome.rejections == expected.rejections, "seed \(seed) step \(step)")
                now += 1000
            }
            head.checkInvariants()
            try compare(head, naive, &random, now, range, "seed \(seed) step \(step)")
        }
    }

    private func compare(
        _ head: Head, _ naive: NaiveHead, _ random: inout Generator, _ now: Int64, _ range: Int64, _ place: String
    ) throws {
        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        for _ in 0..<3 {
            let matchers = try Self.matchers(&random)
            let low = random.below(3) == 0 ? Int64.min : now - Int64(random.below(Int(range) * 2))
            let high = random.below(3) == 0 ? Int64.max : max(low, now - Int64(random.below(Int(range))))
            let found = try readAll(querier, matchers, low...high).filter { !$0.samples.isEmpty }
            let expected: [(labels: LabelSet, samples: [(time: Int64, bits: UInt64)])] = naive.select(matchers).map { one in
                (one.labels, one.samples.filter { $0.time >= low && $0.time <= high })
            }.filter { !$0.samples.isEmpty }
            #expect(found.map(\.labels) == expected.map(\.labels), "\(place) \(matchers)")
            for (mine, theirs) in zip(found, expected) {
                #expect(mine.samples.map(\.time) == theirs.samples.map(\.time), "\(place) \(matchers)")
                #expect(mine.samples.map(\.bits) == theirs.samples.map(\.bits), "\(place) \(matchers)")
            }
        }
        let matchers = try Self.matchers(&random)
        let matching = naive.select(random.below(2) == 0 ? matchers : []).filter { !$0.samples.isEmpty }
        let asked = matching.count == naive.select([]).filter { !$0.samples.isEmpty }.count ? [] : matchers
        let all = naive.select(asked).filter { !$0.samples.isEmpty }
        #expect(try querier.labelNames(asked, limit: 0) == Set(all.flatMap { $0.labels.labels.map(\.name) }).sorted(), "\(place)")
        #expect(try querier.labelValues("job", asked, limit: 0) == Set(all.compactMap { $0.labels["job"] }).sorted(), "\(place)")
    }

    private static func labels(_ random: inout Generator) -> LabelSet {
        var labels = [Label("__name__", ByteString("metric_\(random.below(4))"))]
        if random.below(4) > 0 { labels.append(Label("job", ByteString("job\(random.below(5))"))) }
        if random.below(3) > 0 { labels.append(Label("instance", ByteString("host-\(random.below(40))"))) }
        if random.below(8) == 0 { labels.append(Label("odd", ByteString([0xFF, UInt8(random.below(3))]))) }
        return LabelSet(labels)
    }

    private static func matchers(_ random: inout Generator) throws -> [Matcher] {
        let choices: [(ByteString, Matcher.Kind, ByteString)] = [
            ("__name__", .equal, "metric_1"), ("__name__", .regex, "metric_[02]"), ("__name__", .notEqual, "metric_3"),
            ("job", .equal, ""), ("job", .notEqual, ""), ("job", .equal, "job2"), ("job", .notEqual, "job1"), ("job", .regex, "job.*"),
            ("job", .regex, ".*"), ("job", .notRegex, ".*"), ("job", .notRegex, "job[0-3]"), ("job", .regex, "|job4"),
            ("job", .notRegex, "|job4"), ("instance", .regex, "host-1."), ("instance", .notRegex, "host-.*[5-9]"),
            ("instance", .regex, "host-(1|2|3)"), ("instance", .notEqual, "host-7"), ("missing", .equal, ""), ("missing", .equal, "x"),
            ("missing", .notEqual, "x"), ("missing", .regex, "x*"), ("missing", .regex, "x+"), ("odd", .regex, ".+"), ("job", .regex, "job1|job3|nobody"),
            ("job", .notRegex, "job1|job3|nobody"), ("instance", .regex, "host-7"), ("missing", .notRegex, "a|b"), ("job", .regex, ""),
            ("odd", .notRegex, ".+"),
        ]
        return try (0..<random.below(4)).map { _ in
            let (name, kind, value) = choices[random.below(choices.count)]
            return try Matcher(name, kind, value)
        }
    }
}
