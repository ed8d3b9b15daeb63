import ApusStorage
import Testing

@testable import ApusTSDB

private func decode(_ chunk: XORChunk) throws -> [(time: Int64, bits: UInt64)] {
    var columns = SampleColumns()
    try chunk.decode(into: &columns)
    return (0..<columns.count).map { (columns.timestampMs(at: $0), columns.value(at: $0).bitPattern) }
}

private func encode(_ samples: [(time: Int64, bits: UInt64)]) -> XORChunk {
    var encoder = XORChunkEncoder()
    for sample in samples { _ = encoder.append(timestampMs: sample.time, value: Double(bitPattern: sample.bits)) }
    return encoder.finish()
}

@Suite("XOR chunk") struct XORChunkTests {
    @Test("reads what Prometheus wrote, and writes the same bytes", arguments: xorVectors)
    func golden(_ vector: Vector) throws {
        let decoded = try decode(XORChunk(bytes: vector.bytes))
        let expected = vector.decoded
        #expect(decoded.map(\.time) == expected.map(\.time))
        #expect(decoded.map(\.bits) == expected.map(\.bits))
        #expect(encode(expected).bytes == vector.bytes)
    }

    @Test("gives back exactly what was appended", arguments: 0..<60)
    func roundTrip(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        var time = Int64(truncatingIfNeeded: random.next()) / (1 << (seed % 40))
        var value: UInt64 = random.next()
        var samples: [(time: Int64, bits: UInt64)] = []
        for _ in 0..<(1 + random.below(XORState.maxSamples)) {
            samples.append((time, value))
            switch random.below(6) {
            case 0: time &+= Int64(random.below(20_000))
            case 1: time &+= Int64(random.below(200_000))
            case 2: time &+= Int64(random.below(2_000_000))
            case 3 where seed % 3 == 0: time &+= Int64(truncatingIfNeeded: random.next() >> 1)
            default: time &+= 15_000
            }
            switch random.below(4) {
            case 0: value ^= random.next() >> UInt64(random.below(64))
            case 1: value ^= random.next() << UInt64(random.below(64))
            case 2: value = Double(random.below(1000)).bitPattern
            default: break
            }
        }
        let decoded = try decode(encode(samples))
        #expect(decoded.map(\.time) == samples.map(\.time))
        #expect(decoded.map(\.bits) == samples.map(\.bits))
    }

    @Test("is full at its limit and says so")
    func full() {
        var encoder = XORChunkEncoder()
        for index in 0..<XORState.maxSamples { _ = encoder.append(timestampMs: Int64(index), value: 0) }
        #expect(encoder.count == XORState.maxSamples)
        let isTaken = encoder.append(timestampMs: 1 << 40, value: 0)
        #expect(!isTaken)
    }

    @Test("damaged bytes are an error or samples, never a crash", arguments: 0..<40)
    func fuzz(_ seed: Int) {
        var random = Generator(seed: UInt64(seed) &+ 1000)
        var columns = SampleColumns()
        for round in 0..<400 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<random.below(80)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                if bytes.count > 1 { bytes[0] = 0 }
            } else {
                bytes = xorVectors[random.below(xorVectors.count)].bytes
                for _ in 0..<(1 + random.below(4)) { bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8)) }
                bytes.removeLast(random.below(bytes.count))
            }
            columns.removeAll()
            do {
                try XORChunk(bytes: bytes).decode(into: &columns)
            } catch {
                #expect(columns.count == 0, "an error must append nothing")
            }
        }
    }

    @Test("a cut chunk is an error", arguments: xorVectors)
    func cut(_ vector: Vector) {
        var columns = SampleColumns()
        #expect(throws: ChunkError.self) { try XORChunk(bytes: vector.bytes.dropLast(1)).decode(into: &columns) }
        #expect(throws: ChunkError.self) { try XORChunk(bytes: [0, 9]).decode(into: &columns) }
        #expect(throws: ChunkError.self) { try XORChunk(bytes: []).decode(into: &columns) }
    }
}
