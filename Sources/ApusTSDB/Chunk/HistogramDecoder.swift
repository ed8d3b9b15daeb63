import ApusModel
import ApusStorage

/// The three bytes in front of a histogram chunk.
///
///     2, 3   │ count, u16                      │ hint, 2 bits, 6 unused          │
///     5, 6   │ hint, 2 bits; count, 14 bits    │ start timestamps, see their decoder │
struct HistogramChunkHeader {
    static let sizeBytes = 3
    /// With start timestamps a chunk counts in 14 bits.
    static let maxCountWithStart = 0x3FFF
    var count: Int
    /// Of the chunk's first histogram; `gauge` holds for all.
    var hint: CounterResetHint
    var start: StartTimestampDecoder

    /// Takes the first three bytes of a chunk.
    init(_ bytes: (UInt8, UInt8, UInt8), hasStart: Bool) {
        let count = Int(bytes.0) << 8 | Int(bytes.1)
        if hasStart {
            self.count = count & Self.maxCountWithStart
            hint = Self.hint(flags: bytes.0)
            start = StartTimestampDecoder(header: bytes.2)
        } else {
            self.count = count
            hint = Self.hint(flags: bytes.2)
            start = StartTimestampDecoder(header: 0)
        }
    }

    private static func hint(flags: UInt8) -> CounterResetHint {
        switch flags >> 6 {
        case 0b10: .reset
        case 0b01: .noReset
        case 0b11: .gauge
        default: .unknown
        }
    }

    /// The byte that stands for a hint, in the two highest bits.
    static func flags(_ hint: CounterResetHint) -> UInt8 {
        switch hint {
        case .reset: 0b1000_0000
        case .noReset: 0b0100_0000
        case .gauge: 0b1100_0000
        case .unknown: 0
        }
    }

    /// What may be said of the sample at `index`: nobody knows whether the chunk before the first is still there.
    func hint(at index: Int) -> CounterResetHint {
        if hint == .gauge { return .gauge }
        if index > 0 { return .noReset }
        return hint == .reset ? .reset : .unknown
    }
}

/// Decodes histogram chunks, whole numbers (2, 5) and floats (3, 6). Behind header and layout lie the samples:
///
///     whole   │ t, varbit │ count, varbit │ zero count │ sum, f64 │ buckets, varbit: the first, then each less the one before │
///     later   │ Δ²t       │ Δ²            │ Δ²         │ sum ⊕    │ Δ² of each                                                │
///     float   │ t, varbit │ count, f64    │ zero count │ sum, f64 │ buckets, f64                                              │
///     later   │ Δ²t       │ ⊕             │ ⊕          │ ⊕        │ ⊕ of each, each with a window of its own                  │
///
/// The second sample's Δ² is against a delta of 0. A stale marker ends after the sum.
struct HistogramDecoder {
    private var reader: ChunkBitReader
    private var header: HistogramChunkHeader
    private let isFloat: Bool
    private let layout: HistogramLayout
    /// Layout to hand out, when the chunk's has more buckets than we keep, and which word goes where.
    private let coarser: CoarserLayout?

    private var time: Int64 = 0
    private var delta: Int64 = 0
    private var countWord: UInt64 = 0
    private var zeroWord: UInt64 = 0
    private var sum: UInt64 = 0
    // Whole numbers: change from sample to sample. Floats: windows.
    private var countDelta: Int64 = 0
    private var zeroDelta: Int64 = 0
    private var countWindow = XORWindow()
    private var zeroWindow = XORWindow()
    private var sumWindow = XORWindow()
    /// Whole numbers: bucket less the one before, and how that changed last. Absolute counts are in `words`.
    private var steps: [Int64] = []
    private var stepChanges: [Int64] = []
    private var windows: [XORWindow] = []
    private var words: [UInt64] = []

    /// - Parameter base: `sizeBytes` bytes of chunk, with the slack behind; must outlive the decoder.
    /// - Parameter count: samples, where the caller knows better than the header.
    init(_ base: UnsafeRawPointer, sizeBytes: Int, isFloat: Bool, hasStart: Bool, count: Int? = nil) throws(ChunkError) {
        if sizeBytes < HistogramChunkHeader.sizeBytes { throw ChunkError("histogram chunk is shorter than its header") }
        // SAFETY: there are three bytes.
        header = unsafe HistogramChunkHeader(
            (base.load(as: UInt8.self), base.load(fromByteOffset: 1, as: UInt8.self), base.load(fromByteOffset: 2, as: UInt8.self)),
            hasStart: hasStart)
        if let count { header.count = count }
        self.isFloat = isFloat
        reader = unsafe ChunkBitReader(base, sizeBytes: sizeBytes, offsetBytes: HistogramChunkHeader.sizeBytes)
        if header.count == 0 {
            layout = .empty
            coarser = nil
            return
        }
        layout = try reader.histogramLayout()
        // A sample takes five bits, and its first bucket another: more cannot be, and must not ask for memory.
        if header.count > reader.remainingBits { throw ChunkError("histogram chunk of \(sizeBytes) bytes cannot hold \(header.count) samples") }
        coarser = layout.schema > HistogramLayout.exponentialSchemas.upperBound && !layout.hasCustomBounds
            && layout.bucketCount <= reader.remainingBits ? CoarserLayout(layout) : nil
    }

    /// Appends the first `limit` samples that lie in the range; stops behind its end.
    mutating func decode(
        limit: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns
    ) throws(ChunkError) {
        for index in 0..<min(header.count, max(0, limit)) {
            let previous = time
            if index == 0 { try readFirst() } else { try readNext(index) }
            try header.start.read(&reader, index: index, time: time, previous: previous)
            if time < minTimeMs { continue }
            if time > maxTimeMs { return }
            append(index, to: &columns)
            if header.start.startMs != 0 { columns.setStartTimestampMs(header.start.startMs, at: columns.count - 1) }
        }
    }

    private func append(_ index: Int, to columns: inout SampleColumns) {
        let hint = header.hint(at: index)
        let value = Double(bitPattern: sum)
        if sum == StaleNaN.bits {
            columns.appendHistogram(
                timestampMs: time, isFloat: isFloat, layout: .empty, hint: hint, countWord: 0, zeroCountWord: 0, sum: value, words: [])
        } else if let coarser {
            columns.appendHistogram(
                timestampMs: time, isFloat: isFloat, layout: coarser.layout, hint: hint, countWord: countWord, zeroCountWord: zeroWord,
                sum: value, words: coarser.words(words, isFloat: isFloat))
        } else {
            columns.appendHistogram(
                timestampMs: time, isFloat: isFloat, layout: layout, hint: hint, countWord: countWord, zeroCountWord: zeroWord,
                sum: value, words: words)
        }
    }

    private mutating func readFirst() throws(ChunkError) {
        time = try reader.varbitInt()
        let buckets = layout.bucketCount
        // A bucket takes a bit at least, of a float 64: spans beyond that must not ask for memory.
        if buckets > reader.remainingBits / (isFloat ? 64 : 1) { throw ChunkError("histogram chunk cannot hold \(buckets) buckets") }
        words = Array(repeating: 0, count: buckets)
        if isFloat {
            countWord = try reader.bits(64)
            zeroWord = try reader.bits(64)
            sum = try reader.bits(64)
            windows = Array(repeating: XORWindow(), count: buckets)
            for bucket in 0..<buckets { words[bucket] = try reader.bits(64) }
        } else {
            countWord = try reader.varbitUint()
            zeroWord = try reader.varbitUint()
            sum = try reader.bits(64)
            steps = Array(repeating: 0, count: buckets)
            stepChanges = steps
            for bucket in 0..<buckets { steps[bucket] = try reader.varbitInt() }
            sumSteps()
        }
    }

    private mutating func readNext(_ index: Int) throws(ChunkError) {
        delta = delta &+ (try reader.varbitInt())
        time = time &+ delta
        if isFloat {
            countWord = try reader.xor(countWord, &countWindow)
            zeroWord = try reader.xor(zeroWord, &zeroWindow)
        } else {
            countDelta = countDelta &+ (try reader.varbitInt())
            countWord = countWord &+ UInt64(bitPattern: countDelta)
            zeroDelta = zeroDelta &+ (try reader.varbitInt())
            zeroWord = zeroWord &+ UInt64(bitPattern: zeroDelta)
        }
        sum = try reader.xor(sum, &sumWindow)
        if sum == StaleNaN.bits { return }
        if isFloat {
            for bucket in words.indices { words[bucket] = try reader.xor(words[bucket], &windows[bucket]) }
        } else {
            for bucket in steps.indices {
                stepChanges[bucket] = stepChanges[bucket] &+ (try reader.varbitInt())
                steps[bucket] = steps[bucket] &+ stepChanges[bucket]
            }
            sumSteps()
        }
    }

    /// From steps to counts; each side begins anew.
    private mutating func sumSteps() {
        var current: Int64 = 0
        for bucket in steps.indices {
            current = bucket == layout.positiveCount ? steps[bucket] : current &+ steps[bucket]
            words[bucket] = UInt64(bitPattern: current)
        }
    }
}

/// The layout of highest resolution that we keep, for chunks of a writer that keeps more. Source: buckets of schema `s`
/// are those of schema `s − n` cut into 2ⁿ, so bucket `i` goes into `((i − 1) >> n) + 1`.
struct CoarserLayout {
    let layout: HistogramLayout
    /// For each bucket of the finer layout, the one it goes to.
    private let target: [Int]

    init(_ finer: HistogramLayout) {
        let schema = HistogramLayout.exponentialSchemas.upperBound
        let shift = finer.schema - schema
        var target: [Int] = []
        var sides: [[HistogramSpan]] = []
        var next = 0
        for spans in [finer.positiveSpans, finer.negativeSpans] {
            var builder = SpanBuilder()
            var last: Int32?
            for index in BucketIndices(spans) {
                let coarse = ((index &- 1) >> shift) &+ 1
                if coarse != last {
                    builder.append(coarse)
                    last = coarse
                    next += 1
                }
                target.append(next - 1)
            }
            sides.append(builder.spans)
        }
        self.target = target
        layout = HistogramLayout(
            schema: schema, zeroThreshold: finer.zeroThreshold, positiveSpans: sides[0], negativeSpans: sides[1])
    }

    func words(_ finer: [UInt64], isFloat: Bool) -> [UInt64] {
        var result = [UInt64](repeating: 0, count: layout.bucketCount)
        for (word, place) in zip(finer, target) where place < result.count {
            result[place] = isFloat ? (Double(bitPattern: result[place]) + Double(bitPattern: word)).bitPattern : result[place] &+ word
        }
        return result
    }
}

/// Spans of bucket indices that come in order: neighbours share one.
struct SpanBuilder {
    private(set) var spans: [HistogramSpan] = []
    private var last: Int32 = 0

    mutating func append(_ index: Int32) {
        if spans.isEmpty {
            spans.append(HistogramSpan(offset: index, length: 1))
        } else if index == last &+ 1 {
            spans[spans.count - 1].length &+= 1
        } else {
            spans.append(HistogramSpan(offset: index &- last &- 1, length: 1))
        }
        last = index
    }
}
