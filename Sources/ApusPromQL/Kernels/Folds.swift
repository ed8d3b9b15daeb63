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
        var step = 0
        while step < sums.count {
            if row.addFour(at: step, to: sums, compensations) {
                step &+= 4
                continue
            }
            for step in step..<min(step &+ 4, sums.count) { addOne(row[step], at: step) }
            step &+= 4
        }
    }

    private func addOne(_ value: Double, at step: Int) {
        if value.isAbsent { return }
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

    func hasSample(at step: Int) -> Bool { !sums[step].isAbsent }

    func finish() -> Row {
        for step in 0..<sums.count where !sums[step].isAbsent { sums[step] += compensations[step] }
        return sums
    }
}

/// `avg`
final class MeanFold: FloatFold {
    // A sum and how many terms it has, until one overflows: from there on a step has its mean in `means`.
    private let sums: Row
    private let compensations: Row
    private let counts: Row
    private var means: [Int: CompensatedMean] = [:]
    let stateRows = 3

    init(_ arena: RowArena) {
        sums = arena.makeRow()
        compensations = arena.makeUninitializedRow()
        counts = arena.makeUninitializedRow()
    }

    func add(_ row: Row) {
        let (sums, compensations, counts) = (sums, compensations, counts)
        var step = 0
        while step < sums.count {
            let end = min(step &+ 4, sums.count)
            if means.isEmpty, row.addFour(at: step, to: sums, compensations) {
                for step in step..<end { counts[step] += 1 }
            } else {
                for step in step..<end { addOne(row[step], at: step) }
            }
            step = end
        }
    }

    private func addOne(_ value: Double, at step: Int) {
        if value.isAbsent { return }
        if sums[step].isAbsent {
            sums[step] = value
            compensations[step] = 0
            counts[step] = 1
            return
        }
        var mean = means[step] ?? CompensatedMean(CompensatedSum(sums[step], compensation: compensations[step]), count: counts[step])
        mean.add(value)
        counts[step] += 1
        if let sum = mean.plainSum {
            sums[step] = sum.value
            compensations[step] = sum.compensation
        } else {
            means[step] = mean
        }
    }

    func hasSample(at step: Int) -> Bool { !sums[step].isAbsent }

    func finish() -> Row {
        for step in 0..<sums.count where !sums[step].isAbsent {
            sums[step] = means[step]?.mean ?? (sums[step] / counts[step] + compensations[step] / counts[step])
        }
        return sums
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
    /// Adds four steps to compensated sums, when there are so many, all have a sample on both sides, and no sum overflows.
    /// - Returns: whether it did. If not, nothing is changed.
    @inline(__always) fileprivate func addFour(at step: Int, to sums: Row, _ compensations: Row) -> Bool {
        guard step >= 0, step &+ 4 <= count, count == sums.count, count == compensations.count else { return false }
        // SAFETY: all three rows have four steps from `step` on, checked above.
        func four(_ row: Row) -> SIMD4<Double> { unsafe UnsafeRawPointer(row.base + step).loadUnaligned(as: SIMD4<Double>.self) }
        var lanes = LaneSums(value: four(sums))
        lanes.compensation = four(compensations)
        lanes.add(four(self))
        // What is absent is a NaN, which does not go away by adding.
        guard lanes.isFinite else { return false }
        unsafe UnsafeMutableRawPointer(sums.base + step).storeBytes(of: lanes.value, as: SIMD4<Double>.self)
        unsafe UnsafeMutableRawPointer(compensations.base + step).storeBytes(of: lanes.compensation, as: SIMD4<Double>.self)
        return true
    }

    fileprivate func mapWithSteps(_ transform: (Double, Int) -> Double) {
        for step in 0..<count where !self[step].isAbsent { self[step] = transform(self[step], step) }
    }
}
