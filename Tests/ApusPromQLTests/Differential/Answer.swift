import ApusBytes
import ApusModel
import ApusPromQL
import Foundation

/// What an evaluator said to a query, in a form that two of them can be compared in.
enum Answer {
    /// The points of each series, in seconds; of a vector in its order, too.
    case series([LabelSet: [Int64: Double]], order: [LabelSet])
    case scalar([Int64: Double])
    case failure(String)

    init(_ result: Result<QueryResult, QueryError>) {
        switch result {
        case .failure(let error): self = .failure(error.message)
        case .success(let result):
            var series: [LabelSet: [Int64: Double]] = [:]
            var order: [LabelSet] = []
            switch result.value {
            case .scalar(let timestampMs, let value):
                self = .scalar([timestampMs: value])
                return
            case .string: break
            case .vector(let samples):
                for sample in samples {
                    series[sample.labels, default: [:]][sample.timestampMs] = sample.value
                    order.append(sample.labels)
                }
            case .matrix(let list):
                for one in list {
                    series[one.labels] = Dictionary(zip(one.timestampsMs, one.values), uniquingKeysWith: { first, _ in first })
                }
            }
            self = .series(series, order: order)
        }
    }

    /// Reads the answer of `/api/v1/query` or `/api/v1/query_range`.
    init(json: Data) throws {
        struct Malformed: Error {}
        guard let envelope = try JSONSerialization.jsonObject(with: json) as? [String: Any] else { throw Malformed() }
        guard let data = envelope["data"] as? [String: Any], let kind = data["resultType"] as? String else {
            self = .failure(envelope["error"] as? String ?? "")
            return
        }
        func point(_ pair: Any) throws -> (Int64, Double) {
            guard let pair = pair as? [Any], pair.count == 2, let seconds = (pair[0] as? NSNumber)?.doubleValue,
                let text = pair[1] as? String, let value = parseDouble([UInt8](text.utf8).span)
            else { throw Malformed() }
            return (Int64((seconds * 1_000).rounded()), value)
        }
        if kind == "scalar" {
            let (timestampMs, value) = try point(data["result"] as Any)
            self = .scalar([timestampMs: value])
            return
        }
        guard let list = data["result"] as? [[String: Any]] else { throw Malformed() }
        var series: [LabelSet: [Int64: Double]] = [:]
        var order: [LabelSet] = []
        for one in list {
            guard let metric = one["metric"] as? [String: String] else { throw Malformed() }
            let labels = LabelSet(metric.map { Label(ByteString($0.key), ByteString($0.value)) })
            var points: [Int64: Double] = [:]
            for pair in one["values"] as? [Any] ?? [one["value"] as Any] {
                let (timestampMs, value) = try point(pair)
                points[timestampMs] = value
            }
            series[labels] = points
            if kind == "vector" { order.append(labels) }
        }
        self = .series(series, order: order)
    }

    /// What is different in `other`; `nil` when nothing is.
    ///
    /// - Parameter ulps: by how many units in the last place values may differ.
    /// - Parameter slack: by how much values near 1 may differ, and less ones; greater ones by this times their square.
    func difference(from other: Answer, ulps: Int64, slack: Double = 0, checksOrder: Bool) -> String? {
        switch (self, other) {
        case (.failure(let mine), .failure(let theirs)):
            // Which of several series is named depends on their order.
            func head(_ text: String) -> Substring { text.prefix { $0 != "[" && $0 != "{" } }
            return head(mine) == head(theirs) ? nil : "error \(mine) ≠ \(theirs)"
        case (.failure(let mine), _): return "error \(mine) ≠ an answer"
        case (_, .failure(let theirs)): return "an answer ≠ error \(theirs)"
        case (.scalar(let mine), .scalar(let theirs)): return Self.difference(mine, theirs, ulps, slack)
        case (.series(let mine, let order), .series(let theirs, let otherOrder)):
            for labels in Set(mine.keys).union(theirs.keys) {
                guard let own = mine[labels] else { return "\(labels) is missing" }
                guard let others = theirs[labels] else { return "\(labels) is too much" }
                if let text = Self.difference(own, others, ulps, slack) { return "\(labels): \(text)" }
            }
            if checksOrder {
                for (own, theirs) in zip(order, otherOrder) where own != theirs {
                    guard let a = mine[own]?.values.first, let b = mine[theirs]?.values.first else { return "order" }
                    // Equal ones may come in any order.
                    if a != b, !(a.isNaN && b.isNaN) { return "order: \(own) where \(theirs) is expected" }
                }
            }
            return nil
        default: return "another type"
        }
    }

    private static func difference(_ mine: [Int64: Double], _ theirs: [Int64: Double], _ ulps: Int64, _ slack: Double) -> String? {
        for time in Set(mine.keys).union(theirs.keys).sorted() {
            guard let own = mine[time] else { return "no point at \(time), expected \(theirs[time] ?? .nan)" }
            guard let other = theirs[time] else { return "a point at \(time) too much: \(own)" }
            // An overflow may come a little earlier.
            if ulps > 0, own.magnitude > 0x1p1022, other.magnitude > 0x1p1022, (own < 0) == (other < 0) { continue }
            if distance(own, other) > ulps, !((own - other).magnitude <= slack * (1 + other * other)) { return "\(own) ≠ \(other) at \(time)" }
        }
        return nil
    }

    /// How many doubles lie between two, and one more; NaN is equal to NaN.
    private static func distance(_ a: Double, _ b: Double) -> Int64 {
        if a == b || (a.isNaN && b.isNaN) { return 0 }
        guard a.isFinite, b.isFinite, (a < 0) == (b < 0) else { return .max }
        return Int64((a.bitPattern > b.bitPattern ? a.bitPattern - b.bitPattern : b.bitPattern - a.bitPattern).clamped())
    }
}

extension UInt64 {
    fileprivate func clamped() -> UInt64 { Swift.min(self, UInt64(Int64.max)) }
}
