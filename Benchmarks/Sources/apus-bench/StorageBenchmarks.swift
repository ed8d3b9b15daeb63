import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB

/// A head with `count` series of seven labels, the refs in batches of a thousand, as scrapes are.
func makeHead(series count: Int) throws -> (head: Head, batches: [SampleBatch]) {
    let head = Head(options: HeadOptions(retentionMs: 0))
    var batches: [SampleBatch] = []
    for start in stride(from: 0, to: count, by: 1_000) {
        var batch = SampleBatch()
        for index in start..<min(start + 1_000, count) {
            let labels: LabelSet = [
                "__name__": ByteString("metric_\(index % 700)_total"), "instance": ByteString("host-\(index / 700):9100"),
                "job": "node",
                "cpu": ByteString("\(index % 64)"), "mode": ByteString("m\(index % 8)"), "device": ByteString("d\(index % 97)"),
                "path": ByteString("/p\(index % 1_000)"),
            ]
            batch.append(try head.seriesRef(for: labels), timestampMs: 0, value: 0)
        }
        batches.append(batch)
    }
    return (head, batches)
}

@MainActor let storageBenchmarks: [Benchmark] = [
    Benchmark(
        name: "append", unit: "sample",
        sketch: "100k known series, random floats, no log: a cache line of state and one of chunk each, ~100 ns/sample at most"
    ) {
        var (head, batches) = try makeHead(series: 100_000)
        var random = Randomness(7)
        var time: Int64 = 1_700_000_000_000
        return {
            time += 15_000
            var appended = 0
            for index in batches.indices {
                for sample in 0..<batches[index].count {
                    batches[index].timestampsMs[sample] = time
                    batches[index].values[sample] = random.unit()
                }
                appended += try head.append(batches[index]).appended
            }
            return appended
        }
    },
    Benchmark(
        name: "chunk encode", unit: "sample", sketch: "120 random floats: 64 bits of value each, 8 to 9 ns"
    ) {
        var random = Randomness(3)
        let values = (0..<120).map { _ in random.unit() }
        return {
            for _ in 0..<1_000 {
                var encoder = XORChunkEncoder()
                for index in 0..<120 { _ = encoder.append(timestampMs: Int64(index) * 15_000, value: values[index]) }
                keep(encoder.finish())
            }
            return 120_000
        }
    },
    chunkDecode("chunk decode integers", "aligned times, counter: 3 to 4 ns") { index, _ in Double(index * index) },
    chunkDecode("chunk decode floats", "aligned times, random floats: 4 to 5 ns") { _, random in random.unit() },
    Benchmark(
        name: "select one of 100k", unit: "call", sketch: "three equalities: intersect short postings, microseconds"
    ) {
        let (head, batches) = try filled(try makeHead(series: 100_000))
        keep(batches)
        let matchers = [
            Matcher("__name__", equals: "metric_3_total"), Matcher("instance", equals: "host-5:9100"),
            Matcher("job", equals: "node"),
        ]
        return {
            for _ in 0..<100 {
                let querier = try head.querier(minTimeMs: 0, maxTimeMs: .max)
                keep(try querier.select(matchers, hints: SelectHints(startMs: 0, endMs: .max), sorted: true).count)
                querier.close()
            }
            return 100
        }
    },
    Benchmark(
        name: "select 100k by regex", unit: "series",
        sketch: "a pattern runs once a distinct value; then a bit set: tens of ns a series"
    ) {
        let (head, batches) = try filled(try makeHead(series: 100_000))
        keep(batches)
        let matchers = [try Matcher("__name__", .regex, "metric_.*_total")]
        return {
            let querier = try head.querier(minTimeMs: 0, maxTimeMs: .max)
            defer { querier.close() }
            return try querier.select(matchers, hints: SelectHints(startMs: 0, endMs: .max), sorted: false).count
        }
    },
]

private func filled(_ made: (head: Head, batches: [SampleBatch])) throws -> (head: Head, batches: [SampleBatch]) {
    var (head, batches) = made
    for index in batches.indices {
        for sample in 0..<batches[index].count { batches[index].timestampsMs[sample] = 1_700_000_000_000 }
        _ = try head.append(batches[index])
    }
    return (head, batches)
}

private func chunkDecode(
    _ name: String, _ sketch: String, _ value: @escaping (Int, inout Randomness) -> Double
) -> Benchmark {
    Benchmark(name: name, unit: "sample", sketch: sketch) {
        var random = Randomness(5)
        var encoder = XORChunkEncoder()
        for index in 0..<120 {
            _ = encoder.append(timestampMs: 1_700_000_000_000 + Int64(index) * 15_000, value: value(index, &random))
        }
        let chunk = encoder.finish()
        return {
            var columns = SampleColumns()
            for _ in 0..<1_000 {
                columns.removeAll()
                try chunk.decode(into: &columns)
            }
            keep(columns.count)
            return 120_000
        }
    }
}
