import ApusModel

/// How a histogram goes into a chunk that has samples.
enum HistogramFit {
    /// It has the chunk's buckets, or none and is a stale marker.
    case fits
    /// It lacks some of the chunk's buckets, which hold nothing: they are added to it.
    case widen(BucketMerge)
    /// It has buckets that the chunk lacks: the chunk is written again.
    case recode(BucketMerge)
    /// It begins a new chunk, with this hint.
    case newChunk(CounterResetHint)
}

extension HistogramEncoder {
    /// Appends a histogram. Where it does not fit, nothing is done but to tell the hint a new chunk for it must have.
    /// - Parameter startMs: start timestamp, 0 for none.
    mutating func append(timestampMs: Int64, startMs: Int64 = 0, _ histogram: NativeHistogram) -> CounterResetHint? {
        if count == 0 {
            if histogram.hint == .gauge || histogram.hint == .reset {
                self = HistogramEncoder(isFloat: isFloat, hint: histogram.hint, keepsStarts: keepsStarts)
            }
            write(timestampMs, startMs, histogram, histogram.words)
            return nil
        }
        if count >= maxSamples { return histogram.hint == .gauge ? .gauge : .unknown }
        switch fit(histogram) {
        case .newChunk(let hint): return hint
        case .fits: write(timestampMs, startMs, histogram, histogram.words)
        case .widen(let merge): write(timestampMs, startMs, histogram, merge.wordsOfNew(histogram.words))
        case .recode(let merge):
            recode(to: merge.layout, from: merge.fromChunk)
            write(timestampMs, startMs, histogram, merge.wordsOfNew(histogram.words))
        }
        return nil
    }

    private mutating func write(_ timestampMs: Int64, _ startMs: Int64, _ histogram: NativeHistogram, _ words: [UInt64]) {
        write(
            timestampMs: timestampMs, layout: histogram.layout, countWord: histogram.countWord, zeroCountWord: histogram.zeroCountWord,
            sum: histogram.sum, words: words, startMs: startMs)
    }

    /// Whether a histogram fits behind the newest of this chunk, which must have one. The hints are upstream's, case by case.
    func fit(_ new: NativeHistogram) -> HistogramFit {
        if new.isFloat != isFloat { return .newChunk(new.hint == .gauge || new.hint == .reset ? new.hint : .unknown) }
        let isGauge = new.hint == .gauge
        if isGauge && hint != .gauge { return .newChunk(.gauge) }
        if !isGauge && hint == .gauge { return .newChunk(.noReset) }
        if new.hint == .reset { return .newChunk(.reset) }
        if new.isStale { return .fits }
        let otherKind = HistogramFit.newChunk(isGauge ? .gauge : .unknown)
        let wasReset = HistogramFit.newChunk(isGauge ? .gauge : .reset)
        // Behind a stale marker only stale markers.
        if StaleNaN.isStale(sum) { return otherKind }
        if !isGauge && isLess(new.countWord, countWord) { return wasReset }
        // By value: a threshold of NaN is never the same.
        if new.layout.schema != layout.schema || new.layout.zeroThreshold != layout.zeroThreshold { return otherKind }
        if new.layout.hasCustomBounds && new.layout.customBounds != layout.customBounds { return wasReset }
        if !isGauge && isLess(new.zeroCountWord, zeroCountWord) { return wasReset }

        if new.layout === layout || (new.layout.positiveSpans == layout.positiveSpans && new.layout.negativeSpans == layout.negativeSpans) {
            if !isGauge && zip(new.words, words).contains(where: { isLess($0, $1) }) { return wasReset }
            return .fits
        }
        guard layout.hasOrderedSpans && new.layout.hasOrderedSpans else { return otherKind }
        let merge = BucketMerge(chunk: layout, new: new.layout, isGauge: isGauge)
        if !isGauge {
            for (old, now) in zip(merge.fromChunk, merge.fromNew) where old >= 0 {
                if isLess(now < 0 ? 0 : new.words[now], words[old]) { return wasReset }
            }
        }
        if merge.chunkLacks { return .recode(merge) }
        return merge.newLacks ? .widen(merge) : .fits
    }

    private func isLess(_ new: UInt64, _ old: UInt64) -> Bool {
        isFloat ? Double(bitPattern: new) < Double(bitPattern: old) : new < old
    }
}

/// The buckets of a chunk and of a histogram together, and where each comes from.
struct BucketMerge {
    /// Indices of words, by the merged buckets; −1 where there is none.
    private(set) var fromChunk: [Int] = []
    private(set) var fromNew: [Int] = []
    private(set) var chunkLacks = false
    private(set) var newLacks = false
    /// What the chunk has from now on, when it is written again.
    private(set) var layout: HistogramLayout

    /// Both layouts must have their spans in order.
    init(chunk: HistogramLayout, new: HistogramLayout, isGauge: Bool) {
        layout = chunk
        let positive = merge(chunk.positiveSpans, new.positiveSpans, 0, 0)
        let negative = merge(chunk.negativeSpans, new.negativeSpans, chunk.positiveCount, new.positiveCount)
        if !chunkLacks { return }
        // A layout may be written in several ways; the bytes are upstream's only when the way is.
        func spans(_ side: (spans: [HistogramSpan], newLacks: Bool), _ given: [HistogramSpan]) -> [HistogramSpan] {
            (isGauge ? newLacks : side.newLacks) ? side.spans : given
        }
        layout = HistogramLayout(
            schema: new.schema, zeroThreshold: new.zeroThreshold, positiveSpans: spans(positive, new.positiveSpans),
            negativeSpans: spans(negative, new.negativeSpans), customBounds: new.customBounds)
    }

    private mutating func merge(
        _ chunk: [HistogramSpan], _ new: [HistogramSpan], _ firstOfChunk: Int, _ firstOfNew: Int
    ) -> (spans: [HistogramSpan], newLacks: Bool) {
        var builder = SpanBuilder()
        var lacks = false
        var (left, right) = (BucketIndices(chunk), BucketIndices(new))
        var (a, b) = (left.next(), right.next())
        var (chunkWord, newWord) = (firstOfChunk, firstOfNew)
        while a != nil || b != nil {
            let index = min(a ?? .max, b ?? .max)
            builder.append(index)
            if a == index {
                fromChunk.append(chunkWord)
                chunkWord += 1
                a = left.next()
            } else {
                fromChunk.append(-1)
                chunkLacks = true
            }
            if b == index {
                fromNew.append(newWord)
                newWord += 1
                b = right.next()
            } else {
                fromNew.append(-1)
                lacks = true
            }
        }
        newLacks = newLacks || lacks
        return (builder.spans, lacks)
    }

    /// The words of the new histogram with a zero, of either kind, for each bucket it lacks.
    func wordsOfNew(_ words: [UInt64]) -> [UInt64] { fromNew.map { $0 < 0 ? 0 : words[$0] } }
}

extension HistogramLayout {
    /// Whether bucket indices ascend and stay within 32 bits: what merging layouts relies on, and damaged chunks may not have.
    var hasOrderedSpans: Bool {
        for spans in [positiveSpans, negativeSpans] {
            var end = Int64(0)
            for (position, span) in spans.enumerated() {
                if position > 0 && span.offset < 0 { return false }
                end += Int64(span.offset) + Int64(span.length)
                if end > Int64(Int32.max) { return false }
            }
        }
        return true
    }
}
