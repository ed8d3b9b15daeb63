import ApusBytes
import ApusModel

/// What aggregations do with histograms.
extension Evaluator {
    /// Before a row is folded as floats: histograms are taken out of it, for a fold of their own or to be passed over.
    /// - Returns: for how many samples more the state counts that stays in memory.
    func prepare(
        _ row: Row, _ name: RowLabels, _ group: Int, _ aggregation: Aggregation, _ fold: any Fold,
        _ mixed: inout [Int: HistogramFold]
    ) throws(QueryError) -> Int {
        switch aggregation.op {
        // A histogram counts as one.
        case .count, .group: return 0
        case .sum, .avg:
            guard let fold = fold as? any FloatFold else { return 0 }
            if !row.mayHoldHistograms {
                mixed[group]?.addFloats(row)
                return 0
            }
            let known = mixed[group]
            let histograms =
                known
                ?? HistogramFold(
                    width: row.count, isMean: aggregation.op == .avg, annotations: annotations,
                    at: expression[aggregation.operand].range)
            if known == nil { mixed[group] = histograms }
            let before = histograms.weight
            histograms.add(row, of: name.labels[LabelNames.name] ?? ByteString(), beside: fold)
            try bounds.hold(histograms.weight - before)
            return histograms.weight - before
        default:
            dropHistograms(row, aggregation, at: expression[aggregation.operand].range)
            return 0
        }
    }

    /// Passes over histograms, with an info.
    private func dropHistograms(_ row: Row, _ aggregation: Aggregation, at range: Range<Int>) {
        guard row.mayHoldHistograms, row.dropHistograms() else { return }
        annotations.informHistogramIgnored(aggregation.op.rawValue, at: range)
    }

    /// The operand of an aggregation that looks at all rows together.
    /// - Parameter ignoredAt: where to say that histograms are passed over; `nil` to keep them.
    func operandTable(
        _ aggregation: Aggregation, _ steps: Steps, histogramsIgnoredAt ignoredAt: Range<Int>?
    ) throws(QueryError) -> RowTable {
        let table = RowTable(steps: steps, bounds: bounds)
        try vector(aggregation.operand, steps) { (name, row) throws(QueryError) in
            if let ignoredAt { dropHistograms(row, aggregation, at: ignoredAt) }
            if !row.isEmpty { try table.append(name, copying: row) }
        }
        return table
    }
}
