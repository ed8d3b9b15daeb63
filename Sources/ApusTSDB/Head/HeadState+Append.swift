import ApusBytes
import ApusModel
import ApusStorage
import CPrefetch

extension HeadState {
    /// The oldest time an append may have, given the newest in the head: half a period before it, as upstream.
    private func oldestAppendable(newest: Int64) -> Int64 {
        let (bound, overflow) = newest.subtractingReportingOverflow(options.chunkRangeMs / 2)
        return max(overflow ? .min : bound, oldestTime, minValidTime)
    }

    func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        if !batch.metadata.isEmpty { try append(metadata: batch.metadata) }
        let count = min(batch.refs.count, batch.timestampsMs.count, batch.values.count)
        if count == 0 && batch.histograms.isEmpty { return AppendOutcome() }
        // Fixed for the batch: a sample must not make the ones beside it too old.
        let newest = maxTime == .min ? batch.timestampsMs.first ?? batch.histograms[0].timestampMs : maxTime
        let bound = oldestAppendable(newest: newest)
        let invalid = batch.histograms.isEmpty ? [:] : invalidHistograms(batch)
        if let log { try write(batch, count, bound, invalid, to: log) }

        var outcome = AppendOutcome()
        unsafe batch.refs.withUnsafeBufferPointer { refs in
            unsafe batch.timestampsMs.withUnsafeBufferPointer { times in
                unsafe batch.values.withUnsafeBufferPointer { values in
                    if count == 0 { return }
                    // SAFETY: all three hold `count` elements.
                    unsafe apply(refs.baseAddress.unsafelyUnwrapped, times.baseAddress.unsafelyUnwrapped, values.baseAddress.unsafelyUnwrapped,
                        count, batch.startTimestampsMs, bound, &outcome)
                }
            }
        }
        if !batch.histograms.isEmpty { applyHistograms(batch, bound, invalid, &outcome) }
        if !outcome.rejections.isEmpty { try acceptOutOfOrder(batch, newest: newest, &outcome) }
        counters.samplesAppended &+= UInt64(outcome.appended)
        for rejection in outcome.rejections {
            switch rejection.reason {
            case .outOfOrder: counters.outOfOrder &+= 1
            case .duplicateTimestamp: counters.duplicates &+= 1
            case .outOfBounds: counters.outOfBounds &+= 1
            case .unknownSeries: counters.unknownSeries &+= 1
            case .tooOld, .invalidHistogram, .outOfOrderExemplar, .duplicateExemplar, .exemplarLabelsTooLong: break
            }
        }
        return outcome
    }

    /// Logs the samples that will be stored: nearly always the batch as it is.
    private func write(
        _ batch: borrowing SampleBatch, _ count: Int, _ bound: Int64, _ invalid: [Int: HistogramError], to log: any CommitLog
    ) throws(AppendError) {
        var accepted = 0
        let mayEndHistograms = !histograms.isEmpty
        while accepted < count && isAcceptable(batch.refs[accepted], batch.timestampsMs[accepted], bound)
            && !(mayEndHistograms && endsHistograms(batch.refs[accepted], batch.values[accepted]))
        { accepted += 1 }
        if accepted == count && batch.refs.count == count && batch.histograms.isEmpty && batch.exemplars.isEmpty && batch.metadata.isEmpty {
            _ = try log.append(samples: batch)
            return
        }
        var rest = SampleBatch()
        for index in 0..<count where index < accepted || isAcceptable(batch.refs[index], batch.timestampsMs[index], bound) {
            let (ref, time) = (batch.refs[index], batch.timestampsMs[index])
            if mayEndHistograms && endsHistograms(ref, batch.values[index]) {
                rest.append(ref, timestampMs: time, histogram: staleHistogram(for: ref))
            } else {
                let start = index < batch.startTimestampsMs.count ? batch.startTimestampsMs[index] : 0
                rest.append(ref, timestampMs: time, value: batch.values[index], startTimestampMs: start)
            }
        }
        for index in batch.histograms.indices where invalid[index] == nil {
            let sample = batch.histograms[index]
            if isAcceptable(sample.ref, sample.timestampMs, bound) { rest.histograms.append(sample) }
        }
        if !rest.isEmpty { _ = try log.append(samples: rest) }
    }

    @inline(__always)
    private func isAcceptable(_ ref: SeriesRef, _ time: Int64, _ bound: Int64) -> Bool {
        guard let entry = unsafe series.pointer(slot(of: ref)), time >= bound, unsafe entry.pointee.isLive else { return false }
        // Cells lie anywhere. When the sample is stored, after the log has it, its place has come.
        if unsafe entry.pointee.open != 0 { unsafe cprefetch_write(entry.pointee.open &+ UInt(entry.pointee.xor.bitCount &>> 3)) }
        return unsafe !entry.pointee.hasSamples || time > entry.pointee.xor.time
    }

    @inline(never)
    private func apply(
        _ refs: UnsafePointer<SeriesRef>, _ times: UnsafePointer<Int64>, _ values: UnsafePointer<Double>, _ count: Int, _ starts: [Int64],
        _ bound: Int64, _ outcome: inout AppendOutcome
    ) {
        let usesXOR2 = formats.usesXOR2
        let directory = unsafe series.blockAddresses
        let slots = UInt64(series.nextSlot)
        let baseRef = self.baseRef
        let samplesPerChunk = options.samplesPerChunk
        var newest = maxTime
        var oldest = recentMinTime
        var appended = 0
        var stale = staleSeries
        // The period of the last sample; the samples of a batch are seldom from two.
        var periodStart = Int64.max
        var periodEnd = Int64.max

        for index in 0..<count {
            let time = unsafe times[index]
            if time < bound {
                outcome.rejections.append(.init(index: index, reason: .outOfBounds))
                continue
            }
            let slot = unsafe refs[index].rawValue &- baseRef
            // SAFETY: slots below `nextSlot` have a directory entry, 0 when the block is freed.
            guard slot < slots,
                let block = unsafe UnsafeMutablePointer<MemSeries>(
                    bitPattern: directory[Int(truncatingIfNeeded: slot &>> UInt64(SeriesTable.blockShift))])
            else {
                outcome.rejections.append(.init(index: index, reason: .unknownSeries))
                continue
            }
            let entry = unsafe block + Int(truncatingIfNeeded: slot & UInt64(SeriesTable.blockSlots &- 1))
            guard unsafe entry.pointee.isLive else {
                outcome.rejections.append(.init(index: index, reason: .unknownSeries))
                continue
            }
            let value = unsafe values[index].bitPattern
            if unsafe time <= entry.pointee.xor.time && entry.pointee.hasSamples {
                if unsafe time == entry.pointee.xor.time {
                    // Bits, not values: a staleness marker is one exact NaN. The same sample again is no error.
                    if unsafe value != entry.pointee.xor.value || entry.pointee.isHistogram && value != StaleNaN.bits {
                        outcome.rejections.append(.init(index: index, reason: .duplicateTimestamp))
                    }
                } else {
                    outcome.rejections.append(.init(index: index, reason: .outOfOrder))
                }
                continue
            }
            if time < periodStart || time >= periodEnd {
                periodStart = start(of: period(of: time))
                let (end, overflow) = periodStart.addingReportingOverflow(options.chunkRangeMs)
                periodEnd = overflow ? .max : end
            }
            if unsafe value == StaleNaN.bits || entry.pointee.xor.value == StaleNaN.bits {
                unsafe stale &+= (value == StaleNaN.bits ? 1 : 0) &- (entry.pointee.xor.value == StaleNaN.bits ? 1 : 0)
            }
            if usesXOR2 {
                let start = index < starts.count ? starts[index] : 0
                unsafe storeXOR2(
                    entry, UInt32(truncatingIfNeeded: slot), time, value, startMs: start, periodStart: periodStart, samplesPerChunk)
            } else {
                unsafe store(entry, UInt32(truncatingIfNeeded: slot), time, value, periodStart: periodStart, samplesPerChunk)
            }
            appended &+= 1
            if time > newest { newest = time }
            if time < oldest { oldest = time }
        }
        maxTime = newest
        recentMinTime = oldest
        staleSeries = stale
        outcome.appended = appended
    }

    /// Writes a sample that is newer than all of its series, into its open chunk or another.
    @inline(__always)
    func store(
        _ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32, _ time: Int64, _ value: UInt64, periodStart: Int64, _ samplesPerChunk: Int
    ) {
        if unsafe entry.pointee.open == 0 {
            if unsafe endHistograms(entry, slot, time, value) { return }
            unsafe openChunk(entry, time)
        } else if unsafe Int(entry.pointee.xor.count) >= samplesPerChunk || entry.pointee.xor.time < periodStart {
            unsafe seal(entry, slot)
            unsafe openChunk(entry, time)
        }
        let used = unsafe Int(entry.pointee.xor.bitCount) &>> 3
        if unsafe Int(entry.pointee.capacity) &- used >= XORState.maxSampleBytes {
            // SAFETY: `open` is the address of a cell of `capacity` bytes, with room for a sample.
            unsafe entry.pointee.xor.append(time, value, to: UnsafeMutableRawPointer(bitPattern: entry.pointee.open).unsafelyUnwrapped)
        } else {
            unsafe appendNearEnd(entry, time, value)
        }
    }

    @inline(never)
    private func openChunk(_ entry: UnsafeMutablePointer<MemSeries>, _ time: Int64) {
        let capacity = SizeClassSlab.capacity(atLeast: 32)
        // SAFETY: `entry` is a live series.
        unsafe entry.pointee.open = UInt(bitPattern: slab.allocate(capacity: capacity))
        unsafe entry.pointee.capacity = UInt16(capacity)
        unsafe entry.pointee.xor.bitCount = 16
        unsafe entry.pointee.xor.count = 0
        unsafe entry.pointee.xor.leading = 0xFF
        unsafe entry.pointee.xor.trailing = 0
        if unsafe !entry.pointee.hasSamples { unsafe entry.pointee.firstTime = min(time, MemSeries.noSamples &- 1) }
        openChunks += 1
        openCellBytes += capacity
        counters.chunksCreated &+= 1
    }

    /// Writes a sample that might not fit: into a scratch first, then behind the others, in a larger cell if need be.
    /// So a cell needs no room to spare, which is most of what a young chunk would take.
    @inline(never)
    private func appendNearEnd(_ entry: UnsafeMutablePointer<MemSeries>, _ time: Int64, _ value: UInt64) {
        let used = unsafe Int(entry.pointee.xor.bitCount) &>> 3
        let oldCapacity = unsafe Int(entry.pointee.capacity)
        var scratch: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
        // SAFETY: the scratch has 64 bytes and a sample writes 28 from the byte at `used` on, which is moved to its start.
        // The cell holds `used` whole bytes, and one more when bits are left over.
        unsafe withUnsafeMutableBytes(of: &scratch) { buffer in
            let window = unsafe buffer.baseAddress.unsafelyUnwrapped
            var cell = unsafe UnsafeMutableRawPointer(bitPattern: entry.pointee.open).unsafelyUnwrapped
            if unsafe entry.pointee.xor.bitCount & 7 != 0 { unsafe window.storeBytes(of: (cell + used).load(as: UInt8.self), as: UInt8.self) }
            var state = unsafe entry.pointee.xor
            // The writer counts bits from the chunk's start; here they count from the byte at `used`.
            state.bitCount &-= UInt16(truncatingIfNeeded: used &* 8)
            unsafe state.append(time, value, to: window)
            let written = state.sizeBytes
            state.bitCount &+= UInt16(truncatingIfNeeded: used &* 8)
            if used &+ written > oldCapacity {
                let capacity = SizeClassSlab.capacity(atLeast: used &+ written)
                let larger = unsafe slab.allocate(capacity: capacity)
                unsafe larger.copyMemory(from: cell, byteCount: used)
                unsafe slab.free(cell, capacity: oldCapacity)
                openCellBytes += capacity - oldCapacity
                unsafe entry.pointee.open = UInt(bitPattern: larger)
                unsafe entry.pointee.capacity = UInt16(truncatingIfNeeded: capacity)
                unsafe cell = larger
            }
            unsafe (cell + used).copyMemory(from: window, byteCount: written)
            unsafe entry.pointee.xor = state
        }
    }

    /// Moves the open chunk to a mapped file, or tight into the arena of its period, and frees its cell.
    @inline(never)
    func seal(_ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32) {
        // SAFETY: a live series with an open chunk that has a sample.
        let cell = unsafe UnsafeMutableRawPointer(bitPattern: entry.pointee.open).unsafelyUnwrapped
        let state = unsafe entry.pointee.xor
        unsafe cell.storeBytes(of: state.count.bigEndian, as: UInt16.self)
        let first = unsafe firstTime(of: cell, sizeBytes: state.sizeBytes)
        unsafe link(
            UnsafeRawBufferPointer(start: cell, count: state.sizeBytes), .xor, minTime: first, maxTime: state.time, to: entry, slot)
        unsafe freeOpenChunk(entry)
    }

    /// Makes a finished chunk the newest sealed one of its series: in a mapped file, or in memory when there is none or
    /// the disk refuses it.
    func link(
        _ bytes: UnsafeRawBufferPointer, _ encoding: ChunkEncoding, minTime: Int64, maxTime: Int64,
        to entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32
    ) {
        // Behind a chunk that the disk refused the next stay in memory, too, until that one is in a block: a replay takes all
        // up to the end of a series' newest mapped chunk for mapped, and would pass the hole by.
        let follows = unsafe SealedChunk(address: entry.pointee.sealed)?.isMapped ?? true
        let stored =
            follows
            ? unsafe options.chunkFiles?.append(
                ref: fileRef(of: slot), encoding: encoding, outOfOrder: false, minTimeMs: minTime, maxTimeMs: maxTime, bytes: bytes)
            : nil
        let link = unsafe newLink(encoding, minTime: minTime, maxTime: maxTime, after: entry)
        if let stored {
            unsafe entry.pointee.sealed = chunks.store(
                mappedAt: stored.address, sizeBytes: bytes.count, period: period(of: maxTime), link)
        } else {
            unsafe entry.pointee.sealed = chunks.store(bytes, period: period(of: maxTime), link)
        }
        unsafe entry.pointee.sealedCount &+= 1
    }

    func newLink(
        _ encoding: ChunkEncoding, minTime: Int64, maxTime: Int64, after entry: UnsafeMutablePointer<MemSeries>
    ) -> ChunkArena.Link {
        var link = ChunkArena.Link(encoding: encoding.rawValue, minTime: minTime, maxTime: maxTime)
        if let newest = unsafe SealedChunk(address: entry.pointee.sealed) {
            link.previous = (newest.address, period: period(of: newest.maxTime))
        }
        return link
    }

    func freeOpenChunk(_ entry: UnsafeMutablePointer<MemSeries>) {
        guard let cell = unsafe UnsafeMutableRawPointer(bitPattern: entry.pointee.open) else { return }
        openCellBytes -= Int(unsafe entry.pointee.capacity)
        openChunks -= 1
        unsafe slab.free(cell, capacity: Int(entry.pointee.capacity))
        unsafe entry.pointee.open = 0
        unsafe entry.pointee.capacity = 0
        unsafe entry.pointee.xor.count = 0
    }

    /// Reads the time of a chunk's first sample, which the chunk holds as a varint behind its count.
    func firstTime(of cell: UnsafeRawPointer, sizeBytes: Int) -> Int64 {
        var raw: UInt64 = 0
        var shift: UInt64 = 0
        var offset = 2
        while offset < sizeBytes {
            let byte = unsafe (cell + offset).load(as: UInt8.self)
            raw |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { break }
            shift &+= 7
            offset &+= 1
        }
        return Int64(bitPattern: raw &>> 1) ^ -Int64(bitPattern: raw & 1)
    }
}
