public import ApusStorage

/// An XOR chunk as a value: its bytes, as Prometheus writes them. Layout: `XORState`.
public struct XORChunk: Equatable, Sendable {
    public let bytes: [UInt8]

    /// Takes bytes of unknown origin; `decode` finds out.
    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// What the header says, 0 when there is none.
    public var count: Int { bytes.count < 2 ? 0 : Int(bytes[0]) << 8 | Int(bytes[1]) }

    /// Appends the samples to `columns`; on an error nothing is appended. Safe for any bytes.
    public func decode(into columns: inout SampleColumns) throws(ChunkError) {
        try EncodedChunk(encoding: .xor, minTimeMs: 0, maxTimeMs: 0, bytes: bytes).decode(into: &columns)
    }
}

/// Builds one `XORChunk`, sample by sample. The head does not use it: its open chunks live in slabs.
public struct XORChunkEncoder {
    private var state = XORState()
    private var bytes: [UInt8] = []
    public init() {}

    public var count: Int { Int(state.count) }

    /// Appends a sample; false when the chunk is full and nothing was appended.
    public mutating func append(timestampMs: Int64, value: Double) -> Bool {
        guard count < XORState.maxSamples else { return false }
        let needed = Int(state.bitCount) / 8 + XORState.maxSampleBytes
        if bytes.count < needed { bytes.append(contentsOf: repeatElement(0, count: max(needed, bytes.count) * 2 - bytes.count)) }
        var state = self.state
        unsafe bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            // SAFETY: grown just above to hold any sample.
            unsafe state.append(timestampMs, value.bitPattern, to: base)
            unsafe base.storeBytes(of: state.count.bigEndian, as: UInt16.self)
        }
        self.state = state
        return true
    }

    public func finish() -> XORChunk { XORChunk(bytes: count == 0 ? [0, 0] : Array(bytes[..<state.sizeBytes])) }
}
