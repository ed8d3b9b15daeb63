/// The windows of a series whose samples are evenly spaced, by steps that are a multiple of that: then all windows that lie
/// within the series hold the same number of samples, and each begins the same number of samples after the one before.
///
///     samples   │ │ │ │ │ │ │ │ │ │ │ │       every `interval`
///     windows     [. . . .)
///                     [. . . .)               `stride` samples apart
///
/// Scrapes are like that: timestamps are set to the interval when they are a little off.
struct RegularWindows {
    /// Of the window of step 0, before it is cut off at the ends of the series.
    private let firstLower: Int
    private let firstUpper: Int
    let stride: Int
    /// The steps whose windows lie within the series.
    let steps: Range<Int>

    var width: Int { firstUpper - firstLower }
    @inline(__always) func lower(_ step: Int) -> Int { firstLower &+ step &* stride }
    @inline(__always) func upper(_ step: Int) -> Int { firstUpper &+ step &* stride }

    /// The steps whose windows hold sample `index` behind their first.
    func steps(around index: Int) -> Range<Int> {
        let first = max(steps.lowerBound, Self.ceiling(index + 1 - firstUpper, stride))
        let end = min(steps.upperBound, Self.ceiling(index - firstLower, stride))
        return first..<max(first, end)
    }

    private static let minimumSteps = 8
    /// Times and counts beyond these are not worth a thought; within, nothing overflows.
    private static let timeLimitMs: Int64 = 1 << 61

    init?(_ samples: Samples, _ references: References, rangeMs: Int64, stepCount: Int) {
        guard references.atMs == nil, stepCount >= Self.minimumSteps, samples.count >= 4 else { return nil }
        let first = samples.timestampMs(0)
        let intervalMs = samples.timestampMs(1) &- first
        let stepMs = references.steps.stepMs
        guard intervalMs > 0, intervalMs < 1 << 40, stepMs > 0, stepMs < 1 << 40, stepMs % intervalMs == 0, rangeMs >= 0,
            rangeMs < Self.timeLimitMs, first.magnitude < UInt64(Self.timeLimitMs), samples.count < 1 << 32, stepCount < 1 << 32,
            samples.timestampMs(samples.count - 1) == first &+ Int64(samples.count - 1) &* intervalMs,
            samples.areEvenlySpaced(intervalMs)
        else { return nil }
        let reference = references.timestampMs(0)
        guard reference.magnitude < UInt64(Self.timeLimitMs) else { return nil }
        firstUpper = Int(Self.floor(reference - first, intervalMs)) + 1
        firstLower = Int(Self.floor(reference - rangeMs - first, intervalMs)) + 1
        stride = Int(stepMs / intervalMs)
        let begin = max(0, Self.ceiling(-firstLower, stride))
        let end = firstUpper > samples.count ? 0 : min(stepCount, (samples.count - firstUpper) / stride + 1)
        guard end - begin >= Self.minimumSteps else { return nil }
        steps = begin..<end
    }

    private static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }
    private static func ceiling(_ value: Int, _ divisor: Int) -> Int {
        let quotient = value / divisor
        return value % divisor > 0 ? quotient + 1 : quotient
    }
}

extension Samples {
    /// Whether each sample is `intervalMs` after the one before.
    fileprivate func areEvenlySpaced(_ intervalMs: Int64) -> Bool {
        // Differences of differences, all together: no branch, so that several are made at once.
        var difference: Int64 = 0
        var index = 1
        while index < count {
            // SAFETY: below `count`, and 0 at least.
            unsafe difference |= (timestamps[index] &- timestamps[index &- 1]) ^ intervalMs
            index &+= 1
        }
        return difference == 0
    }
}
