import ApusBytes

/// The warnings and infos of one query, each text once.
final class Annotations {
    private let lines: LineTable
    private var warnings: Set<String> = []
    private var infos: Set<String> = []

    /// More of one kind are not shown, but counted.
    static let maxShown = 10

    init(query: ByteString) { lines = LineTable(query.bytes) }

    func warn(_ text: String, at range: Range<Int>) { warnings.insert("PromQL warning: \(text) \(position(range))") }

    func inform(_ text: String, at range: Range<Int>) { infos.insert("PromQL info: \(text) \(position(range))") }

    private func position(_ range: Range<Int>) -> String {
        let (line, column) = lines.position(range.lowerBound)
        return "(\(line):\(column))"
    }

    func rendered() -> (warnings: [String], infos: [String]) {
        (Self.limited(warnings, kind: "warning"), Self.limited(infos, kind: "info"))
    }

    private static func limited(_ texts: Set<String>, kind: String) -> [String] {
        let sorted = texts.sorted()
        guard sorted.count > maxShown else { return sorted }
        return sorted.prefix(maxShown) + ["\(sorted.count - maxShown) more \(kind) annotations omitted"]
    }
}

extension Annotations {
    func warnInvalidQuantile(_ phi: Double, at range: Range<Int>) {
        warn("quantile value should be between 0 and 1, got \(NumberText.general(phi))", at: range)
    }

    func warnInvalidRatio(_ ratio: Double, cappedTo cap: Double, at range: Range<Int>) {
        warn(
            "ratio value should be between -1 and 1, got \(NumberText.general(ratio)), capping to \(NumberText.general(cap))",
            at: range)
    }

    func warnBadBucketLabel(_ metric: ByteString, value: ByteString, at range: Range<Int>) {
        warn(
            "bucket label \"le\" is missing or has a malformed value of \(quoted(value.bytes))\(Self.naming(metric))", at: range)
    }

    func informPossiblyNoCounter(_ metric: ByteString, at range: Range<Int>) {
        inform(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \(quoted(metric.bytes))", at: range)
    }

    func warnIneffectiveSort(at range: Range<Int>) { warn("sort is ineffective for range queries since results are always ordered by labels", at: range) }

    private static func naming(_ metric: ByteString) -> String {
        metric.isEmpty ? "" : " for metric name \(quoted(metric.bytes))"
    }
}
