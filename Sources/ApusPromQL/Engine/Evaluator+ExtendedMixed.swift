import ApusBytes
import ApusModel

/// `anchored` and `smoothed` selectors of series of which some samples are histograms: as `ExtendedRanges`, with
/// histograms in place of values.
extension Evaluator {
    /// Fills the row, one window a step.
    ///
    /// - Parameter kernel: computes windows of floats; it looks for its own samples, so that it is used for series that have
    ///   windows of floats only.
    func extendedMixedWindows(
        _ series: RangeSeries, _ scratch: ColumnScratch, _ function: FunctionName, _ extent: RangeExtent, range: NodeID,
        _ kernel: inout any WindowKernel, into row: Row
    ) throws(QueryError) {
        let counts = function == .resets || function == .changes
        let isCounter = function != .delta
        var samples = HistogramSamples()
        samples.prepare(scratch, findsResets: isCounter, usesStartTimestamps: false)
        // Floats are computed as if histograms were not there, and stand where a window has floats only.
        if !counts {
            _ = try kernel.fill(
                row, from: series.samples, at: series.references, rangeMs: series.rangeMs, poll: bounds)
        }
        var cursors = ExtendedCursors()
        var notes: WindowNotes = []
        let weight = scratch.weight / max(1, scratch.columns.count)
        for step in 0..<row.count {
            let floats = row[step]
            row[step] = Absent.value
            guard
                let window = ExtendedWindow(
                    series.samples, endMs: series.references.timestampMs(step), rangeMs: series.rangeMs, extent: extent,
                    lookbackMs: lookbackMs, &cursors)
            else { continue }
            bounds.touch(window.neighbours.count &* weight)
            try bounds.work(window.neighbours.count &* weight)
            if counts {
                let counted = window.first..<window.last + 1
                row[step] = Double(function == .resets ? samples.resetCount(in: counted) : samples.changeCount(in: counted))
                continue
            }
            switch samples.content(of: window.neighbours) {
            case .floats: row[step] = floats
            case .mixed: notes.insert(.mixedFloats)
            case .histograms:
                let ends = ExtendedHistograms(samples: samples, window: window, isSmoothed: extent == .smoothed, isCounter: isCounter)
                guard var change = ends.change(&notes) else { continue }
                if function == .rate { change = change.divided(by: Double(series.rangeMs) / 1_000) }
                change.hint = .gauge
                row.setHistogram(change.compacted(), at: step)
            }
        }
        annotate(notes, of: series.name.labels[LabelNames.name] ?? ByteString(), at: expression[range].range)
    }

    /// As `selectSmoothed`.
    ///
    /// - Parameter scratch: without staleness markers.
    /// - Returns: for how many samples those that were found count.
    func selectSmoothedMixed(
        into row: Row, from scratch: ColumnScratch, at references: References, metric: ByteString, range: Range<Int>
    ) -> Int {
        defer { withExtendedLifetime(scratch) {} }
        let values = Samples(scratch)
        var samples = HistogramSamples()
        samples.prepare(scratch, findsResets: true, usesStartTimestamps: false)
        var (weight, notes) = (0, WindowNotes())
        var cursors = ExtendedCursors()
        for step in 0..<row.count {
            row[step] = Absent.value
            let reference = references.timestampMs(step)
            cursors.lower.advance(in: values, through: reference &- lookbackMs)
            cursors.start.advance(in: values, through: reference)
            cursors.upper.advance(in: values, through: reference &+ lookbackMs)
            let (lower, next, upper) = (cursors.lower.index, cursors.start.index, cursors.upper.index)
            guard next > lower else { continue }
            let content = samples.content(of: lower..<upper)
            if content == .mixed {
                notes.insert(.mixedFloats)
                continue
            }
            let previousMs = values.timestampMs(next - 1)
            let isExact = previousMs == reference || next >= upper
            guard content == .histograms, let previous = samples.histogram(next - 1) else {
                row[step] =
                    isExact
                    ? values.value(next - 1)
                    : interpolate(
                        from: previousMs, values.value(next - 1), to: values.timestampMs(next), values.value(next), at: reference,
                        isCounter: false)
                weight &+= 1
                continue
            }
            var result = previous
            if !isExact {
                guard
                    let between = samples.interpolated(
                        from: next - 1, at: reference, isCounter: previous.hint != .gauge, &notes)
                else { continue }
                result = between.compacted()
            }
            weight &+= result.sampleWeight
            row.setHistogram(result, at: step)
        }
        annotate(notes, of: metric, at: range)
        return weight
    }
}

extension HistogramSamples {
    /// The histogram at a moment on the line between the one at `index` and the next. A counter that fell in between began
    /// anew, at zero.
    ///
    /// - Returns: `nil`, with a note, when they do not go together.
    func interpolated(from index: Int, at timestampMs: Int64, isCounter: Bool, _ notes: inout WindowNotes) -> FloatHistogram? {
        guard let start = histogram(index), let end = histogram(index + 1) else { return nil }
        if start.hasCustomBounds != end.hasCustomBounds {
            notes.insert(.mixedSchemas)
            return nil
        }
        let (startMs, endMs) = (self.timestampMs(index), self.timestampMs(index + 1))
        if timestampMs == startMs { return start }
        if timestampMs == endMs { return end }
        let fraction = Double(timestampMs - startMs) / Double(endMs - startMs)
        if isCounter, isReset(index + 1) { return end.scaled(by: fraction) }
        var result = end
        guard result.subtract(start, &notes) else { return nil }
        result = result.scaled(by: fraction)
        guard result.add(start, &notes) else { return nil }
        return result
    }
}

extension FloatHistogram {
    /// - Returns: false, with a note, when they do not go together.
    fileprivate mutating func add(_ other: FloatHistogram, _ notes: inout WindowNotes) -> Bool {
        do {
            if try add(other).contains(.customBoundsReconciled) { notes.insert(.reconciledAddition) }
            return true
        } catch {
            notes.insert(.mixedSchemas)
            return false
        }
    }

    fileprivate mutating func subtract(_ other: FloatHistogram, _ notes: inout WindowNotes) -> Bool {
        do {
            if try subtract(other).contains(.customBoundsReconciled) { notes.insert(.reconciledSubtraction) }
            return true
        } catch {
            notes.insert(.mixedSchemas)
            return false
        }
    }
}

/// The change of histograms from one end of an extended window to the other.
private struct ExtendedHistograms {
    let samples: HistogramSamples
    let window: ExtendedWindow
    let isSmoothed: Bool
    let isCounter: Bool

    /// - Returns: `nil`, with a note, when the histograms do not go together.
    func change(_ notes: inout WindowNotes) -> FloatHistogram? {
        let (first, last) = (window.first, window.last)
        let isCustom = samples.layout(first)?.hasCustomBounds
        for index in first...max(first, last) {
            if samples.layout(index)?.hasCustomBounds != isCustom {
                notes.insert(.mixedSchemas)
                return nil
            }
            if isCounter, samples.hint(index) == .gauge { notes.insert(.notCounter) }
        }
        let isBeforeStart = isSmoothed && samples.timestampMs(first) < window.startMs && first < last
        let isAfterEnd = isSmoothed && last > window.neighbours.lowerBound && samples.timestampMs(last) > window.endMs
        let left =
            isBeforeStart
            ? samples.interpolated(from: first, at: window.startMs, isCounter: isCounter, &notes) : samples.histogram(first)
        let right =
            isAfterEnd
            ? samples.interpolated(from: last - 1, at: window.endMs, isCounter: isCounter, &notes) : samples.histogram(last)
        guard let left, let right else { return nil }
        if !isCounter, left.hint != .gauge || right.hint != .gauge { notes.insert(.notGauge) }
        var result = right
        guard result.subtract(left, &notes) else { return nil }
        if isCounter {
            guard let lost = lost(left, right, isBeforeStart: isBeforeStart, &notes) else { return nil }
            if let lost = lost.total, !result.add(lost, &notes) { return nil }
        }
        return result
    }

    /// What a counter had reached at each reset between the ends.
    /// - Returns: `nil` when histograms do not go together; else the total, if there is any.
    private func lost(
        _ left: FloatHistogram, _ right: FloatHistogram, isBeforeStart: Bool, _ notes: inout WindowNotes
    ) -> (total: FloatHistogram?, Void)? {
        var next = window.first + 1
        var previous = left
        if isBeforeStart, samples.isReset(next), let anchor = samples.histogram(next) {
            // The value at the start has taken care of this reset.
            previous = anchor
            next += 1
        }
        // The last sample is the right end, or what the right end is made of: it must not be found to fall below itself.
        guard next <= window.last else { return (nil, ()) }
        var total: FloatHistogram?
        func add(_ histogram: FloatHistogram, _ notes: inout WindowNotes) -> Bool {
            guard total != nil else {
                total = histogram
                return true
            }
            return total?.add(histogram, &notes) ?? true
        }
        for index in next..<window.last {
            guard let current = samples.histogram(index) else { continue }
            if current.detectsReset(after: previous), !add(previous, &notes) { return nil }
            previous = current
        }
        if right.detectsReset(after: previous), !add(previous, &notes) { return nil }
        return (total, ())
    }
}
