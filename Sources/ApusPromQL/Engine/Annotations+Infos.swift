import ApusBytes

/// Prometheus's infos: hints that a query may be better written.
extension Annotations {
    func informPossiblyNoCounter(_ metric: ByteString, at range: Range<Int>) {
        inform(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \(quoted(metric.bytes))", at: range)
    }

    /// With type labels, which know better than names.
    func informPossiblyNoCounter(_ metric: ByteString, type: ByteString, at range: Range<Int>) {
        inform(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got "
                + "\(quoted(type.bytes)): \(quoted(metric.bytes))", at: range)
    }

    func informRepaired(_ repair: MonotonicityRepair, _ metric: ByteString, atMs timestampMs: Int64, at range: Range<Int>) {
        inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see "
                + "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)\(Self.naming(metric))",
            repair, atMs: timestampMs, at: range)
    }

    func informIncompatibleTypes(_ left: String, _ op: String, _ right: String, at range: Range<Int>) {
        inform("incompatible sample types encountered for binary operator \"\(op)\": \(left) \(op) \(right)", at: range)
    }

    func informHistogramIgnored(_ aggregation: String, at range: Range<Int>) {
        inform("ignored histogram in \(aggregation) aggregation", at: range)
    }

    /// A function of floats had a window with both.
    func informHistogramsIgnored(_ metric: ByteString, at range: Range<Int>) {
        inform(
            "ignored histograms in a range containing both floats and histograms for metric name \(quoted(metric.bytes))",
            at: range)
    }

    func informQuantileNaN(_ metric: ByteString, at range: Range<Int>) {
        inform("input to histogram_quantile has NaN observations, result is NaN\(Self.naming(metric))", at: range)
    }

    func informQuantileSkewed(_ metric: ByteString, at range: Range<Int>) {
        inform("input to histogram_quantile has NaN observations, result is skewed higher\(Self.naming(metric))", at: range)
    }

    func informFractionWithoutNaN(_ metric: ByteString, at range: Range<Int>) {
        inform(
            "input to histogram_fraction has NaN observations, which are excluded from all fractions\(Self.naming(metric))",
            at: range)
    }

    func informReconciledBounds(_ operation: HistogramOperation, at range: Range<Int>) {
        inform("mismatched custom buckets were reconciled during \(operation.rawValue)", at: range)
    }
}
