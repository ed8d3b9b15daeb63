import ApusModel
public import ApusStorage

/// The out-of-order samples that a head held at one moment, to be written to blocks and then dropped.
///
///     head.outOfOrderHead() ─▶ chunkSeries(block by block) ─▶ blocks ─▶ head.truncateOutOfOrder
///
/// One at a time. What comes meanwhile is not in it, and stays in the head.
public final class OutOfOrderHead: Sendable {
    struct Series: Sendable {
        let ref: SeriesRef
        let labels: LabelSet
        let chunks: [OutOfOrderSealedChunk]
        let deleted: TimeRanges?
    }
    let series: [Series]
    /// Segments of the log before this one hold nothing else; nil without a log.
    let logSegment: Int?
    /// Times of the oldest and the newest sample.
    public let minTimeMs: Int64
    public let maxTimeMs: Int64

    /// Series whose open chunks are finished in one hold of the head's lock.
    static let seriesASlice = 512

    init(_ series: [Series], logSegment: Int?) {
        self.series = series.sorted { $0.labels < $1.labels }
        self.logSegment = logSegment
        minTimeMs = series.lazy.flatMap(\.chunks).map(\.minTimeMs).min() ?? .max
        maxTimeMs = series.lazy.flatMap(\.chunks).map(\.maxTimeMs).max() ?? .min
    }

    public var seriesCount: Int { series.count }

    /// The samples of `[minTimeMs, maxTimeMs]`, both ends included, in order of labels and time, each time once.
    public func chunkSeries(minTimeMs: Int64, maxTimeMs: Int64) -> any ChunkSeriesSet {
        OutOfOrderChunkSeries(series, minTimeMs, maxTimeMs)
    }
}

private final class OutOfOrderChunkSeries: ChunkSeriesSet {
    private let series: [OutOfOrderHead.Series]
    private let minTimeMs: Int64
    private let maxTimeMs: Int64
    private var position = -1
    private(set) var chunks: [EncodedChunk] = []

    init(_ series: [OutOfOrderHead.Series], _ minTimeMs: Int64, _ maxTimeMs: Int64) {
        self.series = series
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }

    var labels: LabelSet { series.indices.contains(position) ? series[position].labels : .empty }

    func next() throws(StorageError) -> Bool {
        chunks = []
        if minTimeMs > maxTimeMs { return false }
        // Series without samples here are passed over.
        while chunks.isEmpty {
            guard position + 1 < series.count else { return false }
            position += 1
            let one = series[position]
            if !one.chunks.contains(where: { $0.overlaps(minTimeMs, maxTimeMs) }) { continue }
            let snapshot = OutOfOrderSnapshot(sealed: one.chunks, open: OutOfOrderChunk())
            var columns = SampleColumns(histograms: true)
            try snapshot.merge(minTimeMs, maxTimeMs, deleted: one.deleted, into: &columns, chunkStarts: [0])
            chunks = encodeChunks(columns)
        }
        return true
    }
}

extension Head {
    /// Everything out of order that the head holds now, its open chunks finished; nil when there is nothing.
    ///
    /// Takes the lock again and again, not for long.
    public func outOfOrderHead() throws(AppendError) -> OutOfOrderHead? {
        let (refs, segment) = try locked { () throws(AppendError) -> ([SeriesRef], Int?) in
            if state.outOfOrder.isEmpty { return ([], nil) }
            // First: what is logged from here on is in later segments. Some of it may get into the chunks below; after a
            // crash it is then in a block and read from the log too, which does no harm.
            return (Array(state.outOfOrder.series.keys), try state.outOfOrder.log?.rotate())
        }
        if refs.isEmpty { return nil }
        var series: [OutOfOrderHead.Series] = []
        var start = 0
        while start < refs.count {
            let end = min(start + OutOfOrderHead.seriesASlice, refs.count)
            locked {
                for ref in refs[start..<end] {
                    guard let one = state.outOfOrder.series[ref], let labels = state.labels(of: ref) else { continue }
                    if !one.open.isEmpty { state.outOfOrder.seal(ref, one) }
                    let slot = UInt32(exactly: state.slot(of: ref))
                    let deleted = slot.flatMap { state.tombstones[$0] }
                    series.append(.init(ref: ref, labels: labels, chunks: one.sealed, deleted: deleted))
                }
            }
            start = end
        }
        return series.isEmpty ? nil : OutOfOrderHead(series, logSegment: segment)
    }

    /// Drops what `written` holds, once its blocks can be read: chunks when the readers are gone that began before, the
    /// segments of the log at once.
    /// - Throws: when segments cannot be removed; they are when this is called the next time.
    public func truncateOutOfOrder(_ written: OutOfOrderHead) throws(WALError) {
        let log = locked {
            var upTo: [SeriesRef: UInt64] = [:]
            for one in written.series { upTo[one.ref] = one.chunks.last?.number }
            state.outOfOrder.scheduleRemoval(upTo, epoch: state.epoch)
            state.retire(HeadState.Limbo(epoch: state.epoch))
            return state.outOfOrder.log
        }
        if let log, let segment = written.logSegment { try log.truncate(before: segment) }
    }
}
