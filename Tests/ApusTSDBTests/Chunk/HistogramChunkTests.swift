import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// FNV-1a, 8 bytes a word; see `HistogramVector.digest`.
private func digest(_ columns: borrowing SampleColumns) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ word: UInt64) {
        var rest = word
        for _ in 0..<8 {
            hash ^= rest & 0xFF
            hash = hash &* 0x100_0000_01B3
            rest >>= 8
        }
    }
    for index in 0..<columns.count {
        guard let histogram = columns.histogram(at: index) else { continue }
        add(UInt64(bitPattern: columns.timestampMs(at: index)))
        add(histogram.countWord)
        add(histogram.zeroCountWord)
        add(histogram.sum.bitPattern)
        for word in histogram.words { add(word) }
    }
    return hash
}

private func chunk(_ vector: HistogramVector, dropping dropped: Int = 0) -> EncodedChunk {
    EncodedChunk(
        encoding: vector.isFloat ? .floatHistogram : .histogram, minTimeMs: 0, maxTimeMs: 0, bytes: vector.bytes.dropLast(dropped))
}

/// Writes the samples to chunks and reads those.
private func countReadAgain(_ columns: borrowing SampleColumns) throws -> Int {
    var again = SampleColumns(histograms: true)
    for chunk in encodeChunks(columns) { try chunk.decode(into: &again) }
    return again.count
}

/// A layout with random spans; of few indices, so that layouts overlap.
func randomLayout(_ random: inout Generator, schema: Int32 = 0) -> HistogramLayout {
    func spans() -> [HistogramSpan] {
        var builder = SpanBuilder()
        for index in -6..<10 where random.below(3) == 0 { builder.append(Int32(index)) }
        return builder.spans
    }
    return HistogramLayout(schema: schema, zeroThreshold: 0.001, positiveSpans: spans(), negativeSpans: random.below(2) == 0 ? [] : spans())
}

func randomHistogram(_ random: inout Generator, _ layout: HistogramLayout, isFloat: Bool, scale: Int = 1000) throws -> NativeHistogram {
    let counts = (0..<layout.bucketCount).map { _ in UInt64(random.below(scale)) }
    let zero = UInt64(random.below(scale))
    let total = counts.reduce(zero) { $0 &+ $1 }
    let words: [UInt64] = isFloat ? counts.map { count in (Double(count) / 3).bitPattern } : counts
    return try NativeHistogram(
        layout: layout, isFloat: isFloat, countWord: isFloat ? Double(total).bitPattern : total,
        zeroCountWord: isFloat ? Double(zero).bitPattern : zero, sum: Double(random.below(100_000)) / 7, words: words)
}

/// The histogram's buckets by side and index, without the empty ones.
func buckets(_ histogram: NativeHistogram) -> [[Int32: Double]] {
    func side(_ spans: [HistogramSpan], _ counts: [Double]) -> [Int32: Double] {
        var result: [Int32: Double] = [:]
        for (index, count) in zip(BucketIndices(spans), counts) where count != 0 { result[index] = count }
        return result
    }
    return [
        side(histogram.layout.positiveSpans, histogram.positiveCounts), side(histogram.layout.negativeSpans, histogram.negativeCounts),
    ]
}

@Suite("Histogram chunk") struct HistogramChunkTests {
    @Test("reads what Prometheus wrote", arguments: histogramVectors)
    func golden(_ vector: HistogramVector) throws {
        var columns = SampleColumns(histograms: true)
        try chunk(vector).decode(into: &columns)
        #expect(columns.count == vector.count && chunk(vector).count == vector.count)
        let kinds = columns.runs.map(\.kind)
        #expect(kinds == [vector.isFloat ? SampleColumns.Kind.floatHistogram : SampleColumns.Kind.histogram])
        #expect(digest(columns) == vector.digest)
        let first = columns.histogram(at: 0)
        #expect(first?.layout == vector.layout)
        let firstHint: CounterResetHint = vector.hint == .noReset ? .unknown : vector.hint
        #expect(first?.hint == firstHint)
        let laterHint: CounterResetHint = vector.hint == .gauge ? .gauge : .noReset
        let lastHint = columns.histogramHint(at: columns.count - 1)
        #expect(lastHint == laterHint)
    }

    @Test("writes the same bytes", arguments: histogramVectors)
    func goldenBytes(_ vector: HistogramVector) throws {
        var columns = SampleColumns(histograms: true)
        try chunk(vector).decode(into: &columns)
        var encoder = HistogramEncoder(isFloat: vector.isFloat, hint: vector.hint)
        for index in 0..<columns.count {
            guard let histogram = columns.histogram(at: index) else { continue }
            let newChunk = encoder.append(timestampMs: columns.timestampMs(at: index), histogram)
            #expect(newChunk == nil)
        }
        #expect(encoder.bytes == vector.bytes)
        #expect(encoder.chunk.minTimeMs == columns.timestampMs(at: 0))
        #expect(encoder.chunk.maxTimeMs == columns.timestampMs(at: columns.count - 1))
    }

    @Test("a cut chunk is an error that appends nothing", arguments: histogramVectors)
    func cut(_ vector: HistogramVector) {
        var columns = SampleColumns(histograms: true)
        columns.append(timestampMs: 0, value: 1)
        for dropped in [1, vector.bytes.count / 2, vector.bytes.count - 2, vector.bytes.count] {
            #expect(throws: ChunkError.self) { try chunk(vector, dropping: dropped).decode(into: &columns) }
            #expect(columns.count == 1 && !columns.hasHistograms)
        }
    }

    @Test("keeps to a range and a limit, and skips what is not wanted", arguments: histogramVectors)
    func range(_ vector: HistogramVector) throws {
        var all = SampleColumns(histograms: true)
        try chunk(vector).decode(into: &all)
        let first: Int = vector.count / 3
        let last: Int = vector.count * 2 / 3
        let (low, high) = (all.timestampMs(at: first), all.timestampMs(at: last))
        var some = SampleColumns(histograms: true)
        try chunk(vector).decode(minTimeMs: low, maxTimeMs: high, into: &some)
        let expected: Int = last - first + 1
        #expect(some.count == expected)
        let (found, wanted) = (some.histogram(at: 0), all.histogram(at: first))
        #expect(found == wanted)
        let end = some.timestampMs(at: some.count - 1)
        #expect(end == high)
        some.removeAll()
        let bytes = vector.bytes
        try unsafe bytes.withUnsafeBytes { buffer in
            try unsafe decodeChunk(chunk(vector).encoding, buffer, limit: 2, into: &some)
        }
        #expect(some.count == 2)
        var floats = SampleColumns()
        try chunk(vector).decode(into: &floats)
        #expect(floats.count == 0)
    }

    @Test("gives back what was appended, whatever the buckets", arguments: 0..<80)
    func roundTrip(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let isFloat = seed % 2 == 1
        var columns = SampleColumns(histograms: true)
        var model: [(time: Int64, histogram: NativeHistogram)] = []
        var time = Int64(truncatingIfNeeded: random.next()) >> Int64(seed % 40)
        var layout = randomLayout(&random)
        for _ in 0..<(1 + random.below(300)) {
            if random.below(8) == 0 { layout = randomLayout(&random, schema: random.below(9) == 0 ? 1 : 0) }
            let scale = 1 << random.below(50)
            var one = try randomHistogram(&random, layout, isFloat: isFloat, scale: scale)
            if random.below(20) == 0 { one = .stale(isFloat: isFloat) }
            if seed % 5 == 0 { one.hint = .gauge } else if random.below(30) == 0 { one.hint = .reset }
            model.append((time, one))
            columns.append(timestampMs: time, histogram: one)
            let jump = Int64(random.below(1 << random.below(40)))
            time &+= random.below(5) == 0 ? jump : 15_000
        }
        let chunks = encodeChunks(columns)
        var decoded = SampleColumns(histograms: true)
        for chunk in chunks {
            #expect(chunk.count <= 120 && chunk.encoding == (isFloat ? .floatHistogram : .histogram))
            try chunk.decode(into: &decoded)
        }
        #expect(decoded.count == model.count)
        for (index, (time, expected)) in model.enumerated() {
            guard let found = decoded.histogram(at: index) else {
                Issue.record("sample \(index) is no histogram")
                continue
            }
            #expect(decoded.timestampMs(at: index) == time)
            #expect(found.sum.bitPattern == expected.sum.bitPattern)
            #expect(found.countWord == expected.countWord)
            #expect(found.zeroCountWord == expected.zeroCountWord)
            #expect(buckets(found) == buckets(expected))
            #expect((found.hint == .gauge) == (expected.hint == .gauge))
            if !expected.isStale { #expect(found.layout.schema == expected.layout.schema) }
        }
    }

    @Test("mixed runs become chunks of each kind")
    func mixed() throws {
        var random = Generator(seed: 4)
        let layout = randomLayout(&random)
        var columns = SampleColumns(histograms: true)
        for time in 0..<300 as Range<Int64> {
            switch time / 50 % 3 {
            case 0: columns.append(timestampMs: time, value: Double(time))
            case 1: columns.append(timestampMs: time, histogram: try randomHistogram(&random, layout, isFloat: false))
            default: columns.append(timestampMs: time, histogram: try randomHistogram(&random, layout, isFloat: true))
            }
        }
        var decoded = SampleColumns(histograms: true)
        for chunk in encodeChunks(columns, samplesPerChunk: 20) { try chunk.decode(into: &decoded) }
        let (found, wanted) = (decoded.runs, columns.runs)
        #expect(found == wanted)
        for index in 0..<300 {
            let time = decoded.timestampMs(at: index)
            #expect(time == Int64(index))
        }
        var floats = SampleColumns()
        for chunk in encodeChunks(columns, samplesPerChunk: 20) { try chunk.decode(into: &floats) }
        #expect(floats.count == 100)
    }

    @Test("damaged bytes are an error or samples, never a crash", arguments: 0..<40)
    func fuzz(_ seed: Int) {
        var random = Generator(seed: UInt64(seed) &+ 5000)
        var columns = SampleColumns(histograms: true)
        for round in 0..<300 {
            let vector = histogramVectors[random.below(histogramVectors.count)]
            var bytes = vector.bytes
            if round % 3 == 0 {
                bytes = (0..<random.below(120)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if bytes.count > 3 { bytes.replaceSubrange(0..<1, with: [0]) }
            } else {
                for _ in 0..<(1 + random.below(4)) { bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8)) }
                if random.below(2) == 0 { bytes.removeLast(random.below(bytes.count)) }
            }
            columns.removeAll()
            let encodings: [ChunkEncoding] = [.xor, .histogram, .floatHistogram, .xor2, .histogramWithStart, .floatHistogramWithStart]
            let encoding = round % 2 == 0 ? chunk(vector).encoding : encodings[random.below(encodings.count)]
            do {
                try EncodedChunk(encoding: encoding, minTimeMs: 0, maxTimeMs: 0, bytes: bytes).decode(into: &columns)
                // What was read, however odd, can be written and read again.
                let again = try countReadAgain(columns)
                #expect(again == columns.count)
            } catch {
                #expect(columns.count == 0, "an error must append nothing: \(error)")
            }
        }
    }
}
