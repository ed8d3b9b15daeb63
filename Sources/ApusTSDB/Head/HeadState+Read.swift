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
        guard chunk.encoding == ChunkEncoding.xor.rawValue, let base = unsafe chunk.data.baseAddress else { return }
        try unsafe decode(
            base, sizeBytes: chunk.sizeBytes, count: chunk.count, limit: limit, minTime: minTime, maxTime: maxTime, into: &columns)
    }

    func decode(
        _ data: UnsafeRawPointer, sizeBytes: Int, count: Int, limit: Int, minTime: Int64, maxTime: Int64,
        into columns: inout SampleColumns
    ) throws(StorageError) {
        try unsafe columns.appendUninitialized(maximum: min(count, limit)) { (times, values) throws(StorageError) -> Int in
            let decoded: Int
            do throws(ChunkError) {
                // SAFETY: chunks in the arena and in the scratch have the slack behind them; the columns have the room.
                decoded = try unsafe decodeXOR(data, sizeBytes: sizeBytes, count: count, limit: limit, times: times, values: values)
            } catch {
                throw StorageError("a chunk in the head is damaged: \(error.description)")
            }
            var end = decoded
            while unsafe end > 0 && times[end &- 1] > maxTime { end &-= 1 }
            var start = 0
            while unsafe start < end && times[start] < minTime { start &+= 1 }
            if start > 0 {
                // SAFETY: both ranges lie in the room; `update` allows overlap.
                unsafe times.update(from: times + start, count: end &- start)
                unsafe values.update(from: values + start, count: end &- start)
            }
            return end &- start
        }
    }
}
