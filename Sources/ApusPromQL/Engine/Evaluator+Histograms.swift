import ApusBytes
import ApusModel

extension Evaluator {
    /// The bucket series of one classic histogram.
    private final class ClassicHistogram {
        let name: RowLabels
        /// The metric, for annotations.
        let metric: ByteString
        var buckets: [(upperBound: Double, row: Int)] = []
        init(name: RowLabels, metric: ByteString) {
            self.name = name
            self.metric = metric
        }
    }

    /// Sorts bucket series into histograms; what has no proper `le` is left out, with a warning.
    private func classicHistograms(_ table: RowTable, at range: Range<Int>) -> [ClassicHistogram] {
        var index = LabelIndex([LabelNames.bucket], keeps: false)
        var histograms: [ClassicHistogram] = []
        for (row, entry) in table.entries.enumerated() {
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

    func histogramQuantile(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let (phiArgument, vectorArgument) = (call.arguments[0], call.arguments[1])
        let phi = try scalar(phiArgument, steps)
        try warnQuantile(phiArgument, steps)
        try eachHistogram(vectorArgument, steps, sink) { (histogram, step, buckets) in
            let result = bucketQuantile(phi[step], &buckets)
            if let repair = result.repair { inform(repair, histogram.metric, at: expression[vectorArgument].range) }
            return result.value
        }
    }

    /// `histogram_quantiles(v, label, φ…)`: several at once, told apart by a label.
    func histogramQuantiles(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let label = try text(call.arguments[1])
        guard label.isValidLabelName else { throw .execution("invalid label name \(quoted(label.bytes))") }
        let vectorArgument = call.arguments[0]
        for argument in call.arguments.dropFirst(2) {
            let phi = try scalar(argument, steps)
            try warnQuantile(argument, steps)
            try eachHistogram(vectorArgument, steps, { (name, row) throws(QueryError) in
                // The label carries the quantile of the first step: it is a constant in any sensible query.
                let value = ByteString(openMetricsText(phi[0]))
                try sink(RowLabels(labels: name.labels.setting([(label, value)]), dropsName: name.dropsName), row)
            }) { (histogram, step, buckets) in
                let result = bucketQuantile(phi[step], &buckets)
                if let repair = result.repair { inform(repair, histogram.metric, at: expression[vectorArgument].range) }
                return result.value
            }
        }
    }

    func histogramFraction(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let lower = try scalar(call.arguments[0], steps)
        let upper = try scalar(call.arguments[1], steps)
        try eachHistogram(call.arguments[2], steps, sink) { (_, step, buckets) in
            bucketFraction(lower: lower[step], upper: upper[step], &buckets)
        }
    }

    /// Computes one value for each classic histogram and step at which it has a bucket.
    private func eachHistogram(
        _ operand: NodeID, _ steps: Steps, _ sink: RowSink,
        _ compute: (ClassicHistogram, _ step: Int, inout [Bucket]) -> Double
    ) throws(QueryError) {
        let table = try table(operand, steps)
        let histograms = classicHistograms(table, at: expression[operand].range)
        let row = RowArena(width: steps.count).makeRow()
        let merged = mergedRows(unless: plan.isDistinctWithoutName[operand.index], steps)
        for histogram in histograms {
            var buckets: [Bucket] = []
            for step in 0..<steps.count {
                buckets.removeAll(keepingCapacity: true)
                for bucket in histogram.buckets {
                    let count = table.entries[bucket.row].row[step]
                    if !count.isAbsent { buckets.append(Bucket(upperBound: bucket.upperBound, count: count)) }
                }
                row[step] = buckets.isEmpty ? Absent.value : compute(histogram, step, &buckets)
            }
            try bounds.work(steps.count * histogram.buckets.count)
            try pass(dropName(histogram.name), row, merged, sink)
        }
        try merged?.table.forEach(sink)
    }

    private func inform(_ repair: MonotonicityRepair, _ metric: ByteString, at range: Range<Int>) {
        // Without delayed name removal the metric is no longer known here.
        annotations.informRepaired(repair, delaysNameRemoval ? metric : ByteString(), at: range)
    }
}

/// As `NumberText.general`, but a whole number keeps its `.0`.
private func openMetricsText(_ value: Double) -> String {
    let text = NumberText.general(value)
    return text.contains { $0 == "." || $0 == "e" || $0 == "n" || $0 == "N" } ? text : text + ".0"
}

extension Annotations {
    func informRepaired(_ repair: MonotonicityRepair, _ metric: ByteString, at range: Range<Int>) {
        let name = metric.isEmpty ? "" : " for metric name \(quoted(metric.bytes))"
        inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see "
                + "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\(name)", at: range)
    }
}
