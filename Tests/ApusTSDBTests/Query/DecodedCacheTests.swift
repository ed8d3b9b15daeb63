import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("Cache of decoded samples") struct DecodedCacheTests {
    private static func columns(_ times: [Int64]) -> SampleColumns {
        var columns = SampleColumns()
        for time in times { columns.append(timestampMs: time, value: Double(time) / 3) }
        return columns
    }

    /// Asks until it is kept: the first time a series is seen, the second time it comes in.
    private static func put(_ cache: DecodedCache, _ series: UInt32, _ times: [Int64], block: UInt32 = 1, covers: ClosedRange<Int64> = .min ... .max) {
        for _ in 0..<2 {
            guard case .wanted = cache.find(series, of: block, minTimeMs: 0, maxTimeMs: 0),
                let run = DecodedRun.make(columns(times), from: 0, covers: covers)
            else { continue }
            cache.insert(series, of: block, run)
        }
    }

    private static func get(_ cache: DecodedCache, _ series: UInt32, _ range: ClosedRange<Int64>, block: UInt32 = 1) -> [Int64]? {
        guard case .hit(let run) = cache.find(series, of: block, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound) else { return nil }
        var read = SampleColumns()
        read.append(timestampMs: -1, value: 7)
        run.append(range.lowerBound, range.upperBound, to: &read)
        return (1..<read.count).map { index in
            #expect(read.value(at: index) == Double(read.timestampMs(at: index)) / 3)
            return read.timestampMs(at: index)
        }
    }

    @Test(
        "gives the part of a run that lies in a range",
        arguments: [
            [100], [100, 115, 130, 145], (0..<120).map { 1_000 + $0 * 15_000 }, [100, 115, 131, 145], [-30, -15, 0, 15],
            [.min, 0, .max], [.min, .min + 1], [5, 5, 5],
        ] as [[Int64]])
    func ranges(times: [Int64]) {
        let cache = DecodedCache()
        let series: UInt32 = 8
        Self.put(cache, series, times)
        var bounds: [Int64] = [.min, .max]
        for time in times { bounds += [time, time == .min ? time : time - 1, time == .max ? time : time + 1] }
        for low in bounds.prefix(60) {
            for high in bounds.suffix(60) where low <= high {
                #expect(Self.get(cache, series, low...high) == times.filter { (low...high).contains($0) }, "\(low) \(high)")
            }
        }
    }

    @Test("a series comes in at its second use, and is told from those of other blocks")
    func admission() throws {
        let cache = DecodedCache()
        guard case .miss = cache.find(99, of: 1, minTimeMs: 0, maxTimeMs: 9) else { Issue.record("known at once"); return }
        guard case .wanted = cache.find(99, of: 1, minTimeMs: 0, maxTimeMs: 9) else { Issue.record("not wanted"); return }
        let run = DecodedRun.make(Self.columns([1, 2]), from: 0, covers: 0...9)
        cache.insert(99, of: 1, try #require(run))
        #expect(Self.get(cache, 99, 0...9) == [1, 2])
        #expect(Self.get(cache, 99, 0...9, block: 2) == nil)
        Self.put(cache, 99, [3], block: 2)
        #expect(Self.get(cache, 99, 0...9) == [1, 2])
        #expect(Self.get(cache, 99, 0...9, block: 2) == [3])
        #expect(cache.statistics().series == 2)
    }

    @Test("what lies outside of the time that a run covers is not answered by it, and takes its place when it is decoded")
    func coverage() {
        let cache = DecodedCache()
        Self.put(cache, 5, [10, 20], covers: 10...29)
        #expect(Self.get(cache, 5, 10...29) == [10, 20])
        #expect(Self.get(cache, 5, 15...16) == [])
        #expect(Self.get(cache, 5, 9...29) == nil && Self.get(cache, 5, 10...30) == nil)
        guard case .wanted = cache.find(5, of: 1, minTimeMs: 0, maxTimeMs: 90) else { Issue.record("not wanted"); return }
        Self.put(cache, 5, [10, 20, 30])
        #expect(Self.get(cache, 5, .min ... .max) == [10, 20, 30])
        #expect(cache.statistics().series == 1)
    }

    @Test("stays within its bytes, whoever comes, and is right about what it has")
    func bounded() {
        let cache = DecodedCache(limitBytes: 200_000)
        for round in 0..<3 {
            for index in 0..<2_000 {
                let times = (0..<Int64(1 + index % 60)).map { Int64(index) + $0 * 10 }
                Self.put(cache, UInt32(index), times)
                if let found = Self.get(cache, UInt32(index), .min ... .max) { #expect(found == times) }
                if index % 100 == 0 { #expect(cache.statistics().bytes <= 200_000, "\(round)") }
            }
        }
        let statistics = cache.statistics()
        #expect(statistics.evictions > 0 && statistics.hits > 0 && statistics.series > 20)
    }

    @Test("what is used stays when others come in passing")
    func usedStay() {
        let cache = DecodedCache(limitBytes: 4 << 20)
        let used = (0..<200).map { UInt32($0) }
        for series in used { Self.put(cache, series, [1, 2, 3]) }
        for index in 0..<20_000 {
            Self.put(cache, UInt32(1_000 + index), (0..<60).map { $0 })
            if index % 100 == 0 { for series in used { _ = Self.get(cache, series, 0...9) } }
        }
        #expect(cache.statistics().evictions > 0)
        #expect(used.filter { Self.get(cache, $0, 0...9) != nil }.count >= 190)
    }

    @Test("a new round takes the place of one that was left, and a round that does not fit keeps a part")
    func rounds() {
        let cache = DecodedCache(limitBytes: 8 << 20)
        func share(_ first: UInt32, _ count: UInt32) -> Double {
            for _ in 0..<6 { for series in first..<first + count { Self.put(cache, series, (0..<480).map { $0 * 15 }) } }
            let hits = (first..<first + count).filter { Self.get(cache, $0, 0...9) != nil }.count
            return Double(hits) / Double(count)
        }
        #expect(share(0, 1_500) > 0.9)
        #expect(share(10_000, 1_500) > 0.9)
        #expect(share(20_000, 6_000) > 0.2)
    }

    @Test("what nobody uses goes with age, and all of it when it is switched off")
    func age() {
        let cache = DecodedCache()
        let (old, fresh) = (UInt32(8), UInt32(9))
        Self.put(cache, old, [1])
        Self.put(cache, fresh, [2])
        cache.age()
        #expect(Self.get(cache, fresh, 0...9) == [2])
        cache.age()
        #expect(Self.get(cache, old, 0...9) == nil)
        #expect(Self.get(cache, fresh, 0...9) == [2])
        cache.setEnabled(false)
        #expect(cache.statistics().bytes == 0 && Self.get(cache, fresh, 0...9) == nil)
        Self.put(cache, fresh, [2])
        #expect(Self.get(cache, fresh, 0...9) == nil)
        cache.setEnabled(true)
        Self.put(cache, fresh, [2])
        #expect(Self.get(cache, fresh, 0...9) == [2])
    }

    @Test("queries of a block get the same with it as without, histograms and start timestamps too")
    func sameAnswers() async throws {
        let directory = TestDirectory()
        var random = Generator(seed: 5)
        let series = (0..<20).map { index in
            PlainSeries(
                labels: ["__name__": "m", "i": ByteString("\(index)")],
                samples: (0..<300).map { (time: Int64($0) * 100 + Int64(index % 3 == 0 ? random.below(50) : 0), bits: UInt64(random.below(1 << 40))) })
        }
        _ = try makeBlock(series, in: directory)
        let cache = DecodedCache()
        let path = directory.file(anyULID.description)
        let (plain, cached) = (
            try Block.open(path, files: PosixFileSystem()), try Block.open(path, files: PosixFileSystem(), cache: cache)
        )
        let ranges: [ClosedRange<Int64>] = (0..<40).map { _ in
            let low = Int64(random.below(30_000))
            return low...(low + Int64(random.below(30_000)))
        }
        func answers(_ block: Block) throws -> [String] {
            try ranges.flatMap { range in
                let querier = try block.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
                defer { querier.close() }
                return try readAll(querier, [], range).flatMap { one in one.samples.map { "\(one.labels) \($0.time) \($0.bits)" } }
            }
        }
        let expected = try answers(plain)
        #expect(try answers(cached) == expected)
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 { group.addTask { try answers(cached) == expected } }
            for try await isSame in group { #expect(isSame) }
        }
        #expect(cache.statistics().hits > 1_000)
    }
}
