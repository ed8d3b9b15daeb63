import ApusBytes
import ApusModel

/// A fold that can tell at which steps it has a sample: asked when a histogram comes to a group of floats.
protocol FloatFold: Fold {
    func hasSample(at step: Int) -> Bool
}

/// The histograms of one group under `sum` or `avg`. Made when the first histogram comes to the group; the floats of the
/// same group are in a `Fold`, as ever.
///
/// Floats and histograms at one step give no result but a warning. Once histograms of a step turn out not to go together,
/// what comes after them is passed over.
final class HistogramFold {
    private enum Total {
        /// A float came first: the histograms do not matter any more.
        case none
        case sum(HistogramSum)
        case mean(HistogramMean)
    }

    private struct State {
        var total: Total
        var hasFloat: Bool
        var isIncompatible = false
    }

    private let isMean: Bool
    private let annotations: Annotations
    /// Of the aggregation's operand.
    private let range: Range<Int>
    private var states: [State?]
    /// For how many samples the totals count under a limit of samples.
    private(set) var weight = 0

    init(width: Int, isMean: Bool, annotations: Annotations, at range: Range<Int>) {
        states = Array(repeating: nil, count: width)
        self.isMean = isMean
        self.annotations = annotations
        self.range = range
    }

    /// Takes the row's histograms out of it. Floats stay for `floats`, which has those of the rows before.
    func add(_ row: Row, of metric: ByteString, beside floats: any FloatFold) {
        for step in 0..<min(row.count, states.count) where !row[step].isAbsent {
            guard row[step].isHistogramMark else {
                if let state = states[step], !state.isIncompatible { states[step]?.hasFloat = true }
                continue
            }
            guard let histogram = row.histogram(step) else { continue }
            guard let state = states[step] else {
                let hasFloat = floats.hasSample(at: step)
                weight += histogram.sampleWeight
                states[step] = State(total: hasFloat ? .none : first(histogram), hasFloat: hasFloat)
                continue
            }
            if state.isIncompatible { continue }
            // Taken out meanwhile, so that the total is not copied when it changes.
            states[step]?.total = .none
            do {
                states[step]?.total = try added(histogram, to: state.total)
            } catch {
                annotations.warnMixedSchemas(metric, at: range)
                states[step]?.isIncompatible = true
            }
        }
        row.dropHistograms()
    }

    /// A row without histograms came to the group.
    func addFloats(_ row: Row) {
        for step in 0..<min(row.count, states.count) where !row[step].isAbsent {
            if let state = states[step], !state.isIncompatible { states[step]?.hasFloat = true }
        }
    }

    private func first(_ histogram: FloatHistogram) -> Total {
        isMean ? .mean(HistogramMean(first: histogram)) : .sum(HistogramSum(first: histogram))
    }

    private func added(_ histogram: FloatHistogram, to total: consuming Total) throws(HistogramError) -> Total {
        switch total {
        case .none: return .none
        case .sum(var sum):
            try sum.add(histogram)
            return .sum(sum)
        case .mean(var mean):
            try mean.add(histogram)
            return .mean(mean)
        }
    }

    /// Puts the totals into the group's row, which has the floats' result.
    func finish(into row: Row) {
        for (step, state) in states.enumerated() {
            guard let state else { continue }
            row[step] = Absent.value
            if state.hasFloat {
                annotations.warnMixedAggregation(at: range)
                continue
            }
            if state.isIncompatible { continue }
            switch state.total {
            case .none: continue
            case .sum(let sum):
                annotations.note(sum.notes, .aggregation, at: range)
                row.setHistogram(sum.total.compacted(), at: step)
            case .mean(let mean):
                annotations.note(mean.notes, .aggregation, at: range)
                row.setHistogram(mean.mean.compacted(), at: step)
            }
        }
    }
}
