public import ApusModel

/// The histograms of columns, in order: flat words, and layouts that neighbours share.
///
///     entries  │ word offset, layout, hint │ …          one for each histogram
///     words    │ count, zero count, buckets… │ …        as in `NativeHistogram`, without the sum
///     layouts  │ layout │ …                             one for each change
///     runs     │ kind, samples, first entry │ …         floats lie between
struct HistogramStore {
    struct Entry {
        var wordOffset: Int
        var layout: Int32
        var hint: CounterResetHint
    }
    struct Run {
        var isFloat: Bool
        var range: Range<Int>
        /// Index of the entry of the run's first sample.
        var firstEntry: Int
    }
    var entries: [Entry] = []
    var words: [UInt64] = []
    var layouts: [HistogramLayout] = []
    var runs: [Run] = []

    mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        words.removeAll(keepingCapacity: true)
        layouts.removeAll(keepingCapacity: true)
        runs.removeAll(keepingCapacity: true)
    }

    mutating func truncate(toCount count: Int) {
        while let last = runs.last, last.range.upperBound > count {
            runs.removeLast()
            let kept = max(0, count - last.range.lowerBound)
            let end = last.firstEntry + kept
            if end < entries.count {
                words.removeSubrange(entries[end].wordOffset...)
                entries.removeSubrange(end...)
            }
            if kept > 0 { runs.append(Run(isFloat: last.isFloat, range: last.range.lowerBound..<count, firstEntry: last.firstEntry)) }
        }
        let used = Int(entries.last?.layout ?? -1) + 1
        if layouts.count > used { layouts.removeSubrange(used...) }
    }

    /// The run that holds a sample, or nil for a float. O(log runs).
    func run(at index: Int) -> Run? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].range.upperBound <= index { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && runs[low].range.contains(index) ? runs[low] : nil
    }

    func entry(at index: Int) -> Int? { run(at: index).map { $0.firstEntry + index - $0.range.lowerBound } }

    /// Makes an entry for sample `index`, behind all others. Its words are the caller's to append.
    mutating func add(index: Int, isFloat: Bool, layout: HistogramLayout, hint: CounterResetHint) {
        if let last = layouts.last, last === layout || last == layout {} else { layouts.append(layout) }
        if let last = runs.last, last.isFloat == isFloat, last.range.upperBound == index {
            runs[runs.count - 1].range = last.range.lowerBound..<index + 1
        } else {
            runs.append(Run(isFloat: isFloat, range: index..<index + 1, firstEntry: entries.count))
        }
        entries.append(Entry(wordOffset: words.count, layout: Int32(truncatingIfNeeded: layouts.count - 1), hint: hint))
    }
}

extension SampleColumns {
    /// The stretches of one kind, in order; together they cover all samples.
    public var runs: [Run] {
        var result: [Run] = []
        var end = 0
        for run in histogramStore.runs {
            if run.range.lowerBound > end { result.append(Run(kind: .float, range: end..<run.range.lowerBound)) }
            result.append(Run(kind: run.isFloat ? .floatHistogram : .histogram, range: run.range))
            end = run.range.upperBound
        }
        if end < count { result.append(Run(kind: .float, range: end..<count)) }
        return result
    }

    /// Whether any sample is a native histogram.
    public var hasHistograms: Bool { !histogramStore.runs.isEmpty }

    /// O(log runs).
    public borrowing func kind(at index: Int) -> Kind {
        guard let run = histogramStore.run(at: index) else { return .float }
        return run.isFloat ? .floatHistogram : .histogram
    }

    /// The histogram at an index, copied; nil for a float.
    public borrowing func histogram(at index: Int) -> NativeHistogram? {
        guard let run = histogramStore.run(at: index) else { return nil }
        let entry = histogramStore.entries[run.firstEntry + index - run.range.lowerBound]
        let layout = histogramStore.layouts[Int(entry.layout)]
        let start = entry.wordOffset
        let words = histogramStore.words
        return try? NativeHistogram(
            layout: layout, hint: entry.hint, isFloat: run.isFloat, countWord: words[start], zeroCountWord: words[start + 1],
            sum: value(at: index), words: Array(words[start + 2..<start + 2 + layout.bucketCount]))
    }

    /// What kind of buckets a histogram has; nil for a float. Neighbours share the object.
    public borrowing func histogramLayout(at index: Int) -> HistogramLayout? {
        histogramStore.entry(at: index).map { histogramStore.layouts[Int(histogramStore.entries[$0].layout)] }
    }

    /// Whether a histogram's counting began anew; nil for a float.
    public borrowing func histogramHint(at index: Int) -> CounterResetHint? {
        histogramStore.entry(at: index).map { histogramStore.entries[$0].hint }
    }

    /// For merges: a hint says something of the histogram before, which may come from elsewhere now.
    public mutating func setHistogramHint(_ hint: CounterResetHint, at index: Int) {
        if let entry = histogramStore.entry(at: index) { histogramStore.entries[entry].hint = hint }
    }

    /// Lends the words of a histogram without copying: count, zero count, positive buckets, negative buckets; as
    /// `NativeHistogram.words`. Nil, and `body` is not called, for a float.
    public borrowing func withHistogramWords<R, E: Error>(
        at index: Int, _ body: (ArraySlice<UInt64>) throws(E) -> R
    ) throws(E) -> R? {
        guard let entry = histogramStore.entry(at: index) else { return nil }
        let start = histogramStore.entries[entry].wordOffset
        let end = entry + 1 < histogramStore.entries.count ? histogramStore.entries[entry + 1].wordOffset : histogramStore.words.count
        return try body(histogramStore.words[start..<end])
    }

    /// Appends a histogram, also when the columns were made without `histograms`: that is for decoders to look at.
    public mutating func append(timestampMs: Int64, histogram: NativeHistogram) {
        histogramStore.add(index: count, isFloat: histogram.isFloat, layout: histogram.layout, hint: histogram.hint)
        histogramStore.words.append(histogram.countWord)
        histogramStore.words.append(histogram.zeroCountWord)
        histogramStore.words.append(contentsOf: histogram.words)
        append(timestampMs: timestampMs, value: histogram.sum)
    }

    /// For decoders: a histogram by its parts, without making one.
    public mutating func appendHistogram(
        timestampMs: Int64, isFloat: Bool, layout: HistogramLayout, hint: CounterResetHint, countWord: UInt64, zeroCountWord: UInt64,
        sum: Double, words: [UInt64]
    ) {
        precondition(words.count == layout.bucketCount, "a histogram has a word for each bucket of its layout")
        histogramStore.add(index: count, isFloat: isFloat, layout: layout, hint: hint)
        histogramStore.words.append(countWord)
        histogramStore.words.append(zeroCountWord)
        histogramStore.words.append(contentsOf: words)
        append(timestampMs: timestampMs, value: sum)
    }

    mutating func appendHistogram(at index: Int, of other: borrowing SampleColumns) {
        guard let run = other.histogramStore.run(at: index) else { return }
        let number = run.firstEntry + index - run.range.lowerBound
        let entry = other.histogramStore.entries[number]
        let layout = other.histogramStore.layouts[Int(entry.layout)]
        histogramStore.add(index: count, isFloat: run.isFloat, layout: layout, hint: entry.hint)
        histogramStore.words.append(
            contentsOf: other.histogramStore.words[entry.wordOffset..<entry.wordOffset + 2 + layout.bucketCount])
        append(timestampMs: other.timestampMs(at: index), value: other.value(at: index))
    }
}
