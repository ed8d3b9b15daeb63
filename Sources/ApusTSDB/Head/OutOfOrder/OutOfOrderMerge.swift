import ApusStorage

/// The out-of-order samples of a series as one reader sees them. Sealed chunks are kept by the reader's epoch.
struct OutOfOrderSnapshot: Sendable {
    let sealed: [OutOfOrderSealedChunk]
    let open: OutOfOrderChunk

    /// Merges the samples of `[minTimeMs, maxTimeMs]` that were not deleted into those from the first of `chunkStarts` on,
    /// which are in order of time and in that range too.
    ///
    /// Of one time, what came late wins over what was in order: it was sent to correct it. Several late samples of one time,
    /// in different chunks, are rare, and which of them is right nobody knows: `OutOfOrderMerge` picks.
    /// - Parameter chunkStarts: indices at which samples in order begin that are of another chunk than those before, in order;
    ///   not empty.
    func merge(
        _ minTimeMs: Int64, _ maxTimeMs: Int64, deleted: TimeRanges?, into columns: inout SampleColumns, chunkStarts: [Int]
    ) throws(StorageError) {
        let first = chunkStarts.first ?? columns.count
        var late = SampleColumns(histograms: columns.wantsHistograms)
        var sources: [OutOfOrderMerge.Source] = []
        for chunk in sealed where chunk.overlaps(minTimeMs, maxTimeMs) {
            // Whole, so that which of two samples wins does not depend on where a query begins.
            let start = late.count
            try chunk.decode(.min, .max, into: &late)
            if late.count > start { sources.append(.init(isInOrder: false, range: start..<late.count, minTimeMs: late.timestampMs(at: start))) }
        }
        let start = late.count
        open.append(to: &late, .min, .max)
        if late.count > start { sources.append(.init(isInOrder: false, range: start..<late.count, minTimeMs: late.timestampMs(at: start))) }
        if sources.isEmpty { return }
        var inOrder = SampleColumns(capacity: columns.count - first, histograms: columns.wantsHistograms)
        if columns.count > first {
            inOrder.append(contentsOf: columns, first..<columns.count)
            columns.truncate(toCount: first)
            for (index, start) in chunkStarts.enumerated().reversed() {
                let end = index + 1 < chunkStarts.count ? chunkStarts[index + 1] : first + inOrder.count
                if start >= end { continue }
                let range = start - first..<end - first
                sources.insert(.init(isInOrder: true, range: range, minTimeMs: inOrder.timestampMs(at: range.lowerBound)), at: 0)
            }
        }

        var merge = OutOfOrderMerge()
        merge.run(sources, inOrder: inOrder, late: late)
        // Copied in runs: most samples have their neighbour beside them.
        var index = 0
        while index < merge.picks.count {
            let pick = merge.picks[index]
            var end = index + 1
            while end < merge.picks.count && merge.picks[end] == pick.advanced(by: end - index) { end += 1 }
            let range = pick.index..<pick.index + end - index
            if pick.isInOrder {
                columns.append(contentsOf: inOrder, range, first: first)
            } else {
                for one in range {
                    let time = late.timestampMs(at: one)
                    if time >= minTimeMs && time <= maxTimeMs && deleted?.contains(time) != true {
                        columns.append(contentsOf: late, one..<one + 1, first: one == range.lowerBound ? first : .max)
                    }
                }
            }
            index = end
        }
    }
}

extension SampleColumns {
    /// Appends samples of another source than those before. A histogram whose predecessor has changed no longer says
    /// whether counting began anew; a gauge never said so.
    fileprivate mutating func append(contentsOf source: borrowing SampleColumns, _ range: Range<Int>, first: Int) {
        let start = count
        append(contentsOf: source, range)
        if start > first, let hint = histogramHint(at: start), hint != .gauge { setHistogramHint(.unknown, at: start) }
    }
}

/// Merges sorted sources of samples, each time once.
///
/// Which of several samples of one time is taken follows from a heap, and in all of this from upstream's
/// `chainSampleIterator`: the source that was read last is left when another has a sample as old. It says nothing of which
/// is right; but so that two servers on one directory agree, it is done alike, down to the heap's order of swaps.
struct OutOfOrderMerge {
    struct Source {
        let isInOrder: Bool
        /// Indices of its samples; not empty.
        let range: Range<Int>
        let minTimeMs: Int64
        /// Of the sample it is at.
        var position: Int
        var time: Int64

        init(isInOrder: Bool, range: Range<Int>, minTimeMs: Int64) {
            self.isInOrder = isInOrder
            self.range = range
            self.minTimeMs = minTimeMs
            position = range.lowerBound - 1
            time = .min
        }
    }

    /// A sample that is taken.
    struct Pick: Equatable {
        let isInOrder: Bool
        let index: Int
        func advanced(by count: Int) -> Pick { Pick(isInOrder: isInOrder, index: index + count) }
    }

    private(set) var picks: [Pick] = []
    private var sources: [Source] = []
    private var heap: [Int] = []
    private var lastTime: Int64?

    /// - Parameter sources: chunks in order of age, those in order first.
    mutating func run(_ sources: [Source], inOrder: borrowing SampleColumns, late: borrowing SampleColumns) {
        picks.reserveCapacity(sources.reduce(0) { $0 + $1.range.count })
        let sorted = sources.enumerated().sorted { ($0.element.minTimeMs, $0.offset) < ($1.element.minTimeMs, $1.offset) }.map(\.element)
        // Sources that do not overlap are merged apart.
        var start = 0
        var end = Int64.min
        for (index, source) in sorted.enumerated() {
            let last = source.isInOrder ? inOrder.timestampMs(at: source.range.upperBound - 1) : late.timestampMs(at: source.range.upperBound - 1)
            if index > start && source.minTimeMs > end {
                chain(Array(sorted[start..<index]), inOrder, late)
                start = index
                end = last
            }
            end = max(end, last)
        }
        chain(Array(sorted[start...]), inOrder, late)
    }

    private mutating func chain(_ group: [Source], _ inOrder: borrowing SampleColumns, _ late: borrowing SampleColumns) {
        if group.isEmpty { return }
        sources = group
        heap.removeAll(keepingCapacity: true)
        for index in sources.indices.dropFirst() where advance(index, inOrder, late) { push(index) }
        var current = 0
        while true {
            if advance(current, inOrder, late) {
                let time = sources[current].time
                if time == lastTime {
                    repeated(current)
                    continue
                }
                if heap.isEmpty || time < sources[heap[0]].time {
                    take(current)
                    continue
                }
                push(current)
            } else if heap.isEmpty {
                return
            }
            current = pop()
            if sources[current].time == lastTime { repeated(current) } else { take(current) }
        }
    }

    private mutating func advance(_ index: Int, _ inOrder: borrowing SampleColumns, _ late: borrowing SampleColumns) -> Bool {
        sources[index].position += 1
        let position = sources[index].position
        if position >= sources[index].range.upperBound { return false }
        sources[index].time = sources[index].isInOrder ? inOrder.timestampMs(at: position) : late.timestampMs(at: position)
        return true
    }

    private mutating func take(_ index: Int) {
        lastTime = sources[index].time
        picks.append(Pick(isInOrder: sources[index].isInOrder, index: sources[index].position))
    }

    /// A sample of the time that was taken last.
    private mutating func repeated(_ index: Int) {
        // Differs from Prometheus: there, whether a late sample corrects one in order is left to the heap as well.
        if let last = picks.last, last.isInOrder, !sources[index].isInOrder {
            picks[picks.count - 1] = Pick(isInOrder: false, index: sources[index].position)
        }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool { sources[heap[left]].time < sources[heap[right]].time }

    private mutating func push(_ index: Int) {
        heap.append(index)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if !isBefore(child, parent) { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() -> Int {
        let end = heap.count - 1
        heap.swapAt(0, end)
        var parent = 0
        while true {
            var child = 2 * parent + 1
            if child >= end { break }
            if child + 1 < end && isBefore(child + 1, child) { child += 1 }
            if !isBefore(child, parent) { break }
            heap.swapAt(parent, child)
            parent = child
        }
        return heap.removeLast()
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
    /// Merges the out-of-order samples of a series into those in order.
    /// - Parameter chunkStarts: where in the columns the chunks of those begin.
    func mergeOutOfOrder(
        _ slot: UInt32, _ range: ClosedRange<Int64>, deleted: TimeRanges?, chunkStarts: [Int], into columns: inout SampleColumns
    ) throws(StorageError) {
        let (minTime, maxTime) = (range.lowerBound, range.upperBound)
        guard let snapshot = locked({ state.outOfOrderSnapshot(slot, in: minTime, maxTime) }) else { return }
        try snapshot.merge(minTime, maxTime, deleted: deleted, into: &columns, chunkStarts: chunkStarts)
    }
}
