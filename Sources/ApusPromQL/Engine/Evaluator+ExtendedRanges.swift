import ApusModel

/// Selectors that look outside of their range, and samples that say when their counting began.
extension Evaluator {
    /// What a range selector does at its ends; `plain` for a subquery.
    func extent(ofRange id: NodeID) -> RangeExtent {
        guard case .matrixSelector(let matrix) = expression[expression.unwrapped(id)].kind,
            case .vectorSelector(let selector) = expression[matrix.selector].kind
        else { return .plain }
        return selector.extent
    }

    /// The kernel that computes `function` over an `anchored` or `smoothed` range; `nil` for a plain one.
    func extendedKernel(_ function: FunctionName, over range: NodeID) throws(QueryError) -> (any WindowKernel)? {
        let extent = extent(ofRange: range)
        if extent == .plain { return nil }
        guard extent.functions.contains(function) else {
            let allowed = extent.functions.map(\.rawValue).joined(separator: ", ")
            throw .execution("\(extent.rawValue) modifier can only be used with: \(allowed) - not with \(function.rawValue)")
        }
        switch function {
        case .resets: return AnchoredCountingKernel(counting: CountingKernel(event: .reset), lookbackMs: lookbackMs)
        case .changes: return AnchoredCountingKernel(counting: CountingKernel(event: .change), lookbackMs: lookbackMs)
        default:
            return ExtendedChangeKernel(
                isCounter: function != .delta, isRate: function == .rate, extent: extent, lookbackMs: lookbackMs)
        }
    }

    /// Computes a function that heeds start timestamps over the windows of a series that has some.
    func fillByStarts(
        _ kernel: StartAwareKernel, _ row: Row, _ series: RangeSeries, _ range: NodeID
    ) throws(QueryError) -> Int {
        var kernel = kernel
        kernel.starts = series.starts
        let touched = try kernel.fill(
            row, from: series.samples, at: series.references, rangeMs: series.rangeMs, poll: bounds)
        if kernel.foundOverlap {
            let name = series.name.labels[LabelNames.name] ?? ""
            annotations.warnStartTimeOverlap(name, at: expression[range].range)
        }
        return touched
    }

    /// The samples of an `anchored` or `smoothed` range as an instant query shows them: one at each end, and those between.
    func extendedPoints(_ series: RangeSeries, _ extent: RangeExtent) -> [(timestampMs: Int64, value: Double)] {
        var cursors = ExtendedCursors()
        guard
            let window = ExtendedWindow(
                series.samples, endMs: series.references.firstMs, rangeMs: series.rangeMs, extent: extent,
                lookbackMs: lookbackMs, &cursors)
        else { return [] }
        let isSmoothed = extent == .smoothed
        var result = [(window.startMs, window.left(series.samples, isSmoothed: isSmoothed, isCounter: false))]
        for index in window.inner(series.samples) {
            result.append((series.samples.timestampMs(index), series.samples.value(index)))
        }
        result.append((window.endMs, window.right(series.samples, isSmoothed: isSmoothed, isCounter: false)))
        return result
    }

    /// `start_timestamp(v)`: when the counting began that each sample counts from; nothing where `v` is no selector.
    func startTimestamp(_ operand: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let inner = expression.unwrapped(operand)
        guard case .vectorSelector(let selector) = expression[inner].kind else { return }
        let merged = mergedRows(unless: plan.isDistinctWithoutName[inner.index], steps)
        try instantSelector(inner, selector, steps, wants: .startTimestamp) { (name, row) throws(QueryError) in
            try pass(dropName(name), row, merged, sink)
        }
        try merged?.table.forEach(sink)
    }
}

/// What the row of an instant selector holds of each sample.
enum SelectedColumn {
    case value
    /// When it was taken, in seconds.
    case timestamp
    /// When its counting began, in seconds; 0 where nobody said.
    case startTimestamp
}
