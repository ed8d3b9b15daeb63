import ApusModel
import ApusStorage

/// Start timestamps: when the counting began that a sample counts from, in ms; 0 where nobody said.
enum StartTimestamps {
    /// Those of the samples of `columns` that are no staleness markers; empty when no sample has one.
    static func collect(_ columns: borrowing SampleColumns) -> [Int64] {
        guard columns.hasStartTimestamps else { return [] }
        var result: [Int64] = []
        result.reserveCapacity(columns.count)
        for index in 0..<columns.count where !StaleNaN.isStale(columns.value(at: index)) {
            result.append(columns.startTimestampMs(at: index))
        }
        return result
    }

    /// Whether a counter began anew between two samples, as their start timestamps tell.
    static func isReset(previousStartMs: Int64, previousMs: Int64, startMs: Int64, timestampMs: Int64) -> Bool {
        // Unknown, in the future, or OpenTelemetry's way to say "unknown": the sample's own time.
        if startMs == 0 || startMs >= timestampMs { return false }
        if startMs != previousMs { return startMs > previousMs }
        // It starts where the sample before was taken. That is what deltas do; a cumulative counter whose start is
        // unknown does it once, after a first sample with a start of no use.
        return previousStartMs != 0 && previousStartMs < previousMs
    }

    /// Whether a sample claims to count from a time before its predecessor, and from another one than that did.
    static func overlaps(previousStartMs: Int64, previousMs: Int64, startMs: Int64) -> Bool {
        startMs != 0 && startMs < previousMs && startMs != previousStartMs
    }
}

/// `rate`, `increase`, `irate` and `resets` of samples with start timestamps: these show resets that values hide, and
/// when a counter was at zero.
struct StartAwareKernel: WindowKernel {
    enum Function { case rate, increase, irate, resets }
    let function: Function
    /// Of the series at hand, one for each sample; set before `fill`.
    var starts: [Int64] = []
    /// Whether the start timestamps of the series at hand contradict its samples.
    private(set) var foundOverlap = false

    init(function: Function) { self.function = function }

    init?(_ name: FunctionName) {
        switch name {
        case .rate: self.init(function: .rate)
        case .increase: self.init(function: .increase)
        case .irate: self.init(function: .irate)
        case .resets: self.init(function: .resets)
        default: return nil
        }
    }

    mutating func prepare(_ samples: Samples) { foundOverlap = false }

    mutating func value(_ window: Window) -> Double {
        switch function {
        case .rate, .increase: return extrapolated(window)
        case .irate: return instantRate(window)
        case .resets:
            var count = 0
            for index in window.range.dropFirst() where isReset(window.samples, index) { count += 1 }
            return Double(count)
        }
    }

    private func start(_ index: Int) -> Int64 { index < starts.count ? starts[index] : 0 }

    private func isReset(_ samples: Samples, _ index: Int) -> Bool {
        samples.value(index) < samples.value(index - 1) || isStartReset(samples, index)
    }

    private func isStartReset(_ samples: Samples, _ index: Int) -> Bool {
        StartTimestamps.isReset(
            previousStartMs: start(index - 1), previousMs: samples.timestampMs(index - 1), startMs: start(index),
            timestampMs: samples.timestampMs(index))
    }

    private func instantRate(_ window: Window) -> Double {
        guard window.count > 1 else { return Absent.value }
        let samples = window.samples
        let elapsedMs = samples.timestampMs(window.last) - samples.timestampMs(window.last - 1)
        if elapsedMs == 0 { return Absent.value }
        let value = samples.value(window.last)
        let gain = isReset(samples, window.last) ? value : value - samples.value(window.last - 1)
        return gain / (Double(elapsedMs) / 1_000)
    }

    private mutating func extrapolated(_ window: Window) -> Double {
        let samples = window.samples
        let firstValue = samples.value(window.first)
        var change = samples.value(window.last) - firstValue
        for index in window.range.dropFirst() {
            if !foundOverlap {
                foundOverlap = StartTimestamps.overlaps(
                    previousStartMs: start(index - 1), previousMs: samples.timestampMs(index - 1), startMs: start(index))
            }
            if isReset(samples, index) { change += samples.value(index - 1) }
        }
        let firstMs = samples.timestampMs(window.first)
        let lastMs = samples.timestampMs(window.last)
        var toStart = Double(firstMs - window.startMs) / 1_000
        var toEnd = Double(window.endMs - lastMs) / 1_000
        var sampled = Double(lastMs - firstMs) / 1_000
        let average = window.count > 1 ? sampled / Double(window.count - 1) : 0
        let threshold = average * 1.1

        let startMs = start(window.first)
        if startMs != 0, startMs > window.startMs, startMs < firstMs {
            // The counter was at zero inside the range: no need to guess what was before the first sample.
            toStart = 0
            sampled = Double(lastMs - startMs) / 1_000
            change += firstValue
        } else if window.count == 1 {
            return Absent.value
        } else {
            if toStart >= threshold { toStart = average / 2 }
            // A counter cannot be extrapolated below zero.
            if change > 0, firstValue >= 0 { toStart = min(toStart, sampled * (firstValue / change)) }
        }
        if toEnd >= threshold { toEnd = average / 2 }
        var factor = sampled == 0 ? 1 : (sampled + toStart + toEnd) / sampled
        if function == .rate { factor /= Double(window.rangeMs) / 1_000 }
        return change * factor
    }
}
