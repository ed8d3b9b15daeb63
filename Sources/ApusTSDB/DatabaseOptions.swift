import ApusBytes
public import ApusStorage

/// Series that are kept for another time than the rest.
///
/// A series belongs to the first rule whose matchers all match it; one that no rule matches is kept as long as the
/// database keeps anything. So a list reads like one of routes: exceptions first.
public struct RetentionRule: Sendable, Hashable {
    public var matchers: [Matcher]
    /// Samples older than the newest block's end by more than this are removed. 0 keeps them for good, within the limits of
    /// the database: the way to write an exception.
    public var retentionMs: Int64
    public init(matchers: [Matcher], retentionMs: Int64) {
        self.matchers = matchers
        self.retentionMs = max(0, retentionMs)
    }
}

/// What a reload of the configuration may change while the database runs.
public struct DatabaseSettings: Sendable, Equatable {
    /// A block goes when all of it is older than the newest block's end by more than this; 0 keeps all.
    public var retentionMs: Int64
    /// The oldest blocks go while blocks, logs and the head's chunk files have more bytes; 0 for no limit.
    public var retentionBytes: Int64
    /// The same as a share of the disk that the directory lies on, above 0 up to 100; goes before `retentionBytes`; 0 for
    /// no limit.
    public var retentionPercentage: Double
    /// The first that matches a series wins.
    public var retentionRules: [RetentionRule]
    /// How much older than the newest sample one may be and still be taken; 0 takes samples in order only.
    public var outOfOrderWindowMs: Int64
    /// Exemplars held in memory; 0 for none.
    public var maxExemplars: Int
    /// Which of the newer formats are written.
    public var formats: ChunkFormats

    public init(
        retentionMs: Int64 = 15 * 86_400_000, retentionBytes: Int64 = 0, retentionPercentage: Double = 0, retentionRules: [RetentionRule] = [],
        outOfOrderWindowMs: Int64 = 0, maxExemplars: Int = 0, formats: ChunkFormats = .compatible
    ) {
        self.retentionMs = max(0, retentionMs)
        self.retentionBytes = max(0, retentionBytes)
        self.retentionPercentage = retentionPercentage > 0 ? min(retentionPercentage, 100) : 0
        self.retentionRules = retentionRules
        self.outOfOrderWindowMs = max(0, outOfOrderWindowMs)
        self.maxExemplars = max(0, maxExemplars)
        self.formats = formats
    }
}

/// What a database keeps, how it lays it out, and its limits.
public struct DatabaseOptions: Sendable {
    public static let defaultBlockDurationMs: Int64 = 2 * 3_600_000
    static let longestBlockDurationMs: Int64 = 31 * 86_400_000
    /// Each range of blocks is so many times the one below it.
    static let rangeFactor: Int64 = 3

    public var settings: DatabaseSettings
    /// Time a block has that is written from the head.
    public var minBlockDurationMs: Int64
    /// Time no block is compacted beyond; 0 for 31 days or, if that is less, a tenth of the retention.
    public var maxBlockDurationMs: Int64
    public var walSegmentBytes: Int
    public var walCompression: WALCompression
    /// How often the logs are synced: what a power cut may take.
    public var walSyncIntervalMs: Int64
    /// Series the head will hold; 0 for no limit.
    public var maxSeries: Int
    /// A chunk is sealed when it holds so many.
    public var samplesPerChunk: Int
    /// Bytes of one label set, names and values; what is longer is refused.
    public var maxLabelSetBytes: Int
    /// Bytes a file of chunks in a block may have.
    public var maxChunkFileBytes: Int
    /// Whether blocks are merged, also those that overlap. Without, what is in the head is still written to blocks.
    public var isCompactionEnabled: Bool
    /// Whether stopping leaves a picture of the head for the next start.
    public var isSnapshotEnabled: Bool
    /// Whether the directory is locked, so that no other process takes it. Without, nothing but care keeps two from it.
    public var hasLockFile: Bool
    /// Bytes of memory a head in memory mode may have before its oldest period goes; 0 for no limit.
    public var memoryLimitBytes: Int
    /// Bytes of decoded samples of blocks that are kept for queries to come; 0 for none.
    public var decodedCacheBytes: Int
    /// Whether the disk, the log and the compactor have threads of their own. Without, all is done in `maintain`, by its
    /// caller: for tests.
    public var hasThreads: Bool
    /// How often compaction and retention run.
    public var maintenanceIntervalMs: Int64

    public init(
        settings: DatabaseSettings = DatabaseSettings(), minBlockDurationMs: Int64 = DatabaseOptions.defaultBlockDurationMs,
        maxBlockDurationMs: Int64 = 0, walSegmentBytes: Int = 128 << 20, walCompression: WALCompression = .snappy,
        walSyncIntervalMs: Int64 = 1000, maxSeries: Int = 0, samplesPerChunk: Int = 120, maxLabelSetBytes: Int = 1 << 20,
        maxChunkFileBytes: Int = 512 << 20, isCompactionEnabled: Bool = true, isSnapshotEnabled: Bool = true, hasLockFile: Bool = true,
        memoryLimitBytes: Int = 0, decodedCacheBytes: Int = DecodedCache.defaultLimitBytes, hasThreads: Bool = true, maintenanceIntervalMs: Int64 = 60_000
    ) {
        self.settings = settings
        self.minBlockDurationMs = min(max(1, minBlockDurationMs), Int64(UInt32.max))
        self.maxBlockDurationMs = max(0, maxBlockDurationMs)
        self.walSegmentBytes = walSegmentBytes
        self.walCompression = walCompression
        self.walSyncIntervalMs = max(1, walSyncIntervalMs)
        self.maxSeries = max(0, maxSeries)
        self.samplesPerChunk = samplesPerChunk
        self.maxLabelSetBytes = maxLabelSetBytes
        self.maxChunkFileBytes = maxChunkFileBytes
        self.isCompactionEnabled = isCompactionEnabled
        self.isSnapshotEnabled = isSnapshotEnabled
        self.hasLockFile = hasLockFile
        self.memoryLimitBytes = max(0, memoryLimitBytes)
        self.decodedCacheBytes = max(0, decodedCacheBytes)
        self.hasThreads = hasThreads
        self.maintenanceIntervalMs = max(1, maintenanceIntervalMs)
    }

    /// Times of blocks by level, ascending: the shortest, three times it, nine times …, up to the longest.
    public var blockRangesMs: [Int64] {
        var longest = maxBlockDurationMs
        if longest == 0 {
            longest = Self.longestBlockDurationMs
            if settings.retentionMs > 0 { longest = min(longest, settings.retentionMs / 10) }
        }
        var ranges = [minBlockDurationMs]
        while let last = ranges.last, ranges.count < 10 {
            let (next, overflow) = last.multipliedReportingOverflow(by: Self.rangeFactor)
            if overflow || next > longest { break }
            ranges.append(next)
        }
        return ranges
    }

    var headOptions: HeadOptions {
        var options = HeadOptions(
            retentionMs: 0, chunkRangeMs: minBlockDurationMs, samplesPerChunk: samplesPerChunk, maxSeries: maxSeries,
            maxLabelSetBytes: maxLabelSetBytes)
        options.formats = settings.formats
        return options
    }
}
