import ApusBytes
import ApusModel
import ApusStorage

/// A view of the head for one query. Each `select` sees whole batches: all that were committed when it ran.
///
/// It holds back what it might still read: chunks and label sets that were unlinked after it began are freed when it closes.
final class HeadQuerier: Querier {
    private let head: Head
    private let minTimeMs: Int64
    private let maxTimeMs: Int64
    private let epoch: UInt64
    /// Chunks of periods before this were gone when the querier began.
    private let oldestPeriod: Int64
    private let isClosed = Locked(false)

    init(head: Head, minTimeMs: Int64, maxTimeMs: Int64, epoch: UInt64, oldestPeriod: Int64) {
        self.head = head
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
        self.epoch = epoch
        self.oldestPeriod = oldestPeriod
    }

    deinit { close() }

    func close() {
        let wasClosed = isClosed.withLock { closed in
            let before = closed
            closed = true
            return before
        }
        if !wasClosed { head.endReading(epoch: epoch) }
    }

    func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
        var views = select(matchers, minTime: max(minTimeMs, hints.startMs), maxTime: min(maxTimeMs, hints.endMs))
        if sorted { head.state.sort(&views) }
        return HeadSeriesSet(querier: self, head: head, views: views, oldestPeriod: oldestPeriod)
    }

    /// Equalities under the lock, patterns outside of it, lists under it again.
    private func select(_ matchers: [Matcher], minTime: Int64, maxTime: Int64) -> [SeriesView] {
        let state = head.state
        let (plan, whole): (SelectPlan, [SeriesView]?) = head.locked {
            let plan = state.plan(matchers, minTime: minTime, maxTime: maxTime)
            if !plan.tests.isEmpty { return (plan, nil) }
            if plan.candidates != nil && plan.resolved.isEmpty { return (plan, plan.views) }
            return (plan, state.finish(plan, plan.resolved, minTime: minTime, maxTime: maxTime))
        }
        if let whole { return whole }
        if let candidates = plan.candidates, candidates.isEmpty { return [] }
        // With fewer candidates than values, ask the candidates. Otherwise judge each value once and go by the lists.
        var views = plan.views
        var resolved = plan.resolved
        for test in plan.tests {
            if plan.candidates != nil && views.count <= test.pairs.count {
                views = state.filter(views, test)
            } else {
                resolved.append(state.resolve(test))
            }
        }
        if resolved.isEmpty { return views }
        var rest = plan
        if rest.candidates != nil { rest.candidates = views.map(\.slot) }
        return head.locked { state.finish(rest, resolved, minTime: minTime, maxTime: maxTime) }
    }

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        let state = head.state
        var found: [UInt32] = []
        if matchers.isEmpty {
            found = head.locked {
                state.index.names.filter { name in
                    name.pairs.contains { state.isUsed($0, minTime: minTimeMs, maxTime: maxTimeMs) }
                }.map(\.symbol)
            }
        } else {
            var pairs = Set<UInt32>()
            for view in select(matchers, minTime: minTimeMs, maxTime: maxTimeMs) {
                for unsafe pair in unsafe state.run(at: view.labelOffset) { pairs.insert(pair) }
            }
            found = Array(Set(pairs.map { state.name(of: $0) }))
        }
        return sortedStrings(found, limit)
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        let state = head.state
        let known: (symbol: UInt32, pairs: [UInt32])? = head.locked {
            state.symbols.find(name.bytes.span).map { ($0, state.index.pairs(ofName: $0)) }
        }
        guard let known else { return [] }
        var found: [UInt32] = []
        if matchers.isEmpty {
            found = head.locked { known.pairs.filter { state.isUsed($0, minTime: minTimeMs, maxTime: maxTimeMs) } }
        } else {
            var pairs = Set<UInt32>()
            for view in select(matchers, minTime: minTimeMs, maxTime: maxTimeMs) {
                if let pair = state.pair(ofName: known.symbol, at: view.labelOffset) { pairs.insert(pair) }
            }
            found = Array(pairs)
        }
        return sortedStrings(found.map { state.value(of: $0) }, limit)
    }

    private func sortedStrings(_ symbols: [UInt32], _ limit: Int) -> [ByteString] {
        let table = head.state.symbols
        let sorted = symbols.sorted { table.compare($0, $1) < 0 }
        // One more than the limit, so that the caller sees that there are more.
        return (limit > 0 && sorted.count > limit ? sorted[...limit] : sorted[...]).map { table.byteString($0) }
    }
}

/// The series of one select.
final class HeadSeriesSet: SeriesSet {
    /// Keeps the epoch: a set must not outlive its querier's hold.
    private let querier: HeadQuerier
    private let head: Head
    private let views: [SeriesView]
    private let oldestPeriod: Int64

    init(querier: HeadQuerier, head: Head, views: [SeriesView], oldestPeriod: Int64) {
        self.querier = querier
        self.head = head
        self.views = views
        self.oldestPeriod = oldestPeriod
    }

    var count: Int { views.count }

    func labels(at index: Int) -> LabelSet { head.state.labelSet(at: views[index].labelOffset) }

    func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let view = views[index]
        let state = head.state
        let minTime = max(minTimeMs, state.start(of: oldestPeriod))
        var chunks: [UInt] = []
        var address = view.sealed
        // From the newest back to the first that ends before the range.
        while let chunk = SealedChunk(address: address), chunk.maxTime >= minTime {
            if chunk.minTime <= maxTimeMs { chunks.append(address) }
            address = chunk.previous(oldestPeriod: oldestPeriod, periodOf: state.period(of:))
        }
        for address in chunks.reversed() {
            guard let chunk = SealedChunk(address: address) else { continue }
            try state.decode(chunk, limit: .max, minTime: minTime, maxTime: maxTimeMs, into: &columns)
        }
        if view.openCount == 0 { return }
        let range = minTime...max(minTime, maxTimeMs)
        if maxTimeMs >= minTime, try !decodeOpen(view, range, HeadState.scratchBytes, into: &columns) {
            _ = try decodeOpen(view, range, HeadState.largeScratchBytes, into: &columns)
        }
    }

    /// Decodes what was the open chunk; false when it is larger than the scratch.
    private func decodeOpen(
        _ view: SeriesView, _ range: ClosedRange<Int64>, _ scratchBytes: Int, into columns: inout SampleColumns
    ) throws(StorageError) -> Bool {
        let state = head.state
        return try unsafe withUnsafeTemporaryAllocation(byteCount: scratchBytes, alignment: 8) { scratch throws(StorageError) -> Bool in
            let (minTime, maxTime) = (range.lowerBound, range.upperBound)
            switch head.locked({ unsafe state.openChunk(of: view, oldestPeriod: oldestPeriod, into: scratch) }) {
            case .none: break
            case .tooLarge: return false
            case .copied(let size):
                guard let base = scratch.baseAddress else { return false }
                try unsafe state.decode(
                    base, sizeBytes: size, count: Int(view.openCount), limit: .max, minTime: minTime, maxTime: maxTime, into: &columns)
            case .sealed(let address):
                guard let chunk = SealedChunk(address: address) else { break }
                try state.decode(chunk, limit: Int(view.openCount), minTime: minTime, maxTime: maxTime, into: &columns)
            }
            return true
        }
    }
}
