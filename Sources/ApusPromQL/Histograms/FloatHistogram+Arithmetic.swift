public import ApusModel

extension FloatHistogram {
    /// Everything times a factor. By a negative one a counter becomes a gauge.
    public func scaled(by factor: Double) -> FloatHistogram {
        var result = self
        result.scale(by: factor)
        return result
    }

    mutating func scale(by factor: Double) {
        count *= factor
        zeroCount *= factor
        sum *= factor
        BucketLoops.scale(&buckets, by: factor)
        if factor < 0 { hint = .gauge }
    }

    public var negated: FloatHistogram { scaled(by: -1) }

    /// Everything divided. By zero there are no buckets left, as a bucket of infinitely many, or of NaN, means nothing.
    public func divided(by divisor: Double) -> FloatHistogram {
        var result = self
        result.divide(by: divisor)
        return result
    }

    mutating func divide(by divisor: Double) {
        count /= divisor
        zeroCount /= divisor
        sum /= divisor
        if divisor == 0 {
            layout = HistogramLayout(
                schema: layout.schema, zeroThreshold: layout.zeroThreshold, customBounds: layout.customBounds)
            buckets = []
            return
        }
        BucketLoops.divide(&buckets, by: divisor)
        if divisor < 0 { hint = .gauge }
    }

    /// Adds the observations of another histogram, whatever its resolution: the sum has the lower of both schemas, and a
    /// zero bucket that holds both. Of custom bounds it has those that both have. Empty buckets may be left.
    ///
    /// Throws when one has custom bounds and the other has not.
    public mutating func add(_ other: FloatHistogram) throws(HistogramError) -> HistogramNotes {
        var lost: HistogramCompensation?
        return try combine(with: other, isNegative: false, lost: &lost)
    }

    /// As `add`, with the observations taken away. The hint follows the rules of additions, too: for the difference of two
    /// histograms, rather than a step of some calculation, the caller makes it a gauge.
    public mutating func subtract(_ other: FloatHistogram) throws(HistogramError) -> HistogramNotes {
        var lost: HistogramCompensation?
        return try combine(with: other, isNegative: true, lost: &lost)
    }

    /// - Parameter lost: what a compensated sum has lost to rounding so far, bucket by bucket; `nil` to let it go.
    mutating func combine(
        with other: FloatHistogram, isNegative: Bool, lost: inout HistogramCompensation?
    ) throws(HistogramError) -> HistogramNotes {
        if hasCustomBounds != other.hasCustomBounds { throw .incompatibleSchemas }
        var notes: HistogramNotes = []
        if hint != other.hint {
            if hint.collides(with: other.hint) { notes.insert(.counterResetCollision) }
            hint = hint.joined(with: other.hint)
        }
        combineTotals(with: other, isNegative: isNegative, lost: &lost)
        if combineAligned(with: other, isNegative: isNegative, lost: &lost) { return notes }
        if hasCustomBounds {
            if combineCustom(with: other, isNegative: isNegative, lost: &lost) { notes.insert(.customBoundsReconciled) }
        } else {
            combineExponential(with: other, isNegative: isNegative, lost: &lost)
        }
        return notes
    }

    private mutating func combineTotals(
        with other: FloatHistogram, isNegative: Bool, lost: inout HistogramCompensation?
    ) {
        let (otherCount, otherSum) = isNegative ? (-other.count, -other.sum) : (other.count, other.sum)
        guard let before = lost else {
            count += otherCount
            sum += otherSum
            return
        }
        var total = CompensatedSum(count, compensation: before.count)
        total.add(otherCount)
        count = total.value
        lost?.count = total.compensation
        total = CompensatedSum(sum, compensation: before.sum)
        total.add(otherSum)
        sum = total.value
        lost?.sum = total.compensation
    }

    private mutating func addZeroCount(_ term: Double, lost: inout HistogramCompensation?) {
        guard let before = lost else {
            zeroCount += term
            return
        }
        var total = CompensatedSum(zeroCount, compensation: before.zeroCount)
        total.add(term)
        zeroCount = total.value
        lost?.zeroCount = total.compensation
    }

    // MARK: Layouts that fit

    /// Adds in place when all buckets of the other exist here: what nearly always is, as the series of a metric are alike.
    /// - Returns: false, having done nothing, when they do not.
    private mutating func combineAligned(
        with other: FloatHistogram, isNegative: Bool, lost: inout HistogramCompensation?
    ) -> Bool {
        let theirs = other.layout
        if layout !== theirs {
            guard layout.schema == theirs.schema, layout.zeroThreshold == theirs.zeroThreshold,
                !hasCustomBounds || layout.customBounds == theirs.customBounds
            else { return false }
        }
        guard !theirs.reachesIntoZeroBucket, buckets.count == layout.bucketCount, other.buckets.count == theirs.bucketCount,
            lost == nil || lost?.buckets.count == buckets.count
        else { return false }
        if layout === theirs || (layout.positiveSpans == theirs.positiveSpans && layout.negativeSpans == theirs.negativeSpans) {
            combine(other, isNegative: isNegative, BucketRun(own: 0, their: 0, count: buckets.count), lost: &lost)
        } else {
            var runs: [BucketRun] = []
            guard BucketRun.align(theirs.positiveSpans, with: layout.positiveSpans, offsets: (0, 0), &runs),
                hasCustomBounds
                    || BucketRun.align(
                        theirs.negativeSpans, with: layout.negativeSpans, offsets: (layout.positiveCount, theirs.positiveCount), &runs)
            else { return false }
            for run in runs { combine(other, isNegative: isNegative, run, lost: &lost) }
        }
        if !hasCustomBounds { addZeroCount(isNegative ? -other.zeroCount : other.zeroCount, lost: &lost) }
        return true
    }

    private mutating func combine(
        _ other: FloatHistogram, isNegative: Bool, _ run: BucketRun, lost: inout HistogramCompensation?
    ) {
        if lost != nil {
            lost?.add(other.buckets, run, isNegative: isNegative, to: &buckets)
        } else {
            BucketLoops.add(&buckets, other.buckets, run, isNegative: isNegative)
        }
    }

    // MARK: Layouts that do not

    private func spread(lost: HistogramCompensation?) -> (positive: BucketSide, negative: BucketSide) {
        let lostPositive = lost.map { $0.buckets.prefix(positiveBuckets.count) }
        let lostNegative = lost.map { $0.buckets.dropFirst(positiveBuckets.count) }
        return (
            BucketSide(layout.positiveSpans, positiveBuckets, lost: lostPositive),
            BucketSide(layout.negativeSpans, negativeBuckets, lost: lostNegative)
        )
    }

    mutating func replace(
        schema: Int32, zeroThreshold: Double, positive: BucketSide, negative: BucketSide?, customBounds: [Double] = [],
        lost: inout HistogramCompensation?
    ) {
        layout = HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positive.spans, negativeSpans: negative?.spans ?? [],
            customBounds: customBounds)
        buckets = positive.counts + (negative?.counts ?? [])
        if lost != nil { lost?.buckets = positive.lost + (negative?.lost ?? []) }
    }

    private mutating func combineExponential(
        with other: FloatHistogram, isNegative: Bool, lost: inout HistogramCompensation?
    ) {
        var (positive, negative) = spread(lost: lost)
        var (theirPositive, theirNegative) = other.spread(lost: lost.map { _ in HistogramCompensation(for: other) })

        // Each zero bucket grows to the other's width, and further where that would be inside a bucket that holds something.
        var own = ZeroBucket(threshold: layout.zeroThreshold, count: CompensatedSum(zeroCount, compensation: lost?.zeroCount ?? 0))
        let theirsBefore = ZeroBucket(threshold: other.layout.zeroThreshold, count: CompensatedSum(other.zeroCount))
        var theirs = theirsBefore
        while true {
            if own.threshold > theirs.threshold {
                theirs = theirsBefore.grown(to: own.threshold, theirPositive, theirNegative, schema: other.layout.schema)
            } else if theirs.threshold > own.threshold {
                own = own.grown(to: theirs.threshold, positive, negative, schema: layout.schema)
                positive = positive.outside(threshold: own.threshold, schema: layout.schema)
                negative = negative.outside(threshold: own.threshold, schema: layout.schema)
            } else {
                break
            }
        }
        zeroCount = own.count.value
        if lost != nil { lost?.zeroCount = own.count.compensation }
        addZeroCount(isNegative ? -theirs.count.value : theirs.count.value, lost: &lost)

        let schema = min(layout.schema, other.layout.schema)
        positive = positive.reduced(by: layout.schema &- schema)
        negative = negative.reduced(by: layout.schema &- schema)
        theirPositive = theirPositive.reduced(by: other.layout.schema &- schema)
        theirNegative = theirNegative.reduced(by: other.layout.schema &- schema)
        // What of the other now lies in the zero bucket has been counted there. As in Prometheus, a bucket that became so
        // coarse that it only begins in there is added whole, with what was counted.
        func skipped(_ side: BucketSide) -> Int {
            side.indices.firstIndex { !(HistogramBounds.upper($0, schema: schema) <= own.threshold) } ?? side.indices.count
        }
        replace(
            schema: schema, zeroThreshold: own.threshold,
            positive: positive.merged(with: theirPositive, skipping: skipped(theirPositive), isNegative: isNegative),
            negative: negative.merged(with: theirNegative, skipping: skipped(theirNegative), isNegative: isNegative), lost: &lost)
    }

    /// - Returns: whether the bounds differed.
    private mutating func combineCustom(
        with other: FloatHistogram, isNegative: Bool, lost: inout HistogramCompensation?
    ) -> Bool {
        let positive = spread(lost: lost).positive
        let theirs = other.spread(lost: lost.map { _ in HistogramCompensation(for: other) }).positive
        let (bounds, otherBounds) = (layout.customBounds, other.layout.customBounds)
        if bounds == otherBounds {
            replace(
                schema: layout.schema, zeroThreshold: 0,
                positive: positive.merged(with: theirs, skipping: 0, isNegative: isNegative), negative: nil, customBounds: bounds,
                lost: &lost)
            return false
        }
        let common = commonBounds(bounds, otherBounds)
        replace(
            schema: layout.schema, zeroThreshold: 0,
            positive: .sum(positive, bounds: bounds, theirs, bounds: otherBounds, in: common, isNegative: isNegative), negative: nil,
            customBounds: common, lost: &lost)
        return true
    }
}

/// The bounds that both have; each list ascends.
func commonBounds(_ left: [Double], _ right: [Double]) -> [Double] {
    var result: [Double] = []
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
        if left[i] == right[j] {
            result.append(left[i])
            i += 1
            j += 1
        } else if left[i] < right[j] {
            i += 1
        } else {
            j += 1
        }
    }
    return result
}

/// A zero bucket on its way to another width.
private struct ZeroBucket {
    var threshold: Double
    var count: CompensatedSum

    /// As it would be if it were at least `wanted` wide, with what then lies in it.
    func grown(to wanted: Double, _ positive: BucketSide, _ negative: BucketSide, schema: Int32) -> ZeroBucket {
        var threshold = wanted
        while true {
            var count = count
            _ = positive.pour(into: &count, threshold: &threshold, schema: schema)
            // What grew for a negative bucket takes in more of the positive ones: count again.
            if !negative.pour(into: &count, threshold: &threshold, schema: schema) {
                return ZeroBucket(threshold: threshold, count: count)
            }
        }
    }
}

extension CounterResetHint {
    /// One says that counting began anew, the other that it did not: they should not have been added.
    func collides(with other: CounterResetHint) -> Bool {
        (self == .reset && other == .noReset) || (self == .noReset && other == .reset)
    }

    /// Of a sum of two: a gauge if one is a gauge, unknown if they say different things.
    func joined(with other: CounterResetHint) -> CounterResetHint {
        if self == other { return self }
        return self == .gauge || other == .gauge ? .gauge : .unknown
    }
}

extension HistogramLayout {
    /// Whether some bucket lies wholly inside the zero bucket, which no client does. Sums leave it out.
    var reachesIntoZeroBucket: Bool {
        guard zeroThreshold > 0 else { return false }
        return Self.countInZeroBucket(positiveSpans, schema: schema, threshold: zeroThreshold) > 0
            || Self.countInZeroBucket(negativeSpans, schema: schema, threshold: zeroThreshold) > 0
    }
}
