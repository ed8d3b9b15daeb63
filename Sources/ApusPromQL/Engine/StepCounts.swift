/// How the samples that a part of a query looks at count for the query.
///
///     x                            each at its step
///     x @ 100                      read once, looked at by every step
///     max_over_time(x[1h:1m])      the windows over the subquery count, and not what it looked at itself: that is read only
struct CountingScope {
    /// How often a sample that is looked at counts.
    var factor = 1
    /// Whether what is looked at is the same at every step.
    var isInvariant = false
    /// By step of this part the step of the query that it belongs to; nil where both are the same.
    var queryStep: [Int]?
    /// Whether a subquery is the whole query: then it is what it looked at that counts.
    var isWholeSubquery = false
}

/// Samples by step of the query.
struct StepCounts {
    private(set) var queryable: [Int64]
    private(set) var read: [Int64]

    init(count: Int) {
        queryable = Array(repeating: 0, count: count)
        read = Array(repeating: 0, count: count)
    }

    mutating func add(_ scope: CountingScope, _ step: Int, touched: Int, read count: Int) {
        let position = scope.queryStep.map { $0.indices.contains(step) ? $0[step] : 0 } ?? step
        guard queryable.indices.contains(position) else { return }
        read[position] &+= Int64(count)
        if scope.factor == 0 { return }
        if scope.isInvariant {
            for index in queryable.indices { queryable[index] &+= Int64(touched) }
        } else {
            queryable[position] &+= Int64(touched)
        }
    }
}

extension CountingScope {
    /// What is evaluated once for all `count` steps.
    func invariant(_ count: Int) -> CountingScope {
        var result = self
        result.factor &*= count
        result.isInvariant = true
        result.queryStep = [queryStep?.first ?? 0]
        return result
    }

    /// The inside of a subquery whose samples those windows look at that end at `references`.
    /// - Parameter keepsSteps: whether anybody asks for counts by step.
    func subquery(_ inner: Steps, _ references: References, keepsSteps: Bool) -> CountingScope {
        var result = CountingScope()
        result.isInvariant = isInvariant
        result.factor = isWholeSubquery ? factor : 0
        guard keepsSteps else { return result }
        // A sample is read for the first window that it is in.
        var outer = 0
        result.queryStep = (0..<inner.count).map { step in
            while outer + 1 < references.steps.count, references.timestampMs(outer) < inner.timestampMs(step) { outer += 1 }
            return queryStep.map { $0.indices.contains(outer) ? $0[outer] : 0 } ?? outer
        }
        return result
    }
}

extension Evaluator {
    /// Evaluates a node in a scope of its own, and hands its rows to `sink` in the present one.
    func vector(_ id: NodeID, _ steps: Steps, counting scope: CountingScope, _ sink: RowSink) throws(QueryError) {
        let outer = bounds.scope
        bounds.scope = scope
        defer { bounds.scope = outer }
        try vector(id, steps) { (name, row) throws(QueryError) in
            let inner = bounds.scope
            bounds.scope = outer
            defer { bounds.scope = inner }
            try sink(name, row)
        }
    }

    /// Counts the samples of a row of an instant selector.
    func countSteps(_ row: Row) {
        for step in 0..<row.count where !row[step].isAbsent {
            let weight = row[step].isHistogramMark ? row.histogram(step)?.sampleWeight ?? 1 : 1
            bounds.countAtStep(step, touched: weight, read: weight)
        }
    }

    /// Counts the samples of each window of a series.
    /// - Parameter isStored: whether they are of the storage, and so read: each for the first window that it is in.
    func countSteps(_ columns: ColumnScratch, _ references: References, rangeMs: Int64, isStored: Bool) {
        let samples = Samples(columns)
        let weight = columns.columns.hasHistograms ? columns.weight / max(1, columns.columns.count) : 1
        var (lower, upper) = (SampleCursor(), SampleCursor())
        var seen = 0
        for step in 0..<references.steps.count {
            let endMs = references.timestampMs(step)
            upper.advance(in: samples, through: endMs)
            lower.advance(in: samples, through: endMs &- rangeMs)
            let new = isStored ? max(0, upper.index - max(lower.index, seen)) : 0
            seen = max(seen, upper.index)
            if lower.index < upper.index {
                bounds.countAtStep(step, touched: (upper.index - lower.index) &* weight, read: new)
            }
        }
        withExtendedLifetime(columns) {}
    }
}
