/// Closed ranges of time, ms, in order and neither overlapping nor touching: what was deleted of a series.
struct TimeRanges: Sendable, Equatable {
    private(set) var ranges: [ClosedRange<Int64>] = []

    var isEmpty: Bool { ranges.isEmpty }

    mutating func add(_ new: ClosedRange<Int64>) {
        var merged = new
        var kept: [ClosedRange<Int64>] = []
        for range in ranges {
            // The differences may wrap, but are 1 only where the ranges touch.
            let isBefore = range.upperBound < merged.lowerBound && merged.lowerBound &- range.upperBound != 1
            let isAfter = range.lowerBound > merged.upperBound && range.lowerBound &- merged.upperBound != 1
            if isBefore || isAfter {
                kept.append(range)
            } else {
                merged = min(range.lowerBound, merged.lowerBound)...max(range.upperBound, merged.upperBound)
            }
        }
        kept.append(merged)
        kept.sort { $0.lowerBound < $1.lowerBound }
        ranges = kept
    }

    /// Takes one moment out; false when it is in none of the ranges.
    @discardableResult
    mutating func remove(_ time: Int64) -> Bool {
        guard let index = ranges.firstIndex(where: { $0.contains(time) }) else { return false }
        let range = ranges[index]
        var parts: [ClosedRange<Int64>] = []
        if range.lowerBound < time { parts.append(range.lowerBound...(time - 1)) }
        if range.upperBound > time { parts.append((time + 1)...range.upperBound) }
        ranges.replaceSubrange(index...index, with: parts)
        return true
    }

    /// Forgets what ends before `time`.
    mutating func removeRanges(endingBefore time: Int64) { ranges.removeAll { $0.upperBound < time } }

    /// The parts of `range` that are in none of the ranges, in order.
    func gaps(in range: ClosedRange<Int64>) -> [ClosedRange<Int64>] {
        var result: [ClosedRange<Int64>] = []
        var start = range.lowerBound
        for deleted in ranges where deleted.upperBound >= start {
            if deleted.lowerBound > range.upperBound { break }
            if deleted.lowerBound > start { result.append(start...(deleted.lowerBound - 1)) }
            if deleted.upperBound >= range.upperBound { return result }
            start = deleted.upperBound + 1
        }
        result.append(start...range.upperBound)
        return result
    }

    func contains(_ time: Int64) -> Bool { ranges.contains { $0.contains(time) } }

    /// Whether any of the ranges has a time in common with `range`.
    func overlaps(_ range: ClosedRange<Int64>) -> Bool { ranges.contains { $0.overlaps(range) } }
}
