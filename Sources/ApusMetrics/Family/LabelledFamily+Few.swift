// The calls of a family once more for one to four labels: those for any number pass their values as a pack, which is taken
// apart while the program runs; here the compiler knows the types, and what is left of a call are a few instructions for
// each label. They differ in nothing else.

extension LabelledFamily {
    /// The series with this label value.
    @inlinable
    public func callAsFunction(_ first: Labels) -> Metric where Labels: LabelValue {
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        unsafe withKey(first) { key in unsafe unsafeDowncast(core.find(key), to: Metric.self) }
    }
    /// The series with these label values.
    @inlinable
    public func callAsFunction<First: LabelValue, Second: LabelValue>(_ first: First, _ second: Second) -> Metric
    where Labels == (First, Second) {
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        unsafe withKey(first, second) { key in unsafe unsafeDowncast(core.find(key), to: Metric.self) }
    }
    /// The series with these label values.
    @inlinable
    public func callAsFunction<First: LabelValue, Second: LabelValue, Third: LabelValue>(
        _ first: First, _ second: Second, _ third: Third
    ) -> Metric where Labels == (First, Second, Third) {
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        unsafe withKey(first, second, third) { key in unsafe unsafeDowncast(core.find(key), to: Metric.self) }
    }
    /// The series with these label values.
    @inlinable
    public func callAsFunction<First: LabelValue, Second: LabelValue, Third: LabelValue, Fourth: LabelValue>(
        _ first: First, _ second: Second, _ third: Third, _ fourth: Fourth
    ) -> Metric where Labels == (First, Second, Third, Fourth) {
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        unsafe withKey(first, second, third, fourth) { key in unsafe unsafeDowncast(core.find(key), to: Metric.self) }
    }
}

extension LabelledFamily where Metric == Counter {
    /// Counts one.
    @inlinable
    public func increment(_ first: Labels) where Labels: LabelValue {
        unsafe withKey(first) { key in unsafe core.increment(key, by: 1) }
    }
    /// Counts one.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue>(_ first: First, _ second: Second)
    where Labels == (First, Second) {
        unsafe withKey(first, second) { key in unsafe core.increment(key, by: 1) }
    }
    /// Counts one.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue, Third: LabelValue>(
        _ first: First, _ second: Second, _ third: Third
    ) where Labels == (First, Second, Third) {
        unsafe withKey(first, second, third) { key in unsafe core.increment(key, by: 1) }
    }
    /// Counts one.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue, Third: LabelValue, Fourth: LabelValue>(
        _ first: First, _ second: Second, _ third: Third, _ fourth: Fourth
    ) where Labels == (First, Second, Third, Fourth) {
        unsafe withKey(first, second, third, fourth) { key in unsafe core.increment(key, by: 1) }
    }
    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    public func increment(by amount: Int, _ first: Labels) where Labels: LabelValue {
        unsafe withKey(first) { key in unsafe core.increment(key, by: amount) }
    }
    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue>(by amount: Int, _ first: First, _ second: Second)
    where Labels == (First, Second) {
        unsafe withKey(first, second) { key in unsafe core.increment(key, by: amount) }
    }
    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue, Third: LabelValue>(
        by amount: Int, _ first: First, _ second: Second, _ third: Third
    ) where Labels == (First, Second, Third) {
        unsafe withKey(first, second, third) { key in unsafe core.increment(key, by: amount) }
    }
    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable
    public func increment<First: LabelValue, Second: LabelValue, Third: LabelValue, Fourth: LabelValue>(
        by amount: Int, _ first: First, _ second: Second, _ third: Third, _ fourth: Fourth
    ) where Labels == (First, Second, Third, Fourth) {
        unsafe withKey(first, second, third, fourth) { key in unsafe core.increment(key, by: amount) }
    }
}

extension LabelledFamily where Metric == Histogram {
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    public func observe(_ value: Double, _ first: Labels) where Labels: LabelValue {
        unsafe withKey(first) { key in unsafe core.observe(key, value) }
    }
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    public func observe<First: LabelValue, Second: LabelValue>(_ value: Double, _ first: First, _ second: Second)
    where Labels == (First, Second) {
        unsafe withKey(first, second) { key in unsafe core.observe(key, value) }
    }
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    public func observe<First: LabelValue, Second: LabelValue, Third: LabelValue>(
        _ value: Double, _ first: First, _ second: Second, _ third: Third
    ) where Labels == (First, Second, Third) {
        unsafe withKey(first, second, third) { key in unsafe core.observe(key, value) }
    }
    /// Adds one observation, as `Histogram.observe` does.
    @inlinable
    public func observe<First: LabelValue, Second: LabelValue, Third: LabelValue, Fourth: LabelValue>(
        _ value: Double, _ first: First, _ second: Second, _ third: Third, _ fourth: Fourth
    ) where Labels == (First, Second, Third, Fourth) {
        unsafe withKey(first, second, third, fourth) { key in unsafe core.observe(key, value) }
    }
}

// Each written out, and not one that is given a closure to write with: that would be called, and the writer be in memory.
extension LabelledFamily {
    @inlinable @inline(__always)
    func withKey<First: LabelValue, Result>(_ first: First, body: (SeriesKey) -> Result) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer, hash: hash)
            writer.append(given: given)
            writer.add(first)
            return unsafe body(writer.key)
        }
    }
    @inlinable @inline(__always)
    func withKey<First: LabelValue, Second: LabelValue, Result>(_ first: First, _ second: Second, body: (SeriesKey) -> Result)
        -> Result
    {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer, hash: hash)
            writer.append(given: given)
            writer.add(first)
            writer.add(second)
            return unsafe body(writer.key)
        }
    }
    @inlinable @inline(__always)
    func withKey<First: LabelValue, Second: LabelValue, Third: LabelValue, Result>(
        _ first: First, _ second: Second, _ third: Third, body: (SeriesKey) -> Result
    ) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer, hash: hash)
            writer.append(given: given)
            writer.add(first)
            writer.add(second)
            writer.add(third)
            return unsafe body(writer.key)
        }
    }
    @inlinable @inline(__always)
    func withKey<First: LabelValue, Second: LabelValue, Third: LabelValue, Fourth: LabelValue, Result>(
        _ first: First, _ second: Second, _ third: Third, _ fourth: Fourth, body: (SeriesKey) -> Result
    ) -> Result {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            var writer = unsafe LabelWriter(buffer, hash: hash)
            writer.append(given: given)
            writer.add(first)
            writer.add(second)
            writer.add(third)
            writer.add(fourth)
            return unsafe body(writer.key)
        }
    }
}
