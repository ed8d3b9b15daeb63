/// How an aggregation folds the rows of a group into one, step by step, without keeping them. Its state lies in rows of an
/// arena that the groups share.
protocol Fold: AnyObject {
    /// How many rows of state it holds.
    var stateRows: Int { get }
    func add(_ row: Row)
    /// The group's row: absent where no member had a sample.
    func finish() -> Row
}

/// `sum`
final class SumFold: FloatFold {
    private let sums: Row
    private let compensations: Row
    let stateRows = 2

    init(_ arena: RowArena) {
        sums = arena.makeRow()
        compensations = arena.makeUninitializedRow()
    }

    func add(_ row: Row) {
        let (sums, compensations) = (sums, compensations)
        for step in 0..<sums.count {
            let value = row[step]
            if value.isAbsent { continue }
            let sum = sums[step]
            if sum.isAbsent {
                sums[step] = value
                compensations[step] = 0
            } else {
                var compensated = CompensatedSum(sum, compensation: compensations[step])
                compensated.add(value)
                sums[step] = compensated.value
                compensations[step] = compensated.compensation
            }
        }
    }

    func hasSample(at step: Int) -> Bool { !sums[step].isAbsent }

    func finish() -> Row {
        for step in 0..<sums.count where !sums[step].isAbsent { sums[step] += compensations[step] }
        return sums
    }
}

/// `avg`
final class MeanFold: FloatFold {
    private let result: Row
    private var means: [CompensatedMean?]
    let stateRows = 5

    init(_ arena: RowArena) {
        result = arena.makeRow()
        means = Array(repeating: nil, count: arena.width)
    }

    func add(_ row: Row) {
        for step in 0..<row.count where !row[step].isAbsent {
            if means[step] == nil { means[step] = CompensatedMean(first: row[step]) } else { means[step]?.add(row[step]) }
        }
    }

    func hasSample(at step: Int) -> Bool { means[step] != nil }

    func finish() -> Row {
        for step in 0..<result.count {
            if let mean = means[step] { result[step] = mean.mean }
        }
        return result
    }
}

/// `count` and `group`
final class CountFold: Fold {
    private let counts: Row
    private let isGroup: Bool
    let stateRows = 1

    /// - Parameter isGroup: 1 in place of the count.
    init(_ arena: RowArena, isGroup: Bool) {
        counts = arena.makeRow()
        self.isGroup = isGroup
    }

    func add(_ row: Row) {
        let counts = counts
        for step in 0..<counts.count where !row[step].isAbsent {
            counts[step] = isGroup || counts[step].isAbsent ? 1 : counts[step] + 1
        }
    }

    func finish() -> Row { counts }
}

/// `min` and `max`: NaN loses against any number.
final class ExtremeFold: Fold {
    private let extremes: Row
    private let isMaximum: Bool
    let stateRows = 1

    init(_ arena: RowArena, isMaximum: Bool) {
        extremes = arena.makeRow()
        self.isMaximum = isMaximum
    }

    func add(_ row: Row) {
        let extremes = extremes
        for step in 0..<extremes.count {
            let value = row[step]
            if value.isAbsent { continue }
            // The mark of an absent sample is a NaN, too, so the first sample always wins.
            let current = extremes[step]
            if current.isNaN || (isMaximum ? current < value : current > value) { extremes[step] = value }
        }
    }

    func finish() -> Row { extremes }
}

/// `stdvar` and `stddev`, by Welford's method.
final class VarianceFold: Fold {
    private let counts: Row
    private let means: Row
    private let squares: Row
    private let takesRoot: Bool
    let stateRows = 3

    init(_ arena: RowArena, takesRoot: Bool) {
        counts = arena.makeRow()
        means = arena.makeUninitializedRow()
        squares = arena.makeUninitializedRow()
        self.takesRoot = takesRoot
    }

    func add(_ row: Row) {
        for step in 0..<counts.count {
            let value = row[step]
            if value.isAbsent { continue }
            if counts[step].isAbsent {
                counts[step] = 1
                means[step] = value
                squares[step] = value.isFinite ? 0 : .nan
            } else {
                let count = counts[step] + 1
                let delta = value - means[step]
                let mean = means[step] + delta / count
                counts[step] = count
                means[step] = mean
                squares[step] += delta * (value - mean)
            }
        }
    }

    func finish() -> Row {
        counts.mapWithSteps { count, step in
            let variance = squares[step] / count
            return takesRoot ? variance.squareRoot() : variance
        }
        return counts
    }
}

extension Row {
    fileprivate func mapWithSteps(_ transform: (Double, Int) -> Double) {
        for step in 0..<count where !self[step].isAbsent { self[step] = transform(self[step], step) }
    }
}
