import ApusModel
import ApusStorage

/// An open chunk of floats in XOR2.
struct XOR2Chunk: SlotElement {
    let slot: UInt32
    var encoder = XOR2Encoder()
}

extension SlotTable<XOR2Chunk> {
    var sizeBytes: Int { elements.reduce(0) { $0 + $1.encoder.memoryBytes } }
}

/// Floats in XOR2 chunks, with start timestamps: asked for by `ChunkFormats`, and a path of its own, so that the usual
/// one keeps its speed and its 64 bytes a series.
extension HeadState {
    /// Writes a float that is newer than all of its series, into its open chunk or another.
    /// - Parameter startMs: start timestamp, 0 for none.
    func storeXOR2(
        _ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32, _ time: Int64, _ value: UInt64, startMs: Int64, periodStart: Int64,
        _ samplesPerChunk: Int
    ) {
        // SAFETY: a live series, which nobody else has while the lock is held.
        if unsafe entry.pointee.isXOR2 {
            if unsafe Int(entry.pointee.xor.count) >= samplesPerChunk || entry.pointee.xor.time < periodStart { unsafe sealXOR2(entry, slot) }
        } else if unsafe entry.pointee.open != 0 {
            // From before XOR2 was asked for.
            unsafe seal(entry, slot)
        } else if unsafe endHistograms(entry, slot, time, value) {
            return
        }
        if unsafe !entry.pointee.isXOR2 {
            unsafe entry.pointee.isXOR2 = true
            unsafe entry.pointee.xor.count = 0
            if unsafe !entry.pointee.hasSamples { unsafe entry.pointee.firstTime = min(time, MemSeries.noSamples &- 1) }
            xor2Chunks.insert(XOR2Chunk(slot: slot))
            counters.chunksCreated &+= 1
        }
        _ = xor2Chunks.modify(slot) { $0.encoder.append(timestampMs: time, value: value, startMs: startMs) }
        unsafe entry.pointee.xor.time = time
        unsafe entry.pointee.xor.value = value
        unsafe entry.pointee.xor.count &+= 1
    }

    /// Makes the open XOR2 chunk of a series, if it has one, the newest sealed one.
    func sealXOR2(_ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32) {
        // SAFETY: a live series.
        if unsafe !entry.pointee.isXOR2 { return }
        unsafe entry.pointee.isXOR2 = false
        unsafe entry.pointee.xor.count = 0
        guard let chunk = xor2Chunks[slot]?.encoder.chunk else { return }
        xor2Chunks.remove(slot)
        unsafe chunk.bytes.withUnsafeBytes { bytes in
            unsafe link(bytes, .xor2, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs, to: entry, slot)
        }
    }

    /// The open chunk of a series that has one in a table: of histograms, or of floats in XOR2.
    func tabledChunk(of series: MemSeries, _ slot: UInt32) -> EncodedChunk? {
        if series.isHistogram { return histograms[slot].flatMap { $0.isOpen ? $0.encoder.chunk : nil } }
        return series.isXOR2 ? xor2Chunks[slot]?.encoder.chunk : nil
    }

    /// Time of the oldest sample in such a chunk.
    func tabledMinTime(of series: MemSeries, _ slot: UInt32) -> Int64? {
        if series.isHistogram { return histograms[slot].flatMap { $0.isOpen ? $0.encoder.minTimeMs : nil } }
        return series.isXOR2 ? xor2Chunks[slot]?.encoder.minTimeMs : nil
    }
}
