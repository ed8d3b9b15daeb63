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
    private let text: SummaryText
    private let turnNs: UInt64
    private let time: any TimeSource
    private let quantileHead: [UInt8]
    private let sumHead: [UInt8]
    private let countHead: [UInt8]

    init(series: SeriesText, faults: UpdateFaults, text: SummaryText, time: any TimeSource) {
        self.text = text
        self.time = time
        turnNs = max(1, UInt64(text.windowMs) &* 1_000_000 / UInt64(Self.streamCount))
        quantileHead = series.openHead(label: "quantile")
        sumHead = series.head(suffix: "_sum")
        countHead = series.head(suffix: "_count")
        let streams = [QuantileStream](repeating: QuantileStream(text.quantiles), count: Self.streamCount)
        state = Locked(State(streams: streams, nextTurnNs: time.monotonicNs() &+ turnNs))
        super.init(series: series, faults: faults)
    }

    /// Adds one observation. A value that is infinite or not a number is dropped and counted in the registry's faults.
    public func observe(_ value: Double) {
        guard value.isFinite else { return faults.countBadObservation() }
        let now = time.monotonicNs()
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
        let now = time.monotonicNs()
        return state.withLock { state in
            slide(&state, now: now)
            flush(&state)
            let stream = state.streams[state.oldest]
            return Snapshot(quantiles: text.quantiles.map { stream.query($0.rank) }, sum: state.sum, count: state.count)
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

    override func write(to page: inout [UInt8]) {
        let snapshot = snapshot()
        for (index, value) in snapshot.quantiles.enumerated() {
            page.append(contentsOf: quantileHead)
            page.append(contentsOf: text.quotedRanks[index])
            page.appendValueLine(value)
        }
        page.append(contentsOf: sumHead)
        page.appendValueLine(snapshot.sum)
        page.append(contentsOf: countHead)
        page.appendDecimal(snapshot.count)
        page.append(UInt8(ascii: "\n"))
    }
}

/// What all summaries of a family share.
final class SummaryText: Sendable {
    let quantiles: [Quantile]
    let windowMs: Int64
    /// `"0.5"} `, ….
    let quotedRanks: [[UInt8]]

    init(_ quantiles: [Quantile], windowMs: Int64) {
        self.quantiles = quantiles
        self.windowMs = windowMs
        quotedRanks = quantiles.map { quantile in
            var text = [UInt8(ascii: "\"")]
            text.appendDouble(quantile.rank, style: .general)
            text.append(contentsOf: "\"} ".utf8)
            return text
        }
    }
}
