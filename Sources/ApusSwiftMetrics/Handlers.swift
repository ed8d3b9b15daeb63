public import ApusMetrics
public import CoreMetrics

// The registry's instruments are the handlers: an update through swift-metrics costs what it costs without.

extension ApusMetrics.Counter: CounterHandler, FloatingPointCounterHandler {
    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    public func increment(by amount: Int64) { increment(by: Int(amount)) }
}

extension ApusMetrics.Gauge: MeterHandler, RecorderHandler {
    public func set(_ value: Int64) { set(Double(value)) }
    public func record(_ value: Int64) { set(Double(value)) }
    public func record(_ value: Double) { set(value) }
}

extension Histogram: RecorderHandler, TimerHandler {
    public func record(_ value: Int64) { observe(Double(value)) }
    public func record(_ value: Double) { observe(value) }

    /// Observes seconds. A negative duration, of a clock that stepped back, is dropped and counted in the registry's
    /// faults: it would make the sum of times go down.
    public func recordNanoseconds(_ duration: Int64) {
        // What is not a number is what a histogram drops and counts.
        observe(duration < 0 ? .nan : Double(duration) / 1e9)
    }
}
