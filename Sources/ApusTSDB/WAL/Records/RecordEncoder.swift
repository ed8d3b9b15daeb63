import ApusBytes
import ApusModel
import ApusStorage

/// Encodes records of a log, one after the other, into one buffer that is kept. The formats are drawn at `DecodedRecord`.
///
/// Call one of the encoding methods, use `bytes`, go on with the next.
struct RecordEncoder: ~Copyable {
    private(set) var writer = ByteWriter(capacity: 4096)

    /// The record, valid until the next call.
    @unsafe var bytes: UnsafeRawBufferPointer { unsafe writer.bytes }

    var count: Int { writer.count }

    /// Gives memory back that one large record took.
    mutating func trim(to limit: Int) { writer.removeAll(keepingAtMost: limit) }

    mutating func series(_ records: [SeriesRecord]) {
        writer.removeAll()
        writer.u8(RecordType.series.rawValue)
        appendSeries(records)
    }

    /// More series behind those of `series`.
    mutating func appendSeries(_ records: [SeriesRecord]) {
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.labels(record.labels)
        }
    }

    /// The first `count` of three columns that have at least as many.
    mutating func samples(_ refs: [SeriesRef], _ timestampsMs: [Int64], _ values: [Double], count: Int) {
        writer.removeAll()
        writer.u8(RecordType.samples.rawValue)
        let count = min(count, refs.count, timestampsMs.count, values.count)
        if count == 0 { return }
        let firstRef = refs[0].rawValue
        let firstTime = timestampsMs[0]
        writer.u64(firstRef)
        writer.i64(firstTime)
        writer.reserve(count * 28)
        let start = unsafe writer.end
        var target = unsafe start
        unsafe refs.withUnsafeBufferPointer { refs in
            unsafe timestampsMs.withUnsafeBufferPointer { times in
                unsafe values.withUnsafeBufferPointer { values in
                    for index in 0..<count {
                        // SAFETY: `index` is below the count of all three, and a sample is at most 10 + 10 + 8 bytes.
                        let ref = unsafe Int64(bitPattern: refs[index].rawValue &- firstRef)
                        unsafe target += storeUvarint(UInt64(bitPattern: (ref &<< 1) ^ (ref &>> 63)), at: target)
                        let time = unsafe times[index] &- firstTime
                        unsafe target += storeUvarint(UInt64(bitPattern: (time &<< 1) ^ (time &>> 63)), at: target)
                        let bits = unsafe values[index].bitPattern.bigEndian
                        unsafe UnsafeMutableRawPointer(target).storeBytes(of: bits, as: UInt64.self)
                        unsafe target += 8
                    }
                }
            }
        }
        unsafe writer.advance(by: target - start)
    }

    /// The floats of a batch with their start timestamps.
    mutating func samplesV2(_ batch: borrowing SampleBatch) {
        writer.removeAll()
        writer.u8(RecordType.samplesV2.rawValue)
        var base: V2Base?
        for index in 0..<min(batch.refs.count, batch.timestampsMs.count, batch.values.count) {
            let start = index < batch.startTimestampsMs.count ? batch.startTimestampsMs[index] : 0
            appendV2(&base, batch.refs[index], batch.timestampsMs[index], start)
            writer.f64(batch.values[index])
        }
    }

    /// What samples of the types 11 to 13 are differences to.
    private struct V2Base {
        let timeMs: Int64
        let startMs: Int64
        var previousRef: UInt64
        var previousStartMs: Int64
    }

    private mutating func appendV2(_ base: inout V2Base?, _ ref: SeriesRef, _ timeMs: Int64, _ startMs: Int64) {
        guard let first = base else {
            base = V2Base(timeMs: timeMs, startMs: startMs, previousRef: ref.rawValue, previousStartMs: startMs)
            writer.varint(Int64(bitPattern: ref.rawValue))
            writer.varint(timeMs)
            writer.varint(startMs)
            return
        }
        writer.varint(Int64(bitPattern: ref.rawValue &- first.previousRef))
        writer.varint(timeMs &- first.timeMs)
        if startMs == 0 {
            writer.u8(0)
        } else if startMs == first.previousStartMs {
            writer.u8(1)
        } else {
            writer.u8(2)
            writer.varint(startMs &- first.startMs)
        }
        base?.previousRef = ref.rawValue
        base?.previousStartMs = startMs
    }

    mutating func tombstones(_ records: [TombstoneRecord]) {
        writer.removeAll()
        writer.u8(RecordType.tombstones.rawValue)
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.varint(record.minTimeMs)
            writer.varint(record.maxTimeMs)
        }
    }

    mutating func exemplars(_ exemplars: some Sequence<SampleBatch.ExemplarSample>) {
        writer.removeAll()
        writer.u8(RecordType.exemplars.rawValue)
        var base: (ref: UInt64, timeMs: Int64)?
        for sample in exemplars {
            let first = appendBase(&base, sample.ref, sample.exemplar.timestampMs)
            writer.varint(Int64(bitPattern: sample.ref.rawValue &- first.ref))
            writer.varint(sample.exemplar.timestampMs &- first.timeMs)
            writer.f64(sample.exemplar.value)
            writer.labels(sample.exemplar.labels)
        }
    }

    static let unitField: ByteString = "UNIT"
    static let helpField: ByteString = "HELP"

    mutating func metadata(_ metadata: some Sequence<SampleBatch.SeriesMetadata>) {
        writer.removeAll()
        writer.u8(RecordType.metadata.rawValue)
        for entry in metadata {
            writer.uvarint(entry.ref.rawValue)
            writer.u8(entry.metadata.type.recordCode)
            writer.uvarint(2)
            writer.uvarintBytes(Self.unitField.bytes)
            writer.uvarintBytes(Array(entry.metadata.unit.utf8))
            writer.uvarintBytes(Self.helpField.bytes)
            writer.uvarintBytes(Array(entry.metadata.help.utf8))
        }
    }

    /// All that `type(of:)` returns.
    static let histogramTypes: [RecordType] = [
        .histogramSamples, .customBucketsHistogramSamples, .floatHistogramSamples, .customBucketsFloatHistogramSamples,
        .histogramSamplesV2, .floatHistogramSamplesV2,
    ]

    /// Which record a histogram goes into: one with start timestamps only when it has one.
    static func type(of sample: SampleBatch.HistogramSample) -> RecordType {
        let histogram = sample.histogram
        if sample.startTimestampMs != 0 { return histogram.isFloat ? .floatHistogramSamplesV2 : .histogramSamplesV2 }
        return switch (histogram.layout.hasCustomBounds, histogram.isFloat) {
        case (false, false): .histogramSamples
        case (false, true): .floatHistogramSamples
        case (true, false): .customBucketsHistogramSamples
        case (true, true): .customBucketsFloatHistogramSamples
        }
    }

    /// The histograms of one type; those of other types are left out. Returns how many there are.
    mutating func histograms(_ histograms: [SampleBatch.HistogramSample], of type: RecordType) -> Int {
        writer.removeAll()
        writer.u8(type.rawValue)
        var base: (ref: UInt64, timeMs: Int64)?
        var baseV2: V2Base?
        let hasStarts = type == .histogramSamplesV2 || type == .floatHistogramSamplesV2
        var count = 0
        for sample in histograms where Self.type(of: sample) == type {
            if hasStarts {
                appendV2(&baseV2, sample.ref, sample.timestampMs, sample.startTimestampMs)
            } else {
                let first = appendBase(&base, sample.ref, sample.timestampMs)
                writer.varint(Int64(bitPattern: sample.ref.rawValue &- first.ref))
                writer.varint(sample.timestampMs &- first.timeMs)
            }
            writer.histogram(sample.histogram)
            count += 1
        }
        return count
    }

    /// In front of the first sample, the ref and time to which all are differences.
    private mutating func appendBase(_ base: inout (ref: UInt64, timeMs: Int64)?, _ ref: SeriesRef, _ timeMs: Int64) -> (ref: UInt64, timeMs: Int64) {
        if let base { return base }
        writer.u64(ref.rawValue)
        writer.i64(timeMs)
        let first = (ref: ref.rawValue, timeMs: timeMs)
        base = first
        return first
    }

    mutating func mmapMarkers(_ records: [MmapMarkerRecord]) {
        writer.removeAll()
        writer.u8(RecordType.mmapMarkers.rawValue)
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.u64(record.chunkRef)
        }
    }
}

extension ByteWriter {
    /// A count of labels and the labels.
    mutating func labels(_ labels: LabelSet) {
        uvarint(UInt64(labels.count))
        // A label set keeps its pairs as the format wants them.
        append(labels.encoded)
    }

    /// As drawn at `DecodedRecord+Histograms`.
    mutating func histogram(_ histogram: NativeHistogram) {
        u8(histogram.hint.rawValue)
        varint(Int64(histogram.layout.schema))
        f64(histogram.layout.zeroThreshold)
        for word in [histogram.zeroCountWord, histogram.countWord] {
            if histogram.isFloat { u64(word) } else { uvarint(word) }
        }
        f64(histogram.sum)
        for spans in [histogram.layout.positiveSpans, histogram.layout.negativeSpans] {
            uvarint(UInt64(spans.count))
            for span in spans {
                varint(Int64(span.offset))
                uvarint(UInt64(span.length))
            }
        }
        for words in [histogram.positiveWords, histogram.negativeWords] {
            uvarint(UInt64(words.count))
            var previous: UInt64 = 0
            for word in words {
                if histogram.isFloat { u64(word) } else { varint(Int64(bitPattern: word &- previous)) }
                previous = word
            }
        }
        if histogram.layout.hasCustomBounds {
            uvarint(UInt64(histogram.layout.customBounds.count))
            for bound in histogram.layout.customBounds { f64(bound) }
        }
    }
}
