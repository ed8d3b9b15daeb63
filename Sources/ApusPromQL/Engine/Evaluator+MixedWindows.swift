import ApusBytes
import ApusModel

/// Range functions over a series of which some samples are histograms.
///
/// A window with floats alone goes to the kernel of floats. The rest depends on the function: most functions of floats pass
/// over histograms, with an info where a window has both; those of both kinds need windows of one kind.
extension Evaluator {
    /// Fills the row, one window a step.
    ///
    /// - Parameter kernel: computes windows of floats.
    func mixedWindows(
        _ series: RangeSeries, _ call: Call, range: NodeID, _ kernel: inout any WindowKernel, into row: Row
    ) throws(QueryError) {
        guard let scratch = series.mixed else { return }
        let mixed = MixedSeries(scratch)
        defer { withExtendedLifetime(scratch) {} }
        row.forgetHistograms()
        row.fill(Absent.value)
        let windows = MixedWindows(
            series: series, mixed: mixed, metric: series.name.labels[LabelNames.name] ?? ByteString(),
            range: expression[range].range, annotations: annotations, bounds: bounds)
        let extent = extent(ofRange: range)
        if extent != .plain {
            return try extendedMixedWindows(windows, call.function.name, extent, into: row)
        }
        switch call.function.name {
        case .countOverTime, .presentOverTime, .absentOverTime, .tsOfFirstOverTime, .tsOfLastOverTime:
            // Whatever a sample is, it is one, and has a time.
            _ = try kernel.fill(
                row, from: series.samples, at: series.references, rangeMs: series.rangeMs, poll: bounds)
            try windows.each { (_, _, _) in }
        case .firstOverTime, .lastOverTime:
            let isLast = call.function.name == .lastOverTime
            try windows.each { (step, window, _) in windows.copy(isLast ? window.upperBound - 1 : window.lowerBound, to: row, step) }
        case .resets: try windows.count(into: row) { windows.isReset($0, $1) }
        case .changes: try windows.count(into: row) { windows.isChange($0, $1) }
        case .irate, .idelta:
            let isRate = call.function.name == .irate
            kernel.prepare(series.samples)
            try windows.each { (step, window, endMs) in
                guard window.count > 1 else { return }
                switch mixed.histogramCount(window.upperBound - 2..<window.upperBound) {
                case 0: row[step] = kernel.value(windows.window(step, window, endMs))
                case 1: windows.annotations.warnMixedTypes(windows.metric, at: windows.range)
                default: windows.instantChange(window, isRate: isRate, to: row, step)
                }
            }
        case .rate, .increase, .delta, .sumOverTime, .avgOverTime:
            let name = call.function.name
            kernel.prepare(series.samples)
            try windows.each { (step, window, endMs) in
                let histograms = mixed.histogramCount(window)
                if histograms == 0 {
                    row[step] = kernel.value(windows.window(step, window, endMs))
                } else if histograms < window.count {
                    windows.annotations.warnMixedTypes(windows.metric, at: windows.range)
                } else if name == .sumOverTime || name == .avgOverTime {
                    windows.total(window, isMean: name == .avgOverTime, to: row, step)
                } else {
                    windows.change(window, name, endMs: endMs, to: row, step)
                }
            }
        default:
            let floats = mixed.floats()
            if floats.columns.count > 0 {
                _ = try kernel.fill(
                    row, from: Samples(floats), at: series.references, rangeMs: series.rangeMs, poll: bounds)
            }
            withExtendedLifetime(floats) {}
            try windows.each { (_, window, _) in
                let histograms = mixed.histogramCount(window)
                if histograms > 0, histograms < window.count {
                    windows.annotations.informHistogramsIgnored(windows.metric, at: windows.range)
                }
            }
        }
    }
}

/// The windows of one series with histograms, and what is asked of them.
struct MixedWindows {
    let series: Evaluator.RangeSeries
    let mixed: MixedSeries
    let metric: ByteString
    /// Of the range selector in the query, for annotations.
    let range: Range<Int>
    let annotations: Annotations
    let bounds: QueryGuard

    /// Calls `body` for each step whose window has a sample, and counts what it looks at.
    func each(_ body: (_ step: Int, _ window: Range<Int>, _ endMs: Int64) -> Void) throws(QueryError) {
        var lower = SampleCursor()
        var upper = SampleCursor()
        for step in 0..<series.references.steps.count {
            let endMs = series.references.timestampMs(step)
            upper.advance(in: mixed.samples, through: endMs)
            lower.advance(in: mixed.samples, through: endMs &- series.rangeMs)
            if lower.index >= upper.index { continue }
            let window = lower.index..<upper.index
            let weight = mixed.weight(window)
            bounds.touch(weight)
            try bounds.work(weight)
            body(step, window, endMs)
        }
    }

    /// As the kernels of floats are given it.
    func window(_ step: Int, _ window: Range<Int>, _ endMs: Int64) -> Window {
        Window(
            samples: mixed.samples, range: window, rangeMs: series.rangeMs, endMs: endMs,
            stepTimeMs: series.references.steps.timestampMs(step), step: step)
    }

    func copy(_ index: Int, to row: Row, _ step: Int) {
        if let histogram = mixed.histogram(index) {
            row.setHistogram(histogram, at: step)
        } else {
            row[step] = mixed.samples.value(index)
        }
    }

    // MARK: Neighbours

    /// Counts what happens between the samples of each window.
    func count(into row: Row, _ isEvent: (_ previous: Int, _ current: Int) -> Bool) throws(QueryError) {
        let events = mixed.countEvents(isEvent)
        try each { (step, window, _) in row[step] = Double(events[window.upperBound - 1] - events[window.lowerBound]) }
    }

    func isReset(_ previous: Int, _ current: Int) -> Bool {
        switch (mixed.histogram(previous), mixed.histogram(current)) {
        case (nil, nil): mixed.samples.value(current) < mixed.samples.value(previous)
        case (let before?, let now?): now.detectsReset(after: before)
        default: true
        }
    }

    func isChange(_ previous: Int, _ current: Int) -> Bool {
        switch (mixed.histogram(previous), mixed.histogram(current)) {
        case (nil, nil):
            let (before, now) = (mixed.samples.value(previous), mixed.samples.value(current))
            return before != now && !(before.isNaN && now.isNaN)
        case (let before?, let now?): return before != now
        default: return true
        }
    }

    // MARK: Windows of histograms

    /// `sum_over_time` and `avg_over_time`
    func total(_ window: Range<Int>, isMean: Bool, to row: Row, _ step: Int) {
        guard let first = mixed.histogram(window.lowerBound) else { return }
        do {
            let result: FloatHistogram
            let notes: HistogramNotes
            if isMean {
                var mean = HistogramMean(first: first)
                for index in window.dropFirst() { if let next = mixed.histogram(index) { try mean.add(next) } }
                (result, notes) = (mean.mean, mean.notes)
            } else {
                var sum = HistogramSum(first: first)
                for index in window.dropFirst() { if let next = mixed.histogram(index) { try sum.add(next) } }
                (result, notes) = (sum.total, sum.notes)
            }
            annotations.note(notes, .aggregation, at: range)
            row.setHistogram(result.compacted(), at: step)
        } catch {
            annotations.warnMixedSchemas(metric, at: range)
        }
    }
}
