/// The least-squares line through the samples `range`, seconds counted from `interceptMs`.
///
/// A constant series has slope 0 exactly, whatever rounding would make of it.
func linearRegression(_ samples: Samples, _ range: Range<Int>, interceptMs: Int64) -> (slope: Double, intercept: Double) {
    guard let first = range.first else { return (.nan, .nan) }
    var count = 0.0
    var sumX = CompensatedSum()
    var sumY = CompensatedSum()
    var sumXY = CompensatedSum()
    var sumXX = CompensatedSum()
    let initial = samples.value(first)
    var isConstant = true
    for index in range {
        let y = samples.value(index)
        if isConstant, index > first, y != initial { isConstant = false }
        count += 1
        let x = Double(samples.timestampMs(index) &- interceptMs) / 1_000
        sumX.add(x)
        sumY.add(y)
        sumXY.add(x * y)
        sumXX.add(x * x)
    }
    if isConstant { return initial.isInfinite ? (.nan, .nan) : (0, initial) }
    let (x, y) = (sumX.total, sumY.total)
    let covariance = sumXY.total - x * y / count
    let variance = sumXX.total - x * x / count
    let slope = covariance / variance
    return (slope, y / count - slope * x / count)
}
