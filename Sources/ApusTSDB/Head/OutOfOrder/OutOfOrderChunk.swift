import ApusModel
import ApusStorage

/// A sample that did not come in order.
struct LateSample {
    let ref: SeriesRef
    let timeMs: Int64
    /// Bit pattern of the value; of a histogram, of its sum.
    let value: UInt64
    let histogram: NativeHistogram?
    /// Start timestamp, 0 for none.
    let startMs: Int64

    init(ref: SeriesRef, timeMs: Int64, value: Double, startMs: Int64 = 0) {
        self.ref = ref
        self.timeMs = timeMs
        self.startMs = startMs
        self.value = value.bitPattern
        histogram = nil
    }

    init(ref: SeriesRef, timeMs: Int64, histogram: NativeHistogram, startMs: Int64 = 0) {
        self.ref = ref
        self.timeMs = timeMs
        self.startMs = startMs
        value = histogram.sum.bitPattern
        self.histogram = histogram
    }
}

extension SampleBatch {
    mutating func append(_ late: LateSample) {
        if let histogram = late.histogram {
            append(late.ref, timestampMs: late.timeMs, histogram: histogram, startTimestampMs: late.startMs)
        } else {
            append(late.ref, timestampMs: late.timeMs, value: Double(bitPattern: late.value), startTimestampMs: late.startMs)
        }
    }
}

/// The newest out-of-order samples of a series, in order of time and each time once: what becomes a chunk when it is full.
///
/// Plain, since samples are inserted anywhere; a delta coding would be written anew for each.
struct OutOfOrderChunk: Sendable {
    /// As upstream's default.
    static let maxSamples = 32

    private(set) var times: [Int64] = []
    /// Bit patterns of the values; of histograms, of their sums.
    private(set) var values: [UInt64] = []
    /// Empty as long as all are floats.
    private(set) var histograms: [NativeHistogram?] = []
    /// Start timestamps, 0 for none; empty as long as none has one.
    private(set) var starts: [Int64] = []

    var count: Int { times.count }
    var isEmpty: Bool { times.isEmpty }

    /// False, and nothing is changed, when there is a sample of this time already: the first to come stays.
    mutating func insert(_ late: LateSample) -> Bool {
        let (timeMs, histogram) = (late.timeMs, late.histogram)
        // Late samples are often in order among themselves.
        var index = times.count
        while index > 0 && times[index - 1] > timeMs { index -= 1 }
        if index > 0 && times[index - 1] == timeMs { return false }
        if histogram != nil && histograms.isEmpty { histograms = Array(repeating: nil, count: times.count) }
        if late.startMs != 0 && starts.isEmpty {
            starts = Array(repeating: 0, count: times.count)
            starts.insert(late.startMs, at: index)
        } else if !starts.isEmpty {
            starts.insert(late.startMs, at: index)
        }
        times.insert(timeMs, at: index)
        values.insert(late.value, at: index)
        if !histograms.isEmpty || histogram != nil { histograms.insert(histogram, at: index) }
        return true
    }

    mutating func removeAll() {
        times.removeAll()
        values.removeAll()
        histograms.removeAll()
        starts.removeAll()
    }

    /// Appends the samples of `[minTimeMs, maxTimeMs]`; histograms only when the columns want them.
    func append(to columns: inout SampleColumns, _ minTimeMs: Int64, _ maxTimeMs: Int64) {
        for index in times.indices where times[index] >= minTimeMs && times[index] <= maxTimeMs {
            if !histograms.isEmpty, let histogram = histograms[index] {
                if !columns.wantsHistograms { continue }
                columns.append(timestampMs: times[index], histogram: histogram)
            } else {
                columns.append(timestampMs: times[index], value: Double(bitPattern: values[index]))
            }
            if !starts.isEmpty { columns.setStartTimestampMs(starts[index], at: columns.count - 1) }
        }
    }

    /// Finished chunks: one, or several when kinds of samples change.
    func encoded() -> [EncodedChunk] {
        var columns = SampleColumns(capacity: times.count, histograms: true)
        append(to: &columns, .min, .max)
        return encodeChunks(columns, samplesPerChunk: Self.maxSamples)
    }

    /// The samples as a log takes them.
    func add(_ ref: SeriesRef, to batch: inout SampleBatch) {
        for index in times.indices {
            let startMs = starts.isEmpty ? 0 : starts[index]
            if !histograms.isEmpty, let histogram = histograms[index] {
                batch.append(ref, timestampMs: times[index], histogram: histogram, startTimestampMs: startMs)
            } else {
                batch.append(ref, timestampMs: times[index], value: Double(bitPattern: values[index]), startTimestampMs: startMs)
            }
        }
    }
}

/// A finished chunk of out-of-order samples: in a mapped file, or in memory when there is none or the disk refused it.
struct OutOfOrderSealedChunk: Sendable {
    let encoding: ChunkEncoding
    let minTimeMs: Int64
    let maxTimeMs: Int64
    let sizeBytes: Int
    /// Of its bytes, with `SealedChunkStoreLimits.readSlackBytes` behind them.
    let address: UInt
    /// Nil for a chunk in memory.
    let chunkRef: HeadChunkRef?
    /// Keeps the bytes of a chunk in memory.
    let memory: PaddedChunk?
    /// Grows with each chunk of the head.
    let number: UInt64
    /// The ref that the file has it under; nil when that is the one it belongs under, or it is in memory.
    var foreignRef: SeriesRef?

    func overlaps(_ minTimeMs: Int64, _ maxTimeMs: Int64) -> Bool { self.minTimeMs <= maxTimeMs && self.maxTimeMs >= minTimeMs }

    /// Appends the samples of `[minTimeMs, maxTimeMs]`. The caller must be one that the chunk is kept for.
    func decode(_ minTimeMs: Int64, _ maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
        // SAFETY: the address is that of `sizeBytes` bytes and the slack, kept by `memory` or by the mapped file, which goes
        // when no reader is left.
        guard let start = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        do throws(ChunkError) {
            try unsafe decodeChunk(
                encoding, UnsafeRawBufferPointer(start: start, count: sizeBytes), readableSlack: SealedChunkStoreLimits.readSlackBytes,
                minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &columns)
        } catch {
            throw StorageError("an out-of-order chunk in the head is damaged: \(error.description)")
        }
    }
}
