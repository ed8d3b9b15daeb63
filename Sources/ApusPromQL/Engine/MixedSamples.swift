import ApusBytes
import ApusModel
import ApusStorage

/// Reading series of which some samples are histograms: the slower twins of what `Samples` and `selectInstant` do.
extension ColumnScratch {
    /// For how many samples it counts under a limit of samples.
    var weight: Int {
        var result = columns.count
        for run in columns.runs where run.kind != .float {
            for index in run.range { result &+= columns.sampleWeight(at: index) - 1 }
        }
        return result
    }

    /// Copies the samples without staleness markers, and with an ordinary NaN for the marks of rows.
    func copyMixedWithoutMarkers(into other: ColumnScratch) {
        other.columns.removeAll()
        for index in 0..<columns.count {
            let value = columns.value(at: index)
            if StaleNaN.isStale(value) { continue }
            if value.isMark, columns.kind(at: index) == .float {
                other.columns.append(timestampMs: columns.timestampMs(at: index), value: .nan)
                other.columns.setStartTimestampMs(columns.startTimestampMs(at: index), at: other.columns.count - 1)
            } else {
                other.columns.append(contentsOf: columns, index..<index + 1)
            }
        }
    }

    /// Appends the samples of a row of an inner query. What a histogram's hint says of the sample before it in the storage
    /// does not hold for the one before it here.
    func collect(_ row: Row, _ steps: Steps) {
        for step in 0..<row.count where !row[step].isAbsent {
            if !row[step].isHistogramMark {
                columns.append(timestampMs: steps.timestampMs(step), value: row[step])
            } else if var histogram = row.histogram(step) {
                if histogram.hint != .gauge { histogram.hint = .unknown }
                guard let native = histogram.native else { continue }
                columns.append(timestampMs: steps.timestampMs(step), histogram: native)
            }
        }
    }

    /// Leaves of each histogram its count, its sum and the kind of its buckets, with a hint that follows from the one before
    /// it if none is known.
    func reduceToTotals() {
        var reduced = SampleColumns(histograms: true)
        var layout = HistogramLayout.empty
        var previous: FloatHistogram?
        for index in 0..<columns.count {
            guard let histogram = FloatHistogram(columns, at: index), !StaleNaN.isStale(histogram.sum) else {
                reduced.append(contentsOf: columns, index..<index + 1)
                continue
            }
            var hint = histogram.hint
            if hint == .unknown, let previous { hint = histogram.detectsReset(after: previous) ? .reset : .noReset }
            previous = histogram
            if layout.schema != histogram.layout.schema || layout.customBounds != histogram.layout.customBounds {
                layout = HistogramLayout(schema: histogram.layout.schema, customBounds: histogram.layout.customBounds)
            }
            reduced.appendHistogram(
                timestampMs: columns.timestampMs(at: index), isFloat: true, layout: layout, hint: hint,
                countWord: histogram.count.bitPattern, zeroCountWord: 0, sum: histogram.sum, words: [])
            reduced.setStartTimestampMs(columns.startTimestampMs(at: index), at: reduced.count - 1)
        }
        swap(&columns, &reduced)
    }

    /// The floats alone.
    func copyFloats(into other: ColumnScratch) {
        other.columns.removeAll()
        for run in columns.runs where run.kind == .float {
            other.columns.append(contentsOf: columns, run.range)
        }
    }
}

extension SampleColumns {
    borrowing func sampleWeight(at index: Int) -> Int {
        guard let layout = histogramLayout(at: index) else { return 1 }
        let elements =
            layout.positiveSpans.count + layout.negativeSpans.count + layout.bucketCount + layout.customBounds.count
        return FloatHistogram.sampleWeight(elements: elements)
    }
}

extension Evaluator {
    /// As `selectInstant` and its like, for a series of which some samples are histograms.
    /// - Returns: for how many samples those that were found count.
    func selectMixed(
        into row: Row, from scratch: ColumnScratch, at references: References, wants column: SelectedColumn, isSmoothed: Bool,
        metric: ByteString, range: Range<Int>
    ) -> Int {
        defer { withExtendedLifetime(scratch) {} }
        row.forgetHistograms()
        if isSmoothed {
            let cleaned = ColumnScratch()
            scratch.copyMixedWithoutMarkers(into: cleaned)
            return selectSmoothedMixed(into: row, from: cleaned, at: references, metric: metric, range: range)
        }
        guard column == .value else {
            let found = selectInstant(
                into: row, from: Samples(scratch), at: references, lookbackMs: lookbackMs, wantsTimestamps: true)
            if column == .startTimestamp { replaceTimes(row, byStartsOf: scratch.columns) }
            return found
        }
        let samples = Samples(scratch)
        var weight = 0
        var cursor = SampleCursor()
        // Several steps often see the same sample: it is made once, and shared.
        var made: (index: Int, histogram: FloatHistogram)?
        for step in 0..<row.count {
            let reference = references.timestampMs(step)
            cursor.advance(in: samples, through: reference)
            let index = cursor.index - 1
            row[step] = Absent.value
            guard index >= 0, samples.timestampMs(index) > reference &- lookbackMs else { continue }
            let value = samples.value(index)
            if StaleNaN.isStale(value) { continue }
            if let made, made.index == index {
                row.setHistogram(made.histogram, at: step)
                weight &+= made.histogram.sampleWeight
            } else if let histogram = FloatHistogram(scratch.columns, at: index) {
                made = (index, histogram)
                row.setHistogram(histogram, at: step)
                weight &+= histogram.sampleWeight
            } else {
                row[step] = value.isMark ? .nan : value
                weight &+= 1
            }
        }
        return weight
    }
}
