/// How the samples of a chunk are written, as the byte in front of it says.
///
/// 1 to 3 every Prometheus reads. 4 to 6 came after 3.5, which fails on them: they are read, and not written.
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

    /// Samples, by the chunk's header. All encodings begin with the count.
    public var count: Int { bytes.count < 2 ? 0 : Int(bytes[0]) << 8 | Int(bytes[1]) }
}
