import ApusBytes

extension HeadState {
    /// Drops the periods that end at or before `time`, and the series that have no samples left.
    ///
    /// A series that was made and never had a sample goes too: its writer is told `unknownSeries` and asks again.
    /// They are unlinked here, and so out of sight of every later reader; their memory is freed in `release`. Symbols and
    /// pairs stay. O(series), under the lock.
    func truncate(before time: Int64) {
        let newOldest = period(of: time)
        if newOldest <= oldestPeriod { return }
        oldestPeriod = newOldest
        let bound = oldestTime
        // A head without samples, or with none so old, has nothing to drop.
        if minTime >= bound { return }
        counters.truncations += 1
        let chunksBefore = chunks.chunks
        let blocks = chunks.removePeriods(before: newOldest)
        counters.chunksRemoved &+= UInt64(chunksBefore - chunks.chunks)

        var dead: [(slot: UInt32, labelOffset: UInt32)] = []
        var oldest = Int64.max
        unsafe series.forEachLive { slot, entry in
            // SAFETY: `forEachLive` lends the series in use.
            if unsafe entry.pointee.xor.time < bound || !entry.pointee.hasSamples {
                unsafe dead.append((slot, entry.pointee.labelOffset))
            } else {
                if let newest = unsafe SealedChunk(address: entry.pointee.sealed), period(of: newest.minTime) < newOldest {
                    unsafe entry.pointee.sealed = 0
                }
                if unsafe entry.pointee.firstTime < bound { unsafe entry.pointee.firstTime = bound }
                oldest = unsafe min(oldest, entry.pointee.firstTime)
            }
        }
        minTime = oldest
        collect(dead)
        limbo.append(Limbo(epoch: epoch, blocks: blocks, slots: dead))
        epoch += 1
        release()
    }

    /// Takes series out of the table and the postings.
    private func collect(_ dead: [(slot: UInt32, labelOffset: UInt32)]) {
        if dead.isEmpty { return }
        var touched = Set<UInt32>()
        for (slot, labelOffset) in dead {
            bySet.remove(slot, hash: hashOfSeries(slot))
            for unsafe pair in unsafe run(at: labelOffset) { touched.insert(pair) }
        }
        for (slot, _) in dead {
            if let entry = unsafe series.pointer(Int(slot)) { unsafe entry.pointee.labelOffset = MemSeries.noLabels }
        }
        for pair in touched {
            index.filterPostings(of: pair) { slot in
                guard let entry = unsafe series.pointer(Int(slot)) else { return false }
                return unsafe entry.pointee.isLive
            }
        }
        seriesCount -= dead.count
        counters.seriesRemoved &+= UInt64(dead.count)
    }

    /// Frees what was unlinked and no reader of an epoch so old is left.
    func release() {
        let oldestReader = readers.keys.min() ?? .max
        while let first = limbo.first, first.epoch < oldestReader {
            limbo.removeFirst()
            chunks.give(first.blocks)
            for (slot, labelOffset) in first.slots {
                if let entry = unsafe series.pointer(Int(slot)) {
                    if unsafe entry.pointee.open != 0 { counters.chunksRemoved &+= 1 }
                    unsafe freeOpenChunk(entry)
                }
                series.free(slot)
                freeRun(labelOffset)
            }
        }
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
