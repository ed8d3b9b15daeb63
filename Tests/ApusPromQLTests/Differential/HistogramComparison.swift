import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import ApusTSDB
import Foundation

/// Asks the engine and a real Prometheus the same of native histograms. Both read one data directory, which Apus writes:
/// no text format carries them.
struct HistogramComparison {
    var compared = 0
    /// How many expressions had an answer with points.
    var answered = 0
    var differences: [String] = []

    mutating func run(seed: UInt64, expressions: Int, programs: String) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-histograms-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let options = DatabaseOptions(
            settings: DatabaseSettings(retentionMs: 0), isSnapshotEnabled: false, hasThreads: false)
        let database = try Database.open(directory.path, options: options)
        try Self.fill(database, HistogramData(seed: seed))
        try database.close()
        let peer = try PeerPrometheus(programs: programs, features: "promql-experimental-functions") { data in
            try FileManager.default.copyItem(at: directory, to: data)
        }
        let storage = try Database.openReadOnly(directory.path, options: options)
        let engine = QueryEngine()
        var generator = HistogramExpressions(seed: seed &* 7_919)
        for number in 0..<expressions {
            let text = generator.expression()
            let startMs = DifferentialData.startMs + 900_000 + Int64(generator.random.below(1_800_000))
            let stepMs = generator.random.pick([Int64(15_000), 61_000, 300_000])
            let endMs = startMs + 4 * stepMs
            let mine = Result { () throws(QueryError) in
                try engine.range(ByteString(text), startMs: startMs, endMs: endMs, stepMs: stepMs, on: storage)
            }
            let theirs = try peer.ask(
                "/api/v1/query_range",
                [("query", text), ("start", Self.seconds(startMs)), ("end", Self.seconds(endMs)), ("step", Self.seconds(stepMs))])
            compared += 1
            let (own, other) = (MixedAnswer(mine), try MixedAnswer(json: theirs))
            if case .series(let series) = other, !series.isEmpty { answered += 1 }
            if let difference = own.difference(from: other), !Self.differsByVersion(text, own, other) {
                differences.append("seed \(seed), number \(number), \(startMs) \(endMs) \(stepMs): \(text)\n    \(difference)")
            }
        }
        try storage.close()
    }

    /// Where a newer Prometheus than 3.5 answers as we do: see `PeerComparison`.
    private static func differsByVersion(_ text: String, _ mine: MixedAnswer, _ theirs: MixedAnswer) -> Bool {
        guard case .failure(let error) = theirs else { return false }
        if case .failure = mine { return true }
        return text.contains("-(") && error == "vector cannot contain metrics with the same labelset"
    }

    private static func fill(_ database: Database, _ data: HistogramData) throws {
        for series in data.series {
            let ref = try database.seriesRef(for: series.labels)
            for sample in series.samples {
                var batch = SampleBatch()
                switch sample.value {
                case .float(let value): batch.append(ref, timestampMs: sample.ms, value: value)
                case .histogram(let histogram): batch.append(ref, timestampMs: sample.ms, histogram: histogram)
                }
                _ = try database.append(batch)
            }
        }
    }

    private static func seconds(_ milliseconds: Int64) -> String { "\(Double(milliseconds) / 1_000)" }
}

/// An answer whose points are numbers and histograms.
enum MixedAnswer {
    /// A number by what it is of: `value`, `count`, `sum`, or a bucket's bounds.
    typealias Point = [String: Double]
    case series([LabelSet: [Int64: Point]])
    case failure(String)

    init(_ result: Result<QueryResult, QueryError>) {
        switch result {
        case .failure(let error): self = .failure(error.message)
        case .success(let result):
            var series: [LabelSet: [Int64: Point]] = [:]
            if case .matrix(let list) = result.value {
                for one in list {
                    var points: [Int64: Point] = [:]
                    for (time, value) in zip(one.timestampsMs, one.values) { points[time] = ["value": value] }
                    for (time, histogram) in zip(one.histogramTimestampsMs, one.histograms) {
                        var point: Point = ["count": histogram.count, "sum": histogram.sum]
                        for bucket in histogram.resultBuckets {
                            point["\(bucket.boundaries.rawValue) \(bucket.lower) \(bucket.upper)"] = bucket.count
                        }
                        points[time] = point
                    }
                    series[one.labels] = points
                }
            }
            self = .series(series)
        }
    }

    init(json: Data) throws {
        struct Malformed: Error {}
        guard let envelope = try JSONSerialization.jsonObject(with: json) as? [String: Any] else { throw Malformed() }
        guard let data = envelope["data"] as? [String: Any], let list = data["result"] as? [[String: Any]] else {
            self = .failure(envelope["error"] as? String ?? "")
            return
        }
        func number(_ value: Any?) throws -> Double {
            guard let text = value as? String, let number = parseDouble([UInt8](text.utf8).span) else { throw Malformed() }
            return number
        }
        func time(_ pair: [Any]) throws -> Int64 {
            guard pair.count == 2, let seconds = (pair[0] as? NSNumber)?.doubleValue else { throw Malformed() }
            return Int64((seconds * 1_000).rounded())
        }
        var series: [LabelSet: [Int64: Point]] = [:]
        for one in list {
            guard let metric = one["metric"] as? [String: String] else { throw Malformed() }
            var points: [Int64: Point] = [:]
            for pair in one["values"] as? [[Any]] ?? [] { points[try time(pair)] = ["value": try number(pair[1])] }
            for pair in one["histograms"] as? [[Any]] ?? [] {
                guard let histogram = pair.last as? [String: Any] else { throw Malformed() }
                var point: Point = ["count": try number(histogram["count"]), "sum": try number(histogram["sum"])]
                for bucket in histogram["buckets"] as? [[Any]] ?? [] where bucket.count == 4 {
                    point["\(bucket[0]) \(try number(bucket[1])) \(try number(bucket[2]))"] = try number(bucket[3])
                }
                points[try time(pair)] = point
            }
            series[LabelSet(metric.map { Label(ByteString($0.key), ByteString($0.value)) })] = points
        }
        self = .series(series)
    }

    /// What is different in `other`, but for a billionth; `nil` when nothing is.
    func difference(from other: MixedAnswer) -> String? {
        switch (self, other) {
        case (.failure(let mine), .failure(let theirs)):
            func head(_ text: String) -> Substring { text.prefix { $0 != "[" && $0 != "{" } }
            return head(mine) == head(theirs) ? nil : "error \(mine) ≠ \(theirs)"
        case (.failure(let mine), _): return "error \(mine) ≠ an answer"
        case (_, .failure(let theirs)): return "an answer ≠ error \(theirs)"
        case (.series(let mine), .series(let theirs)):
            for labels in Set(mine.keys).union(theirs.keys) {
                let (own, others) = (mine[labels] ?? [:], theirs[labels] ?? [:])
                for time in Set(own.keys).union(others.keys).sorted() {
                    guard let one = own[time] else { return "\(labels): no point at \(time), expected \(others[time] ?? [:])" }
                    guard let two = others[time] else { return "\(labels): a point at \(time) too much: \(one)" }
                    if !Self.isSame(one, two) { return "\(labels) at \(time): \(one) ≠ \(two)" }
                }
            }
            return nil
        }
    }

    /// An empty bucket is one that is not there; what is left of two that are nearly equal is nothing.
    private static func isSame(_ a: Point, _ b: Point) -> Bool {
        if (a["value"] == nil) != (b["value"] == nil) { return false }
        let scale = max(1, a.values.filter(\.isFinite).map(\.magnitude).max() ?? 0)
        return Set(a.keys).union(b.keys).allSatisfy { key in
            let (x, y) = (a[key] ?? 0, b[key] ?? 0)
            return x == y || (x.isNaN && y.isNaN) || (x - y).magnitude <= 1e-9 * scale
        }
    }
}
