public import ApusStorage

/// What a replay of the out-of-order log found.
public struct OutOfOrderReplay: Sendable, Equatable {
    public var samples = 0
    /// Samples of series that nobody knows.
    public var unknownSamples = 0
    /// Chunks that files held for series that nobody knows.
    public var unknownChunks = 0
    /// Markers of chunks that were found, and of chunks that were lost: their samples are taken from the log.
    public var markers = 0
    public var lostMarkers = 0
    /// Chunks that the files have under a ref where Prometheus would not look for them; they are in memory now, and
    /// `logOutOfOrderAgain` is due.
    public var foreignChunks = 0
    /// Records of types that are not known, and histograms that make no sense.
    public var unknownRecords = 0
    public var unreadableHistograms = 0
}

/// Start: chunks from `chunks_head`, then, when the series are known, the log.
///
///     for each chunk of the files   loadOutOfOrder        by the ref it was written under
///     (the write-ahead log)         series appear, some of them under another ref
///     replayOutOfOrder              chunks go to their series, samples of the log into open chunks
extension Head {
    /// Takes a chunk found in `chunks_head` whose samples came out of order.
    public func loadOutOfOrder(_ chunk: HeadChunk) { locked { state.outOfOrder.load(chunk) } }

    /// Forgets all that was loaded: the files it is in turned out to be damaged.
    public func forgetLoadedOutOfOrder() { locked { _ = state.outOfOrder.rename { _ in nil } } }

    /// Gives loaded chunks to their series and replays the log, if there is one. Also without a window: what was taken
    /// while there was one must not be lost.
    ///
    /// A marker says that the samples of its series up to here are in a chunk. It is believed only when that chunk was
    /// found: after a kill, chunks may be lost, and numbers of theirs be given again.
    /// - Parameter current: the ref under which a series is known now; nil when it is not.
    /// Of chunks that no marker names only those are kept that there is no log for, or a damaged one.
    /// - Throws: damage, with its place. What came before is kept; repair the log and go on.
    public func replayOutOfOrder(
        _ reader: WALReader?, current: (SeriesRef) -> SeriesRef?
    ) throws(WALError) -> OutOfOrderReplay {
        var report = OutOfOrderReplay()
        // Asked without the lock: whoever answers may need it.
        var names = CurrentRefs()
        for ref in locked({ Array(state.outOfOrder.series.keys) }) { names.learn(ref, current) }
        report.unknownChunks = locked { state.outOfOrder.rename { names[$0] } }
        locked { state.outOfOrder.fileRef = { [unowned state] ref in state.fileRef(of: UInt32(truncatingIfNeeded: state.slot(of: ref))) } }
        guard let reader else {
            locked {
                state.outOfOrder.endLoading()
                report.foreignChunks = state.outOfOrder.adoptForeign()
            }
            return report
        }
        var record = DecodedRecord()
        while try reader.next(&record) {
            for ref in record.samples.refs { names.learn(ref, current) }
            for sample in record.samples.histograms { names.learn(sample.ref, current) }
            for marker in record.mmapMarkers { names.learn(marker.ref, current) }
            locked { state.replayOutOfOrder(record, names, &report) }
        }
        (report.unknownRecords, report.unreadableHistograms) = record.takeUnread()
        locked {
            state.outOfOrder.forgetUnmarked()
            report.foreignChunks = state.outOfOrder.adoptForeign()
        }
        return report
    }
}

/// The refs under which series are known now, asked for once each.
struct CurrentRefs {
    private var known: [SeriesRef: SeriesRef?] = [:]

    mutating func learn(_ ref: SeriesRef, _ current: (SeriesRef) -> SeriesRef?) {
        if known[ref] == nil { known.updateValue(current(ref), forKey: ref) }
    }

    subscript(ref: SeriesRef) -> SeriesRef? { known[ref] ?? nil }
}

extension HeadState {
    func replayOutOfOrder(_ record: DecodedRecord, _ current: CurrentRefs, _ report: inout OutOfOrderReplay) {
        // Chunks that are finished on the way are not marked: the log is read here and not written.
        var journal: OutOfOrderJournal?
        for index in 0..<record.samples.count {
            guard let ref = current[record.samples.refs[index]] else {
                report.unknownSamples += 1
                continue
            }
            report.samples += 1
            let starts = formats.keepsStarts ? record.samples.startTimestampsMs : []
            let late = LateSample(
                ref: ref, timeMs: record.samples.timestampsMs[index], value: record.samples.values[index],
                startMs: index < starts.count ? starts[index] : 0)
            _ = outOfOrder.insert(late, journal: &journal)
        }
        for sample in record.samples.histograms {
            guard let ref = current[sample.ref] else {
                report.unknownSamples += 1
                continue
            }
            report.samples += 1
            let late = LateSample(
                ref: ref, timeMs: sample.timestampMs, histogram: sample.histogram, startMs: formats.keepsStarts ? sample.startTimestampMs : 0)
            _ = outOfOrder.insert(late, journal: &journal)
        }
        replayOutOfOrder(record.mmapMarkers, current, &report)
    }

    private func replayOutOfOrder(_ markers: [MmapMarkerRecord], _ current: CurrentRefs, _ report: inout OutOfOrderReplay) {
        var index = 0
        while index < markers.count {
            // One chunk's samples may have become several, of a kind each; then their markers lie side by side.
            let ref = markers[index].ref
            if markers[index].chunkRef == 0 {
                // Upstream's, for the first chunk of a series: there was none to finish.
                index += 1
                continue
            }
            var chunks: [HeadChunkRef] = []
            while index < markers.count && markers[index].ref == ref && markers[index].chunkRef != 0 {
                chunks.append(HeadChunkRef(rawValue: markers[index].chunkRef))
                index += 1
            }
            if let now = current[ref], outOfOrder.applyMarkers(now, chunks) {
                report.markers += chunks.count
            } else {
                report.lostMarkers += chunks.count
            }
        }
    }
}
