import ApusBytes
import Testing

@Suite("Samples as text") struct SampleTextTests {
    /// One sample at a time, by the general writers.
    private func naive(_ times: [Int64], _ values: [Double]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, (time, value)) in zip(times, values).enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(UInt8(ascii: "["))
            bytes.appendTimestampSeconds(time)
            bytes += Array(",\"".utf8)
            bytes.appendDouble(value, style: .json)
            bytes += Array("\"]".utf8)
        }
        return bytes
    }

    private func written(_ writer: inout SampleTextWriter, _ times: [Int64], _ values: [Double]) -> [UInt8] {
        var bytes: [UInt8] = []
        writer.append(timestampsMs: times.span, values: values.span, to: &bytes)
        return bytes
    }

    @Test("looks as the API shows samples")
    func example() {
        var writer = SampleTextWriter()
        let bytes = written(&writer, [1_700_000_000_000, 1_700_000_000_125], [0.25, .nan])
        #expect(String(decoding: bytes, as: UTF8.self) == #"[1700000000,"0.25"],[1700000000.125,"NaN"]"#)
        #expect(written(&writer, [], []).isEmpty)
    }

    @Test("writes what the general writers write, whatever the value", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func values(seed: UInt64) {
        var random = SplitMix(state: seed)
        var writer = SampleTextWriter()
        for _ in 0..<400 {
            let count = 1 + Int(random.next() % 600)
            let values = (0..<count).map { _ in random.double() }
            let times = (0..<count).map { 1_760_000_000_000 + Int64($0) * 15_000 }
            #expect(written(&writer, times, values) == naive(times, values))
        }
    }

    @Test("writes the ends of every range of numbers")
    func edges() {
        var values: [Double] = [0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude]
        for power in -12...24 {
            var scale = 1.0
            for _ in 0..<abs(power) { scale *= 10 }
            let base = power < 0 ? 1 / scale : scale
            for factor in [1, 0.5, 1.5, 9.99, 1.234567, 0.999999999, 1.0000000001] {
                values += [base * factor, (base * factor).nextUp, (base * factor).nextDown, -base * factor]
            }
        }
        let times = values.indices.map { Int64($0) * 1_000 }
        var writer = SampleTextWriter()
        #expect(written(&writer, times, values) == naive(times, values))
    }

    @Test("times with gaps, off the grid, before it, negative, endless", arguments: [1, 2, 3] as [UInt64])
    func times(seed: UInt64) {
        var random = SplitMix(state: seed)
        var writer = SampleTextWriter()
        for _ in 0..<200 {
            let step = [1, 15_000, 60_000, 1 << 55][Int(random.next() % 4)] as Int64
            let start = [0, -3_600_000, 1_760_000_000_000, .max / 2, 1_760_000_000_007][Int(random.next() % 5)] as Int64
            var times: [Int64] = []
            for index in 0..<Int64(1 + random.next() % 50) where random.next() % 4 > 0 {
                let (time, overflow) = start.addingReportingOverflow(index * step + (random.next() % 16 == 0 ? 1 : 0))
                if !overflow, times.last.map({ $0 < time }) ?? true { times.append(time) }
            }
            let values = times.map { _ in Double(random.next() % 3) }
            #expect(written(&writer, times, values) == naive(times, values))
        }
    }

    private struct SplitMix {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        mutating func double() -> Double {
            let sign = next() % 2 == 0 ? 1.0 : -1.0
            switch next() % 7 {
            case 0: return Double(bitPattern: next())
            case 1: return sign * Double(next() % 1_000_000)
            case 2: return sign * Double(next() >> 10)
            case 3: return sign * Double(next() % 1_000_000_000) / 1000
            case 4: return sign * Double(next() % 1_000_000) / 64
            case 5: return sign * Double(next() % 100_000_000) / 1e9
            default: return sign * Double(next()) / 0x1p64
            }
        }
    }
}
