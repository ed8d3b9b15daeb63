/// The decoded samples of one series: a column of times and a column of values. Lend the same one again and again.
///
/// Memory is raw and grows by doubling: a decoder reserves what a chunk may hold and then stores without checks.
/// The kinds of sample that are not floats (native histograms) have a run in `runs` each; today all runs are float.
@safe public struct SampleColumns: ~Copyable {
    /// What the samples of one stretch of the columns are.
    public enum Kind: UInt8, Sendable { case float, histogram, floatHistogram }
    public struct Run: Sendable {
        public let kind: Kind
        /// Half-open, indices of samples.
        public let range: Range<Int>
    }

    public private(set) var count = 0
    @usableFromInline var capacity: Int
    @usableFromInline var timestamps: UnsafeMutablePointer<Int64>
    @usableFromInline var values: UnsafeMutablePointer<Double>

    public init(capacity: Int = 256) {
        self.capacity = max(capacity, 16)
        unsafe timestamps = .allocate(capacity: self.capacity)
        unsafe values = .allocate(capacity: self.capacity)
    }

    deinit {
        unsafe timestamps.deallocate()
        unsafe values.deallocate()
    }

    /// The stretches of one kind, in order; together they cover all samples.
    public var runs: [Run] { count == 0 ? [] : [Run(kind: .float, range: 0..<count)] }

    public mutating func removeAll() { count = 0 }

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

    /// For decoders: hands out room for `maximum` more samples; `body` returns how many it wrote.
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
    public borrowing func value(at index: Int) -> Double {
        precondition(index >= 0 && index < count, "sample index out of range")
        return unsafe values[index]
    }
}
