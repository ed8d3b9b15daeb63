/// How the samples of a chunk are written, as the byte in front of it says.
///
/// 1 to 3 every Prometheus reads. 4 to 6 came after 3.5, which fails on them: they are written where `ChunkFormats` asks for
/// them, and where samples are written anew that have start timestamps.
public enum ChunkEncoding: UInt8, Sendable {
    case xor = 1
    case histogram = 2
    case floatHistogram = 3
    /// Floats, with start timestamps if wanted.
    case xor2 = 4
    case histogramWithStart = 5
    case floatHistogramWithStart = 6

    /// Set beside the encoding in `chunks_head`: the chunk's samples came out of order.
    public static let outOfOrderBit: UInt8 = 0x80

    /// Whether the samples are floats, not histograms.
    public var isFloat: Bool { self == .xor || self == .xor2 }
    /// Whether the samples are histograms with float counts.
    public var isFloatHistogram: Bool { self == .floatHistogram || self == .floatHistogramWithStart }
    /// Whether the samples may have start timestamps.
    public var hasStart: Bool { rawValue >= ChunkEncoding.xor2.rawValue }
}

/// A finished chunk and what must be known of it without decoding.
public struct EncodedChunk: Sendable, Equatable {
    public var encoding: ChunkEncoding
    /// Time of the first sample, ms.
    public var minTimeMs: Int64
    /// Time of the last sample, ms.
    public var maxTimeMs: Int64
    /// The chunk from its sample count on, without length, encoding and checksum.
    public var bytes: [UInt8]

    public init(encoding: ChunkEncoding, minTimeMs: Int64, maxTimeMs: Int64, bytes: [UInt8]) {
        self.encoding = encoding
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
        self.bytes = bytes
    }

    /// Samples, by the chunk's header. All encodings begin with the count; two of them keep two flags in its highest bits.
    public var count: Int {
        if bytes.count < 2 { return 0 }
        let count = Int(bytes[0]) << 8 | Int(bytes[1])
        return encoding.hasStart && !encoding.isFloat ? count & HistogramChunkHeader.maxCountWithStart : count
    }
}
