/// A metric with labels: one series for each combination of label values that was asked for.
///
///     let requests = try registry.counter("http_requests_total", help: "…", labels: .label("method", as: Method.self))
///     requests(.get).increment()
///
/// A call finds the series without a lock, or makes it. Keep what it returns where a series is updated often.
public struct MetricFamily<Metric: Instrument, each Value: LabelValue>: Sendable {
    @usableFromInline let core: FamilyCore

    init(core: FamilyCore) { self.core = core }

    /// The series with these label values. At the family's limit a new combination gets the overflow series, whose
    /// labels all have the value `__overflow__`.
    @inlinable
    public func callAsFunction(_ values: repeat each Value) -> Metric {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer)
            for value in repeat each values {
                value.write(to: &writer)
                writer.endValue()
            }
            if writer.fits {
                // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
                return unsafe unsafeDowncast(core.find(writer.start, count: writer.count), to: Metric.self)
            }
            let key = Self.longKey(count: writer.count, repeat each values)
            return unsafe key.withUnsafeBufferPointer { key in
                unsafe unsafeDowncast(core.find(key.baseAddress.unsafelyUnwrapped, count: key.count), to: Metric.self)
            }
        }
    }

    /// Stops showing the series with these values; false if there was none. A handle kept by somebody stays usable but
    /// is no longer shown; asking for the same values again makes a new series, which starts from zero.
    @inlinable
    @discardableResult
    public func remove(_ values: repeat each Value) -> Bool { core.remove(Self.longKey(count: 64, repeat each values)) }

    /// Stops showing all series.
    @inlinable
    public func removeAll() { core.removeAll() }

    /// How many series there are.
    @inlinable
    public var count: Int { core.count }

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

public typealias CounterFamily<each Value: LabelValue> = MetricFamily<Counter, repeat each Value>
public typealias GaugeFamily<each Value: LabelValue> = MetricFamily<Gauge, repeat each Value>
public typealias HistogramFamily<each Value: LabelValue> = MetricFamily<Histogram, repeat each Value>
public typealias SummaryFamily<each Value: LabelValue> = MetricFamily<Summary, repeat each Value>
