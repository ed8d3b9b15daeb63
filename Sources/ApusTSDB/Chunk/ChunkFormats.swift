/// Which of the newer chunk encodings and log records are written. Prometheus before 3.11 skips such records without a word
/// and fails on such chunks, so none is written unless it was asked for; all are read always.
public struct ChunkFormats: Sendable, Equatable {
    /// Chunks of floats are XOR2: `storage.tsdb.chunk_encoding.floats: xor2`.
    public var usesXOR2: Bool
    /// Start timestamps are kept: those of floats need XOR2. `--enable-feature=st-storage`.
    public var keepsStarts: Bool
    /// Those of native histograms, too. `--enable-feature=histograms-st-encoding`.
    public var keepsHistogramStarts: Bool

    public init(usesXOR2: Bool = false, keepsStarts: Bool = false, keepsHistogramStarts: Bool = false) {
        self.usesXOR2 = usesXOR2
        self.keepsStarts = keepsStarts
        self.keepsHistogramStarts = keepsHistogramStarts
    }

    /// What every Prometheus reads.
    public static let compatible = ChunkFormats()

    /// Whether the open chunks of histograms have start timestamps.
    var hasHistogramStarts: Bool { keepsStarts && keepsHistogramStarts }
}
