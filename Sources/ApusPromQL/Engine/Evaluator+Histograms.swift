import ApusBytes
import ApusModel

/// The functions of histograms: native ones, and classic ones, which are put together from their bucket series.
extension Evaluator {
    // MARK: Numbers of native histograms

    /// `histogram_count`, `histogram_sum` and their like: they look at native histograms only, and pass over floats.
    func histogramNumber(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let number: (FloatHistogram) -> Double
        switch call.function.name {
        case .histogramCount: number = { $0.count }
        case .histogramSum: number = { $0.sum }
        case .histogramAvg: number = { $0.average }
        case .histogramStddev: number = { $0.standardDeviation }
        default: number = { $0.standardVariance }
        }
        let operand = call.arguments[0]
        let result = RowArena(width: steps.count).makeRow()
        let merged = mergedRows(unless: plan.isDistinctWithoutName[operand.index], steps)
        try vector(operand, steps) { (name, row) throws(QueryError) in
            guard row.mayHoldHistograms else { return }
            try bounds.work(row.count)
            for step in 0..<row.count {
                guard let histogram = row.histogram(step) else {
                    result[step] = Absent.value
                    continue
                }
                let value = number(histogram)
                result[step] = value.isMark ? .nan : value
            }
            if !result.isEmpty { try pass(dropName(name), result, merged, sink) }
        }
        try merged?.table.forEach(sink)
    }

    // MARK: Quantiles and fractions

    func histogramQuantile(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let (phiArgument, vectorArgument) = (call.arguments[0], call.arguments[1])
        let phi = try scalar(phiArgument, steps)
        try warnQuantile(phiArgument, steps)
        try eachHistogram(vectorArgument, steps, sink, quantile(phi, vectorArgument, steps))
    }

    /// `histogram_quantiles(v, label, φ…)`: several at once, told apart by a label.
    func histogramQuantiles(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let label = try text(call.arguments[1])
        guard label.isValidLabelName else { throw .execution("invalid label name \(quoted(label.bytes))") }
        let vectorArgument = call.arguments[0]
        for argument in call.arguments.dropFirst(2) {
            let phi = try scalar(argument, steps)
            try warnQuantile(argument, steps)
            let namedSink: RowSink = { (name, row) throws(QueryError) in
                // The label carries the quantile of the first step: it is a constant in any sensible query.
                let value = ByteString(openMetricsText(phi[0]))
                try sink(RowLabels(labels: name.labels.setting([(label, value)]), dropsName: name.dropsName), row)
            }
            try eachHistogram(vectorArgument, steps, namedSink, quantile(phi, vectorArgument, steps))
        }
    }

    func histogramFraction(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let lower = try scalar(call.arguments[0], steps)
        let upper = try scalar(call.arguments[1], steps)
        let range = expression[call.arguments[2]].range
        try eachHistogram(
            call.arguments[2], steps, sink,
            HistogramQuestion(
                classic: { (_, step, buckets) in bucketFraction(lower: lower[step], upper: upper[step], &buckets) },
                native: { [annotations] (metric, step, histogram) in
                    let (value, note) = histogram.fraction(lower: lower[step], upper: upper[step])
                    if note != nil { annotations.informFractionWithoutNaN(metric, at: range) }
                    return value
                }))
    }

    /// What is asked of each histogram, whichever kind it is; the metric is for annotations.
    private struct HistogramQuestion {
        let classic: (_ metric: ByteString, _ step: Int, inout [Bucket]) -> Double
        let native: (_ metric: ByteString, _ step: Int, FloatHistogram) -> Double
    }

    private func quantile(_ phi: ScalarColumn, _ vectorArgument: NodeID, _ steps: Steps) -> HistogramQuestion {
        let range = expression[vectorArgument].range
        return HistogramQuestion(
            classic: { [annotations] (metric, step, buckets) in
                let result = bucketQuantile(phi[step], &buckets)
                if let repair = result.repair {
                    annotations.informRepaired(repair, metric, atMs: steps.timestampMs(step), at: range)
                }
                return result.value
            },
            native: { [annotations] (metric, step, histogram) in
                let (value, note) = histogram.quantile(phi[step])
                switch note {
                case .resultIsNaN: annotations.informQuantileNaN(metric, at: range)
                case .skewsHigher: annotations.informQuantileSkewed(metric, at: range)
                default: break
                }
                return value
            })
    }

    // MARK: Finding histograms

    /// The bucket series of one classic histogram.
    private final class ClassicHistogram {
        let name: RowLabels
        /// The metric, for annotations.
        let metric: ByteString
        var buckets: [(upperBound: Double, row: Int)] = []
        /// The series with native histograms that has the same labels, if there is one.
        var native: Row?
        init(name: RowLabels, metric: ByteString) {
            self.name = name
            self.metric = metric
        }
    }

    /// Sorts bucket series into histograms; what has no proper `le` is left out, with a warning.
    private func classicHistograms(
        _ table: RowTable, _ index: inout LabelIndex, at range: Range<Int>
    ) -> [ClassicHistogram] {
        var histograms: [ClassicHistogram] = []
        for (row, entry) in table.entries.enumerated() {
            if entry.row.mayHoldHistograms, !entry.row.hasFloat { continue }
            let bound = entry.name.labels[LabelNames.bucket] ?? ByteString()
            let metric = entry.name.labels[LabelNames.name] ?? ByteString()
            guard let upperBound = parseDouble(bound.bytes.span), !upperBound.isNaN else {
                annotations.warnBadBucketLabel(metric, value: bound, at: range)
                continue
            }
            let (number, labels) = index.number(of: entry.name.labels)
            if let labels {
                histograms.append(ClassicHistogram(name: RowLabels(labels: labels), metric: metric))
            }
            histograms[number].buckets.append((upperBound, row))
        }
        return histograms
    }

    /// Computes one value for each histogram and step at which it has a sample. Where a native histogram and a classic one
    /// with the same labels meet, there is a warning and no value.
    private func eachHistogram(
        _ operand: NodeID, _ steps: Steps, _ sink: RowSink, _ question: HistogramQuestion
    ) throws(QueryError) {
        let table = try table(operand, steps)
        let range = expression[operand].range
        var index = LabelIndex([LabelNames.bucket], keeps: false)
        let histograms = classicHistograms(table, &index, at: range)
        let merged = mergedRows(unless: plan.isDistinctWithoutName[operand.index], steps)
        let row = RowArena(width: steps.count).makeRow()
        for entry in table.entries where entry.row.mayHoldHistograms {
            let number = index.existingNumber(of: entry.name.labels)
            // A native histogram with a label `le` is another series than the classic one without.
            let classic = number.flatMap { histograms[$0].name.labels == entry.name.labels ? histograms[$0] : nil }
            classic?.native = entry.row
            // Names that go at the end of the query stay here, for annotations; else they are known no longer.
            let metric = delaysNameRemoval ? entry.name.labels[LabelNames.name] ?? ByteString() : ByteString()
            for step in 0..<steps.count {
                row[step] = Absent.value
                guard let histogram = entry.row.histogram(step) else { continue }
                if let classic, classic.buckets.contains(where: { !table.entries[$0.row].row[step].isMark }) {
                    annotations.warnClassicAndNative(entry.name.labels[LabelNames.name] ?? ByteString(), at: range)
                    continue
                }
                let value = question.native(metric, step, histogram)
                row[step] = value.isMark ? .nan : value
            }
            try bounds.work(steps.count)
            if !row.isEmpty { try pass(dropName(entry.name), row, merged, sink) }
        }
        for histogram in histograms {
            var buckets: [Bucket] = []
            let metric = delaysNameRemoval ? histogram.metric : ByteString()
            for step in 0..<steps.count {
                buckets.removeAll(keepingCapacity: true)
                for bucket in histogram.buckets {
                    let count = table.entries[bucket.row].row[step]
                    if !count.isMark { buckets.append(Bucket(upperBound: bucket.upperBound, count: count)) }
                }
                let meetsNative = histogram.native?[step].isHistogramMark ?? false
                row[step] = buckets.isEmpty || meetsNative ? Absent.value : question.classic(metric, step, &buckets)
            }
            try bounds.work(steps.count * histogram.buckets.count)
            try pass(dropName(histogram.name), row, merged, sink)
        }
        try merged?.table.forEach(sink)
    }
}

/// As `NumberText.general`, but a whole number keeps its `.0`.
private func openMetricsText(_ value: Double) -> String {
    let text = NumberText.general(value)
    return text.contains { $0 == "." || $0 == "e" || $0 == "n" || $0 == "N" } ? text : text + ".0"
}
