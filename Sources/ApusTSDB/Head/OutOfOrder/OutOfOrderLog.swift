public import ApusStorage

/// The log of out-of-order samples, `wbl`: apart from the others, since it is dropped when their blocks are written.
///
/// Called under the head's lock, as `CommitLog`.
public protocol OutOfOrderLog: AnyObject, Sendable {
    @discardableResult
    func append(samples: borrowing SampleBatch) throws(AppendError) -> LogPosition
    @discardableResult
    func append(mmapMarkers: [MmapMarkerRecord]) throws(AppendError) -> LogPosition
    /// Begins another segment and returns its number.
    func rotate() throws(AppendError) -> Int
    func truncate(before segment: Int) throws(WALError)
}

extension WriteAheadLog: OutOfOrderLog {}

/// What one batch has to tell the log: samples, and between them that those before have gone to a mapped chunk.
///
/// Samples come in the order in which they were inserted, a marker behind all samples of its series that are in the chunk
/// and in front of those that are not; as few records as that allows.
struct OutOfOrderJournal {
    enum Part {
        case markers([MmapMarkerRecord])
        case samples(SampleBatch)
    }
    private var parts: [Part] = []
    /// In front of `samples`.
    private var markers: [MmapMarkerRecord] = []
    private var samples = SampleBatch()
    /// Series that have one in `samples`.
    private var refs: Set<SeriesRef> = []

    mutating func add(_ late: LateSample) {
        refs.insert(late.ref)
        samples.append(late)
    }

    mutating func mark(_ ref: SeriesRef, _ chunks: [HeadChunkRef]) {
        if refs.contains(ref) { finishPart() }
        for chunk in chunks { markers.append(MmapMarkerRecord(ref: ref, chunkRef: chunk.rawValue)) }
    }

    private mutating func finishPart() {
        if !markers.isEmpty { parts.append(.markers(markers)) }
        if !samples.isEmpty { parts.append(.samples(samples)) }
        markers.removeAll()
        samples.removeAll()
        refs.removeAll()
    }

    mutating func write(to log: any OutOfOrderLog) throws(AppendError) {
        finishPart()
        for part in parts {
            switch part {
            case .markers(let markers): try log.append(mmapMarkers: markers)
            case .samples(let samples): try log.append(samples: samples)
            }
        }
        parts.removeAll()
    }
}
