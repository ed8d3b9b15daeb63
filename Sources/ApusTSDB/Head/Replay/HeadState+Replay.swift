import ApusBytes
import ApusModel
import ApusStorage

/// What a replay must remember from record to record.
final class ReplayContext {
    var minValidTime: Int64
    var report = HeadReplay.Report()
    /// Chunks whose series has not come yet, linked in the arena, by ref.
    var pending: [UInt64: PendingChunks] = [:]
    /// Slots of the series that second refs stand for.
    var aliases: [UInt64: UInt32] = [:]
    /// Pairs whose postings are to be sorted.
    var disordered = Set<UInt32>()
    var unknownRefs = Set<UInt64>()
    var lastSegment = 0

    init(minValidTime: Int64) { self.minValidTime = minValidTime }
}

/// The chunks of one series, from the newest to the oldest.
struct PendingChunks {
    var newest: UInt
    var oldest: UInt
    var count: UInt32
    var minTime: Int64
    var maxTime: Int64
}

extension HeadState {
    // MARK: Chunks

    func load(_ chunk: HeadChunk, _ context: ReplayContext) {
        let span = chunk.maxTimeMs.subtractingReportingOverflow(chunk.minTimeMs)
        // Where times are not a chunk's, its samples are taken from the log.
        guard !chunk.isOutOfOrder, chunk.maxTimeMs >= context.minValidTime, !span.overflow, span.partialValue >= 0,
            span.partialValue <= Int64(UInt32.max), period(of: chunk.maxTimeMs) >= oldestPeriod
        else { return }
        let period = period(of: chunk.maxTimeMs)
        var link = ChunkArena.Link(encoding: chunk.encoding.rawValue, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs)
        if let before = context.pending[chunk.ref.rawValue] {
            if chunk.minTimeMs <= before.maxTime { return }
            link.previous = (before.newest, self.period(of: before.maxTime))
        }
        let address = chunks.store(mappedAt: chunk.stored.address, sizeBytes: chunk.sizeBytes, period: period, link)
        if var known = context.pending[chunk.ref.rawValue] {
            known.newest = address
            known.count &+= 1
            known.maxTime = chunk.maxTimeMs
            context.pending[chunk.ref.rawValue] = known
        } else {
            context.pending[chunk.ref.rawValue] = PendingChunks(
                newest: address, oldest: address, count: 1, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs)
        }
    }

    /// Gives a series its chunks. Samples that it had before are older, or are dropped for the chunks' sake.
    private func attach(_ found: PendingChunks, to slot: UInt32, _ context: ReplayContext) {
        guard let entry = unsafe series.pointer(Int(slot)) else { return }
        // SAFETY: a series that was just placed or found.
        if unsafe entry.pointee.hasSamples {
            if unsafe found.minTime <= entry.pointee.xor.time {
                // Of a second ref, and older than what was written under the first since a restart made one of them.
                unsafe attachBefore(found, entry, context)
                return
            }
            if unsafe entry.pointee.open != 0 { unsafe seal(entry, slot) }
            unsafe closeHistograms(entry, slot)
            unsafe sealXOR2(entry, slot)
            if let newest = unsafe SealedChunk(address: entry.pointee.sealed) {
                let distance = period(of: SealedChunk(address: found.oldest)?.maxTime ?? found.minTime) &- period(of: newest.maxTime)
                chunks.setPrevious(of: found.oldest, newest.address, periodsBack: distance)
            }
        } else {
            unsafe entry.pointee.firstTime = min(found.minTime, MemSeries.noSamples &- 1)
        }
        unsafe entry.pointee.sealed = found.newest
        unsafe entry.pointee.sealedCount &+= found.count
        unsafe entry.pointee.xor.time = found.maxTime
        counters.chunksCreated &+= UInt64(found.count)
        context.report.chunks += Int(found.count)
        recentMinTime = min(recentMinTime, found.minTime)
        maxTime = max(maxTime, found.maxTime)
    }

    /// Puts chunks in front of all that a series has; not when they overlap.
    private func attachBefore(_ found: PendingChunks, _ entry: UnsafeMutablePointer<MemSeries>, _ context: ReplayContext) {
        // SAFETY: the caller's series; its chunks are in the arena.
        var oldest = unsafe SealedChunk(address: entry.pointee.sealed)
        while let chunk = oldest, let before = SealedChunk(address: chunk.previous(oldestPeriod: oldestPeriod, periodOf: period(of:))) {
            oldest = before
        }
        guard let oldest, found.maxTime < oldest.minTime else { return }
        chunks.setPrevious(of: oldest.address, found.newest, periodsBack: period(of: oldest.maxTime) &- period(of: found.maxTime))
        unsafe entry.pointee.firstTime = min(found.minTime, entry.pointee.firstTime)
        unsafe entry.pointee.sealedCount &+= found.count
        counters.chunksCreated &+= UInt64(found.count)
        context.report.chunks += Int(found.count)
        recentMinTime = min(recentMinTime, found.minTime)
    }

    // MARK: Records

    func replay(_ record: DecodedRecord, _ context: ReplayContext) {
        for one in record.series { replay(one, context) }
        if !tombstones.isEmpty { uncover(record.samples, context) }
        if record.samples.count > 0 { replay(samples: record.samples, context) }
        if !record.samples.histograms.isEmpty { replay(histograms: record.samples.histograms, context) }
        if let time = record.minValidTimeMs {
            context.minValidTime = max(context.minValidTime, time)
            minValidTime = max(minValidTime, time)
        }
        // Also those before the blocks' end: samples that came late may be older. The next truncation forgets them.
        for tombstone in record.tombstones where tombstone.minTimeMs <= tombstone.maxTimeMs {
            guard let slot = replaySlot(of: tombstone.ref, context) else {
                context.unknownRefs.insert(tombstone.ref.rawValue)
                context.report.unknownTombstones += 1
                continue
            }
            tombstones[slot, default: TimeRanges()].add(tombstone.minTimeMs...tombstone.maxTimeMs)
            context.report.tombstones += 1
        }
        for one in record.samples.exemplars where one.exemplar.timestampMs >= context.minValidTime {
            guard let slot = replaySlot(of: one.ref, context) else {
                context.unknownRefs.insert(one.ref.rawValue)
                context.report.unknownExemplars += 1
                continue
            }
            if add(SampleBatch.ExemplarSample(ref: ref(of: slot), exemplar: one.exemplar)) == .stored { context.report.exemplars += 1 }
        }
        for one in record.samples.metadata {
            guard let slot = replaySlot(of: one.ref, context) else {
                context.unknownRefs.insert(one.ref.rawValue)
                context.report.unknownMetadata += 1
                continue
            }
            _ = metadata.set(one.metadata, for: slot)
            context.report.metadata += 1
        }
    }

    /// A sample behind its deletion in the log came late, after it: deletes reach no further than the samples there are.
    private func uncover(_ batch: SampleBatch, _ context: ReplayContext) {
        for index in 0..<batch.count {
            if let slot = replaySlot(of: batch.refs[index], context) { uncover(slot, batch.timestampsMs[index]) }
        }
        for sample in batch.histograms {
            if let slot = replaySlot(of: sample.ref, context) { uncover(slot, sample.timestampMs) }
        }
    }

    private func replay(_ one: SeriesRecord, _ context: ReplayContext) {
        let slot: UInt32
        do throws(AppendError) {
            switch try place(one.ref, one.labels, onDisorder: { context.disordered.insert($0) }) {
            case .placed(let placed):
                slot = placed
                context.report.series += 1
            case .known(let known): slot = known
            case .alias(let other):
                slot = other
                if context.aliases.updateValue(other, forKey: one.ref.rawValue) == nil { context.report.duplicateSeries += 1 }
            }
        } catch {
            // Samples of this ref will be counted as unknown.
            context.unknownRefs.insert(one.ref.rawValue)
            return
        }
        let own = ref(of: slot)
        if own != one.ref || fileRefs[slot] != nil { fileRefs.set(own == one.ref ? nil : one.ref, for: slot) }
        if !context.pending.isEmpty, let found = context.pending.removeValue(forKey: one.ref.rawValue) { attach(found, to: slot, context) }
    }

    /// The slot that takes the samples of a ref of the log.
    @inline(__always)
    func replaySlot(of ref: SeriesRef, _ context: ReplayContext) -> UInt32? {
        let slot = slot(of: ref)
        if let entry = unsafe series.pointer(slot), unsafe entry.pointee.isLive { return UInt32(truncatingIfNeeded: slot) }
        return context.aliases.isEmpty ? nil : context.aliases[ref.rawValue]
    }

    private func replay(samples batch: SampleBatch, _ context: ReplayContext) {
        let count = min(batch.refs.count, batch.timestampsMs.count, batch.values.count)
        unsafe batch.refs.withUnsafeBufferPointer { refs in
            unsafe batch.timestampsMs.withUnsafeBufferPointer { times in
                unsafe batch.values.withUnsafeBufferPointer { values in
                    // SAFETY: all three hold `count` elements or more, and `count` is above 0.
                    unsafe replay(
                        refs.baseAddress.unsafelyUnwrapped, times.baseAddress.unsafelyUnwrapped, values.baseAddress.unsafelyUnwrapped, count,
                        formats.keepsStarts ? batch.startTimestampsMs : [], context)
                }
            }
        }
    }

    @inline(never)
    private func replay(
        _ refs: UnsafePointer<SeriesRef>, _ times: UnsafePointer<Int64>, _ values: UnsafePointer<Double>, _ count: Int, _ starts: [Int64],
        _ context: ReplayContext
    ) {
        let usesXOR2 = formats.usesXOR2
        let bound = context.minValidTime
        let samplesPerChunk = options.samplesPerChunk
        var newest = maxTime
        var oldest = recentMinTime
        var stored = 0
        var skipped = 0
        var periodStart = Int64.max
        var periodEnd = Int64.max
        for index in 0..<count {
            let time = unsafe times[index]
            if time < bound {
                skipped &+= 1
                continue
            }
            guard let slot = unsafe replaySlot(of: refs[index], context), let entry = unsafe series.pointer(Int(slot)) else {
                unsafe context.unknownRefs.insert(refs[index].rawValue)
                context.report.unknownSamples += 1
                continue
            }
            let value = unsafe values[index].bitPattern
            if unsafe time <= entry.pointee.xor.time && entry.pointee.hasSamples {
                // The newest sample of the newest chunk: the next append is compared with its value.
                if unsafe time == entry.pointee.xor.time && entry.pointee.open == 0 && !entry.pointee.isXOR2 { unsafe entry.pointee.xor.value = value }
                skipped &+= 1
                continue
            }
            if time < periodStart || time >= periodEnd {
                periodStart = start(of: period(of: time))
                let (end, overflow) = periodStart.addingReportingOverflow(options.chunkRangeMs)
                periodEnd = overflow ? .max : end
            }
            if usesXOR2 {
                let start = index < starts.count ? starts[index] : 0
                unsafe storeXOR2(entry, slot, time, value, startMs: start, periodStart: periodStart, samplesPerChunk)
            } else {
                unsafe store(entry, slot, time, value, periodStart: periodStart, samplesPerChunk)
            }
            stored &+= 1
            if time > newest { newest = time }
            if time < oldest { oldest = time }
        }
        maxTime = newest
        recentMinTime = oldest
        context.report.samples += stored
        context.report.samplesSkipped += skipped
    }

    // MARK: End

    func finishReplay(_ context: ReplayContext, lastSegment: Int) {
        for pair in context.disordered { labels.index.sortPostings(of: pair) }
        context.disordered = []
        var stale = 0
        unsafe series.forEachLive { _, entry in
            // SAFETY: `forEachLive` lends the series in use.
            if unsafe entry.pointee.xor.value == StaleNaN.bits { stale += 1 }
        }
        staleSeries = stale
        context.report.unknownRefs = context.unknownRefs.count
        context.report.unknownChunks = context.pending.values.reduce(0) { $0 + Int($1.count) }
        context.pending = [:]
        secondRefs = SecondRefs(refs: Set(context.aliases.keys), maxTime: maxTime, lastSegment: lastSegment)
    }
}
