import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

private struct Sample: Equatable {
    var start: Int64
    var time: Int64
    var value: UInt64
}

/// Writes the start timestamps of a chunk, as `StartTimestampDecoder` describes them.
private struct StartWriter {
    var header: UInt8 = 0
    private var start: Int64 = 0
    private var difference: Int64 = 0
    private var index = 0

    mutating func write(_ new: Int64, time: Int64, previous: Int64, to writer: inout BitWriter) {
        defer {
            index += 1
            start = new
        }
        if index == 0 {
            if new == 0 { return }
            header = 0x80
            writer.writeVarint(time &- new)
            return
        }
        if header & 0x7F == 0 {
            if new == start && index != 127 { return }
            header |= UInt8(index)
            difference = previous &- new
            writer.writeVarbit(difference)
        } else {
            writer.writeVarbit(previous &- new &- difference)
            difference = previous &- new
        }
    }
}

private func finish(_ writer: BitWriter, count: Int, flags: UInt8, startHeader: UInt8, _ encoding: ChunkEncoding) -> EncodedChunk {
    var bytes = writer.bytes
    (bytes[0], bytes[1], bytes[2]) = (UInt8(count >> 8) | flags, UInt8(count & 0xFF), startHeader)
    return EncodedChunk(encoding: encoding, minTimeMs: 0, maxTimeMs: 0, bytes: bytes)
}

/// Writes an XOR2 chunk, plainly: the model of the decoder.
private func encodeXOR2(_ samples: [Sample]) -> EncodedChunk {
    var writer = BitWriter([0, 0, 0])
    var starts = StartWriter()
    var window = XORWindow()
    var (time, delta, baseline) = (Int64(0), UInt64(0), UInt64(0))
    func difference(_ value: UInt64, new: UInt64, newWidth: Int, same: UInt64, sameWidth: Int) {
        let xor = value ^ baseline
        let leading = min(xor.leadingZeroBitCount, 31)
        let trailing = xor.trailingZeroBitCount
        if window.leading != XORWindow.none && leading >= Int(window.leading) && trailing >= Int(window.trailing) {
            writer.write(same, sameWidth)
            writer.write(xor >> UInt64(window.trailing), 64 - Int(window.leading) - Int(window.trailing))
        } else {
            window = XORWindow(leading: UInt8(leading), trailing: UInt8(trailing))
            let width = 64 - leading - trailing
            writer.write(new, newWidth)
            writer.write(UInt64(leading), 5)
            writer.write(UInt64(width & 63), 6)
            writer.write(xor >> UInt64(trailing), width)
        }
    }
    func value(_ value: UInt64) {
        if value == StaleNaN.bits { return writer.write(0b111, 3) }
        if value == baseline { return writer.write(0, 1) }
        difference(value, new: 0b110, newWidth: 3, same: 0b10, sameWidth: 2)
    }
    for (index, sample) in samples.enumerated() {
        let newDelta = UInt64(bitPattern: sample.time &- time)
        let change = Int64(bitPattern: newDelta &- delta)
        if index == 0 {
            writer.writeVarint(sample.time)
            writer.write(sample.value, 64)
        } else if index == 1 {
            writer.writeUvarint(newDelta)
            value(sample.value)
        } else if change == 0 {
            if sample.value == StaleNaN.bits {
                writer.write(0b11111, 5)
            } else if sample.value == baseline {
                writer.write(0, 1)
            } else {
                writer.write(0b10, 2)
                difference(sample.value, new: 1, newWidth: 1, same: 0, sameWidth: 1)
            }
        } else {
            if change >= -4096 && change <= 4095 {
                writer.write(0b110, 3)
                writer.write(UInt64(bitPattern: change), 13)
            } else if change >= -524_288 && change <= 524_287 {
                writer.write(0b1110, 4)
                writer.write(UInt64(bitPattern: change), 20)
            } else {
                writer.write(0b11110, 5)
                writer.write(UInt64(bitPattern: change), 64)
            }
            value(sample.value)
        }
        starts.write(sample.start, time: sample.time, previous: time, to: &writer)
        if sample.value != StaleNaN.bits { baseline = sample.value }
        if index > 0 { delta = newDelta }
        time = sample.time
    }
    return finish(writer, count: samples.count, flags: 0, startHeader: starts.header, .xor2)
}

/// Writes a histogram chunk with start timestamps, of samples with one layout.
private func encodeHistograms(_ samples: [(start: Int64, time: Int64, histogram: NativeHistogram)], hint: CounterResetHint) -> EncodedChunk {
    let isFloat = samples[0].histogram.isFloat
    let layout = samples[0].histogram.layout
    var writer = BitWriter([0, 0, 0])
    writer.write(layout)
    var starts = StartWriter()
    var time: Int64 = 0
    var delta: Int64 = 0
    var sum: UInt64 = 0
    var sumWindow = XORWindow()
    // Count, zero count, then buckets; whole numbers as steps.
    var values = [Int64](repeating: 0, count: layout.bucketCount + 2)
    var changes = values
    var windows = values.map { _ in XORWindow() }
    for (index, sample) in samples.enumerated() {
        let one = sample.histogram
        var next = [Int64(bitPattern: one.countWord), Int64(bitPattern: one.zeroCountWord)]
        next += isFloat ? one.words.map { Int64(bitPattern: $0) } : one.positiveDeltas + one.negativeDeltas
        writer.writeVarbit(index == 0 ? sample.time : sample.time - time - delta)
        func number(_ place: Int) {
            if isFloat {
                if index == 0 { return writer.write(UInt64(bitPattern: next[place]), 64) }
                writer.writeXOR(UInt64(bitPattern: next[place]), UInt64(bitPattern: values[place]), &windows[place])
            } else if index == 0 {
                if place < 2 { writer.writeVarbit(UInt64(bitPattern: next[place])) } else { writer.writeVarbit(next[place]) }
            } else {
                let change = next[place] - values[place]
                writer.writeVarbit(one.isStale ? 0 : change - changes[place])
                changes[place] = change
            }
        }
        number(0)
        number(1)
        if index == 0 { writer.write(one.sum.bitPattern, 64) } else { writer.writeXOR(one.sum.bitPattern, sum, &sumWindow) }
        for place in 2..<max(2, next.count) { number(place) }
        starts.write(sample.start, time: sample.time, previous: time, to: &writer)
        delta = index == 0 ? 0 : sample.time - time
        (time, sum) = (sample.time, one.sum.bitPattern)
        for place in next.indices { values[place] = next[place] }
    }
    return finish(
        writer, count: samples.count, flags: HistogramChunkHeader.flags(hint), startHeader: starts.header,
        isFloat ? .floatHistogramWithStart : .histogramWithStart)
}

/// The same by the encoder that the head uses.
private func encodedXOR2(_ samples: [Sample]) -> [UInt8] {
    var encoder = XOR2Encoder()
    for sample in samples { encoder.append(timestampMs: sample.time, value: sample.value, startMs: sample.start) }
    return encoder.chunk.bytes
}

private func decode(_ chunk: EncodedChunk) throws -> [Sample] {
    var columns = SampleColumns()
    try chunk.decode(into: &columns)
    return (0..<columns.count).map {
        Sample(start: columns.startTimestampMs(at: $0), time: columns.timestampMs(at: $0), value: columns.value(at: $0).bitPattern)
    }
}

@Suite("Chunks with start timestamps") struct StartTimestampChunkTests {
    private static let one = Double(1).bitPattern

    @Test("an XOR2 chunk, bit by bit")
    func byHand() throws {
        // Count 5, no start timestamps; t₀ = 10 (varint 20), v₀ = 1.0; Δt = 10, value the same (0); then 0: same interval and
        // value; 11111: stale marker; 110 and 13 bits: Δ² = −1, value the same (0).
        // 0|0|11 111|1 10|11 1111 1111 111|0 …
        let bits = "0" + "0" + "11111" + "110" + "1111111111111" + "0"
        var writer = BitWriter([0, 5, 0, 20, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 10])
        for bit in bits { writer.write(bit == "1") }
        let chunk = EncodedChunk(encoding: .xor2, minTimeMs: 10, maxTimeMs: 49, bytes: writer.bytes)
        let expected = [
            Sample(start: 0, time: 10, value: Self.one), Sample(start: 0, time: 20, value: Self.one), Sample(start: 0, time: 30, value: Self.one),
            Sample(start: 0, time: 40, value: StaleNaN.bits), Sample(start: 0, time: 49, value: Self.one),
        ]
        #expect(try decode(chunk) == expected)
        #expect(encodeXOR2(expected).bytes == chunk.bytes)
        #expect(encodedXOR2(expected) == chunk.bytes)
    }

    @Test("an XOR2 chunk gives back what was written, at the edges of every class")
    func edges() throws {
        let intervals: [Int64] = [10_000, 14_095, 9_999, 534_287, 9_999, 600_000, 1, 1 << 50, 10_000, 10_000]
        var samples: [Sample] = []
        var time: Int64 = -5_000_000
        for (index, interval) in (intervals + intervals).enumerated() {
            let value: UInt64 = index % 4 == 3 ? StaleNaN.bits : UInt64(index / 2) << UInt64(index * 2)
            samples.append(Sample(start: index % 5 == 4 ? time - Int64(index * 77) : 0, time: time, value: value))
            time += interval
        }
        #expect(try decode(encodeXOR2(samples)) == samples)
        #expect(encodedXOR2(samples) == encodeXOR2(samples).bytes)
        // A stale marker in front leaves the baseline at 0.
        let stale = [Sample(start: 0, time: 1, value: StaleNaN.bits), Sample(start: 0, time: 2, value: 0), Sample(start: 0, time: 3, value: Self.one)]
        #expect(try decode(encodeXOR2(stale)) == stale)
        #expect(encodedXOR2(stale) == encodeXOR2(stale).bytes)
    }

    @Test("random XOR2 chunks come back, with start timestamps or without", arguments: 0..<60)
    func roundTrip(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed) &+ 77)
        var samples: [Sample] = []
        var time = Int64(truncatingIfNeeded: random.next()) >> Int64(seed % 50)
        var start: Int64 = seed % 3 == 0 ? 0 : time &- 1000
        var value: UInt64 = 0
        for _ in 0..<(1 + random.below(400)) {
            samples.append(Sample(start: start, time: time, value: random.below(12) == 0 ? StaleNaN.bits : value))
            let jump = Int64(random.below(1 << random.below(45)))
            time &+= random.below(3) == 0 ? jump : 15_000
            if seed % 3 == 2 && random.below(20) == 0 { start = time &- Int64(random.below(1_000_000)) }
            if random.below(2) == 0 { value ^= random.next() >> UInt64(random.below(64)) }
        }
        #expect(try decode(encodeXOR2(samples)) == samples)
        #expect(encodedXOR2(samples) == encodeXOR2(samples).bytes)
    }

    @Test("histogram chunks with start timestamps come back", arguments: 0..<60)
    func histograms(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed) &+ 770)
        let layout = randomLayout(&random)
        var samples: [(start: Int64, time: Int64, histogram: NativeHistogram)] = []
        var time: Int64 = 1_700_000_000_000
        var start: Int64 = seed % 3 == 0 ? 0 : time - 1000
        let count = 1 + random.below(200)
        for index in 0..<count {
            let isLast = index == count - 1 && index > 0
            let histogram = isLast ? NativeHistogram.stale(isFloat: seed % 2 == 1) : try randomHistogram(&random, layout, isFloat: seed % 2 == 1)
            samples.append((start, time, histogram))
            time += 15_000 + Int64(random.below(30))
            if seed % 3 == 2 && random.below(9) == 0 { start = time - Int64(random.below(100_000)) }
        }
        let hint = CounterResetHint.allCases[seed % 4]
        let chunk = encodeHistograms(samples, hint: hint)
        #expect(chunk.count == count)
        var encoder = HistogramEncoder(isFloat: seed % 2 == 1, hint: hint, keepsStarts: true)
        for sample in samples {
            encoder.write(
                timestampMs: sample.time, layout: sample.histogram.layout, countWord: sample.histogram.countWord,
                zeroCountWord: sample.histogram.zeroCountWord, sum: sample.histogram.sum, words: sample.histogram.words, startMs: sample.start)
        }
        #expect(encoder.chunk.bytes == chunk.bytes && encoder.encoding == chunk.encoding)
        var columns = SampleColumns(histograms: true)
        try chunk.decode(into: &columns)
        #expect(columns.count == count)
        for (index, sample) in samples.enumerated() {
            let (found, time, start) = (columns.histogram(at: index), columns.timestampMs(at: index), columns.startTimestampMs(at: index))
            #expect(time == sample.time && start == sample.start)
            #expect(found?.hasSameData(as: sample.histogram) == true)
        }
        let firstHint: CounterResetHint = hint == .noReset ? .unknown : hint
        let found = columns.histogramHint(at: 0)
        #expect(found == firstHint)
        // One byte less is an error that appends nothing.
        columns.removeAll()
        let cut = EncodedChunk(encoding: chunk.encoding, minTimeMs: 0, maxTimeMs: 0, bytes: chunk.bytes.dropLast(2))
        #expect(throws: ChunkError.self) { try cut.decode(into: &columns) }
        #expect(columns.count == 0)
    }

    @Test("samples that are written anew keep their start timestamps, of every kind")
    func written() throws {
        var columns = SampleColumns(histograms: true)
        for index in 0..<300 {
            let time = Int64(index) * 15_000
            if index % 100 < 40 {
                columns.append(timestampMs: time, value: Double(index))
            } else {
                columns.append(timestampMs: time, histogram: try plainHistogram(index / 9))
            }
            // Of a run without any, the encoding stays one that every server reads.
            if index >= 40 { columns.setStartTimestampMs(time / 600_000 * 600_000, at: index) }
        }
        let chunks = encodeChunks(columns)
        #expect(chunks.first?.encoding == .xor)
        #expect(Set(chunks.dropFirst().map(\.encoding)) == [.xor2, .histogramWithStart])
        var again = SampleColumns(histograms: true)
        for chunk in chunks { try chunk.decode(into: &again) }
        let (found, expected) = (again.plain(), columns.plain())
        #expect(found == expected)
    }

    @Test("a chunk of more buckets than we keep is read with fewer, and one of an unknown schema is refused")
    func otherSchemas() throws {
        let finer = HistogramLayout(
            schema: 10, positiveSpans: [HistogramSpan(offset: -3, length: 6)], negativeSpans: [HistogramSpan(offset: 1, length: 2)])
        let histogram = try NativeHistogram(layout: finer, count: 36, sum: 1, positive: [1, 2, 3, 4, 5, 6], negative: [7, 8])
        var encoder = HistogramEncoder(isFloat: false)
        _ = encoder.append(timestampMs: 5, histogram)
        var columns = SampleColumns(histograms: true)
        try encoder.chunk.decode(into: &columns)
        let found = columns.histogram(at: 0)
        // Four neighbours each: −3 to 0 go to 0, 1 to 4 go to 1.
        #expect(found?.layout.schema == 8)
        #expect(found.map(buckets) == [[0: 10, 1: 11], [1: 15]])
        #expect(found?.count == 36)
        for schema in [-10, 53, -54] as [Int32] {
            var encoder = HistogramEncoder(isFloat: false)
            _ = encoder.append(timestampMs: 5, try NativeHistogram(layout: HistogramLayout(schema: schema), count: 0, sum: 0))
            let chunk = encoder.chunk
            columns.removeAll()
            #expect(throws: ChunkError.self) { try chunk.decode(into: &columns) }
        }
    }
}
