import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("MergeChunkSeries") struct MergeChunkSeriesTests {
    private static func labels(_ number: Int) -> LabelSet { LabelSet([Label("series", ByteString("s\(number)"))]) }

    static func readAll(_ set: some ChunkSeriesSet) throws -> [(labels: LabelSet, samples: [PlainSample])] {
        var result: [(labels: LabelSet, samples: [PlainSample])] = []
        while try set.next() {
            var columns = SampleColumns(histograms: true)
            var last = Int64.min
            for chunk in set.chunks {
                #expect(chunk.minTimeMs > last && chunk.maxTimeMs >= chunk.minTimeMs)
                let before = columns.count
                try chunk.decode(into: &columns)
                #expect(columns.timestampMs(at: before) == chunk.minTimeMs && columns.timestampMs(at: columns.count - 1) == chunk.maxTimeMs)
                last = chunk.maxTimeMs
            }
            result.append((set.labels, columns.plain()))
        }
        #expect(try set.next() == false)
        return result
    }

    /// Goal: merging chunks loses and invents nothing. Method: the same samples merged by dictionaries.
    @Test("merges as a dictionary", arguments: 0..<60) func property(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        var sources: [[LabelSet: [PlainSample]]] = []
        for source in 0..<1 + random.below(4) {
            var series: [LabelSet: [PlainSample]] = [:]
            for number in 0..<6 where random.below(3) > 0 {
                var time = random.below(2) == 0 ? Int64(source * 500) : Int64(random.below(1000))
                var samples: [PlainSample] = []
                for _ in 0..<1 + random.below(60) {
                    time += 1 + Int64(random.below(10))
                    let isHistogram = number % 3 == 1 && (samples.count / 10) % 2 == 0
                    samples.append(
                        isHistogram
                            ? PlainSample(time: time, histogram: try plainHistogram(random.below(50)))
                            : PlainSample(time: time, bits: Double(random.below(9)).bitPattern))
                }
                series[Self.labels(number)] = samples
            }
            // A copy of another source, as two uploads of one block are.
            sources.append(source > 0 && random.below(5) == 0 ? sources[0] : series)
        }
        let expected = MergeQuerierTests.merged(sources)
        let set = MergeChunkSeries(
            sources.map { source in PlainChunks(source.map { ($0.key, $0.value) }, samplesPerChunk: 7) }, samplesPerChunk: 7)
        let found = try Self.readAll(set)
        #expect(found.map(\.labels) == expected.keys.sorted())
        for one in found { #expect(one.samples == expected[one.labels]) }
    }

    @Test("chunks that overlap nothing are passed on as they are") func passesOn() throws {
        let first = [PlainSample(time: 1, bits: 1), PlainSample(time: 2, bits: 2)]
        let second = [PlainSample(time: 3, bits: 3)]
        let sources = [first, second].map { samples in [(labels: Self.labels(0), samples: samples)] }
        let set = MergeChunkSeries(sources.reversed().map { PlainChunks($0) })
        #expect(try set.next())
        let plain = sources.map { PlainChunks($0) }
        var expected: [EncodedChunk] = []
        for one in plain {
            #expect(try one.next())
            expected.append(contentsOf: one.chunks)
        }
        #expect(set.chunks == expected)
    }

    @Test("a chunk that does not decode is an error that names the series") func damaged() throws {
        final class Damaged: ChunkSeriesSet {
            var isDone = false
            func next() throws(StorageError) -> Bool {
                defer { isDone = true }
                return !isDone
            }
            let labels = MergeChunkSeriesTests.labels(0)
            let chunks = [EncodedChunk(encoding: .xor, minTimeMs: 0, maxTimeMs: 9, bytes: [0, 9, 1])]
        }
        let set = MergeChunkSeries([Damaged(), PlainChunks([(Self.labels(0), [PlainSample(time: 5)])])])
        #expect { _ = try set.next() } throws: { "\($0)".contains("series=\"s0\"") }
    }
}
