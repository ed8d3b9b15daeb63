/// A metric with labels: one series for each combination of label values that was asked for.
///
///     let requests = try registry.counter("http_requests_total", help: "…", labels: .label("method", as: Method.self))
///     requests(.get).increment()
///     requests.increment(.get)
///
/// A call finds the series without a lock, or makes it. Keep what it returns where a series is updated often, and where it
/// is not, prefer the second form: it does not count references, which threads that update the same series fight for.
public struct MetricFamily<Metric: Instrument, each Value: LabelValue>: Sendable {
    @usableFromInline let core: FamilyCore
    /// What stands before the values in a key: those that were given to `curry`.
    @usableFromInline let given: [UInt8]

    init(core: FamilyCore, given: [UInt8] = []) {
        self.core = core
        self.given = given
    }

    /// The series with these label values. At the family's limit a new combination gets the overflow series, whose
    /// labels all have the value `__overflow__`.
    @inlinable
    public func callAsFunction(_ values: repeat each Value) -> Metric {
        unsafe withKey(repeat each values) { key, count in
            // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
            unsafe unsafeDowncast(core.find(key, count: count), to: Metric.self)
        }
    }

    /// Stops showing the series with these values; false if there was none. A handle kept by somebody stays usable but
    /// is no longer shown; asking for the same values again makes a new series, which starts from zero.
    @inlinable
    @discardableResult
    public func remove(_ values: repeat each Value) -> Bool { core.remove(given + Self.longKey(count: 64, repeat each values)) }

    /// Stops showing the series whose labels have all these values, whatever the others are; returns how many.
    ///
    ///     requests.removeAll(where: [("method", "get")])
    @discardableResult
    public func removeAll(where labels: [(String, String)]) -> Int { core.removeAll(where: labels) }

    /// Stops showing all series, those of other handles of the family too.
    @inlinable
    public func removeAll() { core.removeAll() }

    /// How many series the family has.
    @inlinable
    public var count: Int { core.count }

    /// Writes the key of `values` into a buffer on the stack and calls `body` with it.
    @inlinable @inline(__always)
    func withKey<Result>(_ values: repeat each Value, body: (UnsafePointer<UInt8>, Int) -> Result) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer)
            if !given.isEmpty { writer.append(key: given) }
            for value in repeat each values {
                value.write(to: &writer)
                writer.endValue()
            }
            if writer.fits { return unsafe body(writer.start, writer.count) }
            let key = given + Self.longKey(count: writer.count, repeat each values)
            // SAFETY: a key that does not fit is not empty.
            return unsafe key.withUnsafeBufferPointer { unsafe body($0.baseAddress.unsafelyUnwrapped, $0.count) }
        }
    }

    /// The key of `values`, expected to need `count` bytes.
    @inlinable @inline(never)
    static func longKey(count: Int, _ values: repeat each Value) -> [UInt8] {
        var capacity = max(count, 64)
        while true {
            let (key, needed) = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) {
                buffer -> ([UInt8], Int) in
                var writer = unsafe LabelWriter(buffer)
                for value in repeat each values {
                    value.write(to: &writer)
                    writer.endValue()
                }
                // SAFETY: what fits was written.
                return unsafe (writer.fits ? Array(buffer[..<writer.count]) : [], writer.count)
            }
            if needed <= capacity { return key }
            capacity = needed
        }
    }
}

/// The family with its first label fixed: a handle for the series that have this value, to be called with the others.
///
///     let gets = curry(requests, .get)
///     gets(200).increment()
public func curry<Metric: Instrument, First: LabelValue, each Rest: LabelValue>(
    _ family: MetricFamily<Metric, First, repeat each Rest>, _ first: First
) -> MetricFamily<Metric, repeat each Rest> {
    MetricFamily(core: family.core, given: family.given + MetricFamily<Metric, First>.longKey(count: 64, first))
}

public typealias CounterFamily<each Value: LabelValue> = MetricFamily<Counter, repeat each Value>
public typealias GaugeFamily<each Value: LabelValue> = MetricFamily<Gauge, repeat each Value>
public typealias HistogramFamily<each Value: LabelValue> = MetricFamily<Histogram, repeat each Value>
public typealias SummaryFamily<each Value: LabelValue> = MetricFamily<Summary, repeat each Value>
