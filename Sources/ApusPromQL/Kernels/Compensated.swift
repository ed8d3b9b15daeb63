/// A sum with Neumaier's compensation: `value + compensation` is the sum as if rounded once.
struct CompensatedSum {
    var value: Double
    var compensation: Double

    @inline(__always) init(_ value: Double = 0, compensation: Double = 0) {
        self.value = value
        self.compensation = compensation
    }

    @inline(__always) mutating func add(_ term: Double) {
        let total = value + term
        if total.isInfinite {
            compensation = 0
        } else if value.magnitude >= term.magnitude {
            compensation += (value - total) + term
        } else {
            compensation += (term - total) + value
        }
        value = total
    }

    @inline(__always) var total: Double { value + compensation }
}

/// A mean that sums while the sum does not overflow, and from there on moves a mean.
struct CompensatedMean {
    private var sum: CompensatedSum
    private var count = 1.0
    private var isIncremental = false

    @inline(__always) init(first: Double) { sum = CompensatedSum(first) }

    /// Goes on from a sum of `count` terms.
    @inline(__always) init(_ sum: CompensatedSum, count: Double) {
        self.sum = sum
        self.count = count
    }

    /// The sum so far; nil when it has become a mean.
    @inline(__always) var plainSum: CompensatedSum? { isIncremental ? nil : sum }

    @inline(__always) mutating func add(_ term: Double) {
        count += 1
        if !isIncremental {
            var attempt = sum
            attempt.add(term)
            if !attempt.value.isInfinite {
                sum = attempt
                return
            }
            isIncremental = true
            sum.value /= count - 1
            sum.compensation /= count - 1
        }
        let share = (count - 1) / count
        var moved = CompensatedSum(share * sum.value, compensation: share * sum.compensation)
        moved.add(term / count)
        sum = moved
    }

    @inline(__always) var mean: Double {
        isIncremental ? sum.value + sum.compensation : sum.value / count + sum.compensation / count
    }
}
