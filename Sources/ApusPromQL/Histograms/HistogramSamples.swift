import ApusModel
import ApusStorage

/// The samples of one series, of which some are histograms, as the kernels read them.
///
/// What windows ask again and again is found once a series: which samples are histograms, and where counting began anew.
struct HistogramSamples {
    enum Content { case floats, histograms, mixed }

    private var scratch: ColumnScratch?
    private(set) var count = 0
    /// Stretches of histograms, half-open, in order.
    private var stretches: [Range<Int>] = []
    /// Indices of histograms that follow a histogram and begin anew.
    private var resets: [Int] = []
    /// Whether all histograms have one schema and no gauge is among them: then nobody needs to look at each.
    private(set) var isUniform = true
    private(set) var hasStartTimestamps = false
    /// How many events, resets or changes, there were up to each sample; empty when nobody counts.
    private var events: [Int] = []

    mutating func prepare(_ scratch: ColumnScratch, findsResets: Bool, usesStartTimestamps: Bool) {
        self.scratch = scratch
        count = scratch.columns.count
        hasStartTimestamps = usesStartTimestamps && scratch.columns.hasStartTimestamps
        stretches.removeAll(keepingCapacity: true)
        resets.removeAll(keepingCapacity: true)
        events.removeAll(keepingCapacity: true)
        for run in scratch.columns.runs where run.kind != .float {
            if let last = stretches.last, last.upperBound == run.range.lowerBound {
                stretches[stretches.count - 1] = last.lowerBound..<run.range.upperBound
            } else {
                stretches.append(run.range)
            }
        }
        isUniform = true
        guard findsResets else { return }
        var schema: Int32?
        for stretch in stretches {
            for index in stretch {
                guard let layout = layout(index), let hint = hint(index) else { continue }
                if hint == .gauge || (schema ?? layout.schema) != layout.schema { isUniform = false }
                schema = layout.schema
                if index == stretch.lowerBound { continue }
                if isStartTimestampReset(index) || isReset(index, hint) { resets.append(index) }
            }
        }
    }

    /// Looks at the counts only where no hint says how it is.
    private func isReset(_ index: Int, _ hint: CounterResetHint) -> Bool {
        if hint == .reset { return true }
        if hint == .noReset { return false }
        guard let current = histogram(index), let previous = histogram(index - 1) else { return false }
        return current.detectsReset(after: previous)
    }

    func timestampMs(_ index: Int) -> Int64 { scratch?.columns.timestampMs(at: index) ?? 0 }
    func float(_ index: Int) -> Double { scratch?.columns.value(at: index) ?? .nan }
    func layout(_ index: Int) -> HistogramLayout? { scratch?.columns.histogramLayout(at: index) }
    func hint(_ index: Int) -> CounterResetHint? { scratch?.columns.histogramHint(at: index) }

    /// `nil` for a float.
    func histogram(_ index: Int) -> FloatHistogram? {
        guard let scratch, index >= 0, index < count else { return nil }
        return FloatHistogram(scratch.columns, at: index)
    }

    /// As `histogram`, into memory that is there.
    /// - Returns: false for a float.
    func load(_ index: Int, into histogram: inout FloatHistogram) -> Bool {
        guard let scratch, index >= 0, index < count else { return false }
        return histogram.load(scratch.columns, at: index)
    }

    /// The number of observations of a histogram; NaN for a float.
    func observationCount(_ index: Int) -> Double {
        guard let scratch, index >= 0, index < count else { return .nan }
        let isFloat = scratch.columns.kind(at: index) == .floatHistogram
        let found = scratch.columns.withHistogramWords(at: index) { words in
            words.first.map { FloatHistogram.number($0, isFloat: isFloat) } ?? .nan
        }
        return found ?? .nan
    }

    func content(of range: Range<Int>) -> Content {
        // The first stretch that ends after the window's start.
        guard let stretch = stretches.first(where: { $0.upperBound > range.lowerBound }), stretch.lowerBound < range.upperBound else {
            return .floats
        }
        return stretch.lowerBound <= range.lowerBound && range.upperBound <= stretch.upperBound ? .histograms : .mixed
    }

    // MARK: Resets and changes

    /// Whether the histogram at `index`, and one before it, are parts of different runs of the counter.
    func isReset(_ index: Int) -> Bool {
        let place = place(of: index)
        return place < resets.count && resets[place] == index
    }

    /// The first reset that is not before `index`.
    private func place(of index: Int) -> Int {
        var (low, high) = (0, resets.count)
        while low < high {
            let middle = (low + high) / 2
            if resets[middle] < index { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func resets(after first: Int, through last: Int) -> ArraySlice<Int> {
        let (from, to) = (place(of: first + 1), place(of: last + 1))
        return resets[from..<max(from, to)]
    }

    /// Of the samples `range`. A change of kind is a reset, too. `prepare` must have found resets.
    func resetCount(in range: Range<Int>) -> Int {
        range.dropFirst().count { isReset(from: $0 - 1, hint($0 - 1) != nil, to: $0, hint($0) != nil) }
    }

    /// Of the samples `range`.
    func changeCount(in range: Range<Int>) -> Int {
        range.dropFirst().count {
            let (before, after) = (histogram($0 - 1), histogram($0))
            return before == nil && after == nil ? isFloatChange($0) : before != after
        }
    }

    private func isReset(from previous: Int, _ wasHistogram: Bool, to index: Int, _ isHistogram: Bool) -> Bool {
        if isHistogram != wasHistogram { return true }
        return isHistogram ? isReset(index) : float(index) < float(previous) || isStartTimestampReset(index)
    }

    private func isFloatChange(_ index: Int) -> Bool {
        let (current, previous) = (float(index), float(index - 1))
        return current != previous && !(current.isNaN && previous.isNaN)
    }

    /// Counts resets, for `eventCount`.
    mutating func countResets() {
        var wasHistogram = false
        for index in 0..<count {
            let isHistogram = hint(index) != nil
            let isEvent = index > 0 && isReset(from: index - 1, wasHistogram, to: index, isHistogram)
            events.append((events.last ?? 0) + (isEvent ? 1 : 0))
            wasHistogram = isHistogram
        }
    }

    /// Counts changes, for `eventCount`.
    mutating func countChanges() {
        var previous = FloatHistogram()
        var current = FloatHistogram()
        var wasHistogram = false
        for index in 0..<count {
            let isHistogram = load(index, into: &current)
            let isEvent: Bool
            if isHistogram != wasHistogram {
                isEvent = index > 0
            } else {
                isEvent = index > 0 && (isHistogram ? current != previous : isFloatChange(index))
            }
            events.append((events.last ?? 0) + (isEvent ? 1 : 0))
            wasHistogram = isHistogram
            swap(&previous, &current)
        }
    }

    /// How often the samples `range` were reset, or changed, as they were counted.
    func eventCount(in range: Range<Int>) -> Int {
        guard range.lowerBound >= 0, range.upperBound <= events.count, !range.isEmpty else { return 0 }
        return events[range.upperBound - 1] - events[range.lowerBound]
    }

    // MARK: Start timestamps

    /// When the counting began that a sample goes on with; 0 when nobody said, or nobody wants to hear.
    func startTimestampMs(_ index: Int) -> Int64 {
        hasStartTimestamps ? scratch?.columns.startTimestampMs(at: index) ?? 0 : 0
    }

    /// Whether a sample's start timestamp says that the counting began anew after the sample before it.
    private func isStartTimestampReset(_ index: Int) -> Bool {
        hasStartTimestamps
            && StartTimestamps.isReset(
                previousStartMs: startTimestampMs(index - 1), previousMs: timestampMs(index - 1), startMs: startTimestampMs(index),
                timestampMs: timestampMs(index))
    }
}
