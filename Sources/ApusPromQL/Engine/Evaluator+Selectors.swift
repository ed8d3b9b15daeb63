import ApusBytes
import ApusModel
import ApusStorage

extension Evaluator {
    /// The series of a selector.
    func select(
        _ selector: VectorSelector, minTimeMs: Int64, maxTimeMs: Int64, rangeMs: Int64, function: String, _ steps: Steps
    ) throws(QueryError) -> any SeriesSet {
        guard let querier else { throw .storage("the query has no storage to read from") }
        var hints = SelectHints(startMs: minTimeMs, endMs: maxTimeMs)
        hints.stepMs = steps.count > 1 ? steps.stepMs : 0
        hints.rangeMs = rangeMs
        hints.function = function
        hints.limit = limit
        do {
            let set = try querier.select(selector.matchers, hints: hints, sorted: false)
            countSelected(set.count)
            return set
        } catch { throw .storage(error.description) }
    }

    func decode(
        _ set: any SeriesSet, _ index: Int, _ minTimeMs: Int64, _ maxTimeMs: Int64, into scratch: ColumnScratch
    ) throws(QueryError) {
        try decodeSeries(set, index, minTimeMs, maxTimeMs, into: scratch, bounds)
    }

    /// `name{…}`: at each step the newest sample of each series.
    func instantSelector(
        _ id: NodeID, _ selector: VectorSelector, _ steps: Steps, wants column: SelectedColumn,
        among given: SelectedSeries? = nil, _ sink: RowSink
    ) throws(QueryError) {
        let isSmoothed = selector.extent == .smoothed && column == .value
        let placement = plan.placements[id.index]
        let references = References(steps: steps, atMs: placement.atMs, offsetMs: placement.offsetMs)
        let minTimeMs = QueryPlan.clamped(references.firstMs - lookbackMs + 1)
        let maxTimeMs = QueryPlan.clamped(references.lastMs + (isSmoothed ? lookbackMs : 0))
        let set: any SeriesSet
        if let given {
            set = given.set
        } else {
            set = try select(selector, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, rangeMs: 0, function: "", steps)
            tracer?.selected(id, set.count)
            if column == .value, !isSmoothed,
                let ahead = rowsAhead(
                    set, steps, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs,
                    { limits in
                        InstantJob(
                            set: set, needed: neededLabels[id], references: references, lookbackMs: lookbackMs,
                            minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, bounds: limits)
                    })
            {
                return try ahead.forEach { (index, outcome, row) throws(QueryError) in
                    if outcome.kind == .unusual {
                        let one = SelectedSeries(set: set, indices: index..<index + 1)
                        return try instantSelector(id, selector, steps, wants: column, among: one, sink)
                    }
                    try take(outcome, row, sink)
                }
            }
        }
        let names = SeriesNames(set, needed: neededLabels[id])
        let scratch = ColumnScratch()
        let cleaned = ColumnScratch()
        let row = RowArena(width: steps.count).makeRow()
        for index in given?.indices ?? 0..<set.count {
            try decode(set, index, minTimeMs, maxTimeMs, into: scratch)
            tracer?.decoded(id, scratch.columns)
            if scratch.columns.count == 0 { continue }
            if scratch.columns.hasHistograms, plan.readsTotals[id.index] { scratch.reduceToTotals() }
            let found: Int
            if scratch.columns.hasHistograms {
                found = selectMixed(
                    into: row, from: scratch, at: references, wants: column, isSmoothed: isSmoothed,
                    metric: set.labels(at: index)[LabelNames.name] ?? ByteString(), range: expression[id].range)
            } else {
                row.forgetHistograms()
                found = withExtendedLifetime(scratch) {
                    if isSmoothed {
                        Samples(scratch).copyWithoutMarkers(into: &cleaned.columns)
                        return selectSmoothed(into: row, from: Samples(cleaned), at: references, lookbackMs: lookbackMs)
                    }
                    let found = selectInstant(
                        into: row, from: Samples(scratch), at: references, lookbackMs: lookbackMs,
                        wantsTimestamps: column != .value)
                    if column == .startTimestamp { replaceTimes(row, byStartsOf: scratch.columns) }
                    return found
                }
            }
            if found == 0 { continue }
            bounds.touch(found)
            bounds.read(found)
            if bounds.steps != nil { countSteps(row) }
            try bounds.hold(found)
            // Whatever is said of a histogram names its metric.
            try sink(scratch.columns.hasHistograms ? RowLabels(labels: set.labels(at: index)) : names[index], row)
            bounds.release(found)
        }
    }

    /// Counts what came of a series and hands its row on.
    func take(_ outcome: SeriesOutcome, _ row: Row, _ sink: RowSink) throws(QueryError) {
        bounds.touch(outcome.touchedSamples)
        bounds.read(outcome.readSamples)
        try bounds.work(row.count)
        try bounds.hold(outcome.heldSamples)
        if outcome.kind == .row { try sink(outcome.name, row) }
        bounds.release(outcome.heldSamples)
    }

    /// One series of a range vector, with what is needed to cut its windows.
    struct RangeSeries {
        let name: RowLabels
        /// Of a histogram its sum; `mixed` has the rest.
        let samples: Samples
        /// The columns behind `samples` when some samples are histograms, else nil.
        let mixed: ColumnScratch?
        let references: References
        let rangeMs: Int64
        /// Start timestamps of the samples; empty where none has one, or none is asked for.
        var starts: [Int64] = []
    }

    /// What `forEachRangeSeries` does, untold: call that.
    func evaluateRange(
        _ id: NodeID, _ steps: Steps, function: String, among given: SelectedSeries? = nil,
        _ body: (RangeSeries) throws(QueryError) -> Void
    ) throws(QueryError) {
        let id = expression.unwrapped(id)
        let placement = plan.placements[id.index]
        let references = References(steps: steps, atMs: placement.atMs, offsetMs: placement.offsetMs)
        let reach = extent(ofRange: id).reach(lookbackMs: lookbackMs)
        let minTimeMs = QueryPlan.clamped(references.firstMs - placement.rangeMs - reach.beforeMs + 1)
        let maxTimeMs = QueryPlan.clamped(references.lastMs + reach.afterMs)
        let scratch = ColumnScratch()
        var isSubquery = false
        if case .subquery = expression[id].kind { isSubquery = true }
        let isWholeSubquery = bounds.scope.isWholeSubquery
        func pass(_ name: RowLabels, _ columns: ColumnScratch, starts: [Int64] = []) throws(QueryError) {
            if columns.columns.count == 0 { return }
            let isMixed = columns.columns.hasHistograms
            let held = isMixed ? columns.weight : columns.columns.count
            try bounds.hold(held)
            defer { withExtendedLifetime(columns) {} }
            if bounds.steps != nil, !isWholeSubquery {
                countSteps(columns, references, rangeMs: placement.rangeMs, isStored: !isSubquery)
            }
            try body(
                RangeSeries(
                    name: name, samples: Samples(columns), mixed: isMixed ? columns : nil, references: references,
                    rangeMs: placement.rangeMs, starts: starts))
            bounds.release(held)
        }
        switch expression[id].kind {
        case .matrixSelector(let matrix):
            guard case .vectorSelector(let selector) = expression[matrix.selector].kind else { return }
            let set: any SeriesSet
            if let given {
                set = given.set
            } else {
                set = try select(
                    selector, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, rangeMs: placement.rangeMs, function: function, steps)
                tracer?.selected(id, set.count)
            }
            let names = SeriesNames(set, needed: neededLabels[matrix.selector])
            let cleaned = ColumnScratch()
            for index in given?.indices ?? 0..<set.count {
                try decode(set, index, minTimeMs, maxTimeMs, into: scratch)
                tracer?.decoded(id, scratch.columns)
                if scratch.columns.hasHistograms, plan.readsTotals[matrix.selector.index] { scratch.reduceToTotals() }
                let name = names[index]
                let samples = Samples(scratch)
                var given = scratch
                if samples.hasMarkers {
                    if scratch.columns.hasHistograms {
                        scratch.copyMixedWithoutMarkers(into: cleaned)
                    } else {
                        samples.copyWithoutMarkers(into: &cleaned.columns)
                    }
                    given = cleaned
                }
                bounds.read(references.coveredCount(of: given.columns, rangeMs: placement.rangeMs))
                let starts = options.useStartTimestamps ? StartTimestamps.collect(scratch.columns) : []
                try pass(name, given, starts: starts)
            }
        case .subquery(let subquery):
            let inner = try innerSteps(placement, references)
            if inner.count == 0 { return }
            let scope = bounds.scope.subquery(inner, references, keepsSteps: bounds.steps != nil)
            bounds.scope.isWholeSubquery = false
            try vector(subquery.expression, inner, counting: scope) { (name, row) throws(QueryError) in
                scratch.columns.removeAll()
                if row.mayHoldHistograms {
                    scratch.collect(row, inner)
                } else {
                    for step in 0..<row.count where !row[step].isAbsent {
                        scratch.columns.append(timestampMs: inner.timestampMs(step), value: row[step])
                    }
                }
                try pass(name, scratch)
            }
        default: throw .execution("unexpected \(expression[id].type.documentedName) where a range vector is needed")
        }
    }

    /// The steps of a subquery: absolute multiples of its step, so that they do not move with the query.
    private func innerSteps(_ placement: QueryPlan.Placement, _ references: References) throws(QueryError) -> Steps {
        let step = placement.stepMs
        let after = QueryPlan.clamped(references.firstMs - placement.rangeMs)
        let last = QueryPlan.clamped(references.lastMs)
        var first = after / step * step
        if first <= after { first += step }
        if first > last { return Steps(startMs: first, stepMs: step, count: 0) }
        let count = (last - first) / step + 1
        guard count <= Int64(options.maxSamples) else { throw .tooManySamples }
        return Steps(startMs: first, stepMs: step, count: Int(count))
    }
}

extension References {
    /// How many samples, all between the first window's start and the last one's end, are in a window.
    func coveredCount(of columns: borrowing SampleColumns, rangeMs: Int64) -> Int {
        let (stepMs, first) = (atMs == nil && steps.count > 1 ? steps.stepMs : 0, firstMs)
        // Windows that touch or overlap leave nothing out.
        if stepMs <= rangeMs { return columns.count }
        var result = 0
        for index in 0..<columns.count {
            let into = (columns.timestampMs(at: index) - first) % stepMs
            let untilReference = into > 0 ? stepMs - into : -into
            if untilReference < rangeMs { result += 1 }
        }
        return result
    }
}

/// Puts for each sample, of which `row` has the time in seconds, when its counting began.
func replaceTimes(_ row: Row, byStartsOf columns: borrowing SampleColumns) {
    var index = 0
    for step in 0..<row.count where !row[step].isAbsent {
        while index < columns.count, Double(columns.timestampMs(at: index)) / 1_000 < row[step] { index += 1 }
        row[step] = Double(columns.startTimestampMs(at: index)) / 1_000
    }
}
