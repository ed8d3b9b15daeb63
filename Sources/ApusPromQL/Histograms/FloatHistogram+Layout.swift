import ApusModel

extension FloatHistogram {
    /// The same observations without empty buckets, and without spans that could be one.
    public func compacted() -> FloatHistogram {
        var cache = CompactionCache()
        var result = self
        result.compact(&cache)
        return result
    }

    mutating func compact(_ cache: inout CompactionCache) {
        if layout.isCompact, !buckets.contains(0) { return }
        let kept = cache.layout(of: layout, without: buckets)
        layout = kept
        buckets.removeAll { $0 == 0 }
    }

    /// The same observations in a schema of lower resolution. Custom buckets, and a schema that is not lower, stay.
    public func reduced(toSchema schema: Int32) -> FloatHistogram {
        guard !hasCustomBounds, schema != HistogramLayout.customSchema, schema < layout.schema else { return self }
        var result = self
        var lost: HistogramCompensation?
        let (steps, overflow) = layout.schema.subtractingReportingOverflow(schema)
        result.replace(
            schema: schema, zeroThreshold: layout.zeroThreshold,
            positive: BucketSide(layout.positiveSpans, positiveBuckets, lost: nil).reduced(by: overflow ? 31 : steps),
            negative: BucketSide(layout.negativeSpans, negativeBuckets, lost: nil).reduced(by: overflow ? 31 : steps), lost: &lost)
        return result
    }
}

/// The last layout that lost its empty buckets. Neighbouring results have the same ones, and share what they become.
struct CompactionCache {
    private var source: HistogramLayout?
    private var kept: [Bool] = []
    private var result: HistogramLayout = .empty

    /// The layout without the buckets whose count is 0.
    mutating func layout(of layout: HistogramLayout, without counts: [Double]) -> HistogramLayout {
        if source === layout, kept.count == counts.count, zip(kept, counts).allSatisfy({ $0 == ($1 != 0) }) { return result }
        source = layout
        kept = counts.map { $0 != 0 }
        var sides: [[HistogramSpan]] = []
        for (spans, offset) in [(layout.positiveSpans, 0), (layout.negativeSpans, layout.positiveCount)] {
            var builder = SpanBuilder()
            var walk = SpanWalk(spans, isReversed: false)
            while let (position, index) = walk.next() {
                if position + offset < kept.count, kept[position + offset] { builder.append(index) }
            }
            sides.append(builder.spans)
        }
        result = HistogramLayout(
            schema: layout.schema, zeroThreshold: layout.zeroThreshold, positiveSpans: sides[0], negativeSpans: sides[1],
            customBounds: layout.customBounds)
        return result
    }
}

extension HistogramLayout {
    /// Whether there is no span that is empty or goes on where the one before ends.
    var isCompact: Bool {
        for spans in [positiveSpans, negativeSpans] {
            for (position, span) in spans.enumerated() where span.length == 0 || (position > 0 && span.offset == 0) { return false }
        }
        return true
    }
}
