import ApusModel

/// What `anchored` and `smoothed` mean, in one place.
///
///     plain       ( start · · · end ]                    the samples inside, extrapolated to the ends
///     anchored  ◦─( start · · · end ]                    the newest sample before the start stands for the start
///     smoothed  ◦─( start · · · end ]─◦                  both ends are on the straight line between their neighbours
///
/// A neighbour counts when it is within the lookback delta of its end. Nothing is extrapolated.
extension RangeExtent {
    /// How far outside of its range a selector looks, in ms.
    func reach(lookbackMs: Int64) -> (beforeMs: Int64, afterMs: Int64) {
        switch self {
        case .plain: (0, 0)
        case .anchored: (lookbackMs, 0)
        case .smoothed: (lookbackMs, lookbackMs)
        }
    }

    /// The functions that understand ranges with samples outside of them, in the order that errors list them.
    var functions: [FunctionName] {
        switch self {
        case .plain: []
        case .anchored: [.changes, .delta, .increase, .rate, .resets]
        case .smoothed: [.delta, .increase, .rate]
        }
    }
}

/// The value at a moment on the line between two samples. A counter that fell in between began anew, at zero.
func interpolate(
    from startMs: Int64, _ start: Double, to endMs: Int64, _ end: Double, at timestampMs: Int64, isCounter: Bool
) -> Double {
    let start = isCounter && end < start ? 0 : start
    return start + (end - start) * Double(timestampMs - startMs) / Double(endMs - startMs)
}

/// A range with the neighbours that its selector takes in, as indices of samples: `neighbours` holds all that may be
/// looked at; `first` and `last` stand for the two ends.
struct ExtendedWindow {
    let neighbours: Range<Int>
    let first: Int
    let last: Int
    let startMs: Int64
    let endMs: Int64

    /// - Returns: `nil` when no sample tells anything of this range.
    init?(
        _ samples: Samples, endMs: Int64, rangeMs: Int64, extent: RangeExtent, lookbackMs: Int64,
        _ cursors: inout ExtendedCursors
    ) {
        let startMs = endMs &- rangeMs
        let reach = extent.reach(lookbackMs: lookbackMs)
        cursors.lower.advance(in: samples, through: startMs &- reach.beforeMs)
        cursors.start.advance(in: samples, through: startMs)
        cursors.end.advance(in: samples, through: endMs &- 1)
        cursors.upper.advance(in: samples, through: endMs &+ reach.afterMs)
        let (lower, upper) = (cursors.lower.index, cursors.upper.index)
        guard lower < upper else { return nil }
        let first = cursors.start.index > lower ? cursors.start.index - 1 : lower
        let last = extent == .smoothed ? min(cursors.end.index, upper - 1) : upper - 1
        guard samples.timestampMs(last) > startMs, samples.timestampMs(first) <= endMs else { return nil }
        neighbours = lower..<upper
        self.first = first
        self.last = last
        self.startMs = startMs
        self.endMs = endMs
    }

    /// The value at the start of the range.
    func left(_ samples: Samples, isSmoothed: Bool, isCounter: Bool) -> Double {
        guard isSmoothed, samples.timestampMs(first) < startMs, first < last else { return samples.value(first) }
        return interpolate(
            from: samples.timestampMs(first), samples.value(first), to: samples.timestampMs(first + 1),
            samples.value(first + 1), at: startMs, isCounter: isCounter)
    }

    /// The value at the end of the range.
    func right(_ samples: Samples, isSmoothed: Bool, isCounter: Bool) -> Double {
        guard isSmoothed, last > neighbours.lowerBound, samples.timestampMs(last) > endMs else { return samples.value(last) }
        return interpolate(
            from: samples.timestampMs(last - 1), samples.value(last - 1), to: samples.timestampMs(last), samples.value(last),
            at: endMs, isCounter: isCounter)
    }

    /// The samples strictly between the two ends.
    func inner(_ samples: Samples) -> Range<Int> {
        let lower = samples.timestampMs(first) <= startMs ? first + 1 : first
        let upper = samples.timestampMs(last) >= endMs ? last : last + 1
        return lower..<max(lower, upper)
    }
}

/// Where the ends of extended windows were for the step before.
struct ExtendedCursors {
    var lower = SampleCursor()
    var start = SampleCursor()
    var end = SampleCursor()
    var upper = SampleCursor()
}

/// `rate`, `increase` and `delta` of an `anchored` or `smoothed` range: the change from one end to the other, without
/// extrapolation.
struct ExtendedChangeKernel: WindowKernel {
    let isCounter: Bool
    let isRate: Bool
    let extent: RangeExtent
    let lookbackMs: Int64

    mutating func value(_ window: Window) -> Double { Absent.value }

    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
    {
        var cursors = ExtendedCursors()
        var touched = 0
        for step in 0..<row.count {
            row[step] = Absent.value
            guard
                let window = ExtendedWindow(
                    samples, endMs: references.timestampMs(step), rangeMs: rangeMs, extent: extent, lookbackMs: lookbackMs,
                    &cursors)
            else { continue }
            row[step] = change(window, samples, rangeMs)
            let before = touched
            touched &+= window.neighbours.count
            if before >> 16 != touched >> 16 { try poll.check() }
        }
        return touched
    }

    private func change(_ window: ExtendedWindow, _ samples: Samples, _ rangeMs: Int64) -> Double {
        let isSmoothed = extent == .smoothed
        let left = window.left(samples, isSmoothed: isSmoothed, isCounter: isCounter)
        let right = window.right(samples, isSmoothed: isSmoothed, isCounter: isCounter)
        var result = right - left
        if isCounter {
            // What a counter had reached is added back at each fall; those at the ends are in `left` and `right` already.
            var (lost, previous) = (0.0, left)
            for index in window.inner(samples) {
                let value = samples.value(index)
                if value < previous { lost += previous }
                previous = value
            }
            if right < previous { lost += previous }
            result += lost
        }
        return isRate ? result / (Double(rangeMs) / 1_000) : result
    }
}

/// `changes` and `resets` of an `anchored` range: its samples and the newest one before them.
struct AnchoredCountingKernel: WindowKernel {
    let counting: CountingKernel
    let lookbackMs: Int64

    mutating func value(_ window: Window) -> Double { counting.value(window) }

    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
    {
        var cursors = ExtendedCursors()
        var touched = 0
        for step in 0..<row.count {
            row[step] = Absent.value
            guard
                let window = ExtendedWindow(
                    samples, endMs: references.timestampMs(step), rangeMs: rangeMs, extent: .anchored, lookbackMs: lookbackMs,
                    &cursors)
            else { continue }
            row[step] = counting.value(
                Window(
                    samples: samples, range: window.first..<window.last + 1, rangeMs: rangeMs, endMs: window.endMs,
                    stepTimeMs: references.steps.timestampMs(step), step: step))
            let before = touched
            touched &+= window.neighbours.count
            if before >> 16 != touched >> 16 { try poll.check() }
        }
        return touched
    }
}

/// `name smoothed`: for each step the value on the line between the two samples around it, or the newest sample where
/// none follows.
///
/// - Parameter samples: without staleness markers.
/// - Returns: how many steps have a value.
func selectSmoothed(into row: Row, from samples: Samples, at references: References, lookbackMs: Int64) -> Int {
    var found = 0
    var cursors = ExtendedCursors()
    for step in 0..<row.count {
        row[step] = Absent.value
        let reference = references.timestampMs(step)
        cursors.lower.advance(in: samples, through: reference &- lookbackMs)
        cursors.start.advance(in: samples, through: reference)
        cursors.upper.advance(in: samples, through: reference &+ lookbackMs)
        let next = cursors.start.index
        guard next > cursors.lower.index else { continue }
        found &+= 1
        let previousMs = samples.timestampMs(next - 1)
        if previousMs == reference || next >= cursors.upper.index {
            row[step] = samples.value(next - 1)
        } else {
            row[step] = interpolate(
                from: previousMs, samples.value(next - 1), to: samples.timestampMs(next), samples.value(next), at: reference,
                isCounter: false)
        }
    }
    return found
}
