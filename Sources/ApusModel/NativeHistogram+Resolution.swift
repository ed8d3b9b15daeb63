extension NativeHistogram {
    /// The same histogram without empty buckets: spans are split where a bucket is empty and joined where they touch.
    ///
    /// Targets write a span of no length to say "this is a native histogram"; it goes here too.
    public func compacted() -> NativeHistogram {
        var positive = SpanBuilder()
        for (index, word) in zip(BucketIndices(layout.positiveSpans), positiveWords) where !isZero(word) { positive.append(index, word) }
        var negative = SpanBuilder()
        for (index, word) in zip(BucketIndices(layout.negativeSpans), negativeWords) where !isZero(word) { negative.append(index, word) }
        if positive.spans == layout.positiveSpans && negative.spans == layout.negativeSpans { return self }
        return rebuilt(schema: layout.schema, positive: positive, negative: negative)
    }

    /// The same observations with fewer, wider buckets: each step of the schema joins two buckets into one. A histogram of
    /// custom bounds, or one as wide already, stays as it is.
    public func reduced(toSchema schema: Int32) -> NativeHistogram {
        guard !layout.hasCustomBounds, schema < layout.schema, layout.schema - schema < 64 else { return self }
        let shift = layout.schema - schema
        return rebuilt(
            schema: schema, positive: joined(layout.positiveSpans, positiveWords, shift: shift),
            negative: joined(layout.negativeSpans, negativeWords, shift: shift))
    }

    private func joined(_ spans: [HistogramSpan], _ words: ArraySlice<UInt64>, shift: Int32) -> SpanBuilder {
        var builder = SpanBuilder()
        for (index, word) in zip(BucketIndices(spans), words) {
            // Bucket i ends at base^i, so i − 1 is what divides evenly.
            let target = ((index &- 1) >> shift) &+ 1
            if builder.last == target, let before = builder.words.last {
                builder.words[builder.words.count - 1] = sum(before, word)
            } else {
                builder.append(target, word)
            }
        }
        return builder
    }

    private func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        isFloat ? (Double(bitPattern: left) + Double(bitPattern: right)).bitPattern : left &+ right
    }

    private func isZero(_ word: UInt64) -> Bool { isFloat ? Double(bitPattern: word) == 0 : word == 0 }

    private func rebuilt(schema: Int32, positive: SpanBuilder, negative: SpanBuilder) -> NativeHistogram {
        let fresh = HistogramLayout(
            schema: schema, zeroThreshold: layout.zeroThreshold, positiveSpans: positive.spans, negativeSpans: negative.spans,
            customBounds: layout.customBounds)
        // The builders made as many words as their spans have buckets, so this does not throw.
        let result = try? NativeHistogram(
            layout: fresh, hint: hint, isFloat: isFloat, countWord: countWord, zeroCountWord: zeroCountWord, sum: sum,
            words: positive.words + negative.words)
        return result ?? self
    }
}

/// Spans from bucket indices in ascending order.
private struct SpanBuilder {
    var spans: [HistogramSpan] = []
    var words: [UInt64] = []
    var last: Int32?

    mutating func append(_ index: Int32, _ word: UInt64) {
        if let last {
            let gap = index &- last &- 1
            if gap == 0, !spans.isEmpty {
                spans[spans.count - 1].length &+= 1
            } else {
                spans.append(HistogramSpan(offset: gap, length: 1))
            }
        } else {
            spans.append(HistogramSpan(offset: index, length: 1))
        }
        words.append(word)
        last = index
    }
}
