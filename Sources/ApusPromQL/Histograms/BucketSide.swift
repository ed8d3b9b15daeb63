import ApusModel

/// The buckets of one side, spread out: for the arithmetic of two histograms whose layouts differ.
///
///     indices   −2   0   1   7      ascending, unless someone sent spans that run backwards
///     counts     3   1   4   1
///     lost       0   ε   0   0      only in compensated sums: what rounding took from each count
struct BucketSide {
    private(set) var indices: [Int32] = []
    private(set) var counts: [Double] = []
    private(set) var lost: [Double] = []
    let isCompensated: Bool

    /// - Parameter lost: as many as counts; `nil` when the sum is not compensated.
    init(_ spans: [HistogramSpan], _ counts: ArraySlice<Double>, lost: ArraySlice<Double>?) {
        isCompensated = lost != nil
        self.counts = Array(counts)
        self.lost = lost.map(Array.init) ?? []
        indices.reserveCapacity(counts.count)
        var walk = SpanWalk(spans, isReversed: false)
        while indices.count < counts.count, let bucket = walk.next() { indices.append(bucket.index) }
        // As many of each, whatever the caller made of the layout.
        self.counts.removeLast(self.counts.count - indices.count)
        if isCompensated, self.lost.count != indices.count { self.lost = Array(repeating: 0, count: indices.count) }
    }

    private init(isCompensated: Bool, capacity: Int) {
        self.isCompensated = isCompensated
        indices.reserveCapacity(capacity)
        counts.reserveCapacity(capacity)
        if isCompensated { lost.reserveCapacity(capacity) }
    }

    var spans: [HistogramSpan] {
        var builder = SpanBuilder()
        for index in indices { builder.append(index) }
        return builder.spans
    }

    private mutating func append(_ index: Int32, _ count: Double, lost: Double) {
        indices.append(index)
        counts.append(count)
        if isCompensated { self.lost.append(lost) }
    }

    private mutating func addToLast(_ count: Double) {
        let last = counts.count - 1
        if isCompensated {
            var sum = CompensatedSum(counts[last], compensation: lost[last])
            sum.add(count)
            (counts[last], lost[last]) = (sum.value, sum.compensation)
        } else {
            counts[last] += count
        }
    }

    private func lost(_ position: Int) -> Double { isCompensated ? lost[position] : 0 }

    /// The index in a schema `steps` lower: each step joins two neighbours.
    @inline(__always) static func coarser(_ index: Int32, by steps: Int32) -> Int32 {
        ((index &- 1) >> steps) &+ 1
    }

    /// The same observations in a schema `steps` lower.
    func reduced(by steps: Int32) -> BucketSide {
        if steps <= 0 { return self }
        var result = BucketSide(isCompensated: isCompensated, capacity: counts.count)
        for position in indices.indices {
            let index = Self.coarser(indices[position], by: min(steps, 31))
            if result.indices.last == index {
                result.addToLast(counts[position])
                if isCompensated { result.addToLast(lost[position]) }
            } else {
                result.append(index, counts[position], lost: lost(position))
            }
        }
        return result
    }

    /// Adds the buckets of another side, or takes them away, but for its first `skipped`.
    func merged(with other: BucketSide, skipping skipped: Int, isNegative: Bool) -> BucketSide {
        var result = BucketSide(isCompensated: isCompensated, capacity: max(counts.count, other.counts.count))
        var (own, their) = (0, skipped)
        while own < indices.count || their < other.indices.count {
            if their >= other.indices.count || (own < indices.count && indices[own] < other.indices[their]) {
                result.append(indices[own], counts[own], lost: lost(own))
                own += 1
                continue
            }
            let count = isNegative ? -other.counts[their] : other.counts[their]
            let theirLost = isNegative ? -other.lost(their) : other.lost(their)
            if own < indices.count, indices[own] == other.indices[their] {
                result.append(indices[own], counts[own], lost: lost(own))
                result.addToLast(count)
                if theirLost != 0 { result.addToLast(theirLost) }
                own += 1
            } else {
                result.append(other.indices[their], count, lost: theirLost)
            }
            their += 1
        }
        return result
    }

    /// Adds to `zero` the buckets that begin inside a zero bucket of `threshold`.
    ///
    /// The last of them may reach out of it: if something is in it, `threshold` grows to its end.
    /// - Returns: whether `threshold` grew.
    func pour(into zero: inout CompensatedSum, threshold: inout Double, schema: Int32) -> Bool {
        for position in indices.indices {
            if HistogramBounds.upper(indices[position] &- 1, schema: schema) >= threshold { return false }
            zero.add(counts[position])
            if isCompensated { zero.add(lost[position]) }
            let end = HistogramBounds.upper(indices[position], schema: schema)
            if end > threshold {
                if counts[position] == 0 { return false }
                threshold = end
                return true
            }
        }
        return false
    }

    /// Without the first buckets, those inside a zero bucket of `threshold`, and without empty ones.
    func outside(threshold: Double, schema: Int32) -> BucketSide {
        var result = BucketSide(isCompensated: isCompensated, capacity: counts.count)
        var isOutside = false
        for position in indices.indices {
            isOutside = isOutside || HistogramBounds.upper(indices[position] &- 1, schema: schema) >= threshold
            if isOutside, counts[position] != 0 { result.append(indices[position], counts[position], lost: lost(position)) }
        }
        return result
    }

    // MARK: Custom bounds

    /// The sum of two sides with different custom bounds, in buckets that end at `bounds`, which both have. Without
    /// empty buckets.
    static func sum(
        _ own: BucketSide, bounds ownBounds: [Double], _ other: BucketSide, bounds otherBounds: [Double], in bounds: [Double],
        isNegative: Bool
    ) -> BucketSide {
        var sums = [CompensatedSum](repeating: CompensatedSum(), count: bounds.count + 1)
        own.pour(into: &sums, from: ownBounds, to: bounds, isNegative: false)
        other.pour(into: &sums, from: otherBounds, to: bounds, isNegative: isNegative)
        var result = BucketSide(isCompensated: own.isCompensated, capacity: sums.count)
        for (position, sum) in sums.enumerated() where sum.value != 0 {
            result.append(Int32(truncatingIfNeeded: position), sum.value, lost: sum.compensation)
        }
        return result
    }

    private func pour(into sums: inout [CompensatedSum], from bounds: [Double], to coarser: [Double], isNegative: Bool) {
        var target = 0
        for position in indices.indices {
            let index = Int(indices[position])
            var place = coarser.count
            if index >= 0, index < bounds.count {
                while target < coarser.count, coarser[target] < bounds[index] { target += 1 }
                place = target
            }
            sums[place].add(isNegative ? -counts[position] : counts[position])
            if isCompensated, lost[position] != 0 { sums[place].add(isNegative ? -lost[position] : lost[position]) }
        }
    }
}
