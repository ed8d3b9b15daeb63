import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// Random blocks and random questions, held against a filter over plain arrays.
@Suite("Block, by comparison with plain arrays") struct BlockPropertyTests {
    @Test("selects, names and values", arguments: 0..<8)
    func selects(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let directory = TestDirectory()
        let series = Self.randomSeries(&random)
        // With every other seed through a cache that is too small.
        let cache = DecodedCache(limitBytes: seed % 2 == 0 ? 0 : 60_000)
        let block = try makeBlock(series, in: directory, samplesPerChunk: 1 + random.below(40), maxChunkFileBytes: 4096, cache: cache)
        let querier = try block.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        for _ in 0..<100 {
            let matchers = try (0..<random.below(4)).map { _ in try Self.randomMatcher(&random) }
            let matching = series.filter { one in
                matchers.allSatisfy { matcher in
                    let value = one.labels[matcher.name]?.bytes ?? []
                    return matcher.matches(value.span)
                }
            }.sorted { $0.labels < $1.labels }
            let low = Int64(random.below(1200)) - 100
            let range = low...low + Int64(random.below(700))
            let expected = matching.flatMap { one in
                one.samples.filter { range.contains($0.time) }.map { "\(one.labels) \($0.time) \($0.bits)" }
            }
            let found = try readAll(querier, matchers, range)
            #expect(
                found.flatMap { one in one.samples.map { "\(one.labels) \($0.time) \($0.bits)" } } == expected,
                "\(matchers) \(range)")
            #expect(zip(found, found.dropFirst()).allSatisfy { $0.labels < $1.labels })

            let names = Set(matching.flatMap { $0.labels.map(\.name) }).sorted()
            #expect(try querier.labelNames(matchers, limit: 0) == names, "\(matchers)")
            #expect(try querier.labelNames(matchers, limit: 1) == Array(names.prefix(2)), "\(matchers)")
            let name = Self.names[random.below(Self.names.count)]
            let values = Set(matching.compactMap { $0.labels[name] }).sorted()
            #expect(try querier.labelValues(name, matchers, limit: 0) == values, "\(name) \(matchers)")
            #expect(try querier.labelValues(name, matchers, limit: 2) == Array(values.prefix(3)), "\(name) \(matchers)")
        }
    }

    @Test("deletions", arguments: 0..<8)
    func deletions(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed) + 100)
        let directory = TestDirectory()
        var series = Self.randomSeries(&random)
        let block = try makeBlock(
            series, in: directory, samplesPerChunk: 1 + random.below(40), cache: seed % 2 == 0 ? nil : DecodedCache())
        for round in 0..<12 {
            let matchers = [try Self.randomMatcher(&random)]
            let low = Int64(random.below(1100)) - 50
            let high = low + Int64(random.below(300))
            try block.delete([matchers], minTimeMs: low, maxTimeMs: high)
            for index in series.indices {
                let labels = series[index].labels
                let isHit = matchers.allSatisfy { matcher in
                    let value = labels[matcher.name]?.bytes ?? []
                    return matcher.matches(value.span)
                }
                if isHit { series[index].samples.removeAll { (low...high).contains($0.time) } }
            }
            let expected = series.sorted { $0.labels < $1.labels }.flatMap { one in
                one.samples.map { "\(one.labels) \($0.time) \($0.bits)" }
            }
            let querier = try block.querier(minTimeMs: .min, maxTimeMs: .max)
            let found = try readAll(querier, [], .min ... .max)
            querier.close()
            #expect(found.flatMap { one in one.samples.map { "\(one.labels) \($0.time) \($0.bits)" } } == expected)
            let source = try block.chunkSeries(minTimeMs: .min, maxTimeMs: .max)
            var rewritten: [String] = []
            var columns = SampleColumns()
            while try source.next() {
                for chunk in source.chunks {
                    columns.removeAll()
                    try XORChunk(bytes: chunk.bytes).decode(into: &columns)
                    #expect(columns.timestampMs(at: 0) == chunk.minTimeMs)
                    #expect(columns.timestampMs(at: columns.count - 1) == chunk.maxTimeMs)
                    for index in 0..<columns.count {
                        rewritten.append(
                            "\(source.labels) \(columns.timestampMs(at: index)) \(columns.value(at: index).bitPattern)")
                    }
                }
            }
            #expect(rewritten == expected, "round \(round)")
        }
    }

    static let names: [ByteString] = ["__name__", "a", "b", "c", "none", ""]

    static func randomSeries(_ random: inout Generator) -> [PlainSeries] {
        var all: [LabelSet: PlainSeries] = [:]
        for _ in 0..<random.below(150) {
            var labels: [Label] = [Label("__name__", ByteString("m\(random.below(3))"))]
            for name: ByteString in ["a", "b", "c"] where random.below(3) > 0 {
                labels.append(Label(name, ByteString("v\(random.below(name == "c" ? 70 : 6))")))
            }
            let set = LabelSet(labels)
            var time = Int64(random.below(500))
            let samples = (0...random.below(120)).map { _ in
                time += 1 + Int64(random.below(15))
                return (time: time, bits: random.below(4) == 0 ? random.next() : Double(random.below(50)).bitPattern)
            }
            all[set] = PlainSeries(labels: set, samples: samples)
        }
        return Array(all.values)
    }

    static func randomMatcher(_ random: inout Generator) throws -> Matcher {
        let name = names[random.below(names.count)]
        let value = ByteString("v\(random.below(7))")
        let patterns: [ByteString] = [
            "v1|v2", "v.*", ".*", ".+", "", "v[0-3]", "v1|", "|v2|nothing", "m1", "m.", "v1.*|v2", "(?i)V3", "v6[0-9]?", "v1|v1",
        ]
        switch random.below(6) {
        case 0: return Matcher(name, equals: value)
        case 1: return try Matcher(name, .notEqual, value)
        case 2: return try Matcher(name, random.below(2) == 0 ? .equal : .notEqual, "")
        case 3: return Matcher("__name__", equals: ByteString("m\(random.below(4))"))
        case 4: return try Matcher(name, .regex, patterns[random.below(patterns.count)])
        default: return try Matcher(name, .notRegex, patterns[random.below(patterns.count)])
        }
    }
}
