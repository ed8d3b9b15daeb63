import ApusBytes
import ApusModel
import ApusStorage

/// Numbers of a head that a snapshot keeps.
struct SnapshotNumbers: BitwiseCopyable {
    var chunkRangeMs: Int64
    var seed: UInt64
    var baseRef: UInt64
    var nextRef: UInt64
    var seriesCount: Int
    var staleSeries: Int
    var minTime: Int64
    var maxTime: Int64
    var oldestPeriod: Int64
    var minValidTime: Int64
    var nextSlot: Int
    var secondRefsMaxTime: Int64
    var secondRefsSegment: Int
}

/// A series in a snapshot: its slot, the size of its open chunk, which follows, and itself without that chunk's address.
struct SnapshotSeries: BitwiseCopyable {
    var series: MemSeries
    var slot: UInt32
    var openBytes: UInt32
}

extension HeadState {
    /// Ends the open chunks of histograms and those in XOR2, whose encoders a snapshot does not keep.
    func sealEncoders() {
        for slot in histograms.elements.map(\.slot) {
            if let entry = unsafe series.pointer(Int(slot)) { unsafe closeHistograms(entry, slot) }
        }
        for slot in xor2Chunks.elements.map(\.slot) {
            if let entry = unsafe series.pointer(Int(slot)) { unsafe sealXOR2(entry, slot) }
        }
    }

    /// False when a chunk lies where no chunk file is.
    /// - Parameter late: the chunks out of order.
    func save(to writer: SnapshotWriter, _ places: ChunkPlaces?, _ late: [SnapshotLateChunk]) throws(FileError) -> Bool {
        let numbers = SnapshotNumbers(
            chunkRangeMs: options.chunkRangeMs, seed: seed, baseRef: baseRef, nextRef: nextRef, seriesCount: seriesCount,
            staleSeries: staleSeries, minTime: minTime, maxTime: maxTime, oldestPeriod: oldestPeriod, minValidTime: minValidTime,
            nextSlot: series.nextSlot, secondRefsMaxTime: secondRefs.maxTime, secondRefsSegment: secondRefs.lastSegment)
        try writer.value(numbers)
        try writer.array((options.chunkFiles as? HeadChunkFiles)?.summaries() ?? [])
        try writer.array(Array(secondRefs.refs))
        try writer.count(collectedRefs.groups.count)
        for group in collectedRefs.groups {
            try writer.value(group.segment)
            try writer.array(group.refs)
        }
        try labels.save(to: writer)
        guard try chunks.save(to: writer, places) else { return false }
        try saveSeries(to: writer)
        try writer.array(late)
        try saveTombstones(to: writer)
        try saveMetadata(to: writer)
        try saveExemplars(to: writer)
        return true
    }

    private func saveSeries(to writer: SnapshotWriter) throws(FileError) {
        try writer.count(seriesCount)
        var failure: FileError?
        unsafe series.forEachLive { slot, entry in
            if failure != nil { return }
            // SAFETY: `forEachLive` lends the series in use; an open chunk's cell holds its size in bytes.
            var one = unsafe entry.pointee
            let cell = unsafe UnsafeRawPointer(bitPattern: one.open)
            let size = unsafe cell == nil ? 0 : min(one.xor.sizeBytes, Int(one.capacity))
            one.open = 0
            do throws(FileError) {
                try writer.value(SnapshotSeries(series: one, slot: slot, openBytes: UInt32(size)))
                try unsafe writer.raw(UnsafeRawBufferPointer(start: cell, count: size))
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func saveTombstones(to writer: SnapshotWriter) throws(FileError) {
        try writer.count(tombstones.count)
        for (slot, deleted) in tombstones {
            try writer.value(slot)
            try writer.array(deleted.ranges.flatMap { [$0.lowerBound, $0.upperBound] })
        }
    }

    private func saveMetadata(to writer: SnapshotWriter) throws(FileError) {
        try writer.count(metadata.count)
        for slot in metadata.slots {
            let known = metadata[slot] ?? MetricMetadata()
            try writer.value(slot)
            try writer.value(known.type.recordCode)
            try writer.array(Array(known.help.utf8))
            try writer.array(Array(known.unit.utf8))
        }
    }

    private func saveExemplars(to writer: SnapshotWriter) throws(FileError) {
        let all = exemplars.all()
        try writer.count(all.count)
        for (labels, exemplar) in all {
            try writer.array(labels.encoded)
            try writer.array(exemplar.labels.encoded)
            try writer.value(exemplar.value)
            try writer.value(exemplar.timestampMs)
            try writer.value(exemplar.hasTimestamp ? UInt8(1) : 0)
        }
    }
}

extension LabelStore {
    func save(to writer: SnapshotWriter) throws(FileError) {
        try writer.array(symbols.bytes)
        try writer.array(symbols.offsets)
        try symbols.table.save(to: writer)
        try writer.array(index.pairs)
        for number in 0..<index.pairCount where index.pairs[number].capacity > 0 {
            // SAFETY: a list that is not inline has a cell of `count` slots or more.
            let pair = index.pairs[number]
            try unsafe writer.raw(UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: pair.storage), count: Int(pair.count) * 4))
        }
        try index.table.save(to: writer)
        try writer.array(runs)
    }
}

extension ChunkArena {
    func save(to writer: SnapshotWriter, _ places: ChunkPlaces?) throws(FileError) -> Bool {
        try writer.count(periods.count)
        for period in periods {
            try writer.value(period.index)
            try writer.value(period.minTime)
            try writer.count(period.chunks)
            try writer.array(period.blocks)
            for (position, block) in period.blocks.enumerated() {
                let end = period.ends.indices.contains(position) ? period.ends[position] : period.cursor
                guard try save(block, end, to: writer, places) else { return false }
            }
        }
        return true
    }

    /// A block with refs of chunks in place of their addresses.
    private func save(_ block: UInt, _ end: Int, to writer: SnapshotWriter, _ places: ChunkPlaces?) throws(FileError) -> Bool {
        guard let start = unsafe UnsafeRawPointer(bitPattern: block) else { return false }
        var copy = unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: end))
        var isComplete = true
        unsafe copy.withUnsafeMutableBytes { bytes in
            var offset = 0
            while offset < end, let chunk = SealedChunk(address: block &+ UInt(offset)) {
                if chunk.isMapped {
                    let address = unsafe UInt(bitPattern: chunk.data.baseAddress)
                    guard let ref = places?.ref(of: address, sizeBytes: chunk.sizeBytes) else {
                        isComplete = false
                        return
                    }
                    // SAFETY: a link of a mapped chunk ends with 8 bytes of address.
                    unsafe bytes.storeBytes(of: ref.rawValue, toByteOffset: offset + SealedChunk.headerBytes, as: UInt64.self)
                }
                offset += chunk.storedBytes
            }
        }
        if isComplete { try writer.array(copy) }
        return isComplete
    }
}
