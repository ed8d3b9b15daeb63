import ApusExposition
import Synchronization

/// A number that only grows: requests answered, bytes sent, seconds spent.
///
/// Each thread adds to cells of its own (`ThreadRecord`), so that counting is a load and a store however many threads
/// count the same. Whole and fractional amounts go to separate cells, whole ones exactly. Each cell only grows, hence so
/// does their sum, in whichever order a scrape reads them.
public final class Counter: Instrument, @unchecked Sendable {
    /// The number of the cell for whole amounts; the next one is for fractions, as the bits of a double. Negative for none.
    private let cells: Int
    /// What was there at the last reset.
    private let wholeBase = Atomic<UInt64>(0)
    private let fractionBase = Atomic<UInt64>(0)

    override init(_ seed: InstrumentSeed) {
        cells = CellStore.shared.takeRun(2) ?? -1
        super.init(seed)
    }

    deinit { if cells >= 0 { CellStore.shared.giveRun(cells, 2) } }

    public func increment() { add(1) }

    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    public func increment(by amount: Int) {
        guard amount >= 0 else { return context.faults.count(.badIncrement) }
        add(UInt64(amount))
    }

    /// Adds `amount`. One that is negative or not finite is dropped and counted in the registry's faults.
    public func increment(by amount: Double) {
        // The comparison is false for NaN too.
        guard amount >= 0, amount < .infinity else { return context.faults.count(.badIncrement) }
        if amount < 4_294_967_296, case let integer = UInt64(amount), Double(integer) == amount { return add(integer) }
        if let record = unsafe ThreadRecord.current, cells >= 0, let cell = unsafe ThreadRecord.cell(cells, in: record) {
            unsafe Self.addFraction(amount, to: cell)
        } else {
            addFractionSlowly(amount)
        }
        if !duties.isEmpty { doDuties(value: amount) }
    }

    /// Adds `amount`, and makes `exemplar` lead from the counter elsewhere until the next one.
    public func increment(by amount: Double = 1, exemplar: ExemplarLabels) {
        guard amount >= 0, amount < .infinity else { return context.faults.count(.badIncrement) }
        increment(by: amount)
        keepExemplar(exemplar, value: amount)
    }

    /// Counts one if `body` throws, whatever it is, and throws it on.
    @inlinable public func countErrors<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        do { return try body() } catch {
            increment()
            throw error
        }
    }

    /// Counts one if `body` throws, whatever it is, and throws it on.
    @inlinable public nonisolated(nonsending) func countErrors<Result, Failure: Error>(
        _ body: nonisolated(nonsending) () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        do { return try await body() } catch {
            increment()
            throw error
        }
    }

    // No closure on the way: it would hold the counter, and threads would fight for its reference count.
    @inline(__always)
    func add(_ amount: UInt64) {
        if let record = unsafe ThreadRecord.current, cells >= 0, let cell = unsafe ThreadRecord.cell(cells, in: record) {
            unsafe Self.add(amount, to: cell)
        } else {
            addSlowly(amount)
        }
        if !duties.isEmpty { doDuties(value: Double(amount)) }
    }

    /// Adds to a cell of this thread, the one for whole amounts of a counter.
    @inline(__always)
    static func add(_ amount: UInt64, to cell: ThreadRecord.Cell) {
        let (sum, overflow) = unsafe cell.pointee.load(ordering: .relaxed).addingReportingOverflow(amount)
        unsafe cell.pointee.store(sum, ordering: .relaxed)
        // A counter does not wrap: what the cell cannot hold goes on in the other, at a double's precision.
        if overflow { unsafe carry(to: cell) }
    }

    @inline(never)
    private static func carry(to cell: ThreadRecord.Cell) { unsafe addFraction(18_446_744_073_709_551_616, to: cell) }

    /// Adds to the cell behind that one.
    @inline(__always)
    private static func addFraction(_ amount: Double, to cell: ThreadRecord.Cell) {
        unsafe cell[1].store((cell[1].loadDouble() + amount).bitPattern, ordering: .relaxed)
    }

    /// Adds in a thread that has no record yet, or that has not touched these cells.
    @inline(never)
    private func addSlowly(_ amount: UInt64) {
        guard cells >= 0 else { return context.faults.count(.exhaustedCells) }
        unsafe CellStore.withRecord { record in unsafe Self.add(amount, to: CellStore.cell(cells, in: record)) }
    }

    @inline(never)
    private func addFractionSlowly(_ amount: Double) {
        guard cells >= 0 else { return context.faults.count(.exhaustedCells) }
        unsafe CellStore.withRecord { record in unsafe Self.addFraction(amount, to: CellStore.cell(cells, in: record)) }
    }

    override var simpleCell: Int32 { duties.isEmpty ? Int32(clamping: cells) : -1 }

    /// The sum of all increments since it was made or reset.
    public var value: Double {
        let (whole, fraction) = sums()
        let wholeBase = wholeBase.load(ordering: .relaxed)
        let rest = whole >= UInt128(wholeBase) ? whole - UInt128(wholeBase) : 0
        // One conversion for what most counters are.
        let counted = rest >> 64 == 0 ? Double(UInt64(truncatingIfNeeded: rest)) : Double(rest)
        return max(0, counted + (fraction - fractionBase.loadDouble()))
    }

    private func sums() -> (whole: UInt128, fraction: Double) {
        var whole: UInt128 = 0
        var fraction = 0.0
        guard cells >= 0 else { return (0, 0) }
        unsafe CellStore.shared.forEachRecord { record in
            // A run lies in one chunk: where the first cell is, the second is next to it.
            guard let cell = unsafe ThreadRecord.cell(cells, in: record) else { return }
            whole &+= UInt128(unsafe cell[0].load(ordering: .relaxed))
            fraction += unsafe cell[1].loadDouble()
        }
        return (whole, fraction)
    }

    /// Begins anew at zero, which readers tell from a counter that went backwards by the time of its beginning. What other
    /// threads add meanwhile may be lost or kept.
    public func reset() {
        let (whole, fraction) = sums()
        let base = UInt64(clamping: whole)
        wholeBase.store(base, ordering: .relaxed)
        fractionBase.store((fraction + Double(whole - UInt128(base))).bitPattern, ordering: .relaxed)
        createdMs.store(context.time.wallMs(), ordering: .relaxed)
    }

    override func currentValue() -> PointValue { .number(value, exemplar: currentExemplars.first ?? nil) }
    override func appendWords(to words: inout [UInt64]) { words.append(value.bitPattern) }
}
