/// The samples of one series in `(endMs − rangeMs, endMs]`: what a range function looks at for one step.
struct Window {
    let samples: Samples
    /// Never empty.
    let range: Range<Int>
    let rangeMs: Int64
    /// The end of the range: the step, shifted by the selector's offset or `@`.
    let endMs: Int64
    /// The step itself.
    let stepTimeMs: Int64
    /// The number of the step.
    let step: Int

    @inline(__always) var count: Int { range.upperBound &- range.lowerBound }
    @inline(__always) var startMs: Int64 { endMs &- rangeMs }
    @inline(__always) var first: Int { range.lowerBound }
    @inline(__always) var last: Int { range.upperBound &- 1 }
}

/// A range function over the windows of one series. One value is made for a call and used for all its series.
protocol WindowKernel: Sendable {
    /// Looks at all samples of a series before its windows are asked for.
    mutating func prepare(_ samples: Samples)

    /// The result for one window, or `Absent.value`.
    mutating func value(_ window: Window) -> Double

    /// Fills a row, one window a step. The default implementation calls `value` in a loop; it is a requirement so that
    /// the loop is compiled once for each kernel and dispatched once a series.
    /// - Returns: how many samples the windows held together.
    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
}

extension WindowKernel {
    mutating func prepare(_ samples: Samples) {}

    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
    {
        prepare(samples)
        return try fillEach(row, 0..<row.count, from: samples, at: references, rangeMs: rangeMs, poll: poll)
    }

    /// Fills some steps, one window after the other.
    /// - Parameter first: samples before this are in none of the windows.
    @inline(__always)
    mutating func fillEach(
        _ row: Row, _ steps: Range<Int>, from samples: Samples, first: Int = 0, at references: References, rangeMs: Int64,
        poll: QueryGuard
    ) throws(QueryError) -> Int {
        var lowerCursor = SampleCursor(index: first)
        var upperCursor = SampleCursor(index: first)
        var touched = 0
        var unpolled = 0
        for step in steps {
            let end = references.timestampMs(step)
            let start = end &- rangeMs
            upperCursor.advance(in: samples, through: end)
            lowerCursor.advance(in: samples, through: start)
            let (lower, upper) = (lowerCursor.index, upperCursor.index)
            if lower >= upper {
                row[step] = Absent.value
                continue
            }
            row[step] = value(
                Window(
                    samples: samples, range: lower..<upper, rangeMs: rangeMs, endMs: end,
                    stepTimeMs: references.steps.timestampMs(step), step: step))
            touched &+= upper &- lower
            if touched &- unpolled > 65_536 {
                unpolled = touched
                try poll.check()
            }
        }
        return touched
    }
}
