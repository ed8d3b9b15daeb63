/// One bucket of a classic histogram: how many observations were at most `upperBound`.
struct Bucket {
    var upperBound: Double
    var count: Double
}

/// What became of a histogram that was asked for a quantile.
struct BucketQuantile {
    var value: Double
    /// Set when counts fell while bounds rose, by more than rounding explains.
    var repair: MonotonicityRepair?
}

struct MonotonicityRepair {
    var lowestBound: Double
    var highestBound: Double
    var largestDifference: Double
}

/// Cumulative counts that differ by less than this share are rounding, not a fall.
private let smallDifference = 1e-12

/// The φ-quantile of cumulative buckets, interpolated inside the bucket it falls into. NaN when there is no answer.
///
/// - Parameter buckets: in any order; sorted, joined and repaired in place.
func bucketQuantile(_ phi: Double, _ buckets: inout [Bucket]) -> BucketQuantile {
    if phi.isNaN { return BucketQuantile(value: .nan) }
    if phi < 0 { return BucketQuantile(value: -.infinity) }
    if phi > 1 { return BucketQuantile(value: .infinity) }
    guard sortAndJoin(&buckets) else { return BucketQuantile(value: .nan) }
    let repair = makeMonotonic(&buckets)
    guard buckets.count >= 2, let total = buckets.last?.count, total != 0 else {
        return BucketQuantile(value: .nan, repair: repair)
    }
    var rank = phi * total
    let highest = buckets.count - 1
    let index = buckets[..<highest].partitioningIndex { $0.count >= rank }
    if index == highest { return BucketQuantile(value: buckets[highest - 1].upperBound, repair: repair) }
    if index == 0, buckets[0].upperBound <= 0 { return BucketQuantile(value: buckets[0].upperBound, repair: repair) }
    var lower = 0.0
    let upper = buckets[index].upperBound
    var count = buckets[index].count
    if index > 0 {
        lower = buckets[index - 1].upperBound
        count -= buckets[index - 1].count
        rank -= buckets[index - 1].count
    }
    return BucketQuantile(value: lower + (upper - lower) * (rank / count), repair: repair)
}

/// The share of observations between two values, interpolated.
///
/// - Parameter buckets: as above.
func bucketFraction(lower: Double, upper: Double, _ buckets: inout [Bucket]) -> Double {
    guard sortAndJoin(&buckets) else { return .nan }
    _ = makeMonotonic(&buckets)
    guard let total = buckets.last?.count, total != 0, !lower.isNaN, !upper.isNaN else { return .nan }
    if lower >= upper { return 0 }

    // How many observations lie at or below each of the two values.
    var rank = 0.0
    var lowerRank: Double?
    var upperRank: Double?
    for (index, bucket) in buckets.enumerated() {
        // The lowest bucket starts at 0 when it holds only positive values, else it has no start.
        let start = index > 0 ? buckets[index - 1].upperBound : (bucket.upperBound > 0 ? 0 : -.infinity)
        func interpolated(_ value: Double) -> Double {
            // Nothing can be said of where in a bucket without start its observations lie: they count as below.
            if start == -.infinity { return bucket.count }
            let width = bucket.upperBound - start
            return rank + (bucket.count - rank) * (value - start) / width
        }
        if lowerRank == nil, start >= lower { lowerRank = rank }
        if upperRank == nil, start >= upper { upperRank = rank }
        if lowerRank != nil, upperRank != nil { break }
        if lowerRank == nil, start < lower, bucket.upperBound > lower { lowerRank = interpolated(lower) }
        if upperRank == nil, start < upper, bucket.upperBound > upper { upperRank = interpolated(upper) }
        if lowerRank != nil, upperRank != nil { break }
        rank = bucket.count
    }
    let low = min(lowerRank ?? total, total)
    let high = min(upperRank ?? total, total)
    return (high - low) / total
}

/// - Returns: false when there is no bucket for +Inf, so that the total is unknown.
private func sortAndJoin(_ buckets: inout [Bucket]) -> Bool {
    buckets.sort { $0.upperBound < $1.upperBound }
    guard let last = buckets.last, last.upperBound == .infinity else { return false }
    var joined: [Bucket] = []
    joined.reserveCapacity(buckets.count)
    for bucket in buckets {
        if let previous = joined.last, previous.upperBound == bucket.upperBound {
            joined[joined.count - 1].count += bucket.count
        } else {
            joined.append(bucket)
        }
    }
    buckets = joined
    return true
}

/// Scrapes and rates see the buckets at slightly different moments, so counts can fall where they should not: level them.
private func makeMonotonic(_ buckets: inout [Bucket]) -> MonotonicityRepair? {
    guard var highest = buckets.first?.count else { return nil }
    var repair: MonotonicityRepair?
    for index in buckets.indices.dropFirst() {
        let count = buckets[index].count
        if count == highest { continue }
        if isNearlyEqual(highest, count, smallDifference) {
            buckets[index].count = highest
            continue
        }
        if count < highest {
            let bound = buckets[index].upperBound
            repair = MonotonicityRepair(
                lowestBound: min(repair?.lowestBound ?? bound, bound), highestBound: max(repair?.highestBound ?? bound, bound),
                largestDifference: max(repair?.largestDifference ?? 0, highest - count))
            buckets[index].count = highest
            continue
        }
        highest = count
    }
    return repair
}

/// Whether two numbers differ by less than a share of them.
func isNearlyEqual(_ a: Double, _ b: Double, _ tolerance: Double) -> Bool {
    if a.isNaN, b.isNaN { return true }
    if a == b { return true }
    let sum = a.magnitude + b.magnitude
    let difference = (a - b).magnitude
    if a == 0 || b == 0 || sum < .leastNormalMagnitude { return difference < tolerance * .leastNormalMagnitude }
    return difference / min(sum, .greatestFiniteMagnitude) < tolerance
}

extension ArraySlice {
    /// The first index for whose element `predicate` holds, given that it holds for all after it; else `endIndex`.
    fileprivate func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
