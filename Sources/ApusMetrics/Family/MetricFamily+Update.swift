// Updates of the series with the given label values, without a handle: the fastest way where none is kept.

extension MetricFamily where Metric == Counter {
    /// Counts one.
    @inlinable
    public func increment(_ values: repeat each Value) {
        unsafe withKey(repeat each values) { key, count in unsafe core.increment(key, count: count, by: 1) }
    }

    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    public func increment(by amount: Int, _ values: repeat each Value) {
        guard amount >= 0 else { return self(repeat each values).increment(by: amount) }
        unsafe withKey(repeat each values) { key, count in unsafe core.increment(key, count: count, by: UInt64(amount)) }
    }
}

extension MetricFamily where Metric == Histogram {
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    public func observe(_ value: Double, _ values: repeat each Value) {
        unsafe withKey(repeat each values) { key, count in unsafe core.observe(key, count: count, value) }
    }
}
