import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage

@MainActor let queryBenchmarks: [Benchmark] = [
    rangeQuery("rate 1600 x 1441", "rate(metric_1_total[1m])", "window edges only: 2 to 10 ns a step"),
    rangeQuery("sum of rate", "sum by (mode) (rate(metric_1_total[1m]))", "the same and one fold: memory is groups x steps"),
    Benchmark(name: "parse", unit: "query", sketch: "a panel's expression: microseconds, no allocation a token") {
        let query: ByteString =
            "sum by (job, mode) (rate(node_cpu_seconds_total{mode!=\"idle\",instance=~\"a.*\"}[5m])) / 100 > bool 0.5"
        return {
            for _ in 0..<1_000 { keep(try parseExpression(query)) }
            return 1_000
        }
    },
]

private func rangeQuery(_ name: String, _ query: ByteString, _ sketch: String) -> Benchmark {
    Benchmark(name: name, unit: "series and step", sketch: sketch) {
        let start: Int64 = 1_700_000_000_000
        let (head, made) = try makeHead(series: 0)
        keep(made)
        var batch = SampleBatch()
        for index in 0..<1_600 {
            let labels: LabelSet = [
                "__name__": "metric_1_total", "instance": ByteString("host-\(index)"), "mode": ByteString("m\(index % 8)"),
            ]
            batch.append(try head.seriesRef(for: labels), timestampMs: 0, value: 0)
        }
        // Six hours at 15 s.
        for step in 0..<1_441 {
            for index in 0..<1_600 {
                batch.timestampsMs[index] = start + Int64(step) * 15_000
                batch.values[index] += Double((index * 7 + step * 13) % 100)
            }
            _ = try head.append(batch)
        }
        let engine = QueryEngine(options: EngineOptions(), time: SystemTime())
        return {
            let result = try engine.range(query, startMs: start, endMs: start + 1_440 * 15_000, stepMs: 15_000, on: head)
            keep(result)
            return 1_600 * 1_441
        }
    }
}
