import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import Testing

@Suite("Explain") struct ExplainTests {
    /// Samples every 30 s from 0 to 3,600 s:
    ///
    ///     hits_total{job="api",pod="p0" … "p3"}   limits{job="api",zone="eu"}   limits{job="db",zone="eu"}
    ///     gone{job="api"}: until 600 s, then marked stale      old{job="api"}: until 600 s, then nothing
    static func storage() throws -> MemoryStorage {
        let storage = MemoryStorage()
        func add(_ labels: LabelSet, from: Int64 = 0, through: Int64 = 3_600, _ value: (Int64) -> Double) throws {
            for second in stride(from: from, through: through, by: 30) {
                try storage.append(labels, timestampMs: second * 1_000, value: value(second))
            }
        }
        for pod in 0..<4 {
            try add(["__name__": "hits_total", "job": "api", "pod": ByteString("p\(pod)")]) { Double($0 * Int64(pod)) }
        }
        for job: ByteString in ["api", "db"] { try add(["__name__": "limits", "job": job, "zone": "eu"]) { _ in 7 } }
        try add(["__name__": "gone", "job": "api"], through: 600) { _ in 1 }
        try storage.append(["__name__": "gone", "job": "api"], timestampMs: 630_000, value: StaleNaN.value)
        try add(["__name__": "old", "job": "api"], through: 600) { _ in 1 }
        return storage
    }

    static func explain(_ query: String, atMs: Int64 = 3_600_000) throws -> (QueryResult, [ExplainedNode]) {
        var options = QueryOptions()
        options.explains = true
        let result = try QueryEngine().instant(ByteString(query), atMs: atMs, on: storage(), options: options)
        return (result, result.explanation?.nodes ?? [])
    }

    @Test("is made only when asked for")
    func onlyWhenAsked() throws {
        let result = try QueryEngine().instant("sum(hits_total)", atMs: 60_000, on: Self.storage())
        #expect(result.explanation == nil)
    }

    @Test("shows each node with what went in and came out")
    func tree() throws {
        let (_, nodes) = try Self.explain("sum by (job) (rate(hits_total{pod!=\"p0\"}[2m])) > bool 1")
        let shown = nodes.map {
            "\(String(repeating: ".", count: $0.depth))\($0.operation) \($0.seriesIn)/\($0.samplesIn) \($0.series)/\($0.samples)"
        }
        #expect(
            shown == [
                "> bool 1/1 1/1", ".sum by (job) 3/3 1/1", "..rate 3/12 3/3", "...hits_total{pod!=\"p0\"}[2m] 3/12 3/12",
                ".1 0/0 0/0",
            ])
        #expect(nodes.map(\.kind) == ["binaryExpr", "aggregation", "call", "matrixSelector", "numberLiteral"])
        #expect(nodes.map(\.evaluations) == [1, 1, 1, 1, 0])
        #expect(nodes.allSatisfy { $0.reasons.isEmpty })
        for node in nodes { #expect(node.totalSeconds >= node.selfSeconds) }
    }

    @Test("a range query and a subquery count all their steps, an invariant part its one")
    func range() throws {
        var options = QueryOptions()
        options.explains = true
        let result = try QueryEngine().range(
            "max_over_time(sum(limits)[2m:1m]) + limits{job=\"api\"} @ 60", startMs: 600_000, endMs: 660_000, stepMs: 30_000,
            on: Self.storage(), options: options)
        let shown = result.explanation?.nodes.map { "\($0.operation) \($0.seriesIn)/\($0.samplesIn) \($0.series)/\($0.samples)" }
        #expect(
            shown == [
                "+ 2/6 0/0", "max_over_time 1/3 1/3", "[2m:1m] 1/3 1/3", "sum 2/6 1/3", "limits 2/28 2/6",
                "limits{job=\"api\"} @ 60 1/3 1/3",
            ])
    }

    @Test(
        "tells why a selector is empty",
        arguments: [
            ("nothing_like_it", ["no series is called nothing_like_it; known values are \"gone\", \"hits_total\", \"limits\", \"old\""]),
            ("hits_totl", ["no series is called hits_totl; did you mean \"hits_total\"?"]),
            ("hits_total{job=\"web\"}", ["no series at all has `job=\"web\"`; known values are \"api\", \"db\""]),
            ("hits_total{cluster=\"a\"}", ["no series at all has `cluster=\"a\"`; no series has the label cluster"]),
            ("hits_total{job=\"db\"}", [
                "`__name__=\"hits_total\"` removes all: without it 1 series match; there, __name__ is \"limits\"",
                "`job=\"db\"` removes all: without it 4 series match; there, job is \"api\"",
            ]),
            ("hits_total{pod=~\"q.*\"}", [
                "`pod=~\"q.*\"` removes all: without it 4 series match; there, pod is \"p0\", \"p1\", \"p2\", \"p3\""
            ]),
            ("hits_total{zone!=\"\",pod=\"p1\"}", ["`zone!=\"\"` removes all: without it 1 series match; none of them has the label zone"]),
            ("old", ["1 series match, but none has a sample in the lookback of 5m: the newest is 50m older than the time asked for"]),
            ("gone", ["1 series match, but they ended: the newest was marked stale 49m30s before the time asked for"]),
            ("gone[1m]", ["1 series match, but they ended: the newest was marked stale 49m30s before the time asked for"]),
            ("limits offset 2h", ["2 series match, but none has a sample in the lookback of 5m, nor in the 30 days before"]),
        ])
    func selectors(_ query: String, _ reasons: [String]) throws {
        let (result, nodes) = try Self.explain(query)
        #expect(result.isEmpty)
        #expect(nodes.first?.reasons == reasons)
    }

    @Test(
        "tells why an operation is empty",
        arguments: [
            ("rate(hits_total[30s])", [
                "no window of 30s holds two samples, which `rate` needs: they are about 30s apart, and the range is shorter than two intervals; ask for [2m], or [1m] at least"
            ]),
            ("sum(old)", ["its operand is empty"]),
            ("limits > 7", ["`>` holds for none of the 2 samples"]),
            ("absent(limits)", ["its operand has samples at every step, so nothing is absent"]),
            ("histogram_quantile(0.9, limits)", [
                "none of the 2 series has a label `le` with a number, and none is a native histogram"
            ]),
            ("old + limits", ["its left operand is empty"]),
            ("limits / old", ["its right operand is empty"]),
            ("limits unless limits", ["every series on the left has a partner on the right"]),
            ("limits > on (job, zone) limits", ["`>` holds for none of the pairs"]),
            ("hits_total / limits", [
                "4 of 4 series on the left and 2 of 2 on the right found no partner",
                "the label pod is only on the left (\"p0\", \"p1\", \"p2\", …): leave it out with `ignoring (pod)`, or name what must agree with `on (…)`",
                "the label zone is only on the right (\"eu\"): leave it out with `ignoring (zone)`, or name what must agree with `on (…)`",
            ]),
            ("hits_total * on (job) group_left limits{job=\"db\"}", [
                "4 of 4 series on the left and 1 of 1 on the right found no partner",
                "the label job has no value on both sides: left \"api\", right \"db\"",
            ]),
            ("topk(0, limits)", ["`topk` was asked for no element: its parameter is below 1"]),
        ])
    func operations(_ query: String, _ reasons: [String]) throws {
        let (result, nodes) = try Self.explain(query)
        #expect(result.isEmpty)
        #expect(nodes.first?.reasons == reasons)
    }

    @Test("tells of partners that are missing even when some are there")
    func partlyJoined() throws {
        let (_, nodes) = try Self.explain("hits_total * on (job) group_left limits")
        #expect(nodes.first?.reasons == ["1 of 2 on the right found no partner"])
    }

    @Test("a long chain is cut, not a deep recursion")
    func chain() throws {
        let query = Array(repeating: "limits", count: 1_500).joined(separator: " or ")
        let (result, _) = try Self.explain(query)
        let explanation = try #require(result.explanation)
        #expect(explanation.isTruncated)
        #expect(explanation.nodes.count == QueryExplanation.maxNodes)
    }

    @Test("the result is the same with and without")
    func sameResult() throws {
        let engine = QueryEngine()
        let storage = try Self.storage()
        for query: ByteString in [
            "sum by (job) (rate(hits_total[2m]))", "hits_total * on (job) group_left limits", "max_over_time(limits[5m:30s])",
            "limits @ 60 + limits", "quantile(0.5, hits_total)", "scalar(limits{job=\"db\"}) + hits_total", "-(limits or hits_total)",
            "sort_desc(hits_total)", "timestamp(limits)", "absent_over_time(old[1m])",
        ] {
            var options = QueryOptions()
            options.explains = true
            let plain = try engine.range(query, startMs: 300_000, endMs: 900_000, stepMs: 60_000, on: storage)
            let explained = try engine.range(query, startMs: 300_000, endMs: 900_000, stepMs: 60_000, on: storage, options: options)
            #expect(EngineTests.text(plain) == EngineTests.text(explained))
            #expect(plain.statistics.totalQueryableSamples == explained.statistics.totalQueryableSamples)
            #expect(explained.explanation?.nodes.first?.series == Int64(explained.seriesCount))
        }
    }
}

extension QueryResult {
    fileprivate var seriesCount: Int {
        switch value {
        case .scalar, .string: 1
        case .vector(let samples): samples.count
        case .matrix(let series): series.count
        }
    }
    fileprivate var isEmpty: Bool { seriesCount == 0 }
}
