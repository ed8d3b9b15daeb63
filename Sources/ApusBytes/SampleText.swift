/// Writes samples as Prometheus's API shows them, `[1700000000,"0.25"],[1700000015,"0.5"]`, many at a time.
///
/// Bit for bit what `appendTimestampSeconds` and `appendDouble(_:style: .json)` write, in a third of the time:
///
/// - The series of a range query share their steps: each time is formatted once, and copied for every other series.
/// - A value equal to the one before is copied.
/// - Digits are made eight at a time, and stored in whole words into memory that has room for what is stored too much.
public struct SampleTextWriter: Sendable {
    /// `1700000000.125,` as it stands in memory, the rest zeros.
    private struct TimeText {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var count: UInt8 = 0
    }
    /// The texts of `firstMs + i × stepMs`.
    private var texts: [TimeText] = []
    private var firstMs: Int64 = 0
    private var stepMs: Int64 = 0
    /// More steps than a range query may have, so that what a stranger's series make us keep is bounded.
    private static let maximumTexts = 16_384
    /// Room for one sample, and for the words that are stored past its end.
    private static let sampleBytes = 96
    private static let blockSamples = 256

    public init() {}

    /// Appends the samples, a comma between two of them. Both columns have the same count.
    public mutating func append(timestampsMs: Span<Int64>, values: Span<Double>, to bytes: inout [UInt8]) {
        let count = min(timestampsMs.count, values.count)
        if count == 0 { return }
        prepare(timestampsMs, count)
        var next = 0
        while next < count {
            let end = min(next + Self.blockSamples, count)
            unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: (end - next + 1) * Self.sampleBytes) { buffer in
                guard let base = buffer.baseAddress else { return }
                // SAFETY: a sample takes at most 21 + 32 + 6 bytes and stores at most 32 past them, less than `sampleBytes`.
                var written = unsafe write(timestampsMs, values, next..<end, to: base)
                // A bracket stands in front of each sample, so the last one's is too much, and behind the last sample the comma.
                written -= end == count ? 2 : 1
                unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: base, count: written))
            }
            next = end
        }
    }

    /// Formats the times that are not known yet.
    private mutating func prepare(_ timestampsMs: Span<Int64>, _ count: Int) {
        let first = timestampsMs[0]
        let isKnown = !texts.isEmpty && stepMs > 0 && first >= firstMs && (first &- firstMs) % stepMs == 0
        if !isKnown {
            texts.removeAll(keepingCapacity: true)
            firstMs = first
            stepMs = count > 1 ? timestampsMs[1] &- first : 0
            texts.append(Self.text(first))
        }
        if stepMs <= 0 { return }
        let last = timestampsMs[count - 1]
        // No more than there are samples: times that keep to no step would be formatted for nothing.
        let bound = min(texts.count + count, Self.maximumTexts)
        while texts.count < bound {
            let (offset, isFar) = Int64(texts.count).multipliedReportingOverflow(by: stepMs)
            let (time, overflow) = firstMs.addingReportingOverflow(offset)
            if isFar || overflow || time > last { break }
            texts.append(Self.text(time))
        }
    }

    /// Empty when it does not fit.
    private static func text(_ timestampMs: Int64) -> TimeText {
        var result = TimeText()
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { buffer in
            unsafe buffer.initialize(repeating: 0)
            guard let base = buffer.baseAddress else { return }
            let count = unsafe writeTimestampSeconds(timestampMs, to: base)
            if count > 15 { return }
            unsafe base[count] = UInt8(ascii: ",")
            let raw = UnsafeRawPointer(base)
            unsafe result.low = raw.loadUnaligned(as: UInt64.self)
            unsafe result.high = raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            result.count = UInt8(count + 1)
        }
        return result
    }

    /// - Returns: how many bytes, with `,[` behind the last sample.
    private func write(_ timestampsMs: Span<Int64>, _ values: Span<Double>, _ range: Range<Int>, to out: UnsafeMutablePointer<UInt8>) -> Int {
        let raw = UnsafeMutableRawPointer(out)
        // SAFETY: the caller gave `sampleBytes` for each sample and one more.
        unsafe out[0] = UInt8(ascii: "[")
        var position = 1
        var expected = firstMs
        var number = 0
        var lastBits: UInt64 = 0
        var (lastStart, lastCount) = (0, 0)
        for index in range {
            let timestamp = timestampsMs[index]
            if timestamp != expected || number >= texts.count {
                let offset = timestamp &- firstMs
                number = stepMs > 0 && offset >= 0 && offset % stepMs == 0 ? Int(truncatingIfNeeded: offset / stepMs) : (offset == 0 ? 0 : .max)
                expected = timestamp
            }
            if number < texts.count, texts[number].count > 0 {
                let text = texts[number]
                unsafe (raw + position).storeBytes(of: text.low, as: UInt64.self)
                unsafe (raw + position + 8).storeBytes(of: text.high, as: UInt64.self)
                position &+= Int(text.count)
                number &+= 1
                expected = expected &+ stepMs
            } else {
                position &+= unsafe writeTimestampSeconds(timestamp, to: out + position)
                unsafe out[position] = UInt8(ascii: ",")
                position &+= 1
                number = .max
            }
            unsafe out[position] = UInt8(ascii: "\"")
            position &+= 1
            let value = values[index]
            if value.bitPattern == lastBits, lastCount > 0 {
                // SAFETY: a text has at most 32 bytes, and both places have that much room.
                for word in 0..<4 {
                    unsafe (raw + position + word &* 8).storeBytes(
                        of: (raw + lastStart + word &* 8).loadUnaligned(as: UInt64.self), as: UInt64.self)
                }
                lastStart = position
                position &+= lastCount
            } else {
                lastStart = position
                lastCount = unsafe writeJSONDouble(value, to: out + position)
                lastBits = value.bitPattern
                position &+= lastCount
            }
            // `"],[`
            unsafe (raw + position).storeBytes(of: (0x5B2C_5D22 as UInt32).littleEndian, as: UInt32.self)
            position &+= 4
        }
        return position
    }
}

/// As `writeDouble(_:style: .json)`, but stores up to 32 bytes past what it returns.
@inline(__always)
private func writeJSONDouble(_ value: Double, to out: UnsafeMutablePointer<UInt8>) -> Int {
    let magnitude = value.magnitude
    if magnitude < 9_007_199_254_740_992 {
        let whole = UInt64(magnitude)
        var sign = 0
        if value.sign == .minus {
            unsafe out[0] = UInt8(ascii: "-")
            sign = 1
        }
        // Neighbours of a whole number below 2⁵³ are at most 1 away: its own digits are the shortest.
        if Double(whole) == magnitude { return unsafe sign &+ writeWords(whole, to: UnsafeMutableRawPointer(out + sign)) }
        if magnitude >= 0.000_001, let count = unsafe writeFraction(magnitude, to: UnsafeMutableRawPointer(out + sign)) {
            return sign &+ count
        }
    }
    return unsafe writeDouble(value, style: .json, to: out)
}

/// Eight digits, zeros in front, the first in the lowest byte; `value` is below 10⁸.
@inline(__always)
private func eightDigits(_ value: UInt64) -> UInt64 {
    // Halves, quarters, digits, each pair side by side in one word: division by a constant is a multiplication.
    let thousands = (value &* 109_951_163) &>> 40
    let halves = thousands | (value &- thousands &* 10_000) &<< 32
    let hundreds = ((halves &* 10_486) &>> 20) & 0x7F_0000_007F
    let quarters = hundreds | (halves &- hundreds &* 100) &<< 16
    let tens = ((quarters &* 103) &>> 10) & 0x000F_000F_000F_000F
    return tens | (quarters &- tens &* 10) &<< 8
}

private let asciiZeros: UInt64 = 0x3030_3030_3030_3030

/// Below 10¹⁶. Stores whole words; returns how many bytes count.
@inline(__always)
private func writeWords(_ value: UInt64, to out: UnsafeMutableRawPointer) -> Int {
    var count = 0
    var low = value
    if value >= 100_000_000 {
        let high = value / 100_000_000
        low = value &- high &* 100_000_000
        count = unsafe writeLeadingWord(high, to: out)
        unsafe (out + count).storeBytes(of: (eightDigits(low) | asciiZeros).littleEndian, as: UInt64.self)
        return count &+ 8
    }
    return unsafe writeLeadingWord(low, to: out)
}

@inline(__always)
private func writeLeadingWord(_ value: UInt64, to out: UnsafeMutableRawPointer) -> Int {
    let digits = eightDigits(value)
    // Of the number 0 one digit stays.
    let zeros = min(digits.trailingZeroBitCount &>> 3, 7)
    let text = (digits | asciiZeros) &>> UInt64(truncatingIfNeeded: zeros &* 8)
    unsafe out.storeBytes(of: text.littleEndian, as: UInt64.self)
    return 8 &- zeros
}

/// A number from 10⁻⁶ to 2⁵³ that is not whole; nil when it is to be written the usual way.
@inline(__always)
private func writeFraction(_ magnitude: Double, to out: UnsafeMutableRawPointer) -> Int? {
    var digits: UInt64
    var exponent: Int
    if magnitude < 1e12, magnitude >= 0.001, case let thousandths = UInt64(magnitude * 1000 + 0.5),
        Double(thousandths) / 1000 == magnitude
    {
        // At most 15 digits: no other decimal of so few digits reads back as this double, so they are the shortest.
        (digits, exponent) = (thousandths, -3)
    } else {
        let decimal = shortestDecimal(magnitude)
        (digits, exponent) = (decimal.digits, decimal.exponent)
    }
    // 17 digits as `000000d`, `dddddddd`, `dddddddd`.
    let high = digits / 10_000_000_000_000_000
    let rest = digits &- high &* 10_000_000_000_000_000
    let middle = rest / 100_000_000
    let first = eightDigits(middle)
    let second = eightDigits(rest &- middle &* 100_000_000)
    let zeros = second != 0 ? second.leadingZeroBitCount &>> 3 : (first != 0 ? 8 &+ first.leadingZeroBitCount &>> 3 : 16)
    let total = decimalDigitCount(digits)
    let point = total &+ exponent
    let count = total &- zeros
    guard point < count, point > -6 else { return nil }
    var result = 0
    unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
        guard let text = buffer.baseAddress else { return }
        // SAFETY: 64 bytes: 24 of digits, of which up to 24 bytes are read from anywhere up to 17 behind their start.
        unsafe text.storeBytes(of: ((high | 0x30) &<< 56).littleEndian, as: UInt64.self)
        unsafe text.storeBytes(of: (first | asciiZeros).littleEndian, toByteOffset: 8, as: UInt64.self)
        unsafe text.storeBytes(of: (second | asciiZeros).littleEndian, toByteOffset: 16, as: UInt64.self)
        for offset in stride(from: 24, to: 64, by: 8) { unsafe text.storeBytes(of: 0 as UInt64, toByteOffset: offset, as: UInt64.self) }
        let start = unsafe text + (24 &- total)
        if point <= 0 {
            // `0.00000`
            unsafe out.storeBytes(of: (0x3030_3030_3030_2E30 as UInt64).littleEndian, as: UInt64.self)
            unsafe copy24(start, to: out + (2 &- point))
            result = 2 &- point &+ count
        } else {
            unsafe copy24(start, to: out)
            unsafe copy24(start + point, to: out + (point &+ 1))
            unsafe out.storeBytes(of: UInt8(ascii: "."), toByteOffset: point, as: UInt8.self)
            result = count &+ 1
        }
    }
    return result
}

@inline(__always)
private func copy24(_ source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer) {
    for offset in stride(from: 0, to: 24, by: 8) {
        unsafe (target + offset).storeBytes(of: (source + offset).loadUnaligned(as: UInt64.self), as: UInt64.self)
    }
}
