import ApusModel

/// The decoded samples of one series: a column of times and a column of values. Lend the same one again and again.
///
///     timestamps   t₀   t₁   t₂   t₃   t₄
///     values       v₀   v₁   Σ₂   Σ₃   v₄        of a histogram: its sum
///     runs        [float   )[histogram)[float)
///     histograms            h₂   h₃              words and layouts: `SampleColumns+Histograms`
///
/// Memory is raw and grows by doubling: a decoder reserves what a chunk may hold and then stores without checks.
/// Only the runs that are not float are noted down, so that floats, which nearly all samples are, cost no bookkeeping.
@safe public struct SampleColumns: ~Copyable {
    /// What the samples of one stretch of the columns are.
    public enum Kind: UInt8, Sendable { case float, histogram, floatHistogram }
    public struct Run: Sendable, Equatable {
        public let kind: Kind
        /// Half-open, indices of samples.
        public let range: Range<Int>
        public init(kind: Kind, range: Range<Int>) {
            self.kind = kind
            self.range = range
        }
    }

    public private(set) var count = 0
    /// Whether native histograms are wanted. Without, decoders leave them out, and a reader of floats needs no second look.
    public let wantsHistograms: Bool
    @usableFromInline var capacity: Int
    @usableFromInline var timestamps: UnsafeMutablePointer<Int64>
    @usableFromInline var values: UnsafeMutablePointer<Double>
    var histogramStore = HistogramStore()
    /// Start timestamps, ms, 0 for none; as long as the last sample that has one.
    var starts: [Int64] = []

    public init(capacity: Int = 256, histograms: Bool = false) {
        self.capacity = max(capacity, 16)
        wantsHistograms = histograms
        unsafe timestamps = .allocate(capacity: self.capacity)
        unsafe values = .allocate(capacity: self.capacity)
    }

    deinit {
        unsafe timestamps.deallocate()
        unsafe values.deallocate()
    }

    public mutating func removeAll() {
        count = 0
        if !histogramStore.runs.isEmpty { histogramStore.removeAll() }
        if !starts.isEmpty { starts.removeAll(keepingCapacity: true) }
    }

    /// Takes back what was appended behind the first `newCount` samples.
    public mutating func truncate(toCount newCount: Int) {
        if newCount >= count { return }
        count = max(0, newCount)
        if !histogramStore.runs.isEmpty { histogramStore.truncate(toCount: count) }
        if starts.count > count { starts.removeSubrange(count...) }
    }

    /// Takes back those of the samples from `start` on that lie outside `[minTimeMs, maxTimeMs]`; all of them must be floats
    /// without start timestamps, in order of time.
    public mutating func keepFloats(from start: Int, minTimeMs: Int64, maxTimeMs: Int64) {
        var first = max(0, start)
        let begin = first
        // SAFETY: every index lies between `start` and `count`, what is moved to lies before what is moved.
        while unsafe count > begin && timestamps[count &- 1] > maxTimeMs { count &-= 1 }
        while unsafe first < count && timestamps[first] < minTimeMs { first &+= 1 }
        if first == begin { return }
        unsafe (timestamps + begin).update(from: timestamps + first, count: count &- first)
        unsafe (values + begin).update(from: values + first, count: count &- first)
        count &-= first &- begin
    }

    public mutating func append(timestampMs: Int64, value: Double) {
        reserve(1)
        // SAFETY: `reserve` made room for index `count`.
        unsafe timestamps[count] = timestampMs
        unsafe values[count] = value
        count &+= 1
    }

    /// Makes room for `additional` more samples.
    @inline(__always)
    public mutating func reserve(_ additional: Int) {
        if capacity &- count < additional { grow(additional) }
    }

    @inline(never)
    private mutating func grow(_ additional: Int) {
        let newCapacity = max(capacity * 2, count + additional)
        let newTimestamps = UnsafeMutablePointer<Int64>.allocate(capacity: newCapacity)
        let newValues = UnsafeMutablePointer<Double>.allocate(capacity: newCapacity)
        // SAFETY: both regions hold at least `count` elements and do not overlap.
        unsafe newTimestamps.update(from: timestamps, count: count)
        unsafe newValues.update(from: values, count: count)
        unsafe timestamps.deallocate()
        unsafe values.deallocate()
        unsafe timestamps = newTimestamps
        unsafe values = newValues
        capacity = newCapacity
    }

    /// For decoders: hands out room for `maximum` more floats; `body` returns how many it wrote.
    @inlinable
    public mutating func appendUninitialized<E: Error>(
        maximum: Int, _ body: (UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Double>) throws(E) -> Int
    ) throws(E) {
        reserve(maximum)
        let written = try unsafe body(timestamps + count, values + count)
        precondition(written >= 0 && written <= maximum, "a decoder wrote more samples than it had reserved")
        addCount(written)
    }

    @usableFromInline mutating func addCount(_ written: Int) { count &+= written }

    /// Lends both columns for reading.
    @inlinable
    public borrowing func withColumns<R, E: Error>(
        _ body: (_ timestampsMs: UnsafeBufferPointer<Int64>, _ values: UnsafeBufferPointer<Double>) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(
            UnsafeBufferPointer(start: timestamps, count: count), UnsafeBufferPointer(start: values, count: count))
    }

    /// The columns as they lie in memory, valid until the next change. For hot loops inside a fence.
    public var timestampsPointer: UnsafePointer<Int64> { unsafe UnsafePointer(timestamps) }
    public var valuesPointer: UnsafePointer<Double> { unsafe UnsafePointer(values) }

    public borrowing func timestampMs(at index: Int) -> Int64 {
        precondition(index >= 0 && index < count, "sample index out of range")
        return unsafe timestamps[index]
    }
    /// The value of a float, the sum of a histogram.
    public borrowing func value(at index: Int) -> Double {
        precondition(index >= 0 && index < count, "sample index out of range")
        return unsafe values[index]
    }

    // MARK: Start timestamps

    /// Whether any sample has a start timestamp.
    public var hasStartTimestamps: Bool { !starts.isEmpty }

    /// When the counting began that the sample counts from, ms; 0 when nobody said.
    public borrowing func startTimestampMs(at index: Int) -> Int64 {
        index >= 0 && index < starts.count ? starts[index] : 0
    }

    public mutating func setStartTimestampMs(_ startMs: Int64, at index: Int) {
        precondition(index >= 0 && index < count, "sample index out of range")
        if index < starts.count {
            starts[index] = startMs
        } else if startMs != 0 {
            starts.append(contentsOf: repeatElement(0, count: index - starts.count))
            starts.append(startMs)
        }
    }

    // MARK: Copying

    /// Appends samples of other columns, of all kinds and with their start timestamps.
    public mutating func append(contentsOf other: borrowing SampleColumns, _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= other.count, "samples out of range")
        let first = count
        if other.histogramStore.runs.isEmpty {
            reserve(range.count)
            // SAFETY: `reserve` made the room; the source lies within the other's columns, which are other memory.
            unsafe (timestamps + count).update(from: other.timestamps + range.lowerBound, count: range.count)
            unsafe (values + count).update(from: other.values + range.lowerBound, count: range.count)
            count &+= range.count
        } else {
            for index in range {
                if other.kind(at: index) == .float {
                    append(timestampMs: other.timestampMs(at: index), value: other.value(at: index))
                } else {
                    appendHistogram(at: index, of: other)
                }
            }
        }
        if other.starts.count > range.lowerBound {
            for index in range where other.startTimestampMs(at: index) != 0 {
                setStartTimestampMs(other.startTimestampMs(at: index), at: first + index - range.lowerBound)
            }
        }
    }
}
