/// A metric with labels: one series for each combination of label values that was asked for.
///
///     let requests = try registry.counter("http_requests_total", help: "…", labels: .label("method", as: Method.self))
///     requests(.get).increment()
///     requests.increment(.get)
///
/// A call finds the series without a lock, or makes it. Keep what it returns where a series is updated often, and where it
/// is not, prefer the second form: it does not count references, which threads that update the same series fight for.
///
/// Write its type as `CounterFamily<Method>`, `HistogramFamily<Method, Int>` and so on, or `MetricFamily<Counter, Method>`.
/// It knows the types of its values twice, as a pack and as a tuple: with the tuple there can be versions of each call for
/// one to four labels (`LabelledFamily+Few`), which the compiler makes much faster code of.
public struct LabelledFamily<Metric: Instrument, Labels, each Value: LabelValue>: Sendable {
    @usableFromInline let core: FamilyCore
    /// What stands before the values in a key: those that were given to `curry`.
    @usableFromInline let given: [UInt8]
    /// The hash of those, or what the family's hashes begin with.
    @usableFromInline let hash: UInt64

    init(core: FamilyCore, given: [UInt8] = []) {
        self.core = core
        self.given = given
        hash = LabelHash.hash(given, seed: core.seed)
    }

    /// The series with these label values. At the family's limit a new combination gets the overflow series, whose
    /// labels all have the value `__overflow__`.
    @inlinable
    @_disfavoredOverload
    public func callAsFunction(_ values: repeat each Value) -> Metric {
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        unsafe withKey(repeat each values) { key in unsafe unsafeDowncast(core.find(key), to: Metric.self) }
    }

    /// Stops showing the series with these values; false if there was none. A handle kept by somebody stays usable but
    /// is no longer shown; asking for the same values again makes a new series, which starts from zero.
    @inlinable
    @discardableResult
    public func remove(_ values: repeat each Value) -> Bool {
        unsafe withKey(repeat each values) { key in unsafe core.remove(key) }
    }

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
    func withKey<Result>(_ values: repeat each Value, body: (SeriesKey) -> Result) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer, hash: hash)
            writer.append(given: given)
            for value in repeat each values { writer.add(value) }
            return unsafe body(writer.key)
        }
    }
}

/// The key of one value.
func labelKey(of value: some LabelValue) -> [UInt8] {
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
        var writer = unsafe LabelWriter(buffer, hash: 0)
        writer.add(value)
        return unsafe writer.key.bytes
    }
}

/// The family with its first label fixed: a handle for the series that have this value, to be called with the others.
///
///     let gets = curry(requests, .get)
///     gets(200).increment()
@_disfavoredOverload
public func curry<Metric: Instrument, Labels, First: LabelValue, each Rest: LabelValue>(
    _ family: LabelledFamily<Metric, Labels, First, repeat each Rest>, _ first: First
) -> LabelledFamily<Metric, (repeat each Rest), repeat each Rest> {
    LabelledFamily(core: family.core, given: family.given + labelKey(of: first))
}

// The compiler finds no type for what is left of one or two labels by the general form.

/// The one series of a family of one label, as a family without labels.
public func curry<Metric: Instrument, First: LabelValue>(
    _ family: LabelledFamily<Metric, First, First>, _ first: First
) -> LabelledFamily<Metric, ()> {
    LabelledFamily(core: family.core, given: family.given + labelKey(of: first))
}

/// The family with the first of its two labels fixed.
public func curry<Metric: Instrument, First: LabelValue, Second: LabelValue>(
    _ family: LabelledFamily<Metric, (First, Second), First, Second>, _ first: First
) -> LabelledFamily<Metric, Second, Second> {
    LabelledFamily(core: family.core, given: family.given + labelKey(of: first))
}

public typealias MetricFamily<Metric: Instrument, each Value: LabelValue> = LabelledFamily<
    Metric, (repeat each Value), repeat each Value
>
public typealias CounterFamily<each Value: LabelValue> = MetricFamily<Counter, repeat each Value>
public typealias GaugeFamily<each Value: LabelValue> = MetricFamily<Gauge, repeat each Value>
public typealias HistogramFamily<each Value: LabelValue> = MetricFamily<Histogram, repeat each Value>
public typealias SummaryFamily<each Value: LabelValue> = MetricFamily<Summary, repeat each Value>
