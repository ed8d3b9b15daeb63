import ApusModel
public import ApusStorage

extension Head {
    /// Deletes the samples in `[minTimeMs, maxTimeMs]` of the series that all matchers match, as far as they are here now:
    /// what is appended later stays. They are out of sight at once, and go when their blocks are written.
    /// - Returns: series that had samples there.
    @discardableResult
    public func delete(_ matchers: [Matcher], minTimeMs: Int64, maxTimeMs: Int64) throws(AppendError) -> Int {
        if minTimeMs > maxTimeMs { return 0 }
        let (epoch, oldestPeriod) = locked { state.beginReading() }
        let querier = HeadQuerier(head: self, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, epoch: epoch, oldestPeriod: oldestPeriod)
        defer { querier.close() }
        let slots = querier.slots(matchers)
        return try locked { () throws(AppendError) in try state.delete(slots, minTimeMs...maxTimeMs) }
    }
}

extension HeadState {
    /// Makes a time of a series visible again, since a sample of it came after the delete.
    func uncover(_ slot: UInt32, _ time: Int64) {
        guard tombstones[slot]?.remove(time) == true, tombstones[slot]?.isEmpty == true else { return }
        tombstones[slot] = nil
    }

    func delete(_ slots: [UInt32], _ range: ClosedRange<Int64>) throws(AppendError) -> Int {
        var records: [TombstoneRecord] = []
        for slot in slots {
            guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else { continue }
            var held: (min: Int64, max: Int64)? = unsafe entry.pointee.hasSamples ? (entry.pointee.firstTime, entry.pointee.xor.time) : nil
            if !outOfOrder.isEmpty, let late = outOfOrder.series[ref(of: slot)]?.bounds {
                held = (min(late.min, held?.min ?? late.min), max(late.max, held?.max ?? late.max))
            }
            guard let held else { continue }
            let (first, last) = (max(range.lowerBound, held.min), min(range.upperBound, held.max))
            if first <= last { records.append(TombstoneRecord(ref: ref(of: slot), minTimeMs: first, maxTimeMs: last)) }
        }
        if records.isEmpty { return 0 }
        if let log { _ = try log.append(tombstones: records) }
        for record in records { tombstones[UInt32(slot(of: record.ref)), default: TimeRanges()].add(record.minTimeMs...record.maxTimeMs) }
        return records.count
    }
}
