import ApusModel
public import ApusStorage

/// A commit log in memory: the newest entries, for readers that follow the head (remote write). Not durable.
///
/// Bounded: above `maxSamples` the oldest entries go, and a reader that was too slow is told how many it lost.
public final class MemoryLog: CommitLog {
    public enum Entry: Sendable {
        case series([SeriesRecord])
        case samples(SampleBatch)
        case tombstones([TombstoneRecord])

        /// What the entry counts against the limit; a series counts as one sample.
        var weight: Int {
            switch self {
            case .series(let records): records.count
            case .samples(let batch): batch.count + batch.histograms.count + batch.exemplars.count + batch.metadata.count
            case .tombstones(let records): records.count
            }
        }
    }

    /// What a reader gets.
    public struct Page: Sendable {
        public let entries: [Entry]
        /// Where to read on.
        public let next: LogPosition
        /// Entries between the position asked for and the first here that are gone.
        public let lostEntries: Int
    }

    private struct State {
        var entries: [Entry] = []
        /// Index of the oldest entry in `entries`; those before are gone and removed in bulk.
        var head = 0
        /// Position of the entry at `head`.
        var firstOffset = 0
        var weight = 0
    }

    public let maxSamples: Int
    private let state = Locked(State())

    public init(maxSamples: Int = 1 << 20) { self.maxSamples = max(1, maxSamples) }

    /// Where the next entry will be.
    public var end: LogPosition { state.withLock { LogPosition(segment: 0, offset: $0.firstOffset + $0.entries.count - $0.head) } }

    public func append(series: [SeriesRecord]) throws(AppendError) -> LogPosition { add(.series(series)) }

    public func append(samples: borrowing SampleBatch) throws(AppendError) -> LogPosition { add(.samples(copy samples)) }

    public func append(tombstones: [TombstoneRecord]) throws(AppendError) -> LogPosition { add(.tombstones(tombstones)) }

    private func add(_ entry: Entry) -> LogPosition {
        state.withLock { state in
            state.entries.append(entry)
            state.weight += entry.weight
            // The newest stays, however large it is.
            while state.weight > maxSamples && state.entries.count - state.head > 1 {
                state.weight -= state.entries[state.head].weight
                state.entries[state.head] = .series([])
                state.head += 1
                state.firstOffset += 1
            }
            if state.head > 64 && state.head * 2 > state.entries.count {
                state.entries.removeFirst(state.head)
                state.head = 0
            }
            return LogPosition(segment: 0, offset: state.firstOffset + state.entries.count - state.head - 1)
        }
    }

    /// Up to `limit` entries from `position` on; none when the reader has caught up.
    public func read(from position: LogPosition, limit: Int) -> Page {
        state.withLock { state in
            let held = state.entries.count - state.head
            let start = min(max(position.offset, state.firstOffset), state.firstOffset + held)
            let first = state.head + start - state.firstOffset
            let last = min(first + max(0, limit), state.entries.count)
            return Page(
                entries: Array(state.entries[first..<last]), next: LogPosition(segment: 0, offset: start + last - first),
                lostEntries: max(0, start - position.offset))
        }
    }
}
