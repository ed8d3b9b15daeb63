import ApusBytes
import ApusModel
import ApusStorage

/// A chunk of histograms is cut when it would grow beyond its target size, or so that the rest of its period falls into
/// chunks of even length; but not below so many samples, since each chunk repeats the layout. The rules are upstream's.
enum HistogramChunkLimits {
    static let targetBytes = 1024
    static let minSamples = 10
}

extension HeadState {
    // MARK: A batch

    /// Which histograms of a batch make no sense, with the reason, by index; empty in the usual case.
    func invalidHistograms(_ batch: borrowing SampleBatch) -> [Int: HistogramError] {
        var errors: [Int: HistogramError] = [:]
        for index in batch.histograms.indices where !batch.histograms[index].histogram.isStale {
            do throws(HistogramError) { try batch.histograms[index].histogram.validate() } catch { errors[index] = error }
        }
        return errors
    }

    /// Stores the histograms of a batch, of which `invalid` are not to be.
    func applyHistograms(
        _ batch: borrowing SampleBatch, _ bound: Int64, _ invalid: [Int: HistogramError], _ outcome: inout AppendOutcome
    ) {
        for index in batch.histograms.indices {
            let sample = batch.histograms[index]
            let reason: AppendOutcome.Reason?
            if let error = invalid[index] {
                reason = .invalidHistogram(error.description)
            } else if sample.timestampMs < bound {
                reason = .outOfBounds
            } else {
                reason = append(sample, &outcome.appended)
            }
            if let reason { outcome.rejections.append(.init(index: index, part: .histogram, reason: reason)) }
        }
    }

    private func append(_ sample: SampleBatch.HistogramSample, _ appended: inout Int) -> AppendOutcome.Reason? {
        let slot = slot(of: sample.ref)
        guard let entry = unsafe series.pointer(slot), unsafe entry.pointee.isLive else { return .unknownSeries }
        let time = sample.timestampMs
        if unsafe entry.pointee.hasSamples && time <= entry.pointee.xor.time {
            if unsafe time < entry.pointee.xor.time { return .outOfOrder }
            // The same sample again is no error.
            let isSame = histograms[UInt32(slot)]?.last.hasSameData(as: sample.histogram) == true
            return unsafe isSame && entry.pointee.isHistogram ? nil : .duplicateTimestamp
        }
        if unsafe entry.pointee.xor.value == StaleNaN.bits { staleSeries -= 1 }
        if sample.histogram.isStale { staleSeries += 1 }
        unsafe appendHistogram(sample.histogram, time, startMs: sample.startTimestampMs, to: entry, UInt32(slot))
        appended += 1
        return nil
    }

    /// Whether a float is a staleness marker for a series of histograms: it is stored as a histogram, as upstream does.
    @inline(never)
    func endsHistograms(_ ref: SeriesRef, _ value: Double) -> Bool {
        guard StaleNaN.isStale(value), let entry = unsafe series.pointer(slot(of: ref)) else { return false }
        return unsafe entry.pointee.isLive && entry.pointee.isHistogram
    }

    /// A staleness marker of the kind that the series of `ref` has.
    func staleHistogram(for ref: SeriesRef) -> NativeHistogram {
        .stale(isFloat: histograms[UInt32(truncatingIfNeeded: slot(of: ref))]?.encoder.isFloat ?? false)
    }

    /// For a float that is to follow in a series without an open XOR chunk. True when the float is a staleness marker and was
    /// stored as a histogram; false when it is to be written, and the series has no open chunk any more.
    @inline(never)
    func endHistograms(_ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32, _ time: Int64, _ value: UInt64) -> Bool {
        // SAFETY: a live series.
        if unsafe !entry.pointee.isHistogram {
            unsafe sealXOR2(entry, slot)
            return false
        }
        if value == StaleNaN.bits {
            let marker = NativeHistogram.stale(isFloat: histograms[slot]?.encoder.isFloat ?? false)
            unsafe appendHistogram(marker, time, startMs: 0, to: entry, slot)
            return true
        }
        unsafe closeHistograms(entry, slot)
        return false
    }

    // MARK: A series

    /// Appends a histogram that is newer than all samples of its series.
    /// - Parameter startMs: start timestamp, 0 for none.
    func appendHistogram(
        _ histogram: NativeHistogram, _ time: Int64, startMs: Int64, to entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32
    ) {
        // SAFETY: a live series.
        if unsafe !entry.pointee.isHistogram {
            if unsafe entry.pointee.open != 0 { unsafe seal(entry, slot) } else { unsafe sealXOR2(entry, slot) }
            unsafe entry.pointee.isHistogram = true
            histograms.insert(
                HistogramSeries(
                    slot: slot, encoder: HistogramEncoder(isFloat: histogram.isFloat), isOpen: false, last: histogram, endMs: periodEnd(time)))
        }
        if histograms.modify(slot, { self.isDue(&$0, time, histogram) }) == true {
            unsafe sealHistograms(entry, slot)
        }
        var wantsChunk: CounterResetHint?
        let end = periodEnd(time)
        let keepsStarts = formats.hasHistogramStarts
        let wasOpen = histograms.modify(slot) { one in
            let wasOpen = one.isOpen
            if !wasOpen { one.begin(hint: one.hint(for: histogram), isFloat: histogram.isFloat, keepsStarts: keepsStarts, endMs: end) }
            wantsChunk = one.encoder.append(timestampMs: time, startMs: startMs, histogram)
            return wasOpen
        }
        if wasOpen == false { counters.chunksCreated &+= 1 }
        if let hint = wantsChunk {
            unsafe sealHistograms(entry, slot)
            counters.chunksCreated &+= 1
            _ = histograms.modify(slot) { one in
                // As upstream: a chunk that begins with a reset is not predicted again, and grows up to twice the target.
                let hasPredictedEnd = one.hasPredictedEnd
                one.begin(hint: hint, isFloat: histogram.isFloat, keepsStarts: keepsStarts, endMs: end)
                one.hasPredictedEnd = hasPredictedEnd
                _ = one.encoder.append(timestampMs: time, startMs: startMs, histogram)
            }
        }
        let count = histograms.modify(slot) { one in
            one.last = histogram
            return one.encoder.count
        }
        if unsafe !entry.pointee.hasSamples { unsafe entry.pointee.firstTime = min(time, MemSeries.noSamples &- 1) }
        unsafe entry.pointee.xor.time = time
        unsafe entry.pointee.xor.value = histogram.sum.bitPattern
        unsafe entry.pointee.xor.count = UInt16(truncatingIfNeeded: count ?? 0)
        maxTime = max(maxTime, time)
        recentMinTime = min(recentMinTime, time)
    }

    /// Makes the open histogram chunk of a series, if it has one, the newest sealed one.
    func sealHistograms(_ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32) {
        let sealed: EncodedChunk?? = histograms.modify(slot) { one in
            if !one.isOpen { return nil }
            one.isOpen = false
            return one.encoder.chunk
        }
        // SAFETY: a live series.
        unsafe entry.pointee.xor.count = 0
        guard let chunk = sealed ?? nil else { return }
        unsafe chunk.bytes.withUnsafeBytes { bytes in
            unsafe link(bytes, chunk.encoding, minTime: chunk.minTimeMs, maxTime: chunk.maxTimeMs, to: entry, slot)
        }
    }

    /// Seals the open histogram chunk of a series, whose next sample is to be a float, and forgets what was known of it.
    func closeHistograms(_ entry: UnsafeMutablePointer<MemSeries>, _ slot: UInt32) {
        // SAFETY: a live series.
        if unsafe !entry.pointee.isHistogram { return }
        unsafe sealHistograms(entry, slot)
        histograms.remove(slot)
        unsafe entry.pointee.isHistogram = false
    }

    /// First moment behind the period of a time.
    private func periodEnd(_ time: Int64) -> Int64 {
        let (end, overflow) = start(of: period(of: time)).addingReportingOverflow(options.chunkRangeMs)
        return overflow ? .max : end
    }

    /// Whether the open chunk ends before a sample at `time`. Predicts its end when it has a quarter of its target size.
    private func isDue(_ one: inout HistogramSeries, _ time: Int64, _ histogram: NativeHistogram) -> Bool {
        if !one.isOpen { return false }
        if one.encoder.isFloat != histogram.isFloat || one.encoder.keepsStarts != formats.hasHistogramStarts { return true }
        if one.encoder.count >= one.encoder.maxSamples { return true }
        let size = one.encoder.sizeBytes
        let first = one.encoder.minTimeMs
        let periodEnd = periodEnd(first)
        if !one.hasPredictedEnd && size >= HistogramChunkLimits.targetBytes / 4 {
            one.hasPredictedEnd = true
            // As upstream: as many chunks as fill the period at this rate, of even length.
            let ratioToFull = Double(HistogramChunkLimits.targetBytes) / Double(size)
            let chunks = Double(one.endMs &- first) / (Double(one.encoder.maxTimeMs &- first &+ 1) * ratioToFull)
            if chunks > 1, chunks.isFinite, let length = Int64(exactly: (Double(one.endMs &- first) / chunks.rounded(.down)).rounded(.down)) {
                one.endMs = first &+ length
            }
        }
        let isTooLong = time >= one.endMs || size >= HistogramChunkLimits.targetBytes * 2
        return isTooLong && (one.encoder.count >= HistogramChunkLimits.minSamples || time >= periodEnd)
    }
}

extension HistogramSeries {
    /// What the header of a new chunk says that begins with `histogram`.
    func hint(for histogram: NativeHistogram) -> CounterResetHint {
        if encoder.count == 0 || encoder.isFloat != histogram.isFloat { return .unknown }
        if case .newChunk(let hint) = encoder.fit(histogram) { return hint }
        return .noReset
    }

    mutating func begin(hint: CounterResetHint, isFloat: Bool, keepsStarts: Bool, endMs: Int64) {
        encoder = HistogramEncoder(isFloat: isFloat, hint: hint, keepsStarts: keepsStarts)
        isOpen = true
        hasPredictedEnd = false
        self.endMs = endMs
    }
}
