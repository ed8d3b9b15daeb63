/// A kernel that computes windows of the same number of samples side by side, one a lane.
///
///     window 0   v₀ v₁ v₂ v₃ …          lanes are windows, not samples: each sum is made in the order of
///     window 1      v₁ v₂ v₃ v₄ …       its own samples, so that it is the same to the bit as alone
///
/// Compensated sums are chains of dependent additions: four at a time take hardly longer than one.
protocol LaneKernel: WindowKernel {
    /// The results of four windows of `count` samples, of which the first begin at `starts`; `nil` when they are to be computed
    /// one by one.
    func lanes(_ samples: Samples, starts: SIMD4<Int>, count: Int) -> SIMD4<Double>?
}

extension LaneKernel {
    mutating func fill(_ row: Row, from samples: Samples, at references: References, rangeMs: Int64, poll: QueryGuard)
        throws(QueryError) -> Int
    {
        prepare(samples)
        var lowerCursor = SampleCursor()
        var upperCursor = SampleCursor()
        var touched = 0
        var unpolled = 0
        // Windows that wait for company, all of `width` samples.
        var starts = SIMD4<Int>()
        var steps = SIMD4<Int>()
        var (waiting, width) = (0, 0)
        func one(_ position: Int) {
            let (lower, step) = (starts[position], steps[position])
            row[step] = value(
                Window(
                    samples: samples, range: lower..<lower &+ width, rangeMs: rangeMs, endMs: references.timestampMs(step),
                    stepTimeMs: references.steps.timestampMs(step), step: step))
        }
        for step in 0..<row.count {
            let end = references.timestampMs(step)
            upperCursor.advance(in: samples, through: end)
            lowerCursor.advance(in: samples, through: end &- rangeMs)
            let (lower, upper) = (lowerCursor.index, upperCursor.index)
            if lower >= upper {
                row[step] = Absent.value
                continue
            }
            if waiting > 0, upper &- lower != width {
                for position in 0..<waiting { one(position) }
                waiting = 0
            }
            width = upper &- lower
            starts[waiting] = lower
            steps[waiting] = step
            waiting += 1
            touched &+= width
            if waiting == 4 {
                if let results = lanes(samples, starts: starts, count: width) {
                    for position in 0..<4 { row[steps[position]] = results[position] }
                } else {
                    for position in 0..<4 { one(position) }
                }
                waiting = 0
            }
            if touched &- unpolled > 65_536 {
                unpolled = touched
                try poll.check()
            }
        }
        for position in 0..<waiting { one(position) }
        return touched
    }
}

/// Four sums with compensation, to the bit as those of `CompensatedSum`; of no use once one is not finite.
///
/// Neumaier asks which of two numbers is larger to find what their sum lost. Knuth's way does not ask, which in lanes is half
/// the work, and gives the same: what a sum of two doubles loses is a double itself, so that both find exactly that. But what
/// it finds comes two operations later, which counts where the next term waits for it: then Neumaier's is faster.
/// Source: Knuth, "The Art of Computer Programming", volume 2, §4.2.2, theorem B.
struct LaneSums {
    var value: SIMD4<Double>
    var compensation = SIMD4<Double>()

    @inline(__always) mutating func add(_ term: SIMD4<Double>) {
        let total = value + term
        let taken = total - value
        compensation += (value - (total - taken)) + (term - taken)
        value = total
    }

    /// The same, for a term that follows from the sum before.
    @inline(__always) mutating func addAwaited(_ term: SIMD4<Double>) {
        let total = value + term
        let isLarger = Self.magnitude(value) .>= Self.magnitude(term)
        let larger = term.replacing(with: value, where: isLarger)
        let smaller = value.replacing(with: term, where: isLarger)
        compensation += (larger - total) + smaller
        value = total
    }

    @inline(__always) private static func magnitude(_ values: SIMD4<Double>) -> SIMD4<Double> {
        let bits = unsafe unsafeBitCast(values, to: SIMD4<UInt64>.self) & SIMD4(repeating: 0x7FFF_FFFF_FFFF_FFFF)
        return unsafe unsafeBitCast(bits, to: SIMD4<Double>.self)
    }

    /// Infinity that was passed through leaves its trace: it stays, or becomes NaN. `taken` alone may overflow beside a sum
    /// that does not, and then the compensation shows it.
    @inline(__always) var isFinite: Bool {
        let zeros = (value - value) + (compensation - compensation)
        return all(zeros .== SIMD4<Double>())
    }
}

extension Samples {
    /// The sums of four windows of `count` samples, at least one.
    @inline(__always) func laneSums(starts: SIMD4<Int>, count width: Int, fromFirst: Bool) -> LaneSums {
        for lane in 0..<4 { precondition(starts[lane] >= 0 && starts[lane] <= count &- width, "window out of range") }
        let (a, b, c, d) = (starts[0], starts[1], starts[2], starts[3])
        // SAFETY: all windows lie in the samples, checked above.
        @inline(__always) func term(_ index: Int) -> SIMD4<Double> {
            unsafe SIMD4(values[a &+ index], values[b &+ index], values[c &+ index], values[d &+ index])
        }
        var sums = LaneSums(value: fromFirst ? term(0) : SIMD4())
        var index = fromFirst ? 1 : 0
        while index < width {
            sums.add(term(index))
            index &+= 1
        }
        return sums
    }

    /// The means and sums of squares of four windows of `count` samples, by Welford's method.
    @inline(__always) func laneVariances(starts: SIMD4<Int>, count width: Int) -> (means: LaneSums, squares: LaneSums) {
        for lane in 0..<4 { precondition(starts[lane] >= 0 && starts[lane] <= count &- width, "window out of range") }
        let (a, b, c, d) = (starts[0], starts[1], starts[2], starts[3])
        var means = LaneSums(value: SIMD4())
        var squares = LaneSums(value: SIMD4())
        for index in 0..<width {
            // SAFETY: all windows lie in the samples, checked above.
            let values = unsafe SIMD4(values[a &+ index], values[b &+ index], values[c &+ index], values[d &+ index])
            let delta = values - (means.value + means.compensation)
            means.addAwaited(delta / SIMD4(repeating: Double(index &+ 1)))
            squares.addAwaited(delta * (values - (means.value + means.compensation)))
        }
        return (means, squares)
    }
}
