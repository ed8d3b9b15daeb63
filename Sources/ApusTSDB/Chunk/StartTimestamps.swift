/// Where a chunk of the encodings 4 to 6 keeps start timestamps: one byte in its header, and bits behind the samples.
///
///     header    first is known, 1 bit │ index of the first change, 7 bits, 0 for none
///     sample 0  t₀ − start as varint, when the first is known
///     sample i  tᵢ₋₁ − start, as a varbit from the first change on; later ones as the difference to the one before
///
/// From sample 127 on every sample has its own, since the index has no more than seven bits.
struct StartTimestampDecoder {
    private let isFirstKnown: Bool
    private let firstChange: Int
    /// Of the newest sample, ms; 0 for none.
    private(set) var startMs: Int64 = 0
    private var difference: Int64 = 0

    init(header: UInt8) {
        isFirstKnown = header & 0x80 != 0
        firstChange = Int(header & 0x7F)
    }

    /// Whether no sample has one.
    var isEmpty: Bool { !isFirstKnown && firstChange == 0 }

    /// Reads what stands behind sample `index`.
    @inline(__always)
    mutating func read(_ reader: inout ChunkBitReader, index: Int, time: Int64, previous: Int64) throws(ChunkError) {
        if index == 0 {
            if isFirstKnown { startMs = time &- (try reader.varint()) }
        } else if firstChange > 0 && index >= firstChange {
            let read = try reader.varbitInt()
            difference = index == firstChange ? read : difference &+ read
            startMs = previous &- difference
        }
    }
}

/// Writes what `StartTimestampDecoder` reads.
struct StartTimestampEncoder {
    /// The byte in the chunk's header, which may change with each sample.
    private(set) var header: UInt8 = 0
    /// Of the newest sample, ms; 0 for none.
    private var startMs: Int64 = 0
    private var difference: Int64 = 0

    /// The highest index that the header has room for: from there on every sample has its own.
    private static let lastIndex = 127

    /// Writes what stands behind sample `index`; indices come one after the other.
    mutating func write(_ newStartMs: Int64, to writer: inout BitWriter, index: Int, time: Int64, previous: Int64) {
        if index == 0 {
            if newStartMs != 0 {
                writer.writeVarint(time &- newStartMs)
                header = 0x80
            }
        } else if header & 0x7F != 0 {
            let newDifference = previous &- newStartMs
            writer.writeVarbit(newDifference &- difference)
            difference = newDifference
        } else if newStartMs != startMs || index >= Self.lastIndex {
            difference = previous &- newStartMs
            header |= UInt8(truncatingIfNeeded: min(index, Self.lastIndex))
            writer.writeVarbit(difference)
        }
        startMs = newStartMs
    }
}
