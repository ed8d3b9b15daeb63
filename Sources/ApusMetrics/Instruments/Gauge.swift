import ApusExposition
public import ApusModel
import Synchronization

/// A number that goes up and down: items queued, bytes in use, a temperature.
///
/// The same kind of object stands for values of unknown type (`MetricRegistry.unknown`) and for infos.
public final class Gauge: Instrument, @unchecked Sendable {
    /// The bits of a double.
    private let cell = Atomic<UInt64>(0)

    public func set(_ value: Double) {
        cell.store(value.bitPattern, ordering: .relaxed)
        touch()
    }
    public func set(_ value: Int) { set(Double(value)) }
    public func increment(by amount: Double = 1) {
        cell.addDouble(amount)
        touch()
    }
    public func decrement(by amount: Double = 1) { increment(by: -amount) }
    /// Seconds since the epoch, now.
    public func setToCurrentTime(_ time: some TimeSource = SystemTime()) { set(Double(time.wallMs()) / 1000) }

    /// Counts `body` while it runs: one more at its start, one less at its end, however it ends.
    @inlinable public func track<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        increment()
        defer { decrement() }
        return try body()
    }

    /// Counts `body` while it runs: one more at its start, one less at its end, however it ends.
    @inlinable public nonisolated(nonsending) func track<Result, Failure: Error>(
        _ body: nonisolated(nonsending) () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        increment()
        defer { decrement() }
        return try await body()
    }

    public var value: Double { cell.loadDouble() }

    override func currentValue() -> PointValue { .number(value) }
    override func appendWords(to words: inout [UInt64]) { words.append(cell.load(ordering: .relaxed)) }
    override var countsSinceMs: Int64? { nil }
}
