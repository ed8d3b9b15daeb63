import ApusModel
import ApusStorage

/// What a range function says of a window beside its value. The engine makes annotations of it.
struct WindowNotes: OptionSet {
    let rawValue: UInt16
    /// Floats and histograms in one window, where that means nothing.
    static let mixedFloats = WindowNotes(rawValue: 1)
    /// Exponential and custom buckets in one window.
    static let mixedSchemas = WindowNotes(rawValue: 2)
    /// Gauge histograms in a function of counters.
    static let notCounter = WindowNotes(rawValue: 4)
    /// Counter histograms in a function of gauges.
    static let notGauge = WindowNotes(rawValue: 8)
    /// In a sum or a mean, one histogram began after a counter reset and another did not.
    static let counterResetCollision = WindowNotes(rawValue: 16)
    /// Custom bounds differed and were reconciled: while adding, while subtracting, in a sum or a mean.
    static let reconciledAddition = WindowNotes(rawValue: 32)
    static let reconciledSubtraction = WindowNotes(rawValue: 64)
    static let reconciledAggregation = WindowNotes(rawValue: 128)
    /// A sample's start time is before the sample that came before it.
    static let startTimeOverlap = WindowNotes(rawValue: 256)
}

enum WindowValue {
    case absent
    case float(Double)
    case histogram(FloatHistogram)
    /// The window holds no histogram: its value is what the kernel for floats makes of it.
    case floats
}

/// A function of a range over the windows of one series that has histograms, perhaps among floats.
///
/// One value is made for a call and used for all its series: `prepare` looks at the samples of a series, `value` at one of
/// its windows. Functions that know floats only (`min_over_time` …) are not here.
struct HistogramWindow {
    private enum Kind {
        case extrapolated(isCounter: Bool, isRate: Bool)
        case lastTwo(isRate: Bool)
        case resets, changes, sum, mean, count, presence
        case edge(isLast: Bool), edgeTime(isLast: Bool)
    }
    private let kind: Kind
    private let rangeMs: Int64
    private let usesStartTimestamps: Bool
    private var samples: HistogramSamples
    private var compaction = CompactionCache()
    /// The histogram that is being added or taken away: lent memory.
    private var term = FloatHistogram()

    /// `nil` for a function that knows floats only.
    /// - Parameter usesStartTimestamps: whether samples tell by their start timestamps that counting began anew.
    init?(_ function: FunctionName, rangeMs: Int64, usesStartTimestamps: Bool = false) {
        switch function {
        case .rate: kind = .extrapolated(isCounter: true, isRate: true)
        case .increase: kind = .extrapolated(isCounter: true, isRate: false)
        case .delta: kind = .extrapolated(isCounter: false, isRate: false)
        case .irate: kind = .lastTwo(isRate: true)
        case .idelta: kind = .lastTwo(isRate: false)
        case .resets: kind = .resets
        case .changes: kind = .changes
        case .sumOverTime: kind = .sum
        case .avgOverTime: kind = .mean
        case .countOverTime: kind = .count
        case .presentOverTime: kind = .presence
        case .firstOverTime: kind = .edge(isLast: false)
        case .lastOverTime: kind = .edge(isLast: true)
        case .tsOfFirstOverTime: kind = .edgeTime(isLast: false)
        case .tsOfLastOverTime: kind = .edgeTime(isLast: true)
        default: return nil
        }
        self.rangeMs = rangeMs
        self.usesStartTimestamps = usesStartTimestamps
        samples = HistogramSamples()
    }

    /// Lends the samples of a series, without staleness markers, until the next call.
    mutating func prepare(_ scratch: ColumnScratch) {
        switch kind {
        case .extrapolated(isCounter: true, _), .lastTwo(isRate: true), .resets:
            samples.prepare(scratch, findsResets: true, usesStartTimestamps: usesStartTimestamps)
        default: samples.prepare(scratch, findsResets: false, usesStartTimestamps: false)
        }
        switch kind {
        case .resets: samples.countResets()
        case .changes: samples.countChanges()
        default: break
        }
    }

    /// The value for the samples `range`, which is not empty, of the last `prepare`.
    /// - Parameter endMs: the end of the window in time; it began `rangeMs` before.
    mutating func value(_ range: Range<Int>, endMs: Int64, notes: inout WindowNotes) -> WindowValue {
        let range = range.clamped(to: 0..<samples.count)
        if range.isEmpty { return .absent }
        switch kind {
        case .count: return .float(Double(range.count))
        case .presence: return .float(1)
        case .edgeTime(let isLast):
            return .float(Double(samples.timestampMs(isLast ? range.upperBound - 1 : range.lowerBound)) / 1_000)
        case .edge(let isLast):
            let index = isLast ? range.upperBound - 1 : range.lowerBound
            return samples.histogram(index).map { .histogram($0) } ?? .float(samples.float(index))
        case .resets, .changes: return .float(Double(samples.eventCount(in: range)))
        case .lastTwo(let isRate): return lastTwo(range, isRate: isRate, &notes)
        case .extrapolated, .sum, .mean: break
        }
        switch samples.content(of: range) {
        case .floats: return .floats
        case .mixed:
            notes.insert(.mixedFloats)
            return .absent
        case .histograms: break
        }
        switch kind {
        case .extrapolated(let isCounter, let isRate): return extrapolated(range, endMs, isCounter, isRate, &notes)
        case .sum: return sum(range, &notes)
        default: return mean(range, &notes)
        }
    }

    // MARK: Sum and mean

    private mutating func sum(_ range: Range<Int>, _ notes: inout WindowNotes) -> WindowValue {
        guard let first = samples.histogram(range.lowerBound) else { return .absent }
        var sum = HistogramSum(first: first)
        for index in range.dropFirst() {
            guard samples.load(index, into: &term) else { continue }
            do { try sum.add(term) } catch { return incompatible(&notes) }
        }
        note(sum.notes, &notes)
        return .histogram(sum.total)
    }

    private mutating func mean(_ range: Range<Int>, _ notes: inout WindowNotes) -> WindowValue {
        guard let first = samples.histogram(range.lowerBound) else { return .absent }
        var mean = HistogramMean(first: first)
        for index in range.dropFirst() {
            guard samples.load(index, into: &term) else { continue }
            do { try mean.add(term) } catch { return incompatible(&notes) }
        }
        note(mean.notes, &notes)
        return .histogram(mean.mean)
    }

    private func incompatible(_ notes: inout WindowNotes) -> WindowValue {
        notes.insert(.mixedSchemas)
        return .absent
    }

    private func note(_ found: HistogramNotes, _ notes: inout WindowNotes) {
        if found.contains(.counterResetCollision) { notes.insert(.counterResetCollision) }
        if found.contains(.customBoundsReconciled) { notes.insert(.reconciledAggregation) }
    }

    // MARK: The last two samples

    private mutating func lastTwo(_ range: Range<Int>, isRate: Bool, _ notes: inout WindowNotes) -> WindowValue {
        guard range.count > 1 else { return .absent }
        let last = range.upperBound - 1
        let elapsedMs = samples.timestampMs(last) &- samples.timestampMs(last - 1)
        if elapsedMs == 0 { return .absent }
        let current = samples.histogram(last)
        let previous = samples.histogram(last - 1)
        if current == nil, previous == nil { return .floats }
        guard var current, let previous else {
            notes.insert(.mixedFloats)
            return .absent
        }
        let gauges = (current.hint == .gauge ? 1 : 0) + (previous.hint == .gauge ? 1 : 0)
        if isRate, gauges > 0 { notes.insert(.notCounter) }
        if !isRate, gauges < 2 { notes.insert(.notGauge) }
        // After a reset a counter has grown by what it shows.
        if !isRate || !samples.isReset(last) {
            do {
                if try current.subtract(previous).contains(.customBoundsReconciled) { notes.insert(.reconciledSubtraction) }
            } catch {
                return incompatible(&notes)
            }
        }
        current.hint = .gauge
        current.compact(&compaction)
        if isRate { current.divide(by: Double(elapsedMs) / 1_000) }
        return .histogram(current)
    }

    // MARK: Rates

    private mutating func extrapolated(
        _ range: Range<Int>, _ endMs: Int64, _ isCounter: Bool, _ isRate: Bool, _ notes: inout WindowNotes
    ) -> WindowValue {
        var change: FloatHistogram?
        if range.count > 1 {
            change = difference(range, isCounter: isCounter, &notes)
            if change == nil { return .absent }
        }
        let firstCount = samples.observationCount(range.lowerBound)
        let firstMs = samples.timestampMs(range.lowerBound)
        let lastMs = samples.timestampMs(range.upperBound - 1)
        let startMs = endMs &- rangeMs
        var toStart = Double(firstMs &- startMs) / 1_000
        var toEnd = Double(endMs &- lastMs) / 1_000
        var sampled = Double(lastMs &- firstMs) / 1_000
        let average = range.count > 1 ? sampled / Double(range.count - 1) : 0
        let threshold = average * 1.1

        let countingSinceMs = isCounter ? samples.startTimestampMs(range.lowerBound) : 0
        if countingSinceMs != 0, countingSinceMs > startMs, countingSinceMs < firstMs {
            // The counter was at zero inside the window: no need to guess how it went before its first sample.
            toStart = 0
            sampled = Double(lastMs &- countingSinceMs) / 1_000
            guard let first = samples.histogram(range.lowerBound) else { return .absent }
            if change == nil {
                change = first
            } else {
                do {
                    let found = try change?.add(first) ?? []
                    if found.contains(.customBoundsReconciled) { notes.insert(.reconciledAddition) }
                } catch {
                    return incompatible(&notes)
                }
            }
        } else if range.count == 1 {
            return .absent
        } else {
            // Samples that begin well inside the window: the series itself likely began there, half an interval before.
            if toStart >= threshold { toStart = average / 2 }
            if isCounter, let change, change.count > 0, firstCount >= 0 {
                // A counter cannot be extrapolated below zero.
                toStart = min(toStart, sampled * (firstCount / change.count))
            }
        }
        if toEnd >= threshold { toEnd = average / 2 }
        var factor = sampled == 0 ? 1 : (sampled + toStart + toEnd) / sampled
        if isRate { factor /= Double(rangeMs) / 1_000 }
        guard var change else { return .absent }
        change.scale(by: factor)
        return .histogram(change)
    }

    /// How much a window's histograms grew, what was lost at resets included. `nil`, with a note, when they do not fit.
    private mutating func difference(_ range: Range<Int>, isCounter: Bool, _ notes: inout WindowNotes) -> FloatHistogram? {
        let (first, last) = (range.lowerBound, range.upperBound - 1)
        guard let firstLayout = samples.layout(first), let lastLayout = samples.layout(last),
            let secondLayout = samples.layout(first + 1)
        else { return nil }
        if isCounter, samples.hint(first) == .gauge || samples.hint(last) == .gauge { notes.insert(.notCounter) }
        // Of a first sample before a reset nothing is needed, and so its layout does not matter.
        let skipsFirst = isCounter && samples.isReset(first + 1)
        let baseLayout = skipsFirst ? secondLayout : firstLayout
        let isCustom = baseLayout.hasCustomBounds
        if lastLayout.hasCustomBounds != isCustom {
            notes.insert(.mixedSchemas)
            return nil
        }
        var schema = min(lastLayout.schema, baseLayout.schema)
        if isCounter, !samples.isUniform {
            for index in (first + 1)..<max(last, first + 1) {
                guard let layout = samples.layout(index) else { continue }
                if samples.hint(index) == .gauge { notes.insert(.notCounter) }
                schema = min(schema, layout.schema)
                if layout.hasCustomBounds != isCustom {
                    // Nothing else is worth saying then.
                    notes = .mixedSchemas
                    return nil
                }
            }
        }

        guard var change = samples.histogram(last) else { return nil }
        if schema < change.layout.schema { change = change.reduced(toSchema: schema) }
        // Hints may collide in here: resets are looked after, so that nobody needs to hear of it.
        do {
            if skipsFirst {
                // Of custom bounds, those of the second sample count.
                if isCustom { note(try change.subtract(.nothing(in: baseLayout)), .reconciledSubtraction, &notes) }
            } else if samples.load(first, into: &term) {
                note(try change.subtract(term), .reconciledSubtraction, &notes)
            }
            if isCounter {
                if samples.hasStartTimestamps { noteOverlaps(range, &notes) }
                for index in samples.resets(after: first, through: last) {
                    if index == first + 1 {
                        if isCustom { note(try change.add(.nothing(in: baseLayout)), .reconciledAddition, &notes) }
                    } else if samples.load(index - 1, into: &term) {
                        note(try change.add(term), .reconciledAddition, &notes)
                    }
                }
            } else if samples.hint(first) != .gauge || samples.hint(last) != .gauge {
                notes.insert(.notGauge)
            }
        } catch {
            notes = .mixedSchemas
            return nil
        }
        change.hint = .gauge
        change.compact(&compaction)
        return change
    }

    private func note(_ found: HistogramNotes, _ note: WindowNotes, _ notes: inout WindowNotes) {
        if found.contains(.customBoundsReconciled) { notes.insert(note) }
    }

    private func noteOverlaps(_ range: Range<Int>, _ notes: inout WindowNotes) {
        let overlaps = range.dropFirst().contains { index in
            StartTimestamps.overlaps(
                previousStartMs: samples.startTimestampMs(index - 1), previousMs: samples.timestampMs(index - 1),
                startMs: samples.startTimestampMs(index))
        }
        if overlaps { notes.insert(.startTimeOverlap) }
    }
}

extension FloatHistogram {
    /// No observation, in buckets such as a layout has.
    fileprivate static func nothing(in layout: HistogramLayout) -> FloatHistogram {
        FloatHistogram(layout: HistogramLayout(schema: layout.schema, customBounds: layout.customBounds))
    }
}
