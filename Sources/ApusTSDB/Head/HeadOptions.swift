/// What a head keeps, and its limits.
public struct HeadOptions: Sendable {
    /// Samples older than the newest by more than this are dropped, a whole period at a time; 0 keeps all.
    public var retentionMs: Int64
    /// Length of a period: no chunk crosses its ends, and what is dropped is dropped by it. At most 2³² − 1.
    public var chunkRangeMs: Int64
    /// A chunk is sealed when it holds so many; 2 to 440.
    public var samplesPerChunk: Int
    /// Series the head will hold; 0 for no limit.
    public var maxSeries: Int
    /// Bytes of one label set, names and values; what is longer is refused.
    public var maxLabelSetBytes: Int
    /// The first ref the head gives, unless a replay has found larger ones.
    public var firstRef: UInt64
    /// In which formats chunks begin; `Head.use(formats:)` changes it.
    public var formats = ChunkFormats.compatible
    /// Told of everything before it is applied. Nothing that a replay brings is written to it. See `Head.use(log:)`.
    public var log: (any CommitLog)?
    /// Takes sealed chunks, so that they need no memory; nil keeps them in memory.
    public var chunkFiles: (any SealedChunkStore)?

    /// Labels are written anew when so many pairs or more are known and fewer than half have a series.
    var labelRebuildPairs = 65_536

    public init(
        retentionMs: Int64 = 15 * 86_400_000, chunkRangeMs: Int64 = 2 * 3_600_000, samplesPerChunk: Int = 120, maxSeries: Int = 0,
        maxLabelSetBytes: Int = 1 << 20, firstRef: UInt64 = 1, log: (any CommitLog)? = nil,
        chunkFiles: (any SealedChunkStore)? = nil
    ) {
        self.retentionMs = max(0, retentionMs)
        self.chunkRangeMs = min(max(1, chunkRangeMs), Int64(UInt32.max))
        self.samplesPerChunk = min(max(2, samplesPerChunk), XORState.maxSamples)
        self.maxSeries = max(0, maxSeries)
        self.maxLabelSetBytes = min(max(0, maxLabelSetBytes), 1 << 24)
        self.firstRef = min(firstRef, (1 << 40) - (1 << 32))
        self.log = log
        self.chunkFiles = chunkFiles
    }
}
