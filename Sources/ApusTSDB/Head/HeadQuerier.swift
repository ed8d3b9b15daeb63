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
        var selection = select(matchers, minTime: max(minTimeMs, hints.startMs), maxTime: min(maxTimeMs, hints.endMs))
        if sorted { selection.labels.sort(&selection.views) }
        return HeadSeriesSet(querier: self, head: head, selection, oldestPeriod: oldestPeriod)
    }

    /// The series that match and may have samples in the querier's range.
    func slots(_ matchers: [Matcher]) -> [UInt32] { select(matchers, minTime: minTimeMs, maxTime: maxTimeMs).views.map(\.slot) }

    /// Equalities under the lock, patterns outside of it, lists under it again.
    private func select(_ matchers: [Matcher], minTime: Int64, maxTime: Int64) -> Selection {
        let state = head.state
        while true {
            let (plan, whole): (SelectPlan, Selection?) = head.locked {
                let plan = state.plan(matchers, minTime: minTime, maxTime: maxTime)
                if !plan.tests.isEmpty { return (plan, nil) }
                if plan.candidates != nil && plan.resolved.isEmpty { return (plan, state.selection(plan.views)) }
                return (plan, state.selection(state.finish(plan, plan.resolved, minTime: minTime, maxTime: maxTime)))
            }
            if let whole { return whole }
            // With fewer candidates than values, ask the candidates. Otherwise judge each value once and go by the lists.
            var views = plan.views
            var resolved = plan.resolved
            for test in plan.tests where plan.candidates?.isEmpty != true {
                if plan.candidates != nil && views.count <= test.pairs.count {
                    views = plan.labels.filter(views, test)
                } else {
                    resolved.append(plan.labels.resolve(test))
                }
            }
            var rest = plan
            if rest.candidates != nil { rest.candidates = views.map(\.slot) }
            let finished: Selection? = head.locked {
                // The numbers of pairs are another store's: start again. It happens once in hours.
                guard state.labels === plan.labels else { return nil }
                return state.selection(resolved.isEmpty ? views : state.finish(rest, resolved, minTime: minTime, maxTime: maxTime))
            }
            if let finished { return finished }
        }
    }

    func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        let state = head.state
        if matchers.isEmpty {
            let (labels, found) = head.locked {
                let used = state.labels.index.names.filter { name in
                    name.pairs.contains { state.isUsed($0, minTime: minTimeMs, maxTime: maxTimeMs) }
                }
                return (state.labels, used.map(\.symbol))
            }
            return sortedStrings(labels, found, limit)
        }
        let selection = select(matchers, minTime: minTimeMs, maxTime: maxTimeMs)
        let labels = selection.labels
        var pairs = Set<UInt32>()
        for view in selection.views {
            for unsafe pair in unsafe labels.run(at: view.labelOffset) { pairs.insert(pair) }
        }
        return sortedStrings(labels, Array(Set(pairs.map { labels.name(of: $0) })), limit)
    }

    func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
        let state = head.state
        if matchers.isEmpty {
            let (labels, found) = head.locked {
                let symbol = state.labels.symbols.find(name.bytes.span)
                let pairs = symbol.map { state.labels.index.pairs(ofName: $0) } ?? []
                return (state.labels, pairs.filter { state.isUsed($0, minTime: minTimeMs, maxTime: maxTimeMs) })
            }
            return sortedStrings(labels, found.map { labels.value(of: $0) }, limit)
        }
        let selection = select(matchers, minTime: minTimeMs, maxTime: maxTimeMs)
        let labels = selection.labels
        // A symbol's number never changes, but to look for it is to read what a writer may be changing.
        guard let symbol = head.locked({ labels.symbols.find(name.bytes.span) }) else { return [] }
        var found = Set<UInt32>()
        for view in selection.views {
            if let pair = labels.pair(ofName: symbol, at: view.labelOffset) { found.insert(labels.value(of: pair)) }
        }
        return sortedStrings(labels, Array(found), limit)
    }

    private func sortedStrings(_ labels: LabelStore, _ found: [UInt32], _ limit: Int) -> [ByteString] {
        let table = labels.symbols
        let sorted = found.sorted { table.compare($0, $1) < 0 }
        // One more than the limit, so that the caller sees that there are more.
        return (limit > 0 && sorted.count > limit ? sorted[...limit] : sorted[...]).map { table.byteString($0) }
    }
}
