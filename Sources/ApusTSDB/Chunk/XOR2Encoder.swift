import ApusModel
import ApusStorage

/// Builds one XOR2 chunk, sample by sample. The bytes are drawn at `XOR2Decoder`.
///
/// Source: the `XOR2` chunk of Prometheus 3.11; every choice between two ways to write a sample is upstream's.
struct XOR2Encoder {
    private(set) var count = 0
    /// Of the first and the newest sample, ms.
    private(set) var minTimeMs: Int64 = 0
    private(set) var maxTimeMs: Int64 = 0
    private var writer = BitWriter([0, 0, 0])
    private var starts = StartTimestampEncoder()
    private var delta: UInt64 = 0
    /// The newest value that was no stale marker, which the next is a difference to.
    private var baseline: UInt64 = 0
    private var window = XORWindow()

    /// The count is 16 bits wide.
    static let maxSamples = Int(UInt16.max)

    var sizeBytes: Int { writer.bytes.count }
    /// What is held in memory for the chunk.
    var memoryBytes: Int { MemoryLayout<XOR2Encoder>.size + writer.bytes.capacity }

    var chunk: EncodedChunk { EncodedChunk(encoding: .xor2, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, bytes: writer.bytes) }

    /// Appends a sample that is newer than all before. Trap: the chunk must not be full.
    /// - Parameters:
    ///   - value: bit pattern.
    ///   - startMs: start timestamp, 0 for none.
    mutating func append(timestampMs: Int64, value: UInt64, startMs: Int64 = 0) {
        precondition(count < Self.maxSamples, "a chunk holds 65535 samples")
        let previous = maxTimeMs
        switch count {
        case 0:
            minTimeMs = timestampMs
            writer.writeVarint(timestampMs)
            writer.write(value, 64)
        case 1:
            delta = UInt64(bitPattern: timestampMs &- previous)
            writer.writeUvarint(delta)
            writeValue(value)
        default:
            let newDelta = UInt64(bitPattern: timestampMs &- previous)
            writeTimeAndValue(change: Int64(bitPattern: newDelta &- delta), value)
            delta = newDelta
        }
        starts.write(startMs, to: &writer, index: count, time: timestampMs, previous: previous)
        if value != StaleNaN.bits { baseline = value }
        maxTimeMs = timestampMs
        count += 1
        writer.set(byte: UInt8(truncatingIfNeeded: count >> 8), at: 0)
        writer.set(byte: UInt8(truncatingIfNeeded: count), at: 1)
        writer.set(byte: starts.header, at: 2)
    }

    private mutating func writeTimeAndValue(change: Int64, _ value: UInt64) {
        let bits = UInt64(bitPattern: change)
        switch change {
        case 0:
            if value == StaleNaN.bits {
                writer.write(0b11111, 5)
            } else if value == baseline {
                writer.write(0, 1)
            } else {
                writer.write(0b10, 2)
                writeDifference(value ^ baseline, inWindow: (0, 1), newWindow: (1, 1))
            }
            return
        // Two's complement here, unlike the ranges of XOR chunks.
        case -4_096...4_095: writer.write(0b110 << 13 | bits & 0x1FFF, 16)
        case -524_288...524_287: writer.write(0b1110 << 20 | bits & 0xF_FFFF, 24)
        default:
            writer.write(0b11110, 5)
            writer.write(bits, 64)
        }
        writeValue(value)
    }

    /// Behind a time that tells nothing of the value.
    private mutating func writeValue(_ value: UInt64) {
        if value == StaleNaN.bits {
            writer.write(0b111, 3)
        } else if value == baseline {
            writer.write(0, 1)
        } else {
            writeDifference(value ^ baseline, inWindow: (0b10, 2), newWindow: (0b110, 3))
        }
    }

    private mutating func writeDifference(_ difference: UInt64, inWindow: (bits: UInt64, width: Int), newWindow: (bits: UInt64, width: Int)) {
        // Five bits hold the number of leading zeros, so more than 31 count as 31.
        let leading = min(difference.leadingZeroBitCount, 31)
        let trailing = difference.trailingZeroBitCount
        if window.leading != XORWindow.none && leading >= Int(window.leading) && trailing >= Int(window.trailing) {
            writer.write(inWindow.bits, inWindow.width)
            writer.write(difference &>> UInt64(window.trailing), 64 &- Int(window.leading) &- Int(window.trailing))
            return
        }
        window.leading = UInt8(truncatingIfNeeded: leading)
        window.trailing = UInt8(truncatingIfNeeded: trailing)
        let width = 64 &- leading &- trailing
        writer.write(newWindow.bits, newWindow.width)
        // Six bits hold the number of significant bits; 64 is written as 0, since there is at least one.
        writer.write(UInt64(truncatingIfNeeded: leading) &<< 6 | UInt64(truncatingIfNeeded: width & 63), 11)
        writer.write(difference &>> UInt64(truncatingIfNeeded: trailing), width)
    }
}
