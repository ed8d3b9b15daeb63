import ApusModel

/// Buckets side by side in two histograms: `own..<own + count` of one are `their..<their + count` of the other.
struct BucketRun: Equatable {
    var own: Int
    var their: Int
    var count: Int

    /// Finds all buckets of `spans` among those of `own`, and appends where.
    /// - Parameter offsets: how many buckets come before the side's, here and there.
    /// - Returns: false when some bucket is missing; what was appended then means nothing.
    static func align(
        _ spans: [HistogramSpan], with own: [HistogramSpan], offsets: (own: Int, their: Int), _ runs: inout [BucketRun]
    ) -> Bool {
        var ownSpan = 0
        // Indices in 64 bits: spans from outside may run beyond 32, where they would wrap. Then they find nothing.
        var ownStart: Int64 = Int64(own.first?.offset ?? 0)
        var ownPlace = offsets.own
        var start: Int64 = 0
        var place = offsets.their
        for span in spans {
            start += Int64(span.offset)
            if span.length == 0 { continue }
            let end = start + Int64(span.length)
            while ownSpan < own.count, ownStart + Int64(own[ownSpan].length) <= start {
                ownStart += Int64(own[ownSpan].length)
                ownPlace += Int(own[ownSpan].length)
                ownSpan += 1
                if ownSpan < own.count { ownStart += Int64(own[ownSpan].offset) }
            }
            // Spans side by side are one to us only where they are one here: others take the long way.
            guard ownSpan < own.count, ownStart <= start, end <= ownStart + Int64(own[ownSpan].length), span.offset >= 0 || place == offsets.their
            else { return false }
            runs.append(BucketRun(own: ownPlace + Int(start - ownStart), their: place, count: Int(span.length)))
            start = end
            place += Int(span.length)
        }
        return true
    }
}

/// The inner loops of histogram arithmetic: nothing but doubles side by side, which the compiler takes several at once.
enum BucketLoops {
    static func scale(_ buckets: inout [Double], by factor: Double) {
        for index in buckets.indices { buckets[index] *= factor }
    }

    static func divide(_ buckets: inout [Double], by divisor: Double) {
        for index in buckets.indices { buckets[index] /= divisor }
    }

    static func add(_ own: inout [Double], _ their: [Double], _ run: BucketRun, isNegative: Bool) {
        guard run.own >= 0, run.their >= 0, run.own + run.count <= own.count, run.their + run.count <= their.count else { return }
        // SAFETY: both ranges were checked to lie within their arrays.
        unsafe own.withUnsafeMutableBufferPointer { own in
            unsafe their.withUnsafeBufferPointer { their in
                if isNegative {
                    for index in 0..<run.count { unsafe own[run.own &+ index] -= their[run.their &+ index] }
                } else {
                    for index in 0..<run.count { unsafe own[run.own &+ index] += their[run.their &+ index] }
                }
            }
        }
    }

    /// Makes counts of as many words as there are counts: numbers, or the bits of doubles.
    static func convert(_ words: ArraySlice<UInt64>, to buckets: inout [Double], isFloat: Bool) {
        let count = min(words.count, buckets.count)
        // SAFETY: below both counts.
        unsafe words.withUnsafeBufferPointer { words in
            unsafe buckets.withUnsafeMutableBufferPointer { buckets in
                if isFloat {
                    for index in 0..<count { unsafe buckets[index] = Double(bitPattern: words[index]) }
                } else {
                    // Signed: a wrapped count reads as negative, as it does upstream.
                    for index in 0..<count { unsafe buckets[index] = Double(Int64(bitPattern: words[index])) }
                }
            }
        }
    }

    /// As `add`, with what rounding takes from each count added to `lost`, which lies beside `own`; as `CompensatedSum` does.
    static func addCompensated(
        _ own: inout [Double], _ lost: inout [Double], _ their: [Double], _ run: BucketRun, isNegative: Bool
    ) {
        guard run.own >= 0, run.their >= 0, run.own + run.count <= own.count, run.own + run.count <= lost.count,
            run.their + run.count <= their.count
        else { return }
        let sign = isNegative ? -1.0 : 1
        // SAFETY: all ranges were checked to lie within their arrays.
        unsafe own.withUnsafeMutableBufferPointer { own in
            unsafe lost.withUnsafeMutableBufferPointer { lost in
                unsafe their.withUnsafeBufferPointer { their in
                    for index in 0..<run.count {
                        let (value, term) = unsafe (own[run.own &+ index], sign * their[run.their &+ index])
                        let total = value + term
                        // The larger of both loses nothing to the smaller: choices rather than branches.
                        let isLarger = value.magnitude >= term.magnitude
                        let large = isLarger ? value : term
                        let small = isLarger ? term : value
                        let compensation = unsafe lost[run.own &+ index] + ((large - total) + small)
                        unsafe lost[run.own &+ index] = total.isInfinite ? 0 : compensation
                        unsafe own[run.own &+ index] = total
                    }
                }
            }
        }
    }

    /// The largest magnitude; NaN or infinite if some number is.
    static func peak(_ buckets: [Double]) -> Double {
        var peak = 0.0
        var difference = 0.0
        for bucket in buckets {
            peak = bucket.magnitude > peak ? bucket.magnitude : peak
            // 0, unless it is NaN or infinite.
            difference += bucket - bucket
        }
        return peak + difference
    }

    /// Whether some count is smaller than the one in the same place of the other.
    static func anyLess(_ current: [Double], than previous: [Double]) -> Bool {
        var found = false
        let count = min(current.count, previous.count)
        // SAFETY: below both counts.
        unsafe current.withUnsafeBufferPointer { current in
            unsafe previous.withUnsafeBufferPointer { previous in
                // Without an early exit, so that the compiler compares several at once.
                for index in 0..<count { found = unsafe found || current[index] < previous[index] }
            }
        }
        return found
    }
}
