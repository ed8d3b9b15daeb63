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
    /// The samples of the group at one step: a class, so that totals change in place.
    private final class State {
        /// One of the two; none where a float came first, and histograms do not matter any more.
        var sum: HistogramSum?
        var mean: HistogramMean?
        var hasFloat = false
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
                if let state = states[step], !state.isIncompatible { state.hasFloat = true }
                continue
            }
            guard let histogram = row.histogram(step) else { continue }
            guard let state = states[step] else {
                weight += histogram.sampleWeight
                states[step] = makeState(first: histogram, hasFloat: floats.hasSample(at: step))
                continue
            }
            if state.isIncompatible { continue }
            do {
                if isMean { try state.mean?.add(histogram) } else { try state.sum?.add(histogram) }
            } catch {
                annotations.warnMixedSchemas(metric, at: range)
                state.isIncompatible = true
            }
        }
        row.dropHistograms()
    }

    /// A row without histograms came to the group.
    func addFloats(_ row: Row) {
        for step in 0..<min(row.count, states.count) where !row[step].isAbsent {
            if let state = states[step], !state.isIncompatible { state.hasFloat = true }
        }
    }

    private func makeState(first histogram: FloatHistogram, hasFloat: Bool) -> State {
        let state = State()
        state.hasFloat = hasFloat
        if hasFloat { return state }
        if isMean { state.mean = HistogramMean(first: histogram) } else { state.sum = HistogramSum(first: histogram) }
        return state
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
            if let sum = state.sum {
                annotations.note(sum.notes, .aggregation, at: range)
                row.setHistogram(sum.total.compacted(), at: step)
            } else if let mean = state.mean {
                annotations.note(mean.notes, .aggregation, at: range)
                row.setHistogram(mean.mean.compacted(), at: step)
            }
        }
    }
}
