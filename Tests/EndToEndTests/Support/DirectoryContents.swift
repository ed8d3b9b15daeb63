import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB
import Foundation

/// A sample of either kind, as two programs that write it in different ways can be compared.
enum ComparableSample: Equatable, CustomStringConvertible {
    case float(Double)
    /// Buckets that hold something, by their lower bound.
    case histogram(count: Double, sum: Double, buckets: [Bucket])

    struct Bucket: Equatable {
        let lower, upper, count: Double
        static func == (left: Bucket, right: Bucket) -> Bool {
            func isNear(_ a: Double, _ b: Double) -> Bool { a == b || abs(a - b) <= 1e-9 * max(abs(a), abs(b)) }
            return isNear(left.lower, right.lower) && isNear(left.upper, right.upper) && left.count == right.count
        }
    }

    init(_ histogram: NativeHistogram) {
        func number(_ word: UInt64) -> Double { histogram.isFloat ? Double(bitPattern: word) : Double(word) }
        let layout = histogram.layout
        var buckets: [Bucket] = []
        var word = 0
        for (spans, sign) in [(layout.positiveSpans, 1.0), (layout.negativeSpans, -1.0)] {
            var index = 0
            for span in spans {
                index += Int(span.offset)
                for _ in 0..<span.length {
                    let count = number(histogram.words[word])
                    let (low, high) = Self.bounds(index, layout)
                    if count != 0 { buckets.append(sign > 0 ? Bucket(lower: low, upper: high, count: count) : Bucket(lower: -high, upper: -low, count: count)) }
                    word += 1
                    index += 1
                }
            }
        }
        let zero = number(histogram.zeroCountWord)
        if zero != 0 { buckets.append(Bucket(lower: -layout.zeroThreshold, upper: layout.zeroThreshold, count: zero)) }
        self = .histogram(
            count: number(histogram.countWord), sum: histogram.sum, buckets: buckets.sorted { ($0.lower, $0.upper) < ($1.lower, $1.upper) })
    }

    private static func bounds(_ index: Int, _ layout: HistogramLayout) -> (Double, Double) {
        if layout.hasCustomBounds {
            let bounds = layout.customBounds
            return (
                bounds.indices.contains(index - 1) ? bounds[index - 1] : -.infinity, bounds.indices.contains(index) ? bounds[index] : .infinity
            )
        }
        let perPower = exp2(Double(-layout.schema))
        return (exp2(Double(index - 1) * perPower), exp2(Double(index) * perPower))
    }

    /// From the API's form.
    init?(_ json: JSON) {
        func number(_ json: JSON) -> Double? { json.string.flatMap { Double($0.replacingOccurrences(of: "Inf", with: "inf")) } }
        guard let count = number(json["count"]), let sum = number(json["sum"]) else { return nil }
        var buckets: [Bucket] = []
        for bucket in json["buckets"].list {
            guard let lower = number(bucket[1]), let upper = number(bucket[2]), let held = number(bucket[3]) else { return nil }
            buckets.append(Bucket(lower: lower, upper: upper, count: held))
        }
        self = .histogram(count: count, sum: sum, buckets: buckets.sorted { ($0.lower, $0.upper) < ($1.lower, $1.upper) })
    }

    var description: String {
        switch self {
        case .float(let value): "\(value)"
        case .histogram(let count, let sum, let buckets): "{count \(count), sum \(sum), \(buckets.map { "\($0.lower)…\($0.upper): \($0.count)" })}"
        }
    }
}

/// All samples of a data directory and its newest exemplars, as some program gives them back. Staleness markers are left out.
struct DirectoryContents {
    struct OneExemplar: Hashable {
        let series: String
        let labels: String
        let value: Double
        let timeMs: Int
    }
    var samples: [String: [Int: ComparableSample]] = [:]
    var exemplars: Set<OneExemplar> = []
    var count: Int { samples.values.reduce(0) { $0 + $1.count } }
    var newestMs: Int { samples.values.compactMap { $0.keys.max() }.max() ?? 0 }

    private static func text(_ labels: [String: String]) -> String { "\(labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })" }
    private static func text(_ labels: LabelSet) -> String {
        text(Dictionary(uniqueKeysWithValues: labels.labels.map { ("\($0.name)", "\($0.value)") }))
    }

    init(_ database: Database) throws {
        let querier = try database.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let set = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        var columns = SampleColumns(histograms: true)
        for index in 0..<set.count {
            columns.removeAll()
            try set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns)
            var column: [Int: ComparableSample] = [:]
            for sample in 0..<columns.count {
                let time = Int(columns.timestampMs(at: sample))
                if let histogram = columns.histogram(at: sample) {
                    if !histogram.isStale { column[time] = ComparableSample(histogram) }
                } else if !StaleNaN.isStale(columns.value(at: sample)) {
                    column[time] = .float(columns.value(at: sample))
                }
            }
            if !column.isEmpty { samples[Self.text(set.labels(at: index))] = column }
        }
        for (labels, found) in database.exemplars(matchers: [[]], minTimeMs: .min, maxTimeMs: .max) {
            for one in found {
                exemplars.insert(
                    OneExemplar(series: Self.text(labels), labels: Self.text(one.labels), value: one.value, timeMs: Int(one.timestampMs)))
            }
        }
    }

    /// From a server's API.
    init(from address: String, sinceMs: Int) throws {
        let nowMs = Int(Date.now.timeIntervalSince1970 * 1000) + 5_000
        let form = ["query": "{__name__=~\".+\"}[\((nowMs - sinceMs) / 1000 + 60)s]", "time": "\(Double(nowMs) / 1000)"]
        guard let answer = request("POST", address + "/api/v1/query", form: form), answer.status == 200 else {
            throw RunningSystem.Failure("no answer to a query of all samples")
        }
        for series in answer.json["data"]["result"].list {
            var column: [Int: ComparableSample] = [:]
            for sample in series["values"].list {
                guard let time = sample[0].number, let value = sample[1].string.flatMap(Double.init) else { continue }
                column[Int((time * 1000).rounded())] = .float(value)
            }
            for sample in series["histograms"].list {
                guard let time = sample[0].number, let histogram = ComparableSample(sample[1]) else { continue }
                column[Int((time * 1000).rounded())] = histogram
            }
            samples[Self.text((series["metric"].value as? [String: String]) ?? [:])] = column
        }
        let range = ["query": "{__name__=~\".+\"}", "start": "\(sinceMs / 1000 - 60)", "end": "\(nowMs / 1000)"]
        guard let found = request("POST", address + "/api/v1/query_exemplars", form: range), found.status == 200 else {
            throw RunningSystem.Failure("no answer to a query of exemplars")
        }
        for series in found.json["data"].list {
            let name = Self.text((series["seriesLabels"].value as? [String: String]) ?? [:])
            for one in series["exemplars"].list {
                guard let time = one["timestamp"].number, let value = one["value"].string.flatMap(Double.init) else { continue }
                let labels = Self.text((one["labels"].value as? [String: String]) ?? [:])
                exemplars.insert(OneExemplar(series: name, labels: labels, value: value, timeMs: Int((time * 1000).rounded())))
            }
        }
    }

    /// How this differs from what was there before: every sample must be there still, with its value, and none that is not
    /// newer may have come. Exemplars are in memory and in the log only, so the last seconds count.
    func differences(from before: DirectoryContents) -> [String] {
        var result: [String] = []
        for (name, column) in before.samples {
            let mine = samples[name] ?? [:]
            let lost = column.keys.filter { mine[$0] == nil }.sorted()
            if let first = lost.first, let last = lost.last { result.append("\(name): \(lost.count) of \(column.count) lost, from \(first) to \(last)") }
            for (time, value) in column.sorted(by: { $0.key < $1.key }) {
                guard let now = mine[time], now != value else { continue }
                result.append("\(name) at \(time): \(now), was \(value)")
                break
            }
        }
        let end = before.newestMs
        for (name, column) in samples {
            let known = before.samples[name] ?? [:]
            let new = column.keys.filter { $0 <= end && known[$0] == nil }.sorted()
            if let first = new.first { result.append("\(name): \(new.count) that were not there, from \(first)") }
        }
        let lost = before.exemplars.filter { $0.timeMs > end - 1_500 && !exemplars.contains($0) }
        if let first = lost.first { result.append("\(lost.count) exemplars lost, such as \(first)") }
        return result.sorted()
    }
}
