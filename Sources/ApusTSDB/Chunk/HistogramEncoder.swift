import ApusModel
import ApusStorage

/// Builds one histogram chunk, sample by sample: what must be remembered between two of them, and the bytes.
///
/// `append` decides, as upstream does, whether a histogram goes in as it is, whether the chunk is written again with more
/// buckets, or whether a new chunk is due: `HistogramEncoder+Fit`. Layout of the bytes: `HistogramDecoder`.
struct HistogramEncoder {
    let isFloat: Bool
    /// Whether the chunk is one with start timestamps, of the encodings 5 and 6.
    let keepsStarts: Bool
    /// Of the first histogram in the chunk; `gauge` holds for all.
    private(set) var hint: CounterResetHint
    private(set) var count = 0
    /// Of the first and the newest sample, ms.
    private(set) var minTimeMs: Int64 = 0
    private(set) var maxTimeMs: Int64 = 0
    /// Buckets that every sample of the chunk has.
    private(set) var layout = HistogramLayout.empty
    /// Of the newest sample: words as in `NativeHistogram`, with the chunk's layout.
    private(set) var countWord: UInt64 = 0
    private(set) var zeroCountWord: UInt64 = 0
    private(set) var sum: Double = 0
    private(set) var words: [UInt64] = []

    private var writer = BitWriter([0, 0, 0])
    private var delta: Int64 = 0
    // Whole numbers: changes from sample to sample, and of each bucket's step from its neighbour. Floats: windows.
    private var countDelta: Int64 = 0
    private var zeroDelta: Int64 = 0
    private var stepChanges: [Int64] = []
    private var countWindow = XORWindow()
    private var zeroWindow = XORWindow()
    private var sumWindow = XORWindow()
    private var windows: [XORWindow] = []
    private var starts = StartTimestampEncoder()

    /// The count is 16 bits wide, or 14 beside start timestamps.
    var maxSamples: Int { keepsStarts ? HistogramChunkHeader.maxCountWithStart : Int(UInt16.max) }

    /// An empty chunk.
    /// - Parameter hint: what is known of the first histogram's relation to the chunk before.
    init(isFloat: Bool, hint: CounterResetHint = .unknown, keepsStarts: Bool = false) {
        self.isFloat = isFloat
        self.hint = hint
        self.keepsStarts = keepsStarts
    }

    var encoding: ChunkEncoding {
        if keepsStarts { return isFloat ? .floatHistogramWithStart : .histogramWithStart }
        return isFloat ? .floatHistogram : .histogram
    }
    var sizeBytes: Int { writer.bytes.count }
    /// What is held in memory for the chunk, apart from the layout.
    var memoryBytes: Int {
        MemoryLayout<HistogramEncoder>.size + writer.bytes.capacity + (words.capacity + stepChanges.capacity) * 8 + windows.capacity * 2
    }

    /// The bytes so far; more may be appended afterwards.
    var bytes: [UInt8] { writer.bytes }

    var chunk: EncodedChunk { EncodedChunk(encoding: encoding, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, bytes: bytes) }

    /// Writes a histogram that has the chunk's layout, or a stale marker; the first one gives the layout.
    /// Trap: the chunk must not be full, and there must be a word for each bucket of the layout.
    /// - Parameter startMs: start timestamp, 0 for none; left out when the chunk keeps none.
    mutating func write(
        timestampMs: Int64, layout newLayout: HistogramLayout, countWord newCount: UInt64, zeroCountWord newZero: UInt64, sum newSum: Double,
        words newWords: [UInt64], startMs: Int64
    ) {
        precondition(count < maxSamples, "a chunk holds 65535 samples, or 16383 with start timestamps")
        let previous = maxTimeMs
        let isStale = StaleNaN.isStale(newSum)
        if count == 0 {
            layout = isStale ? .empty : newLayout
            writeFirst(timestampMs, isStale ? 0 : newCount, isStale ? 0 : newZero, newSum, isStale ? [] : newWords)
        } else {
            precondition(isStale || newWords.count == words.count, "a histogram has the buckets of its chunk")
            writeNext(timestampMs, isStale ? 0 : newCount, isStale ? 0 : newZero, newSum, isStale ? nil : newWords)
        }
        if keepsStarts {
            starts.write(startMs, to: &writer, index: count, time: timestampMs, previous: previous)
            writer.set(byte: starts.header, at: 2)
        }
        maxTimeMs = timestampMs
        sum = newSum
        count += 1
        let flags = keepsStarts ? HistogramChunkHeader.flags(hint) : 0
        writer.set(byte: flags | UInt8(truncatingIfNeeded: count >> 8), at: 0)
        writer.set(byte: UInt8(truncatingIfNeeded: count), at: 1)
    }

    private mutating func writeFirst(_ time: Int64, _ newCount: UInt64, _ newZero: UInt64, _ newSum: Double, _ newWords: [UInt64]) {
        if !keepsStarts { writer.set(byte: HistogramChunkHeader.flags(hint), at: 2) }
        writer.write(layout)
        minTimeMs = time
        writer.writeVarbit(time)
        countWord = newCount
        zeroCountWord = newZero
        words = newWords
        if isFloat {
            for word in [newCount, newZero, newSum.bitPattern] + newWords { writer.write(word, 64) }
            windows = Array(repeating: XORWindow(), count: newWords.count)
        } else {
            writer.writeVarbit(newCount)
            writer.writeVarbit(newZero)
            writer.write(newSum.bitPattern, 64)
            for bucket in newWords.indices { writer.writeVarbit(step(newWords, bucket)) }
            stepChanges = Array(repeating: 0, count: newWords.count)
        }
    }

    /// - Parameter newWords: nil for a stale marker.
    private mutating func writeNext(_ time: Int64, _ newCount: UInt64, _ newZero: UInt64, _ newSum: Double, _ newWords: [UInt64]?) {
        let newDelta = time &- maxTimeMs
        writer.writeVarbit(newDelta &- delta)
        delta = newDelta
        if isFloat {
            writer.writeXOR(newCount, countWord, &countWindow)
            writer.writeXOR(newZero, zeroCountWord, &zeroWindow)
        } else {
            let newCountDelta = Int64(bitPattern: newCount &- countWord)
            let newZeroDelta = Int64(bitPattern: newZero &- zeroCountWord)
            // Of a stale marker the counts say nothing: no change of the change takes the fewest bits.
            writer.writeVarbit(newWords == nil ? 0 : newCountDelta &- countDelta)
            writer.writeVarbit(newWords == nil ? 0 : newZeroDelta &- zeroDelta)
            countDelta = newCountDelta
            zeroDelta = newZeroDelta
        }
        writer.writeXOR(newSum.bitPattern, sum.bitPattern, &sumWindow)
        countWord = newCount
        zeroCountWord = newZero
        guard let newWords else { return }
        if isFloat {
            for bucket in newWords.indices { writer.writeXOR(newWords[bucket], words[bucket], &windows[bucket]) }
        } else {
            for bucket in newWords.indices {
                let change = step(newWords, bucket) &- step(words, bucket)
                writer.writeVarbit(change &- stepChanges[bucket])
                stepChanges[bucket] = change
            }
        }
        words = newWords
    }

    /// A bucket's count less that of the bucket before; each side begins with a count.
    private func step(_ counts: [UInt64], _ bucket: Int) -> Int64 {
        bucket == 0 || bucket == layout.positiveCount
            ? Int64(bitPattern: counts[bucket]) : Int64(bitPattern: counts[bucket] &- counts[bucket - 1])
    }

    /// Writes the chunk once more with the buckets of another layout, which has all of this one's.
    /// - Parameter source: for each bucket of the new layout the index of the old one, or −1.
    mutating func recode(to newLayout: HistogramLayout, from source: [Int]) {
        var columns = SampleColumns(capacity: count, histograms: true)
        do throws(ChunkError) {
            try chunk.decode(into: &columns)
        } catch {
            preconditionFailure("a chunk that was written cannot be read: \(error)")
        }
        var again = HistogramEncoder(isFloat: isFloat, hint: hint, keepsStarts: keepsStarts)
        for index in 0..<columns.count {
            columns.withHistogramWords(at: index) { old in
                let buckets = old.dropFirst(2)
                // A stale marker has no buckets.
                let moved = buckets.isEmpty && !words.isEmpty ? [] : source.map { $0 < 0 ? 0 : buckets[buckets.startIndex + $0] }
                again.write(
                    timestampMs: columns.timestampMs(at: index), layout: newLayout, countWord: old[old.startIndex],
                    zeroCountWord: old[old.startIndex + 1], sum: columns.value(at: index), words: moved,
                    startMs: columns.startTimestampMs(at: index))
            }
        }
        self = again
    }
}
