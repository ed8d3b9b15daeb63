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

    mutating func prepare(_ scratch: ColumnScratch, findsResets: Bool, usesStartTimestamps: Bool) {
        self.scratch = scratch
        count = scratch.columns.count
        hasStartTimestamps = usesStartTimestamps && scratch.columns.hasStartTimestamps
        stretches.removeAll(keepingCapacity: true)
        resets.removeAll(keepingCapacity: true)
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

    /// A change of kind is a reset, too.
    func resetCount(in range: Range<Int>) -> Int {
        count(in: range) { index, isHistogram in
            isHistogram ? isReset(index) : float(index) < float(index - 1) || isStartTimestampReset(index)
        }
    }

    func changeCount(in range: Range<Int>) -> Int {
        count(in: range) { index, isHistogram in
            if isHistogram { return histogram(index) != histogram(index - 1) }
            let (current, previous) = (float(index), float(index - 1))
            return current != previous && !(current.isNaN && previous.isNaN)
        }
    }

    private func count(in range: Range<Int>, _ counts: (Int, _ isHistogram: Bool) -> Bool) -> Int {
        var result = 0
        var wasHistogram = hint(range.lowerBound) != nil
        for index in range.dropFirst() {
            let isHistogram = hint(index) != nil
            if isHistogram != wasHistogram || counts(index, isHistogram) { result += 1 }
            wasHistogram = isHistogram
        }
        return result
    }

    // MARK: Start timestamps

    /// When the counting began that a sample goes on with; 0 when nobody said, or nobody wants to hear.
    func startTimestampMs(_ index: Int) -> Int64 {
        hasStartTimestamps ? scratch?.columns.startTimestampMs(at: index) ?? 0 : 0
    }

    /// Whether a sample's start timestamp says that the counting began anew after the sample before it.
    private func isStartTimestampReset(_ index: Int) -> Bool {
        guard hasStartTimestamps else { return false }
        let (start, time) = (startTimestampMs(index), timestampMs(index))
        let (startBefore, timeBefore) = (startTimestampMs(index - 1), timestampMs(index - 1))
        if start == 0 || start >= time || start < timeBefore { return false }
        if start > timeBefore { return true }
        // It begins with the sample before: either each sample counts for itself, or its start is not known, which is said
        // by a start that is the sample's own time.
        return startBefore <= timeBefore && startBefore != 0 && startBefore != timeBefore
    }
}
