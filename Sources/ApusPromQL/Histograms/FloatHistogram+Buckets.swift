import ApusModel

extension FloatHistogram {
    /// Which bounds belong to a bucket. The numbers are those of the HTTP API.
    public enum BucketEnds: Int, Sendable {
        case upper = 0
        case lower = 1
        case none = 2
        case both = 3
    }

    /// A bucket with its bounds.
    public struct Bucket: Sendable, Equatable {
        public var lower: Double
        public var upper: Double
        public var count: Double
        public var ends: BucketEnds
    }

    /// Passes all buckets to `body`, from the lowest values to the highest; the zero bucket only if something is in it.
    public func forEachBucket(_ body: (Bucket) -> Void) {
        var walk = BucketWalk(self, isAscending: true)
        while let bucket = walk.next() {
            let ends: BucketEnds
            if layout.hasCustomBounds {
                // The first of these begins at the lowest value there is.
                ends = bucket.lower == -.infinity ? .both : .upper
            } else {
                ends = bucket.lower < 0 ? (bucket.upper > 0 ? .both : .lower) : bucket.upper > 0 ? .upper : .none
            }
            body(Bucket(lower: bucket.lower, upper: bucket.upper, count: bucket.count, ends: ends))
        }
    }
}
