import ApusExposition
import ApusModel

/// How values are spread now, where values leave as well as come: the ages of what waits in a queue, the sizes of what is
/// in a cache. Its counts go down as well as up.
public final class GaugeHistogram: Instrument, @unchecked Sendable {
    private struct Counted {
        var counts: [UInt64]
        var sum = 0.0
    }
    private let shape: HistogramShape
    private let counted: Locked<Counted>

    init(_ seed: InstrumentSeed, shape: HistogramShape) {
        self.shape = shape
        counted = Locked(Counted(counts: [UInt64](repeating: 0, count: shape.bounds.count + 1)))
        super.init(seed)
    }

    /// A value has come. One that is infinite or not a number is dropped and counted in the registry's faults.
    public func add(_ value: Double) { change(value) { count, sum in (count &+ 1, sum + value) } }

    /// A value that was added has gone. A bucket that is empty already stays so, and the fault is counted.
    public func remove(_ value: Double) {
        change(value) { [context] count, sum in
            if count > 0 { return (count - 1, sum - value) }
            context.faults.count(.badObservation)
            return (count, sum)
        }
    }

    /// Puts values in place of all that were there: `counts` are not cumulative and one more than the bounds. False, with
    /// nothing changed and the fault counted, if they are not.
    @discardableResult
    public func set(counts: [UInt64], sum: Double) -> Bool {
        guard counts.count == shape.bounds.count + 1 else {
            context.faults.count(.badObservation)
            return false
        }
        counted.withLock { $0 = Counted(counts: counts, sum: sum) }
        touch()
        return true
    }

    public func snapshot() -> Histogram.Snapshot { counted.withLock { Histogram.Snapshot(counts: $0.counts, sum: $0.sum) } }

    private func change(_ value: Double, _ change: (UInt64, Double) -> (UInt64, Double)) {
        guard value.magnitude < .infinity else { return context.faults.count(.badObservation) }
        let bucket = shape.bucket(of: value)
        counted.withLock { counted in
            (counted.counts[bucket], counted.sum) = change(counted.counts[bucket], counted.sum)
        }
        touch()
    }

    override func currentValue() -> PointValue {
        let snapshot = snapshot()
        return .histogram(HistogramPoint(upperBounds: shape.bounds, counts: snapshot.counts, sum: snapshot.sum))
    }
    override var countsSinceMs: Int64? { nil }
}
