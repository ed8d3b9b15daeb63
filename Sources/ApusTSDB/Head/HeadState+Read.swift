import ApusBytes
import ApusStorage

/// The open chunk as a view saw it, found again.
enum OpenChunk {
    case none
    /// Copied into the scratch.
    case copied(sizeBytes: Int)
    /// Larger than the scratch.
    case tooLarge
    /// Sealed since; at this address.
    case sealed(UInt)
    /// Of histograms, or of floats in XOR2.
    case encoded(EncodedChunk)
}

extension HeadState {
    /// Bytes that nearly every open chunk fits in, with the slack a decoder needs: what the stack can lend.
    static let scratchBytes = 1024
    /// Bytes that any open chunk fits in.
    static let largeScratchBytes = 9344 + chunkReadSlackBytes

    /// Finds the chunk that was open when `view` was taken, and copies it when it still is. Under the lock.
    func openChunk(of view: SeriesView, oldestPeriod: Int64, into scratch: UnsafeMutableRawBufferPointer) -> OpenChunk {
        guard view.openCount > 0, let entry = unsafe series.pointer(Int(view.slot)) else { return .none }
        // SAFETY: the reader's epoch keeps the slot; it holds the series the view was taken from.
        if unsafe entry.pointee.sealedCount == view.sealedCount {
            if let chunk = unsafe tabledChunk(of: entry.pointee, view.slot) { return .encoded(chunk) }
            guard let cell = unsafe UnsafeRawPointer(bitPattern: entry.pointee.open) else { return .none }
            let size = unsafe min(entry.pointee.xor.sizeBytes, Int(entry.pointee.capacity))
            guard size &+ chunkReadSlackBytes <= scratch.count, let target = scratch.baseAddress else { return .tooLarge }
            unsafe target.copyMemory(from: cell, byteCount: size)
            return .copied(sizeBytes: size)
        }
        // It was the first to be sealed of those that were sealed since.
        var later = unsafe entry.pointee.sealedCount &- view.sealedCount &- 1
        var address = unsafe entry.pointee.sealed
        while later > 0, let chunk = SealedChunk(address: address) {
            address = chunk.previous(oldestPeriod: oldestPeriod, periodOf: period(of:))
            later &-= 1
        }
        return address == 0 ? .none : .sealed(address)
    }

    /// Appends the samples of a sealed chunk in `[minTime, maxTime]`. Without the lock.
    func decode(_ chunk: SealedChunk, limit: Int, minTime: Int64, maxTime: Int64, into columns: inout SampleColumns) throws(StorageError) {
        guard let encoding = ChunkEncoding(rawValue: chunk.encoding) else {
            throw StorageError("a chunk in the head has the unknown encoding \(chunk.encoding)")
        }
        // Chunks in the arena and in mapped files have the slack behind them.
        try unsafe decode(encoding, chunk.data, chunkReadSlackBytes, limit: limit, minTime: minTime, maxTime: maxTime, into: &columns)
    }

    /// Appends the samples of an open chunk of a table in `[minTime, maxTime]`. Without the lock.
    func decode(_ chunk: EncodedChunk, limit: Int, minTime: Int64, maxTime: Int64, into columns: inout SampleColumns) throws(StorageError) {
        let result: Result<Void, StorageError> = unsafe chunk.bytes.withUnsafeBytes { bytes in
            do throws(StorageError) {
                return .success(
                    try unsafe decode(chunk.encoding, bytes, 0, limit: limit, minTime: minTime, maxTime: maxTime, into: &columns))
            } catch { return .failure(error) }
        }
        try result.get()
    }

    private func decode(
        _ encoding: ChunkEncoding, _ bytes: UnsafeRawBufferPointer, _ slack: Int, limit: Int, minTime: Int64, maxTime: Int64,
        into columns: inout SampleColumns
    ) throws(StorageError) {
        do throws(ChunkError) {
            try unsafe decodeChunk(
                encoding, bytes, readableSlack: slack, limit: limit, minTimeMs: minTime, maxTimeMs: maxTime, into: &columns)
        } catch {
            throw StorageError("a chunk in the head is damaged: \(error.description)")
        }
    }

    func decode(
        _ data: UnsafeRawPointer, sizeBytes: Int, count: Int, limit: Int, minTime: Int64, maxTime: Int64,
        into columns: inout SampleColumns
    ) throws(StorageError) {
        do throws(ChunkError) {
            // SAFETY: chunks in the scratch have the slack behind them.
            try unsafe decodeXORChunk(
                data, sizeBytes: sizeBytes, count: count, limit: limit, minTimeMs: minTime, maxTimeMs: maxTime, into: &columns)
        } catch {
            throw StorageError("a chunk in the head is damaged: \(error.description)")
        }
    }
}
