import ApusModel
import ApusStorage

extension HeadState {
    /// Stores the histograms of a log's record that are not in a mapped chunk already.
    func replay(histograms samples: [SampleBatch.HistogramSample], _ context: ReplayContext) {
        for sample in samples {
            let time = sample.timestampMs
            if time < context.minValidTime {
                context.report.samplesSkipped += 1
                continue
            }
            guard let slot = replaySlot(of: sample.ref, context), let entry = unsafe series.pointer(Int(slot)) else {
                context.unknownRefs.insert(sample.ref.rawValue)
                context.report.unknownHistograms += 1
                continue
            }
            // SAFETY: a live series.
            if unsafe !entry.pointee.hasSamples || time > entry.pointee.xor.time {
                unsafe appendHistogram(sample.histogram, time, startMs: formats.keepsStarts ? sample.startTimestampMs : 0, to: entry, slot)
                context.report.histograms += 1
                continue
            }
            context.report.samplesSkipped += 1
            // The newest sample of a mapped chunk: the next append is compared with it, and may be its staleness marker.
            if unsafe time == entry.pointee.xor.time && !entry.pointee.mayHaveOpenChunk {
                unsafe entry.pointee.isHistogram = true
                unsafe entry.pointee.xor.count = 0
                unsafe entry.pointee.xor.value = sample.histogram.sum.bitPattern
                histograms.insert(
                    HistogramSeries(
                        slot: slot, encoder: HistogramEncoder(isFloat: sample.histogram.isFloat), isOpen: false, last: sample.histogram,
                        endMs: time))
            }
        }
    }
}
