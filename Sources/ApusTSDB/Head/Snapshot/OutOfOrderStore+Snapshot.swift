import ApusStorage

/// A finished chunk of samples out of order in a snapshot; its bytes lie in a file of chunks.
struct SnapshotLateChunk: BitwiseCopyable {
    var ref: UInt64
    var number: UInt64
    var chunkRef: UInt64
    var minTime: Int64
    var maxTime: Int64
    var sizeBytes: UInt32
    var encoding: UInt32
}

extension OutOfOrderStore {
    /// Finishes every open chunk, so that all there is lies in files, and tells the log, as when one is full.
    /// - Throws: when the log refuses. What is in it stays right: chunks that no marker names are not believed.
    func sealAll() throws(AppendError) {
        var journal: OutOfOrderJournal? = log == nil ? nil : OutOfOrderJournal()
        for (ref, one) in series where !one.open.isEmpty {
            let chunks = seal(ref, one)
            if chunks.allSatisfy({ $0.chunkRef != nil }) { journal?.mark(ref, chunks.compactMap(\.chunkRef)) }
        }
        if let log { try journal?.write(to: log) }
    }

    /// All chunks, those that are in blocks already left out; nil when some lie in memory only.
    func snapshot() -> [SnapshotLateChunk]? {
        var result: [SnapshotLateChunk] = []
        let written = inBlocks
        for (ref, one) in series.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            if !one.open.isEmpty { return nil }
            for chunk in one.sealed where chunk.number > written[ref] ?? 0 {
                guard let place = chunk.chunkRef else { return nil }
                result.append(
                    SnapshotLateChunk(
                        ref: ref.rawValue, number: chunk.number, chunkRef: place.rawValue, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs,
                        sizeBytes: UInt32(clamping: chunk.sizeBytes), encoding: UInt32(chunk.encoding.rawValue)))
            }
        }
        return result
    }

    /// Fills an empty store.
    func restore(_ chunks: [SnapshotLateChunk], _ places: ChunkPlaces?, _ files: HeadChunkFiles?) throws(SnapshotError) {
        var before: UInt64 = 0
        var last = SeriesRef(rawValue: 0)
        for saved in chunks {
            let ref = SeriesRef(rawValue: saved.ref)
            let (place, size) = (HeadChunkRef(rawValue: saved.chunkRef), Int(saved.sizeBytes))
            guard let encoding = ChunkEncoding(rawValue: UInt8(truncatingIfNeeded: saved.encoding)), saved.minTime <= saved.maxTime,
                ref != last || saved.number > before,
                let address = places?.address(of: place, sizeBytes: size) ?? files?.padded(place, sizeBytes: size)
            else { throw HeadState.damaged("chunks out of order") }
            (last, before) = (ref, saved.number)
            restore(
                ref,
                OutOfOrderSealedChunk(
                    encoding: encoding, minTimeMs: saved.minTime, maxTimeMs: saved.maxTime, sizeBytes: size, address: address,
                    chunkRef: place, memory: nil, number: saved.number))
        }
    }
}
