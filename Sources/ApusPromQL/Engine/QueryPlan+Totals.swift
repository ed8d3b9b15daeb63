extension QueryPlan {
    /// By index of node: whether it is a selector of whose histograms only count and sum matter, as it stands under
    /// `histogram_count`, `histogram_sum` or `histogram_avg`.
    ///
    /// Prometheus then reads histograms without their buckets, which shows: nothing is said of layouts that do not fit, and
    /// counter resets are looked for while reading. Not under what needs buckets, and not in subqueries, where the samples
    /// between the steps are not seen.
    static func selectorsOfTotals(_ expression: Expression) -> [Bool] {
        var wantsTotals = [Bool](repeating: false, count: expression.nodes.count)
        let hasTotals = expression.nodes.contains { node in
            guard case .call(let call) = node.kind else { return false }
            return [.histogramCount, .histogramSum, .histogramAvg].contains(call.function.name)
        }
        if !hasTotals { return wantsTotals }
        var needsBuckets = wantsTotals
        // From the root down: parents come after their children in the array.
        for index in expression.nodes.indices.reversed() {
            switch expression.nodes[index].kind {
            case .call(let call):
                switch call.function.name {
                case .histogramCount, .histogramSum, .histogramAvg: wantsTotals[index] = true
                case .histogramQuantile, .histogramQuantiles, .histogramFraction: needsBuckets[index] = true
                default: break
                }
            case .subquery: needsBuckets[index] = true
            case .binary(let binary): if binary.op.isTrim { needsBuckets[index] = true }
            case .vectorSelector(let selector): if selector.extent != .plain { needsBuckets[index] = true }
            default: break
            }
            for child in expression.children(of: NodeID(index)) {
                wantsTotals[child.index] = wantsTotals[index]
                needsBuckets[child.index] = needsBuckets[index]
            }
        }
        return expression.nodes.indices.map { index in
            guard case .vectorSelector = expression.nodes[index].kind else { return false }
            return wantsTotals[index] && !needsBuckets[index]
        }
    }
}
