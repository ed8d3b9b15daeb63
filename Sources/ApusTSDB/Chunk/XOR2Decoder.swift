import ApusModel
import ApusStorage

/// Decodes an XOR2 chunk: floats with a common prefix for time and value, and start timestamps if wanted.
///
///     ┌────────────┬──────────────────┬────────────┬─────────┬──────────────┬───────┬───────────────┬───
///     │ count, u16 │ starts, one byte │ t₀, varint │ v₀, f64 │ Δt₁, uvarint │ value │ prefix, value │ …
///     └────────────┴──────────────────┴────────────┴─────────┴──────────────┴───────┴───────────────┴───
///
///     0      same interval, same value              110    Δ²t in 13 bits, then the value
///     10     same interval, another value:          1110   Δ²t in 20 bits, then the value
///            0 in the window, 1 a new window        11110  Δ²t in 64 bits, then the value
///     11111  same interval, stale marker
///
///     value  0 the same │ 10 in the window │ 110 a new window │ 111 stale marker
///
/// Differences are to the newest value that was no stale marker. Start timestamps follow each sample: `StartTimestampDecoder`.
struct XOR2Decoder {
    static let headerBytes = 3
    private var reader: ChunkBitReader
    private var starts: StartTimestampDecoder
    private let count: Int
    private var time: Int64 = 0
    private var delta: UInt64 = 0
    /// The newest value that was no stale marker, which the next is a difference to.
    private var baseline: UInt64 = 0
    private var window = XORWindow()

    /// - Parameter base: `sizeBytes` bytes of chunk, with the slack behind; must outlive the decoder.
    init(_ base: UnsafeRawPointer, sizeBytes: Int) throws(ChunkError) {
        if sizeBytes < Self.headerBytes { throw ChunkError("chunk is shorter than its header") }
        // SAFETY: there are three bytes.
        count = unsafe Int(base.load(as: UInt8.self)) << 8 | Int(base.load(fromByteOffset: 1, as: UInt8.self))
        starts = unsafe StartTimestampDecoder(header: base.load(fromByteOffset: 2, as: UInt8.self))
        reader = unsafe ChunkBitReader(base, sizeBytes: sizeBytes, offsetBytes: Self.headerBytes)
        if count > reader.remainingBits { throw ChunkError("chunk of \(sizeBytes) bytes cannot hold \(count) samples") }
    }

    /// Appends the first `limit` samples that lie in the range; stops behind its end.
    mutating func decode(
        limit: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns
    ) throws(ChunkError) {
        for index in 0..<min(count, max(0, limit)) {
            let previous = time
            let value = try readSample(index)
            try starts.read(&reader, index: index, time: time, previous: previous)
            if time < minTimeMs { continue }
            if time > maxTimeMs { return }
            columns.append(timestampMs: time, value: Double(bitPattern: value))
            if starts.startMs != 0 { columns.setStartTimestampMs(starts.startMs, at: columns.count - 1) }
        }
    }

    private mutating func readSample(_ index: Int) throws(ChunkError) -> UInt64 {
        switch index {
        case 0:
            time = try reader.varint()
            let value = try reader.bits(64)
            if value != StaleNaN.bits { baseline = value }
            return value
        case 1:
            return try readTime(change: reader.uvarint())
        default:
            break
        }
        if try !reader.bit() {
            time = time &+ Int64(bitPattern: delta)
            return baseline
        }
        if try !reader.bit() {
            time = time &+ Int64(bitPattern: delta)
            if try reader.bit() { try reader.newWindow(&window) }
            baseline ^= try reader.windowBits(window)
            return baseline
        }
        if try !reader.bit() { return try readTime(change: readChange(13)) }
        if try !reader.bit() { return try readTime(change: readChange(20)) }
        if try !reader.bit() { return try readTime(change: reader.bits(64)) }
        time = time &+ Int64(bitPattern: delta)
        return StaleNaN.bits
    }

    /// Two's complement of `width` bits.
    private mutating func readChange(_ width: Int) throws(ChunkError) -> UInt64 {
        let shift = UInt64(64 &- width)
        return UInt64(bitPattern: Int64(bitPattern: try reader.bits(width) &<< shift) &>> Int64(shift))
    }

    /// Moves the time on and reads the value behind it.
    private mutating func readTime(change: UInt64) throws(ChunkError) -> UInt64 {
        delta = delta &+ change
        time = time &+ Int64(bitPattern: delta)
        if try !reader.bit() { return baseline }
        if try reader.bit() {
            if try reader.bit() { return StaleNaN.bits }
            try reader.newWindow(&window)
        }
        baseline ^= try reader.windowBits(window)
        return baseline
    }
}
