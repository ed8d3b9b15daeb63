import ApusModel

/// What a compensated sum of histograms has lost to rounding, in the layout of the sum.
struct HistogramCompensation {
    var count = 0.0
    var zeroCount = 0.0
    var sum = 0.0
    var buckets: [Double]

    init(for histogram: FloatHistogram) { buckets = Array(repeating: 0, count: histogram.buckets.count) }

    mutating func add(_ their: [Double], _ run: BucketRun, isNegative: Bool, to own: inout [Double]) {
        BucketLoops.addCompensated(&own, &buckets, their, run, isNegative: isNegative)
    }

    mutating func scale(by factor: Double) {
        count *= factor
        zeroCount *= factor
        sum *= factor
        BucketLoops.scale(&buckets, by: factor)
    }

    mutating func divide(by divisor: Double) {
        count /= divisor
        zeroCount /= divisor
        sum /= divisor
        BucketLoops.divide(&buckets, by: divisor)
    }
}

extension FloatHistogram {
    /// With what its sum had lost.
    func adding(_ lost: HistogramCompensation?) -> FloatHistogram {
        guard let lost, lost.buckets.count == buckets.count else { return self }
        var result = self
        result.count += lost.count
        result.zeroCount += lost.zeroCount
        result.sum += lost.sum
        BucketLoops.add(
            &result.buckets, lost.buckets, BucketRun(own: 0, their: 0, count: lost.buckets.count), isNegative: false)
        return result
    }

    /// Whether all numbers are so small that a sum of two such histograms cannot overflow.
    fileprivate var isFarFromOverflow: Bool {
        let limit = 1e307
        return count.magnitude < limit && zeroCount.magnitude < limit && sum.magnitude < limit && BucketLoops.peak(buckets) < limit
            && layout.customBounds.last?.isInfinite != true
    }

    /// Whether something in it is infinite.
    var hasOverflow: Bool {
        count.isInfinite || zeroCount.isInfinite || sum.isInfinite || buckets.contains(where: \.isInfinite)
            || layout.customBounds.contains(where: \.isInfinite)
    }
}

/// What the members of a sum said of counter resets.
struct HistogramHints {
    private var seen: UInt8 = 0
    mutating func note(_ hint: CounterResetHint) { seen |= 1 << hint.rawValue }
    /// Some began after a reset, others did not.
    var collide: Bool { seen & 0b110 == 0b110 }
}

/// The sum of histograms, each of its numbers compensated for rounding: `sum` and `sum_over_time`.
struct HistogramSum {
    private var value: FloatHistogram
    private var lost: HistogramCompensation?
    private var hints = HistogramHints()
    private var isReconciled = false

    init(first: FloatHistogram) {
        value = first
        hints.note(first.hint)
    }

    mutating func add(_ next: FloatHistogram) throws(HistogramError) {
        hints.note(next.hint)
        if lost == nil { lost = HistogramCompensation(for: value) }
        if try value.combine(with: next, isNegative: false, lost: &lost).contains(.customBoundsReconciled) { isReconciled = true }
    }

    var total: FloatHistogram { value.adding(lost) }

    var notes: HistogramNotes { HistogramNotes(hints: hints, isReconciled: isReconciled) }
}

/// The mean of histograms: `avg` and `avg_over_time`. Sums while the sum does not overflow, and from there on moves a mean.
struct HistogramMean {
    private var value: FloatHistogram
    private var lost: HistogramCompensation?
    private var count = 1.0
    private var isIncremental = false
    private var hints = HistogramHints()
    private var isReconciled = false

    init(first: FloatHistogram) {
        value = first
        hints.note(first.hint)
    }

    mutating func add(_ next: FloatHistogram) throws(HistogramError) {
        hints.note(next.hint)
        count += 1
        if !isIncremental {
            if lost == nil { lost = HistogramCompensation(for: value) }
            if value.isFarFromOverflow, next.isFarFromOverflow {
                return note(try value.combine(with: next, isNegative: false, lost: &lost))
            }
            // On a copy: what overflows is not to be kept.
            var attempt = value
            var attemptLost = lost
            note(try attempt.combine(with: next, isNegative: false, lost: &attemptLost))
            if !attempt.hasOverflow {
                value = attempt
                lost = attemptLost
                return
            }
            isIncremental = true
            value.divide(by: count - 1)
            lost?.divide(by: count - 1)
        }
        let share = (count - 1) / count
        value.scale(by: share)
        lost?.scale(by: share)
        note(try value.combine(with: next.divided(by: count), isNegative: false, lost: &lost))
    }

    private mutating func note(_ notes: HistogramNotes) {
        if notes.contains(.customBoundsReconciled) { isReconciled = true }
    }

    var mean: FloatHistogram {
        if isIncremental { return value.adding(lost) }
        var share = lost
        share?.divide(by: count)
        return value.divided(by: count).adding(share)
    }

    var notes: HistogramNotes { HistogramNotes(hints: hints, isReconciled: isReconciled) }
}

extension HistogramNotes {
    fileprivate init(hints: HistogramHints, isReconciled: Bool) {
        self = []
        if hints.collide { insert(.counterResetCollision) }
        if isReconciled { insert(.customBoundsReconciled) }
    }
}
