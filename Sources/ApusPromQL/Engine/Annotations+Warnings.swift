import ApusBytes

/// What a histogram was made of, in texts.
enum HistogramOperation: String {
    case addition, subtraction, aggregation
}

/// Prometheus's warnings: a result may not be what was meant.
extension Annotations {
    func warnInvalidQuantile(_ phi: Double, at range: Range<Int>) {
        warn("quantile value should be between 0 and 1, got \(NumberText.general(phi))", at: range)
    }

    func warnInvalidRatio(_ ratio: Double, cappedTo cap: Double, at range: Range<Int>) {
        warn(
            "ratio value should be between -1 and 1, got \(NumberText.general(ratio)), capping to \(NumberText.general(cap))",
            at: range)
    }

    func warnBadBucketLabel(_ metric: ByteString, value: ByteString, at range: Range<Int>) {
        warn(
            "bucket label \"le\" is missing or has a malformed value of \(quoted(value.bytes))\(Self.naming(metric))", at: range)
    }

    func warnIneffectiveSort(at range: Range<Int>) {
        warn("sort is ineffective for range queries since results are always ordered by labels", at: range)
    }

    /// Floats and histograms in one window.
    func warnMixedTypes(_ metric: ByteString, at range: Range<Int>) {
        warn("encountered a mix of histograms and floats for metric name \(quoted(metric.bytes))", at: range)
    }

    /// Floats and histograms in one group.
    func warnMixedAggregation(at range: Range<Int>) {
        warn("encountered a mix of histograms and floats for aggregation", at: range)
    }

    func warnClassicAndNative(_ metric: ByteString, at range: Range<Int>) {
        warn("vector contains a mix of classic and native histograms\(Self.naming(metric))", at: range)
    }

    func warnHistogramNoCounter(_ metric: ByteString, at range: Range<Int>) {
        warn("this native histogram metric is not a counter: \(quoted(metric.bytes))", at: range)
    }

    func warnHistogramNoGauge(_ metric: ByteString, at range: Range<Int>) {
        warn("this native histogram metric is not a gauge: \(quoted(metric.bytes))", at: range)
    }

    /// Exponential and custom buckets where one histogram is to be made of several.
    func warnMixedSchemas(_ metric: ByteString, at range: Range<Int>) {
        warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
                + quoted(metric.bytes), at: range)
    }

    func warnIncompatibleLayouts(_ op: String, at range: Range<Int>) {
        warn("incompatible bucket layout encountered for binary operator \(op)", at: range)
    }

    func warnResetCollision(_ operation: HistogramOperation, at range: Range<Int>) {
        warn("conflicting counter resets during histogram \(operation.rawValue)", at: range)
    }

    func warnStartTimeOverlap(_ metric: ByteString, at range: Range<Int>) {
        warn(
            "sample has start time that overlaps with previous sample timestamp for metric \(quoted(metric.bytes))", at: range)
    }

    /// What adding or subtracting histograms has to say.
    func note(_ notes: HistogramNotes, _ operation: HistogramOperation, at range: Range<Int>) {
        if notes.contains(.counterResetCollision) { warnResetCollision(operation, at: range) }
        if notes.contains(.customBoundsReconciled) { informReconciledBounds(operation, at: range) }
    }

    static func naming(_ metric: ByteString) -> String {
        metric.isEmpty ? "" : " for metric name \(quoted(metric.bytes))"
    }
}
