import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusPromQL

@Suite("Rows ahead") struct RowsAheadTests {
    private static let seriesCount = 1_500
    /// Counters of values whose sums depend on their order; one series in 97 has a histogram among its samples.
    private static func storage(withHistograms: Bool) throws -> MemoryStorage {
        let storage = MemoryStorage()
        var state: UInt64 = 11
        func random() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / 3
        }
        for index in 0..<seriesCount {
            let labels: LabelSet = ["__name__": "x_total", "group": ByteString("\(index % 7)"), "instance": ByteString("\(index)")]
            var value = 0.0
            for sample in 0..<12 where index % 5 != 0 || sample != 4 {
                value += random()
                let timestampMs = Int64(sample) * 15_000
                if withHistograms, index % 97 == 3, sample > 8 {
                    let histogram = try NativeHistogram(
                        layout: HistogramLayout(schema: 0, zeroThreshold: 0, positiveSpans: [], negativeSpans: []), isFloat: true,
                        countWord: 4.0.bitPattern, zeroCountWord: 4.0.bitPattern, sum: 3, words: [])
                    try storage.append(labels, timestampMs: timestampMs, histogram: histogram)
                } else {
                    try storage.append(labels, timestampMs: timestampMs, value: value)
                }
            }
        }
        return storage
    }

    private static func engine(threads: Int) -> QueryEngine {
        var options = EngineOptions()
        options.threads = threads
        return QueryEngine(options: options)
    }

    private static let queries: [ByteString] = [
        "x_total", "rate(x_total[1m])", "sum(rate(x_total[1m]))", "avg by (group) (x_total)", "sum by (group) (increase(x_total[2m]))",
        "topk(3, x_total)", "stddev by (group) (avg_over_time(x_total[1m]))", "count(x_total > 1e18)", "quantile(0.3, x_total)",
        "x_total / ignoring(instance) group_left sum by (group) (x_total)", "max_over_time(x_total[1m]) - x_total",
    ]

    @Test("answers do not depend on the number of threads, to the bit", arguments: [false, true])
    func sameAnswers(withHistograms: Bool) async throws {
        let storage = try Self.storage(withHistograms: withHistograms)
        let (alone, many) = (Self.engine(threads: 1), Self.engine(threads: 4))
        for query in Self.queries {
            let one = try await alone.runRange(query, startMs: 0, endMs: 180_000, stepMs: 10_000, on: storage)
            let other = try await many.runRange(query, startMs: 0, endMs: 180_000, stepMs: 10_000, on: storage)
            #expect("\(one.value)" == "\(other.value)", "\(query)")
            #expect(one.warnings == other.warnings && one.infos == other.infos)
            #expect(one.statistics.totalQueryableSamples == other.statistics.totalQueryableSamples, "\(query)")
            #expect(one.statistics.samplesRead == other.statistics.samplesRead)
            #expect(one.statistics.peakSamples == other.statistics.peakSamples)
            let (first, second) = (
                try await alone.runInstant(query, atMs: 165_000, on: storage), try await many.runInstant(query, atMs: 165_000, on: storage)
            )
            #expect("\(first.value)" == "\(second.value)", "\(query)")
        }
    }

    @Test("many queries at once get the same answers as one after the other")
    func manyAtOnce() async throws {
        let storage = try Self.storage(withHistograms: true)
        let alone = Self.engine(threads: 1)
        var expected: [String] = []
        for query in Self.queries {
            expected.append("\(try await alone.runRange(query, startMs: 0, endMs: 180_000, stepMs: 10_000, on: storage).value)")
        }
        let engine = Self.engine(threads: 3)
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                for (index, query) in Self.queries.enumerated() {
                    group.addTask {
                        (index, "\(try await engine.runRange(query, startMs: 0, endMs: 180_000, stepMs: 10_000, on: storage).value)")
                    }
                }
            }
            for try await (index, answer) in group { #expect(answer == expected[index]) }
        }
    }

    @Test("a failure ends the query, and its helpers with it")
    func failure() async throws {
        let engine = Self.engine(threads: 4)
        await #expect {
            _ = try await engine.runInstant("sum(x_total)", atMs: 0, on: FailingStorage(count: 5_000, failing: 3_333))
        } throws: {
            if case .storage("series 3333 is gone") = $0 as? QueryError { true } else { false }
        }
        // Its threads are free again.
        let answer = try await engine.runInstant("count(x_total)", atMs: 0, on: FailingStorage(count: 5_000, failing: -1))
        #expect("\(answer.value)".contains("5000.0"))
    }

    @Test("a limit of samples holds as on one thread")
    func limit() async throws {
        var options = EngineOptions()
        options.threads = 4
        options.maxSamples = 2_000
        let engine = QueryEngine(options: options)
        await #expect {
            _ = try await engine.runRange("x_total", startMs: 0, endMs: 180_000, stepMs: 10_000, on: try Self.storage(withHistograms: false))
        } throws: {
            ($0 as? QueryError)?.message == QueryError.tooManySamples.message
        }
    }
}

/// Series of one sample, of which one cannot be read.
private final class FailingStorage: Queryable, Querier, SeriesSet {
    let count: Int
    private let failing: Int

    init(count: Int, failing: Int) {
        self.count = count
        self.failing = failing
    }

    func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier { self }
    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet { self }
    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] { [] }
    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] { [] }
    func close() {}

    func labels(at index: Int) -> LabelSet { ["__name__": "x_total", "i": ByteString("\(index)")] }
    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        if index == failing { throw StorageError("series \(index) is gone") }
        columns.append(timestampMs: 0, value: 1)
    }
}
