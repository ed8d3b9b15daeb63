/// `rate`, `increase` and `delta`: the change over a window, extrapolated to its ends.
///
/// Only the first and the last sample of a window are touched. The places where a counter fell are found once a series,
/// and what it had reached is added back in the order of time, which keeps the result bit-equal to a plain pass.
struct ExtrapolatedKernel: WindowKernel {
    let isCounter: Bool
    let isRate: Bool
    /// Indices of samples smaller than the one before.
    private var resets: [Int] = []
    private var last = Extrapolation()

    /// By how much a change is stretched, and what that follows from. Scrapes and steps are regular, so that one window
    /// after the other has the same: that saves six divisions, most of what a window costs.
    private struct Extrapolation {
        var toStartMs: Int64 = -1
        var toEndMs: Int64 = -1
        var sampledMs: Int64 = -1
        var count = 0
        var factor = 0.0
    }

    init(isCounter: Bool, isRate: Bool) {
        self.isCounter = isCounter
        self.isRate = isRate
    }

    mutating func prepare(_ samples: Samples) {
        guard isCounter else { return }
        resets.removeAll(keepingCapacity: true)
        samples.appendFalls(to: &resets)
    }

    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
    {
        prepare(samples)
        // With many resets nearly every window has one, and is a case of its own.
        guard resets.count <= row.count / 16,
            let windows = RegularWindows(samples, references, rangeMs: rangeMs, stepCount: row.count), windows.width > 2
        else { return try fillEach(row, 0..<row.count, from: samples, at: references, rangeMs: rangeMs, poll: poll) }
        let inside = windows.steps
        var touched = windows.width &* inside.count
        touched &+= try fillEach(row, 0..<inside.lowerBound, from: samples, at: references, rangeMs: rangeMs, poll: poll)
        fillRegular(row, windows, samples, references, rangeMs)
        touched &+= try fillEach(
            row, inside.upperBound..<row.count, from: samples, first: max(0, windows.lower(inside.upperBound - 1)), at: references,
            rangeMs: rangeMs, poll: poll)
        return touched
    }

    /// The steps whose windows lie within an evenly spaced series: they have the same number of samples, as far from their ends.
    private mutating func fillRegular(
        _ row: Row, _ windows: RegularWindows, _ samples: Samples, _ references: References, _ rangeMs: Int64
    ) {
        @inline(__always) func window(_ step: Int) -> Window {
            Window(
                samples: samples, range: windows.lower(step)..<windows.upper(step), rangeMs: rangeMs,
                endMs: references.timestampMs(step), stepTimeMs: references.steps.timestampMs(step), step: step)
        }
        let steps = windows.steps
        let sample = window(steps.lowerBound)
        let factor = factor(
            sample, samples.timestampMs(sample.first) &- sample.startMs, sample.endMs &- samples.timestampMs(sample.last),
            samples.timestampMs(sample.last) &- samples.timestampMs(sample.first), toZero: { _ in .infinity })
        precondition(
            windows.lower(steps.lowerBound) >= 0 && windows.upper(steps.upperBound - 1) <= samples.count && steps.upperBound <= row.count,
            "windows out of range")
        var first = windows.lower(steps.lowerBound)
        let span = windows.width &- 1
        var needsCare = false
        for step in steps {
            // SAFETY: all windows lie in the samples, and all steps in the row, checked above.
            let (firstValue, lastValue) = unsafe (samples.values[first], samples.values[first &+ span])
            let change = lastValue - firstValue
            unsafe row.base[step] = change * factor
            // A counter that gained more than it had may have been at zero shortly before.
            needsCare = needsCare || !(firstValue >= change)
            first &+= windows.stride
        }
        if !isCounter { return }
        if needsCare {
            for step in steps {
                let firstValue = samples.value(windows.lower(step))
                if !(firstValue >= samples.value(windows.upper(step) &- 1) - firstValue) { row[step] = value(window(step)) }
            }
        }
        for reset in resets {
            for step in windows.steps(around: reset) { row[step] = value(window(step)) }
        }
    }

    @inline(__always) mutating func value(_ window: Window) -> Double {
        guard window.count > 1 else { return Absent.value }
        let samples = window.samples
        let firstValue = samples.value(window.first)
        var change = samples.value(window.last) - firstValue
        if isCounter, !resets.isEmpty { change = corrected(change, window) }
        let firstMs = samples.timestampMs(window.first)
        let lastMs = samples.timestampMs(window.last)
        let toStartMs = firstMs &- window.startMs
        let toEndMs = window.endMs &- lastMs
        let sampledMs = lastMs &- firstMs
        // A counter that had more than it gained was not at zero shortly before: at least two intervals are sampled, and
        // a change is carried on by little more than one.
        if !isCounter || (firstValue >= change && window.count > 2) {
            if toStartMs != last.toStartMs || toEndMs != last.toEndMs || sampledMs != last.sampledMs
                || window.count != last.count
            {
                last = Extrapolation(
                    toStartMs: toStartMs, toEndMs: toEndMs, sampledMs: sampledMs, count: window.count,
                    factor: factor(window, toStartMs, toEndMs, sampledMs, toZero: { _ in .infinity }))
            }
            return change * last.factor
        }
        return change * factor(window, toStartMs, toEndMs, sampledMs) { sampled in
            change > 0 && firstValue >= 0 ? sampled * (firstValue / change) : .infinity
        }
    }

    /// - Parameter toZero: how long before its first sample a counter was at zero, at the pace of `sampled` seconds.
    @inline(__always) private func factor(
        _ window: Window, _ toStartMs: Int64, _ toEndMs: Int64, _ sampledMs: Int64, toZero: (Double) -> Double
    ) -> Double {
        var toStart = Double(toStartMs) / 1_000
        var toEnd = Double(toEndMs) / 1_000
        let sampled = Double(sampledMs) / 1_000
        let average = sampled / Double(window.count &- 1)

        // Samples that begin or end well inside the range: the series itself likely began or ended there, half an
        // interval away.
        let threshold = average * 1.1
        if toStart >= threshold { toStart = average / 2 }
        // A counter cannot be extrapolated below zero.
        let toZero = toZero(sampled)
        if toZero < toStart { toStart = toZero }
        if toEnd >= threshold { toEnd = average / 2 }

        let factor = (sampled + toStart + toEnd) / sampled
        return isRate ? factor / (Double(window.rangeMs) / 1_000) : factor
    }

    /// `change` with what was lost at each reset inside the window added.
    @inline(never) private func corrected(_ change: Double, _ window: Window) -> Double {
        // The first reset after the window's first sample.
        var (low, high) = (0, resets.count)
        while low < high {
            let middle = (low + high) / 2
            if resets[middle] <= window.first { low = middle + 1 } else { high = middle }
        }
        var result = change
        while low < resets.count, resets[low] <= window.last {
            result += window.samples.value(resets[low] - 1)
            low += 1
        }
        return result
    }
}

/// `irate` and `idelta`: from the last two samples.
struct InstantChangeKernel: WindowKernel {
    let isRate: Bool

    @inline(__always) func value(_ window: Window) -> Double {
        guard window.count > 1 else { return Absent.value }
        let last = window.samples.value(window.last)
        let previous = window.samples.value(window.last - 1)
        let elapsedMs = window.samples.timestampMs(window.last) &- window.samples.timestampMs(window.last - 1)
        if elapsedMs == 0 { return Absent.value }
        // After a reset a counter has grown by what it shows.
        if isRate { return (last < previous ? last : last - previous) / (Double(elapsedMs) / 1_000) }
        return last - previous
    }
}

/// `resets` and `changes`: how many neighbours are counted.
struct CountingKernel: WindowKernel {
    enum Event { case reset, change }
    let event: Event

    @inline(__always) func value(_ window: Window) -> Double {
        var count = 0
        var previous = window.samples.value(window.first)
        for index in window.range.dropFirst() {
            let current = window.samples.value(index)
            switch event {
            case .reset: if current < previous { count &+= 1 }
            case .change: if current != previous, !(current.isNaN && previous.isNaN) { count &+= 1 }
            }
            previous = current
        }
        return Double(count)
    }
}

/// `deriv` and `predict_linear`.
struct RegressionKernel: WindowKernel {
    /// Seconds after the step to predict for, or `nil` for the slope.
    let aheadSeconds: ScalarColumn?

    func value(_ window: Window) -> Double {
        guard window.count > 1 else { return Absent.value }
        guard let aheadSeconds else {
            let interceptMs = window.samples.timestampMs(window.first)
            return linearRegression(window.samples, window.range, interceptMs: interceptMs).slope
        }
        let line = linearRegression(window.samples, window.range, interceptMs: window.stepTimeMs)
        return line.slope * aheadSeconds[window.step] + line.intercept
    }
}

/// `double_exponential_smoothing`: Holt's linear trend.
struct SmoothingKernel: WindowKernel {
    let smoothing: ScalarColumn
    let trend: ScalarColumn

    func value(_ window: Window) -> Double {
        guard window.count > 1 else { return Absent.value }
        let samples = window.samples
        let (smoothing, trend) = (smoothing[window.step], trend[window.step])
        var before = 0.0
        var level = samples.value(window.first)
        var slope = samples.value(window.first + 1) - level
        for index in window.range.dropFirst() {
            if index > window.first + 1 { slope = trend * (level - before) + (1 - trend) * slope }
            let next = smoothing * samples.value(index) + (1 - smoothing) * (level + slope)
            before = level
            level = next
        }
        return level
    }
}
