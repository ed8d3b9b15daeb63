import Synchronization

extension Atomic<UInt64> {
    /// The cell's bits as a double.
    @inline(__always)
    func loadDouble() -> Double { Double(bitPattern: load(ordering: .relaxed)) }

    /// Adds to the double whose bits the cell holds. Wait-free for one writer; writers that meet try again.
    @inline(__always)
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

/// What was dropped because it made no sense, counted per registry: a program must not die, nor its page break, because a
/// clock stepped back. Read it as `registry.faults`, or show it with `registry.registerFaultMetrics()`.
public final class UpdateFaults: Sendable {
    /// What can go wrong after a metric was declared.
    public enum Cause: String, CaseIterable, Sendable {
        /// `increment(by:)` of a counter by a negative or non-finite amount.
        case badIncrement = "bad_increment"
        /// `observe` of a value that is infinite or not a number.
        case badObservation = "bad_observation"
        /// Look-ups of a label set that did not exist yet in a family at its limit; they got the overflow series.
        case overflowedLabelSet = "overflowed_label_set"
        /// Families and samples of collectors left out of a page: bad or taken names, series given twice.
        case droppedCollectedSample = "dropped_collected_sample"
        /// Collectors that threw; what they had given was left out.
        case failedCollector = "failed_collector"
        /// Asynchronous collectors that did not answer in time; what they give later is left out.
        case lateCollector = "late_collector"
        /// Exemplars with too many characters or with names that can't be.
        case badExemplar = "bad_exemplar"
        /// Updates of metrics that were made when the process had no cells left: see `CellStore.maxCells`.
        case exhaustedCells = "exhausted_cells"
    }
    private let cells: [Count] = Cause.allCases.map { _ in Count() }
    private final class Count: Sendable { let value = Atomic<UInt64>(0) }

    init() {}

    public subscript(cause: Cause) -> UInt64 { cells[cause.index].value.load(ordering: .relaxed) }

    @inline(never) func count(_ cause: Cause, _ amount: UInt64 = 1) {
        cells[cause.index].value.wrappingAdd(amount, ordering: .relaxed)
    }

    public var badIncrements: UInt64 { self[.badIncrement] }
    public var badObservations: UInt64 { self[.badObservation] }
    public var overflowedLabelSets: UInt64 { self[.overflowedLabelSet] }
    public var droppedCollectedSamples: UInt64 { self[.droppedCollectedSample] }
}

extension UpdateFaults.Cause {
    fileprivate var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
