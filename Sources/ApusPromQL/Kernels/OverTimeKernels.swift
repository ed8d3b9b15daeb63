/// `sum_over_time`
struct SumKernel: LaneKernel {
    func lanes(_ samples: Samples, starts: SIMD4<Int>, count: Int) -> SIMD4<Double>? {
        let sums = samples.laneSums(starts: starts, count: count, fromFirst: false)
        return sums.isFinite ? sums.value + sums.compensation : nil
    }

    @inline(__always) func value(_ window: Window) -> Double {
        var sum = CompensatedSum()
        for index in window.range { sum.add(window.samples.value(index)) }
        return sum.value.isInfinite ? sum.value : sum.total
    }
}

/// `avg_over_time`
struct MeanKernel: LaneKernel {
    func lanes(_ samples: Samples, starts: SIMD4<Int>, count: Int) -> SIMD4<Double>? {
        let sums = samples.laneSums(starts: starts, count: count, fromFirst: true)
        let count = SIMD4(repeating: Double(count))
        return sums.isFinite ? sums.value / count + sums.compensation / count : nil
    }

    @inline(__always) func value(_ window: Window) -> Double {
        var mean = CompensatedMean(first: window.samples.value(window.first))
        for index in window.range.dropFirst() { mean.add(window.samples.value(index)) }
        return mean.mean
    }
}

/// `min_over_time`, `max_over_time`, and the times of those samples. NaN loses against any number.
struct ExtremeKernel: WindowKernel {
    let isMaximum: Bool
    let wantsTimestamp: Bool

    @inline(__always) func value(_ window: Window) -> Double {
        var best = window.samples.value(window.first)
        var bestIndex = window.first
        for index in window.range.dropFirst() {
            let value = window.samples.value(index)
            // Of equal samples the value is one and the same; the time is that of the last.
            let wins = isMaximum ? (wantsTimestamp ? value >= best : value > best) : (wantsTimestamp ? value <= best : value < best)
            if wins || best.isNaN {
                best = value
                bestIndex = index
            }
        }
        return wantsTimestamp ? Double(window.samples.timestampMs(bestIndex)) / 1_000 : best
    }
}

/// `count_over_time`
struct CountKernel: WindowKernel {
    @inline(__always) func value(_ window: Window) -> Double { Double(window.count) }
}

/// `present_over_time`
struct PresenceKernel: WindowKernel {
    @inline(__always) func value(_ window: Window) -> Double { 1 }
}

/// `first_over_time`, `last_over_time`, and the times of those samples.
struct EdgeKernel: WindowKernel {
    let isLast: Bool
    let wantsTimestamp: Bool

    @inline(__always) func value(_ window: Window) -> Double {
        let index = isLast ? window.last : window.first
        return wantsTimestamp ? Double(window.samples.timestampMs(index)) / 1_000 : window.samples.value(index)
    }
}

/// `stdvar_over_time` and `stddev_over_time`, by Welford's method with compensated sums.
struct VarianceKernel: LaneKernel {
    let takesRoot: Bool

    func lanes(_ samples: Samples, starts: SIMD4<Int>, count: Int) -> SIMD4<Double>? {
        let (means, squares) = samples.laneVariances(starts: starts, count: count)
        guard means.isFinite, squares.isFinite else { return nil }
        let variances = (squares.value + squares.compensation) / SIMD4(repeating: Double(count))
        return takesRoot ? variances.squareRoot() : variances
    }

    @inline(__always) func value(_ window: Window) -> Double {
        var count = 0.0
        var mean = CompensatedSum()
        var squares = CompensatedSum()
        for index in window.range {
            let value = window.samples.value(index)
            count += 1
            let delta = value - mean.total
            mean.add(delta / count)
            squares.add(delta * (value - mean.total))
        }
        let variance = squares.total / count
        return takesRoot ? variance.squareRoot() : variance
    }
}

/// `quantile_over_time`
struct QuantileKernel: WindowKernel {
    let phi: ScalarColumn

    func value(_ window: Window) -> Double {
        var values = window.range.map { window.samples.value($0) }
        return quantile(phi[window.step], of: &values)
    }
}

/// `mad_over_time`: the median of the distances from the median. NaN where any sample is.
struct MedianDeviationKernel: WindowKernel {
    func value(_ window: Window) -> Double {
        var values = window.range.map { window.samples.value($0) }
        if values.contains(where: \.isNaN) { return .nan }
        let median = quantile(0.5, of: &values)
        for index in values.indices { values[index] = (values[index] - median).magnitude }
        return quantile(0.5, of: &values)
    }
}
