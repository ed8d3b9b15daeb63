import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import Testing

@Suite("Query engine") struct EngineTests {
    /// Two counters that grow by one a second, sampled every 15 s for an hour.
    static func storage() throws -> MemoryStorage {
        let storage = MemoryStorage()
        for (instance, factor) in [("a", 1.0), ("b", 2.0)] {
            for index in 0...240 {
                try storage.append(
                    ["__name__": "x_total", "instance": ByteString(instance)], timestampMs: Int64(index) * 15_000,
                    value: Double(index) * 15 * factor)
            }
        }
        return storage
    }

    static func text(_ result: QueryResult) -> String {
        switch result.value {
        case .scalar(_, let value): "\(value)"
        case .string(_, let text): "\"\(text)\""
        case .vector(let samples): samples.map { "\($0.labels) \($0.value)" }.joined(separator: "; ")
        case .matrix(let series): series.map { "\($0.labels) \($0.values)" }.joined(separator: "; ")
        }
    }

    @Test(
        "answers",
        arguments: [
            ("1 + 2 * 3", "7.0"),
            ("\"a\"", "\"a\""),
            ("increase(x_total[5m])", "{instance=\"a\"} 300.0; {instance=\"b\"} 600.0"),
            ("sum(irate(x_total[5m]))", "{} 3.0"),
            ("sum by (instance) (x_total)", "{instance=\"a\"} 1800.0; {instance=\"b\"} 3600.0"),
            ("x_total{instance=\"a\"}", "{__name__=\"x_total\", instance=\"a\"} 1800.0"),
            ("topk(1, x_total)", "{__name__=\"x_total\", instance=\"b\"} 3600.0"),
            ("sort_desc(x_total * 1)", "{instance=\"b\"} 3600.0; {instance=\"a\"} 1800.0"),
            ("x_total > 2000", "{__name__=\"x_total\", instance=\"b\"} 3600.0"),
            ("x_total{instance=\"a\"}[31s]", "{__name__=\"x_total\", instance=\"a\"} [1770.0, 1785.0, 1800.0]"),
            ("max_over_time(irate(x_total{instance=\"a\"}[1m])[10m:])", "{instance=\"a\"} 1.0"),
            ("x_total{instance=\"a\"} @ 60", "{__name__=\"x_total\", instance=\"a\"} 60.0"),
            ("label_replace(x_total{instance=\"a\"}, \"i\", \"<$1>\", \"instance\", \"(.*)\")",
                "{__name__=\"x_total\", i=\"<a>\", instance=\"a\"} 1800.0"),
            ("absent(nothing{a=\"b\"})", "{a=\"b\"} 1.0"),
            ("day_of_week(vector(0))", "{} 4.0"),
            ("year(vector(-1)) + month(vector(1709210096))", "{} 1971.0"),
            ("quantile(0.5, x_total)", "{} 2700.0"),
            ("count_values(\"v\", x_total > bool 2000)", "{v=\"0\"} 1.0; {v=\"1\"} 1.0"),
        ])
    func answers(query: String, expected: String) throws {
        let result = try QueryEngine().instant(ByteString(query), atMs: 1_800_000, on: Self.storage())
        #expect(Self.text(result) == expected)
    }

    @Test(
        "refuses, in Prometheus's words",
        arguments: [
            ("x_total + on () x_total",
                "found duplicate series for the match group {} on the right hand-side of the operation: "
                    + "[{__name__=\"x_total\", instance=\"a\"}, {__name__=\"x_total\", instance=\"b\"}];many-to-many matching not "
                    + "allowed: matching labels must be unique on one side"),
            ("x_total + on () x_total{instance=\"a\"}",
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"),
            ("label_replace(x_total, \"instance\", \"\", \"\", \"\")", "vector cannot contain metrics with the same labelset"),
            ("label_replace(x_total, \"a\", \"\", \"b\", \"(\")", "invalid regular expression in label_replace(): ("),
            ("topk(NaN, x_total)", "Parameter value is NaN"),
        ])
    func refuses(query: String, message: String) throws {
        let storage = try Self.storage()
        #expect {
            _ = try QueryEngine().instant(ByteString(query), atMs: 1_800_000, on: storage)
        } throws: {
            ($0 as? QueryError)?.message == message
        }
    }

    @Test("a sample exactly as old as the lookback is gone")
    func lookback() throws {
        let storage = MemoryStorage()
        try storage.append(["__name__": "x"], timestampMs: 0, value: 1)
        let engine = QueryEngine()
        #expect(Self.text(try engine.instant("x", atMs: 299_999, on: storage)) == "{__name__=\"x\"} 1.0")
        #expect(Self.text(try engine.instant("x", atMs: 300_000, on: storage)) == "")
        var options = QueryOptions()
        options.lookbackDeltaMs = 300_001
        #expect(Self.text(try engine.instant("x", atMs: 300_000, on: storage, options: options)) == "{__name__=\"x\"} 1.0")
    }

    @Test("hints when a rate is taken of what is not named as a counter")
    func info() throws {
        let storage = MemoryStorage()
        for index in 0..<10 { try storage.append(["__name__": "x"], timestampMs: Int64(index) * 60_000, value: 1) }
        let result = try QueryEngine().instant("rate(x[5m])", atMs: 300_000, on: storage)
        #expect(
            result.infos == [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"x\" (1:6)"
            ])
    }

    @Test(
        "long lists of labels answer as short ones do",
        arguments: [
            "sum by (instance%@) (x_total)", "sum without (instance%@) (x_total)", "x_total * on (instance%@) x_total",
            "x_total / ignoring (b%@) x_total", "x_total and on (instance%@) x_total{instance='a'}",
            "x_total - ignoring (instance%@) group_left x_total{instance='a'}",
        ])
    func longLists(_ form: String) throws {
        let storage = try Self.storage()
        let parts = form.split(separator: "%@", maxSplits: 1)
        func answer(_ more: Int) throws -> String {
            let names = (0..<more).map { ", l\($0)" }.joined()
            return Self.text(try QueryEngine().instant(ByteString(parts[0] + names + parts[1]), atMs: 600_000, on: storage))
        }
        #expect(try answer(0) == answer(5_000))
        #expect(try answer(0) != "")
    }

    @Test(
        "counts the samples it takes from the storage, those of overlapping windows once",
        arguments: [
            // Two series, a sample every 15 s, steps of 60 s from 600 s to 900 s.
            ("x_total", 12, 12), ("sum(x_total)", 12, 12), ("rate(x_total[30s])", 24, 24), ("rate(x_total[60s])", 48, 48),
            ("rate(x_total[120s])", 96, 56), ("rate(x_total[30s] offset 1m)", 24, 24), ("rate(x_total[120s] @ 900)", 96, 16),
            ("x_total + x_total", 24, 24), ("1", 0, 0),
        ])
    func samplesRead(_ query: String, _ queryable: Int64, _ read: Int64) throws {
        let engine = QueryEngine()
        let result = try engine.range(
            ByteString(query), startMs: 600_000, endMs: 900_000, stepMs: 60_000, on: try Self.storage())
        #expect(result.statistics.totalQueryableSamples == queryable)
        #expect(result.statistics.samplesRead == read)
        #expect(engine.statistics().samplesRead == read)
        #expect(engine.statistics().queryableSamples == queryable)
    }

    @Test(
        "counts by step say when each sample is looked at, and by which it is read first",
        arguments: [
            // Two series, a sample every 15 s, steps of 60 s from 600 s to 780 s. What upstream counts: an expression that is the
            // same at every step is looked at by each; of a subquery its windows count, and what it took from the storage is read.
            ("x_total", [2, 2, 2, 2], [2, 2, 2, 2]), ("rate(x_total[120s])", [16, 16, 16, 16], [16, 8, 8, 8]),
            ("rate(x_total[30s])", [4, 4, 4, 4], [4, 4, 4, 4]), ("sum(x_total @ 600)", [2, 2, 2, 2], [2, 0, 0, 0]),
            ("rate(x_total[60s] @ 700)", [8, 8, 8, 8], [8, 0, 0, 0]), ("scalar(sum(x_total @ 600)) + time()", [2, 2, 2, 2], [2, 0, 0, 0]),
            ("max_over_time(x_total[60s:30s])", [4, 4, 4, 4], [4, 4, 4, 4]),
            ("max_over_time(x_total[60s:30s] @ 700)", [4, 4, 4, 4], [4, 0, 0, 0]),
            ("max_over_time(sum(x_total)[2m:1m] offset 1m)", [2, 2, 2, 2], [4, 2, 2, 2]), ("1", [0, 0, 0, 0], [0, 0, 0, 0]),
        ] as [(String, [Int64], [Int64])])
    func countsByStep(_ query: String, _ queryable: [Int64], _ read: [Int64]) throws {
        var engineOptions = EngineOptions()
        engineOptions.enablePerStepStatistics = true
        var options = QueryOptions()
        options.countsSteps = true
        let result = try QueryEngine(options: engineOptions).range(
            ByteString(query), startMs: 600_000, endMs: 780_000, stepMs: 60_000, on: try Self.storage(), options: options)
        #expect(result.statistics.queryableSamplesPerStep == queryable)
        #expect(result.statistics.samplesReadPerStep == read)
        #expect(result.statistics.totalQueryableSamples == queryable.reduce(0, +))
        #expect(result.statistics.samplesRead == read.reduce(0, +))
        let plain = try QueryEngine().range(
            ByteString(query), startMs: 600_000, endMs: 780_000, stepMs: 60_000, on: try Self.storage(), options: options)
        #expect(plain.statistics.queryableSamplesPerStep == nil)
        #expect(plain.statistics.totalQueryableSamples == result.statistics.totalQueryableSamples)
        #expect(plain.statistics.samplesRead == result.statistics.samplesRead)
    }

    @Test("stops at its limit of samples")
    func sampleLimit() throws {
        var options = EngineOptions()
        options.maxSamples = 100
        let engine = QueryEngine(options: options)
        let storage = try Self.storage()
        #expect {
            _ = try engine.range("x_total", startMs: 0, endMs: 3_600_000, stepMs: 15_000, on: storage)
        } throws: {
            ($0 as? QueryError)?.message
                == "query processing would load too many samples into memory in query execution"
        }
        // A sum needs memory for its group, not for its series.
        let result = try engine.range("sum(x_total)", startMs: 0, endMs: 300_000, stepMs: 15_000, on: storage)
        #expect(Self.text(result).hasPrefix("{} [0.0, 45.0"))
    }

    @Test("stops when it is told to, or when its time is up")
    func cancellation() async throws {
        let storage = try Self.storage()
        let flag = CancellationFlag()
        flag.cancel()
        let engine = QueryEngine()
        await #expect {
            _ = try await engine.runInstant("sum(x_total)", atMs: 0, on: storage, options: QueryOptions(cancellation: flag))
        } throws: {
            ($0 as? QueryError)?.message == "query was canceled in expression evaluation"
        }
        #expect {
            _ = try engine.instant("sum(x_total)", atMs: 0, on: storage, options: QueryOptions(timeoutMs: 0))
        } throws: {
            if case .timeout = $0 as? QueryError { true } else { false }
        }
    }

    @Test("answers many queries at once on its own threads")
    func concurrency() async throws {
        let storage = try Self.storage()
        let engine = QueryEngine()
        let answers = await withTaskGroup(of: String.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    (try? await engine.runRange(
                        "sum(irate(x_total[5m]))", startMs: 600_000, endMs: 1_200_000, stepMs: 300_000, on: storage)).map(Self.text)
                        ?? "failed"
                }
            }
            var all: Set<String> = []
            for await one in group { all.insert(one) }
            return all
        }
        #expect(answers == ["{} [3.0, 3.0, 3.0]"])
        #expect(engine.statistics().queriesFinished == 100)
        #expect(engine.statistics().runningQueries <= 20)
    }

    @Test("evaluates a chain of any length without deep recursion", arguments: ["1", "vector(1)"])
    func longChain(term: String) throws {
        var options = EngineOptions()
        options.parser.maxQueryBytes = 4 << 20
        let count = term == "1" ? 200_000 : 5_000
        let query = ByteString(Array(repeating: term, count: count).joined(separator: "+"))
        let result = try QueryEngine(options: options).instant(query, atMs: 0, on: MemoryStorage())
        #expect(Self.text(result) == (term == "1" ? "200000.0" : "{} 5000.0"))
    }

    @Test("evaluates brackets as deep as the parser allows", arguments: ["-(", "abs(", "sum(", "1*("])
    func deepNesting(open: String) async throws {
        let depth = 450
        // Two levels each: the bracket, and what stands before it.
        let query = ByteString(String(repeating: open, count: depth) + "vector(1)" + String(repeating: ")", count: depth))
        let result = try await QueryEngine().runInstant(query, atMs: 0, on: MemoryStorage())
        #expect(Self.text(result) == "{} 1.0")
    }
}
