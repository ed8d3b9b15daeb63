import ApusExposition
import ApusModel

/// Quantiles of what was observed lately, computed here and not by the server. Prefer a histogram: quantiles of several
/// processes cannot be added up. It is there for series that dashboards expect as a summary.
///
/// The window slides in steps of a fifth: there are five streams of different age, each fed with everything; the oldest
/// one answers and is cleared when it has seen the whole window. Observations wait in a buffer, so that the streams
/// are touched once in 500 of them or when somebody asks.
public final class Summary: Instrument, @unchecked Sendable {
    private struct State {
        var streams: [QuantileStream]
        /// The stream that has seen the most.
        var oldest = 0
        var nextTurnNs: UInt64
        var buffer: [Double] = []
        var sum = 0.0
        var count: UInt64 = 0
    }
    private static let streamCount = 5
    private static let bufferCapacity = 500

    private let state: Locked<State>
    private let shape: SummaryShape
    private let turnNs: UInt64

    init(_ seed: InstrumentSeed, shape: SummaryShape) {
        self.shape = shape
        turnNs = max(1, UInt64(clamping: shape.windowMs).multipliedReportingOverflow(by: 1_000_000).partialValue / UInt64(Self.streamCount))
        let streams = [QuantileStream](repeating: QuantileStream(shape.quantiles), count: Self.streamCount)
        state = Locked(State(streams: streams, nextTurnNs: seed.context.time.monotonicNs() &+ turnNs))
        super.init(seed)
    }

    /// Adds one observation. A value that is infinite or not a number is dropped and counted in the registry's faults.
    public func observe(_ value: Double) {
        guard value.isFinite else { return context.faults.count(.badObservation) }
        touch()
        let now = context.time.monotonicNs()
        state.withLock { state in
            slide(&state, now: now)
            state.buffer.append(value)
            state.sum += value
            state.count &+= 1
            if state.buffer.count >= Self.bufferCapacity { flush(&state) }
        }
    }

    public struct Snapshot: Sendable {
        /// The value of each declared quantile, NaN when nothing was observed in the window.
        public var quantiles: [Double]
        /// Of all observations ever.
        public var sum: Double
        public var count: UInt64
    }

    public func snapshot() -> Snapshot {
        let now = context.time.monotonicNs()
        return state.withLock { state in
            slide(&state, now: now)
            flush(&state)
            let stream = state.streams[state.oldest]
            return Snapshot(quantiles: shape.quantiles.map { stream.query($0.rank) }, sum: state.sum, count: state.count)
        }
    }

    private func slide(_ state: inout State, now: UInt64) {
        guard now >= state.nextTurnNs else { return }
        flush(&state)
        let turns = (now &- state.nextTurnNs) / turnNs &+ 1
        for _ in 0..<min(turns, UInt64(Self.streamCount)) {
            state.streams[state.oldest].removeAll()
            state.oldest = (state.oldest + 1) % Self.streamCount
        }
        state.nextTurnNs &+= turns &* turnNs
    }

    private func flush(_ state: inout State) {
        guard !state.buffer.isEmpty else { return }
        state.buffer.sort()
        for index in state.streams.indices { state.streams[index].insert(sorted: state.buffer) }
        state.buffer.removeAll(keepingCapacity: true)
    }

    override func currentValue() -> PointValue {
        let snapshot = snapshot()
        let quantiles = zip(shape.quantiles, snapshot.quantiles).map { SummaryPoint.Quantile(rank: $0.rank, value: $1) }
        return .summary(SummaryPoint(quantiles: quantiles, sum: snapshot.sum, count: snapshot.count))
    }
}

/// What all summaries of a family share.
struct SummaryShape: Sendable, Equatable {
    let quantiles: [Quantile]
    let windowMs: Int64
}
