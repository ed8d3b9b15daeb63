/// The φ-quantile of `values`, which it sorts; NaN counts as the smallest value. Between two values it interpolates.
/// NaN for no values, ±Inf for φ out of [0, 1].
func quantile(_ phi: Double, of values: inout [Double]) -> Double {
    if values.isEmpty || phi.isNaN { return .nan }
    if phi < 0 { return -.infinity }
    if phi > 1 { return .infinity }
    values.sort { $0 < $1 || ($0.isNaN && !$1.isNaN) }
    let last = Double(values.count - 1)
    let rank = phi * last
    let lower = max(0, rank.rounded(.down))
    let upper = min(last, lower + 1)
    let weight = rank - rank.rounded(.down)
    guard let lowerIndex = Int(exactly: lower), let upperIndex = Int(exactly: upper) else { return .nan }
    return values[lowerIndex] * (1 - weight) + values[upperIndex] * weight
}
