import ApusExposition
public import Synchronization

/// A number that only grows: requests answered, bytes sent, seconds spent.
///
/// Whole and fractional amounts go to separate cells, so that counting one by one is a single atomic addition (about
/// 2 ns) and exact up to 2⁶⁴. Each cell only grows, hence so does their sum, in whichever order a scrape reads them.
public final class Counter: Instrument, @unchecked Sendable {
    @usableFromInline let whole = Atomic<UInt64>(0)
    /// The bits of a double.
    @usableFromInline let fraction = Atomic<UInt64>(0)
    private let head: [UInt8]

    override init(series: SeriesText, faults: UpdateFaults) {
        head = series.head()
        super.init(series: series, faults: faults)
    }

    @inlinable public func increment() { whole.wrappingAdd(1, ordering: .relaxed) }

    /// Adds `amount`. A negative one is dropped and counted in the registry's faults.
    @inlinable public func increment(by amount: Int) {
        guard amount >= 0 else { return faults.countBadIncrement() }
        addWhole(UInt64(amount))
    }

    /// Adds `amount`. One that is negative or not finite is dropped and counted in the registry's faults.
    @inlinable public func increment(by amount: Double) {
        // The comparison is false for NaN too.
        guard amount >= 0, amount < .infinity else { return faults.countBadIncrement() }
        if amount < 4_294_967_296, case let integer = UInt64(amount), Double(integer) == amount {
            addWhole(integer)
        } else {
            fraction.addDouble(amount)
        }
    }

    public var value: Double { Double(whole.load(ordering: .relaxed)) + fraction.loadDouble() }

    @inlinable func addWhole(_ amount: UInt64) {
        let (before, after) = whole.wrappingAdd(amount, ordering: .relaxed)
        // A counter does not wrap: what the cell cannot hold goes on in the other, at a double's precision.
        if after < before { fraction.addDouble(18_446_744_073_709_551_616) }
    }

    override func write(to page: inout [UInt8]) {
        page.append(contentsOf: head)
        page.appendValueLine(value)
    }
}
