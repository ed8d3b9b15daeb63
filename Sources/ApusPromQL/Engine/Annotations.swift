import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The warnings and infos of one query.
///
/// A text stands once, as in Prometheus, whatever the places that gave rise to it; the place shown is the one evaluated
/// last. The texts are in `Annotations+Warnings` and `Annotations+Infos`.
final class Annotations {
    private let lines: LineTable
    /// Where the texts come from, as ranges of the query.
    private var warnings: [String: Range<Int>] = [:]
    private var infos: [String: Range<Int>] = [:]
    /// Repairs of classic histograms, by the text that stands before the details.
    private var repairs: [String: Repairs] = [:]

    private struct Repairs {
        var repair: MonotonicityRepair
        var count = 1
        var firstMs: Int64
        var lastMs: Int64
        var range: Range<Int>
    }

    /// More of one kind are not shown, but counted.
    static let maxShown = 10

    init(query: ByteString) { lines = LineTable(query.bytes) }

    func warn(_ text: String, at range: Range<Int>) { Self.add(text, range, to: &warnings) }

    func inform(_ text: String, at range: Range<Int>) { Self.add(text, range, to: &infos) }

    private static func add(_ text: String, _ range: Range<Int>, to texts: inout [String: Range<Int>]) {
        guard let known = texts[text] else {
            texts[text] = range
            return
        }
        if known != range { texts[text] = later(known, range) }
    }

    /// Which of two parts of a query is evaluated later: operands are in order, and what is around a part after it.
    private static func later(_ a: Range<Int>, _ b: Range<Int>) -> Range<Int> {
        if a.upperBound != b.upperBound { return a.upperBound > b.upperBound ? a : b }
        return a.lowerBound < b.lowerBound ? a : b
    }

    /// Counts of a classic histogram were levelled: all such of one metric become one info.
    func inform(_ text: String, _ repair: MonotonicityRepair, atMs timestampMs: Int64, at range: Range<Int>) {
        guard var known = repairs[text] else {
            repairs[text] = Repairs(repair: repair, firstMs: timestampMs, lastMs: timestampMs, range: range)
            return
        }
        known.count += 1
        known.firstMs = min(known.firstMs, timestampMs)
        known.lastMs = max(known.lastMs, timestampMs)
        known.repair.lowestBound = min(known.repair.lowestBound, repair.lowestBound)
        known.repair.highestBound = max(known.repair.highestBound, repair.highestBound)
        known.repair.largestDifference = max(known.repair.largestDifference, repair.largestDifference)
        known.range = Self.later(known.range, range)
        repairs[text] = known
    }

    /// In order of text, no more of each kind than are shown.
    func rendered() -> (warnings: [String], infos: [String]) {
        let details = repairs.map { text, repairs in
            (
                "\(text), from buckets \(NumberText.general(repairs.repair.lowestBound)) to "
                    + "\(NumberText.general(repairs.repair.highestBound)), with a max diff of "
                    + "\(twoDigits(repairs.repair.largestDifference)), over \(repairs.count) samples from "
                    + "\(timeText(repairs.firstMs)) to \(timeText(repairs.lastMs))", repairs.range
            )
        }
        return (
            limited(warnings.map { ($0.key, $0.value) }, kind: "warning"),
            limited(infos.map { ($0.key, $0.value) } + details, kind: "info")
        )
    }

    private func limited(_ texts: [(text: String, range: Range<Int>)], kind: String) -> [String] {
        let sorted = texts.map { "PromQL \(kind): \($0.text) \(position($0.range))" }.sorted()
        guard sorted.count > Self.maxShown else { return sorted }
        return sorted.prefix(Self.maxShown) + ["\(sorted.count - Self.maxShown) more \(kind) annotations omitted"]
    }

    private func position(_ range: Range<Int>) -> String {
        let (line, column) = lines.position(range.lowerBound)
        return "(\(line):\(column))"
    }
}

/// Two significant digits, as Go's `%.2g` prints them, which for finite numbers is as C does.
private func twoDigits(_ value: Double) -> String {
    guard value.isFinite else { return NumberText.general(value) }
    var text = [CChar](repeating: 0, count: 32)
    let length = unsafe withVaList([value]) { unsafe vsnprintf(&text, 32, "%.2g", $0) }
    return String(decoding: text.prefix(max(0, min(Int(length), 31))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// RFC 3339, in whole seconds: `2024-12-25T00:00:00Z`.
private func timeText(_ timestampMs: Int64) -> String {
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    // Whole seconds, cut off towards zero, as Prometheus does.
    let seconds = timestampMs / 1_000
    let time = CalendarTime(unixSeconds: Double(seconds))
    let second = ((seconds % 60) + 60) % 60
    let year = String(time.year)
    let padded = time.year >= 0 && year.count < 4 ? String(repeating: "0", count: 4 - year.count) + year : year
    return "\(padded)-\(two(time.month))-\(two(time.day))T\(two(time.hour)):\(two(time.minute)):\(two(second))Z"
}
