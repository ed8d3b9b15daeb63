import ApusBytes
import ApusModel

/// Range functions over a series of which some samples are histograms.
///
/// `HistogramWindow` knows the functions of both kinds of samples; its windows of floats alone go to the kernel of floats.
/// All other functions pass over histograms, with an info where a window has both.
extension Evaluator {
    /// Fills the row, one window a step.
    ///
    /// - Parameter kernel: computes windows of floats.
    func mixedWindows(
        _ series: RangeSeries, _ function: FunctionName, range: NodeID, _ kernel: inout any WindowKernel, into row: Row
    ) throws(QueryError) {
        guard let scratch = series.mixed else { return }
        defer { withExtendedLifetime(scratch) {} }
        row.forgetHistograms()
        row.fill(Absent.value)
        let extent = extent(ofRange: range)
        if extent != .plain {
            return try extendedMixedWindows(series, scratch, function, extent, range: range, &kernel, into: row)
        }
        guard
            var histograms = HistogramWindow(
                function, rangeMs: series.rangeMs, usesStartTimestamps: options.useStartTimestamps)
        else { return try floatWindows(series, scratch, range: range, &kernel, into: row) }
        histograms.prepare(scratch)
        kernel.prepare(series.samples)
        var notes: WindowNotes = []
        let weight = scratch.weight / max(1, scratch.columns.count)
        try forEachWindow(of: series) { (step, window, endMs) throws(QueryError) in
            bounds.touch(window.count &* weight)
            try bounds.work(window.count &* weight)
            switch histograms.value(window, endMs: endMs, notes: &notes) {
            case .absent: return
            case .float(let value): row[step] = value
            case .histogram(let histogram): row.setHistogram(histogram, at: step)
            case .floats:
                row[step] = kernel.value(
                    Window(
                        samples: series.samples, range: window, rangeMs: series.rangeMs, endMs: endMs,
                        stepTimeMs: series.references.steps.timestampMs(step), step: step))
            }
        }
        annotate(notes, of: series.name.labels[LabelNames.name] ?? ByteString(), at: expression[range].range)
    }

    /// A function that knows floats only.
    private func floatWindows(
        _ series: RangeSeries, _ scratch: ColumnScratch, range: NodeID, _ kernel: inout any WindowKernel, into row: Row
    ) throws(QueryError) {
        let floats = ColumnScratch()
        scratch.copyFloats(into: floats)
        if floats.columns.count > 0 {
            _ = try kernel.fill(
                row, from: Samples(floats), at: series.references, rangeMs: series.rangeMs, poll: bounds)
        }
        withExtendedLifetime(floats) {}
        var samples = HistogramSamples()
        samples.prepare(scratch, findsResets: false, usesStartTimestamps: false)
        var hasMixed = false
        let weight = scratch.weight / max(1, scratch.columns.count)
        try forEachWindow(of: series) { (_, window, _) throws(QueryError) in
            bounds.touch(window.count &* weight)
            if !hasMixed, samples.content(of: window) == .mixed { hasMixed = true }
        }
        if hasMixed {
            annotations.informHistogramsIgnored(
                series.name.labels[LabelNames.name] ?? ByteString(), at: expression[range].range)
        }
    }

    /// Calls `body` for each step whose window has a sample.
    private func forEachWindow(
        of series: RangeSeries, _ body: (_ step: Int, _ window: Range<Int>, _ endMs: Int64) throws(QueryError) -> Void
    ) throws(QueryError) {
        var lower = SampleCursor()
        var upper = SampleCursor()
        for step in 0..<series.references.steps.count {
            let endMs = series.references.timestampMs(step)
            upper.advance(in: series.samples, through: endMs)
            lower.advance(in: series.samples, through: endMs &- series.rangeMs)
            if lower.index < upper.index { try body(step, lower.index..<upper.index, endMs) }
        }
    }

    func annotate(_ notes: WindowNotes, of metric: ByteString, at range: Range<Int>) {
        if notes.isEmpty { return }
        if notes.contains(.mixedFloats) { annotations.warnMixedTypes(metric, at: range) }
        if notes.contains(.mixedSchemas) { annotations.warnMixedSchemas(metric, at: range) }
        if notes.contains(.notCounter) { annotations.warnHistogramNoCounter(metric, at: range) }
        if notes.contains(.notGauge) { annotations.warnHistogramNoGauge(metric, at: range) }
        if notes.contains(.counterResetCollision) { annotations.warnResetCollision(.aggregation, at: range) }
        if notes.contains(.reconciledAddition) { annotations.informReconciledBounds(.addition, at: range) }
        if notes.contains(.reconciledSubtraction) { annotations.informReconciledBounds(.subtraction, at: range) }
        if notes.contains(.reconciledAggregation) { annotations.informReconciledBounds(.aggregation, at: range) }
        if notes.contains(.startTimeOverlap) { annotations.warnStartTimeOverlap(metric, at: range) }
    }
}
