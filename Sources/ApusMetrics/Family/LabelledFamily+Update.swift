// Updates of the series with the given label values, without a handle: the fastest way where none is kept.

extension LabelledFamily where Metric == Counter {
    /// Counts one.
    @inlinable
    @_disfavoredOverload
    public func increment(_ values: repeat each Value) {
        unsafe withKey(repeat each values) { key in unsafe core.increment(key, by: 1) }
    }

    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    @_disfavoredOverload
    public func increment(by amount: Int, _ values: repeat each Value) {
        unsafe withKey(repeat each values) { key in unsafe core.increment(key, by: amount) }
    }
}

extension LabelledFamily where Metric == Histogram {
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    @_disfavoredOverload
    public func observe(_ value: Double, _ values: repeat each Value) {
        unsafe withKey(repeat each values) { key in unsafe core.observe(key, value) }
    }
}
