import ApusStorage

/// The out-of-order samples of a series as one reader sees them. Sealed chunks are kept by the reader's epoch.
struct OutOfOrderSnapshot: Sendable {
    let sealed: [OutOfOrderSealedChunk]
    let open: OutOfOrderChunk

    /// Appends the samples of `[minTimeMs, maxTimeMs]` in order of time, each time once: the newest to come wins.
    func decode(_ minTimeMs: Int64, _ maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let chunks = sealed.filter { $0.overlaps(minTimeMs, maxTimeMs) }
        // In order of arrival, then sorted: of equal times the last is the newest.
        var all = SampleColumns(histograms: columns.wantsHistograms)
        var isSorted = true
        for chunk in chunks {
            let before = all.count
            try chunk.decode(minTimeMs, maxTimeMs, into: &all)
            if before > 0 && before < all.count && all.timestampMs(at: before) <= all.timestampMs(at: before - 1) { isSorted = false }
        }
        let before = all.count
        open.append(to: &all, minTimeMs, maxTimeMs)
        if before > 0 && before < all.count && all.timestampMs(at: before) <= all.timestampMs(at: before - 1) { isSorted = false }
        if isSorted {
            columns.append(contentsOf: all, 0..<all.count)
            return
        }
        var order: [(timeMs: Int64, index: Int)] = []
        order.reserveCapacity(all.count)
        for index in 0..<all.count { order.append((all.timestampMs(at: index), index)) }
        order.sort { ($0.timeMs, $0.index) < ($1.timeMs, $1.index) }
        var previous: Int?
        for (position, entry) in order.enumerated() {
            if position + 1 < order.count && order[position + 1].timeMs == entry.timeMs { continue }
            columns.append(contentsOf: all, entry.index..<entry.index + 1)
            // What a hint says is said of the sample before, which was another one in its chunk.
            if previous.map({ $0 + 1 != entry.index }) ?? false { columns.forgetHint(at: columns.count - 1) }
            previous = entry.index
        }
    }
}

extension SampleColumns {
    /// A histogram whose predecessor has changed no longer says whether counting began anew. Gauges never said so.
    mutating func forgetHint(at index: Int) {
        if let hint = histogramHint(at: index), hint != .gauge { setHistogramHint(.unknown, at: index) }
    }

    /// Merges samples into those from index `first` on; both are in order of time. Of one time, `others` win.
    mutating func merge(_ others: borrowing SampleColumns, from first: Int) {
        if others.count == 0 { return }
        if count == first || timestampMs(at: count - 1) < others.timestampMs(at: 0) {
            let joint = count
            append(contentsOf: others, 0..<others.count)
            if joint > first { forgetHint(at: joint) }
            return
        }
        var mine = SampleColumns(capacity: count - first, histograms: wantsHistograms)
        mine.append(contentsOf: self, first..<count)
        truncate(toCount: first)
        var (left, right) = (0, 0)
        while left < mine.count || right < others.count {
            // A stretch of mine, then one of theirs, so that samples are copied in runs.
            let leftStart = left
            while left < mine.count && (right == others.count || mine.timestampMs(at: left) < others.timestampMs(at: right)) { left += 1 }
            copy(mine, leftStart..<left, first)
            let rightStart = right
            while right < others.count && (left == mine.count || others.timestampMs(at: right) <= mine.timestampMs(at: left)) {
                if left < mine.count && others.timestampMs(at: right) == mine.timestampMs(at: left) { left += 1 }
                right += 1
            }
            copy(others, rightStart..<right, first)
        }
    }

    private mutating func copy(_ source: borrowing SampleColumns, _ range: Range<Int>, _ first: Int) {
        if range.isEmpty { return }
        let start = count
        append(contentsOf: source, range)
        if start > first { forgetHint(at: start) }
    }
}

extension HeadState {
    /// Of a series and range; nil when there are no samples, which is the usual case. Under the lock.
    func outOfOrderSnapshot(_ slot: UInt32, in minTime: Int64, _ maxTime: Int64) -> OutOfOrderSnapshot? {
        guard !outOfOrder.isEmpty, let one = outOfOrder.series[ref(of: slot)], one.overlaps(minTime, maxTime) else { return nil }
        return OutOfOrderSnapshot(sealed: one.sealed, open: one.open)
    }
}

extension Head {
    /// Merges the out-of-order samples of a series into those from index `first` on, which are in order.
    func mergeOutOfOrder(
        _ slot: UInt32, _ range: ClosedRange<Int64>, deleted: TimeRanges?, from first: Int, into columns: inout SampleColumns
    ) throws(StorageError) {
        let (minTime, maxTime) = (range.lowerBound, range.upperBound)
        guard let snapshot = locked({ state.outOfOrderSnapshot(slot, in: minTime, maxTime) }) else { return }
        var others = SampleColumns(histograms: columns.wantsHistograms)
        for part in deleted?.gaps(in: range) ?? [range] { try snapshot.decode(part.lowerBound, part.upperBound, into: &others) }
        columns.merge(others, from: first)
    }
}
