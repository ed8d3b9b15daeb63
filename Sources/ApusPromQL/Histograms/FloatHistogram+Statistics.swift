extension FloatHistogram {
    /// The mean of all observations. NaN when there are none.
    public var average: Double { sum / count }

    /// Estimated as if each observation were in the middle of its bucket: the geometric middle of exponential buckets,
    /// the arithmetic one between custom bounds, 0 in the zero bucket.
    public var standardVariance: Double {
        let mean = average
        var squares = CompensatedSum()
        var walk = BucketWalk(self, isAscending: true)
        while let bucket = walk.next() {
            if bucket.count == 0 { continue }
            let middle: Double
            if hasCustomBounds {
                middle = (bucket.upper + bucket.lower) / 2
            } else if bucket.lower <= 0, bucket.upper >= 0 {
                middle = 0
            } else {
                let geometric = (bucket.upper * bucket.lower).squareRoot()
                middle = bucket.upper < 0 ? -geometric : geometric
            }
            let distance = middle - mean
            squares.add(bucket.count * distance * distance)
        }
        return squares.total / count
    }

    public var standardDeviation: Double { standardVariance.squareRoot() }
}
