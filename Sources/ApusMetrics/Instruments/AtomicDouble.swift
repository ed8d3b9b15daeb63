public import Synchronization

extension Atomic<UInt64> {
    /// The cell's bits as a double.
    @inlinable @inline(__always)
    func loadDouble() -> Double { Double(bitPattern: load(ordering: .relaxed)) }

    /// Adds to the double whose bits the cell holds. Wait-free for one writer; writers that meet try again.
    @inlinable @inline(__always)
    func addDouble(_ amount: Double) {
        var seen = load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}

/// Updates that were dropped because they made no sense, counted per registry: a program must not die, nor its page
/// break, because a clock stepped back. Read them as `registry.faults`.
public final class UpdateFaults: Sendable {
    /// `increment(by:)` of a counter by a negative or non-finite amount.
    public var badIncrements: UInt64 { badIncrementCount.load(ordering: .relaxed) }
    /// `observe` of a value that is infinite or not a number.
    public var badObservations: UInt64 { badObservationCount.load(ordering: .relaxed) }
    /// Look-ups of a label set that did not exist yet in a family at its limit; they got the overflow series.
    public var overflowedLabelSets: UInt64 { overflowedLabelSetCount.load(ordering: .relaxed) }
    /// Families and samples of collectors left out of a page: bad or taken names, series given twice.
    public var droppedCollectedSamples: UInt64 { droppedCollectedSampleCount.load(ordering: .relaxed) }

    let badIncrementCount = Atomic<UInt64>(0)
    let badObservationCount = Atomic<UInt64>(0)
    let overflowedLabelSetCount = Atomic<UInt64>(0)
    let droppedCollectedSampleCount = Atomic<UInt64>(0)

    init() {}

    @usableFromInline func countBadIncrement() { badIncrementCount.wrappingAdd(1, ordering: .relaxed) }
    @usableFromInline func countBadObservation() { badObservationCount.wrappingAdd(1, ordering: .relaxed) }
}
