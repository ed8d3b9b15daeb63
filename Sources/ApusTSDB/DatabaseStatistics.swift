/// What a database holds and what it has done; for `/metrics` and the status page. Counters count since the start.
public struct DatabaseStatistics: Sendable {
    /// One of upstream's summaries or histograms, without its buckets.
    public struct Durations: Sendable, Equatable {
        public var count: UInt64 = 0
        public var sumSeconds = 0.0
        mutating func add(_ seconds: Double) {
            count += 1
            sumSeconds += seconds
        }
    }

    /// What compactions did, of head and blocks.
    public struct Compactions: Sendable, Equatable {
        /// Passes that were begun, whether or not there was anything to do.
        public var triggered: UInt64 = 0
        public var skipped: UInt64 = 0
        /// Blocks written.
        public var total: UInt64 = 0
        public var failed: UInt64 = 0
        public var duration = Durations()
        public var headTruncations: UInt64 = 0
        public var headTruncationsFailed: UInt64 = 0
        public var walTruncations = Durations()
        public var checkpointsCreated: UInt64 = 0
        public var checkpointsFailed: UInt64 = 0
        public var checkpointsDeleted: UInt64 = 0
        /// A block is being written now.
        public var isPopulating = false
    }

    public struct Retention: Sendable, Equatable {
        /// Blocks that went by time, by size (or share of the disk).
        public var timeDeletions: UInt64 = 0
        public var sizeDeletions: UInt64 = 0
        /// The limits in force; 0 for none.
        public var limitMs: Int64 = 0
        public var limitBytes: Int64 = 0
    }

    public var head = HeadStatistics()
    /// Nil in memory mode.
    public var wal: WALStatistics?
    public var wbl: WALStatistics?
    public var chunkFiles: HeadChunkFiles.Statistics?
    public var numBlocks = 0
    public var blockBytes: Int64 = 0
    public var walBytes: Int64 = 0
    public var wblBytes: Int64 = 0
    /// Bytes in memory for finding the symbols of blocks.
    public var symbolTableBytes: Int64 = 0
    /// Of the oldest sample or block, `Int64.max` when there is none.
    public var minTimeMs = Int64.max
    public var maxTimeMs = Int64.min
    public var reloads: UInt64 = 0
    public var reloadsFailed: UInt64 = 0
    /// Blocks that could not be loaded at the last look at the directory.
    public var brokenBlocks = 0
    public var tombstoneCleanups = Durations()
    public var compactions = Compactions()
    public var retention = Retention()
    public var replaySeconds = 0.0
    public var isReadOnly = false
    /// Whether the log has been given up for the moment since the disk refused; the text says why.
    public var suspension: String?
}

extension Database {
    public func statistics() -> DatabaseStatistics {
        var (result, blocks, outOfOrderLog) = state.withLock { state in
            var result = state.statistics
            result.retention.limitMs = state.settings.retentionMs
            return (result, state.blocks, state.outOfOrderLog)
        }
        result.head = head.statistics()
        result.minTimeMs = min(result.head.minTimeMs, blocks.map(\.minTimeMs).min() ?? .max)
        result.maxTimeMs = max(result.head.maxTimeMs, blocks.map(\.maxTimeMs).max() ?? .min)
        result.numBlocks = blocks.count
        result.blockBytes = blocks.reduce(0) { $0 + Int64($1.sizeBytes) }
        result.symbolTableBytes = blocks.reduce(0) { $0 + Int64($1.symbolTableBytes) }
        guard let disk else { return result }
        result.wal = disk.wal?.statistics
        result.wbl = outOfOrderLog?.statistics
        result.chunkFiles = disk.chunkFiles?.statistics()
        result.walBytes = Int64(disk.wal?.sizeBytes ?? 0)
        result.wblBytes = Int64(outOfOrderLog?.sizeBytes ?? 0)
        for log in [disk.wal, outOfOrderLog] {
            if case .suspended(_, let error) = log?.state { result.suspension = error.description }
        }
        return result
    }
}
