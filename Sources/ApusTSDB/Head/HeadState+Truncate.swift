import ApusBytes
import ApusModel

/// A truncation in progress: what it has to do is cut in slices, so that no append waits long for the lock.
struct Truncation {
    let oldestPeriod: Int64
    let bound: Int64
    /// Where the scan goes on, and the end of what was there when it began.
    var slot: Int
    let endSlot: Int
    /// Of the oldest sample found.
    var minTime = Int64.max
    var dead: [CollectedSeries] = []
    /// A bit for each slot from `firstSlot` on, set for the dead: small enough to stay in the processor's cache while the
    /// longest lists are gone through.
    let firstSlot: Int
    var deadBits: [UInt64]
    /// Pairs whose postings name a dead series, a bit each.
    var touched: [UInt64]
    /// The next of them.
    var pair = 0

    /// Series looked at, and postings, in one hold of the lock: a millisecond or two.
    static let blocksASlice = 8
    static let postingsASlice = 65_536
    /// Series and blocks freed in one hold.
    static let releasesASlice = 8192
    static let blocksReleasedASlice = 64
}

extension Head {
    /// Drops the periods that end at or before `time` (ms), and the series left without samples; for the owner's
    /// maintenance. Samples before that time are refused from now on.
    ///
    /// A series that was made and never had a sample goes too: its writer is told `unknownSeries` and asks again.
    public func truncate(before time: Int64) {
        maintenance.withLock { _ in
            let start = self.time.monotonicNs()
            guard var truncation = locked({ state.beginTruncation(before: time) }) else { return }
            slices { state.scan(&truncation) }
            slices { state.unlinkPostings(&truncation) }
            locked { state.finish(truncation) }
            slices { state.release() }
            rebuildLabelsIfWorthwhile()
            locked { state.noteCollection(self.time.monotonicNs() &- start) }
        }
    }
}

extension HeadState {
    func noteCollection(_ durationNs: UInt64) {
        counters.collections &+= 1
        counters.collectionNs &+= durationNs
    }

    /// Puts what is older out of sight; nil when there is nothing to drop.
    func beginTruncation(before time: Int64) -> Truncation? {
        let newOldest = period(of: time)
        if newOldest <= oldestPeriod { return nil }
        oldestPeriod = newOldest
        let bound = oldestTime
        // A head without samples, or with none so old, has nothing to drop.
        if minTime >= bound { return nil }
        counters.truncations += 1
        settledMinTime = bound
        recentMinTime = .max
        return Truncation(
            oldestPeriod: newOldest, bound: bound, slot: series.firstSlot, endSlot: series.nextSlot, firstSlot: series.firstSlot,
            deadBits: Array(repeating: 0, count: (series.nextSlot - series.firstSlot) / 64 + 1),
            touched: Array(repeating: 0, count: labels.index.pairCount / 64 + 1))
    }

    /// Looks at the next series; false behind the last. The dead leave the table, and no select finds them any more.
    func scan(_ truncation: inout Truncation) -> Bool {
        let bound = truncation.bound
        var oldest = truncation.minTime
        let first = truncation.dead.count
        truncation.slot = unsafe series.forEachLive(from: truncation.slot, blocks: Truncation.blocksASlice) { slot, entry in
            // Later ones are new, and may have pairs that `touched` has no bit for.
            if slot >= truncation.endSlot { return }
            // SAFETY: `forEachLive` lends the series in use.
            if unsafe isDead(entry, bound: bound), !hasOutOfOrder(slot) {
                unsafe truncation.dead.append(CollectedSeries(slot: slot, labelOffset: entry.pointee.labelOffset))
                return
            }
            if let newest = unsafe SealedChunk(address: entry.pointee.sealed), period(of: newest.maxTime) < truncation.oldestPeriod {
                unsafe entry.pointee.sealed = 0
            }
            if unsafe entry.pointee.firstTime >= bound {
                oldest = unsafe min(oldest, entry.pointee.firstTime)
                return
            }
            unsafe entry.pointee.firstTime = bound
            // Sealed chunks: the arena knows their oldest.
            if unsafe entry.pointee.sealed == 0, let cell = unsafe UnsafeRawPointer(bitPattern: entry.pointee.open) {
                let first = unsafe firstTime(of: cell, sizeBytes: entry.pointee.xor.sizeBytes)
                unsafe entry.pointee.firstTime = max(bound, first)
                oldest = min(oldest, max(bound, first))
            } else if let first = unsafe entry.pointee.sealed == 0 ? tabledMinTime(of: entry.pointee, slot) : nil {
                unsafe entry.pointee.firstTime = max(bound, first)
                oldest = min(oldest, max(bound, first))
            }
        }
        truncation.minTime = oldest
        for one in truncation.dead[first...] { unlink(one, &truncation) }
        return truncation.slot < truncation.endSlot
    }

    private func isDead(_ entry: UnsafeMutablePointer<MemSeries>, bound: Int64) -> Bool {
        unsafe entry.pointee.xor.time < bound || !entry.pointee.hasSamples
    }

    private func unlink(_ one: CollectedSeries, _ truncation: inout Truncation) {
        guard let entry = unsafe series.pointer(Int(one.slot)) else { return }
        bySet.remove(one.slot, hash: hashOfSeries(one.slot))
        let bit = Int(one.slot) - truncation.firstSlot
        truncation.deadBits[bit / 64] |= 1 << UInt64(bit % 64)
        for unsafe pair in unsafe labels.run(at: one.labelOffset) {
            let word = Int(pair >> 6)
            truncation.touched[word] |= 1 << UInt64(pair & 63)
        }
        if unsafe entry.pointee.xor.value == StaleNaN.bits { staleSeries -= 1 }
        unsafe entry.pointee.labelOffset = MemSeries.noLabels
        tombstones[one.slot] = nil
        metadata.remove(one.slot)
        seriesCount -= 1
        counters.seriesRemoved &+= 1
    }

    /// Takes dead series out of the next postings; false behind the last.
    func unlinkPostings(_ truncation: inout Truncation) -> Bool {
        var work = 0
        let (first, bits) = (truncation.firstSlot, truncation.deadBits)
        while work < Truncation.postingsASlice {
            var word = truncation.pair / 64
            guard word < truncation.touched.count else { return false }
            let rest = truncation.touched[word] >> UInt64(truncation.pair % 64)
            if rest == 0 {
                word += 1
                truncation.pair = word * 64
                continue
            }
            let pair = truncation.pair + rest.trailingZeroBitCount
            truncation.pair = pair + 1
            work += 16 + Int(labels.index.pairs[pair].count)
            labels.index.filterPostings(of: UInt32(pair)) { slot in
                // Newer ones are not dead.
                let bit = Int(slot) &- first
                let word = bit &>> 6
                return word >= bits.count || word < 0 || bits[word] &>> UInt64(bit & 63) & 1 == 0
            }
        }
        return true
    }

    /// Hands what is unlinked to the readers that may still see it.
    func finish(_ truncation: Truncation) {
        let chunksBefore = chunks.chunks
        let remains = chunks.removePeriods(before: truncation.oldestPeriod)
        counters.chunksRemoved &+= UInt64(chunksBefore - chunks.chunks)
        settledMinTime = min(truncation.minTime, max(truncation.bound, chunks.minTime))
        if seriesCount == 0 { settledMinTime = .max }
        if let log {
            var refs = truncation.dead.map { ref(of: $0.slot).rawValue }
            if !fileRefs.isEmpty { refs += truncation.dead.compactMap { fileRefs[$0.slot]?.rawValue } }
            collectedRefs.add(refs, segment: log.lastSegment)
        }
        if !fileRefs.isEmpty { for one in truncation.dead { fileRefs.set(nil, for: one.slot) } }
        if truncation.bound > secondRefs.maxTime && !secondRefs.refs.isEmpty {
            collectedRefs.add(Array(secondRefs.refs), segment: secondRefs.lastSegment)
            secondRefs = SecondRefs()
        }
        for slot in Array(tombstones.keys) {
            tombstones[slot]?.removeRanges(endingBefore: min(truncation.bound, outOfOrder.minTimeMs))
            if tombstones[slot]?.isEmpty == true { tombstones[slot] = nil }
        }
        retire(Limbo(epoch: epoch, chunks: remains, slots: truncation.dead, labels: labels))
    }

    /// Keeps what was unlinked until every reader that began before has closed.
    func retire(_ unlinked: Limbo) {
        limbo.append(unlinked)
        epoch += 1
        release()
    }

    /// Frees a slice of what was unlinked and no reader of an epoch so old is left; false when there is no more.
    @discardableResult
    func release() -> Bool {
        let oldestReader = readers.keys.min() ?? .max
        outOfOrder.release(before: oldestReader)
        var left = Truncation.releasesASlice
        var blocksLeft = Truncation.blocksReleasedASlice
        while left > 0, blocksLeft > 0, !limbo.isEmpty, limbo[0].epoch < oldestReader {
            let blocks = min(blocksLeft, limbo[0].chunks.blocks.count)
            chunks.give(ChunkArena.Remains(blocks: Array(limbo[0].chunks.blocks.suffix(blocks)), large: limbo[0].chunks.large))
            limbo[0].chunks.blocks.removeLast(blocks)
            limbo[0].chunks.large = []
            blocksLeft -= blocks
            let slots = min(left, limbo[0].slots.count)
            // A store that was replaced goes as a whole.
            let freesRuns = limbo[0].labels === labels
            for one in limbo[0].slots.suffix(slots) {
                if let entry = unsafe series.pointer(Int(one.slot)) {
                    if unsafe entry.pointee.open != 0 { counters.chunksRemoved &+= 1 }
                    unsafe freeOpenChunk(entry)
                    histograms.remove(one.slot)
                    xor2Chunks.remove(one.slot)
                }
                series.free(one.slot)
                if freesRuns { labels.freeRun(one.labelOffset) }
            }
            limbo[0].slots.removeLast(slots)
            left -= slots
            if limbo[0].chunks.isEmpty && limbo[0].slots.isEmpty { limbo.removeFirst() }
        }
        return left == 0 || blocksLeft == 0
    }

    func beginReading() -> (epoch: UInt64, oldestPeriod: Int64) {
        readers[epoch, default: 0] += 1
        return (epoch, oldestPeriod)
    }

    func endReading(epoch: UInt64) {
        if let others = readers[epoch], others > 1 {
            readers[epoch] = others - 1
        } else {
            readers[epoch] = nil
            release()
        }
    }
}
