import ApusExposition
public import ApusModel
public import Synchronization

/// A number that goes up and down: items queued, bytes in use, a temperature.
public final class Gauge: Instrument, @unchecked Sendable {
    /// The bits of a double.
    @usableFromInline let cell = Atomic<UInt64>(0)
    private let head: [UInt8]

    override init(series: SeriesText, faults: UpdateFaults) {
        head = series.head()
        super.init(series: series, faults: faults)
    }

    @inlinable public func set(_ value: Double) { cell.store(value.bitPattern, ordering: .relaxed) }
    @inlinable public func set(_ value: Int) { set(Double(value)) }
    @inlinable public func increment(by amount: Double = 1) { cell.addDouble(amount) }
    @inlinable public func decrement(by amount: Double = 1) { cell.addDouble(-amount) }
    /// Seconds since the epoch, now.
    public func setToCurrentTime(_ time: some TimeSource = SystemTime()) { set(Double(time.wallMs()) / 1000) }

    /// Counts `body` while it runs: one more at its start, one less at its end, however it ends.
    @inlinable public func track<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        increment()
        defer { decrement() }
        return try body()
    }

    public var value: Double { cell.loadDouble() }

    override func write(to page: inout [UInt8]) {
        page.append(contentsOf: head)
        page.appendValueLine(value)
    }
}
