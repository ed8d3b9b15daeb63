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
        /// Retention rules in force; blocks, and series of the head, in which they have marked something; and how often they
        /// could not.
        public var rules = 0
        public var blocksMarked: UInt64 = 0
        public var headSeriesMarked: UInt64 = 0
        public var rulesFailed: UInt64 = 0
    }

    /// What chunks are like when they get into a block for the first time.
    public struct ChunkShapes: Sendable, Equatable {
        public var sizeBytes = Distribution(first: 32, factor: 1.5, count: 12)
        public var samples = Distribution(first: 4, factor: 1.5, count: 12)
        /// Time from the first sample to the last, ms, in spite of the metric's name.
        public var rangeMs = Distribution(first: 100, factor: 4, count: 10)

        mutating func add(_ chunk: EncodedChunk) {
            sizeBytes.add(Double(chunk.bytes.count))
            samples.add(Double(chunk.count))
            rangeMs.add(Double(chunk.maxTimeMs &- chunk.minTimeMs))
        }

        mutating func add(_ other: ChunkShapes) {
            sizeBytes.add(other.sizeBytes)
            samples.add(other.samples)
            rangeMs.add(other.rangeMs)
        }
    }

    /// A histogram whose bounds are so many times each other.
    public struct Distribution: Sendable, Equatable {
        public let upperBounds: [Double]
        /// Not cumulative; one more than the bounds.
        public private(set) var counts: [UInt64]
        public private(set) var sum = 0.0

        init(first: Double, factor: Double, count: Int) {
            var bounds: [Double] = []
            var bound = first
            for _ in 0..<count {
                bounds.append(bound)
                bound *= factor
            }
            upperBounds = bounds
            counts = Array(repeating: 0, count: count + 1)
        }

        mutating func add(_ value: Double) {
            counts[upperBounds.firstIndex { value <= $0 } ?? upperBounds.count] &+= 1
            sum += value
        }

        /// Adds another of the same bounds.
        mutating func add(_ other: Distribution) {
            for (index, count) in other.counts.enumerated() where counts.indices.contains(index) { counts[index] &+= count }
            sum += other.sum
        }
    }

    public var head = HeadStatistics()
    /// Nil in memory mode.
    public var wal: WALStatistics?
    public var wbl: WALStatistics?
    public var chunkFiles: HeadChunkFiles.Statistics?
    public var decodedCache = DecodedCache.Statistics()
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
    public var chunkShapes = ChunkShapes()
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
            result.retention.rules = state.settings.retentionRules.count
            return (result, state.blocks, state.outOfOrderLog)
        }
        result.head = head.statistics()
        result.minTimeMs = min(result.head.minTimeMs, blocks.map(\.minTimeMs).min() ?? .max)
        result.maxTimeMs = max(result.head.maxTimeMs, blocks.map(\.maxTimeMs).max() ?? .min)
        result.decodedCache = decodedCache.statistics()
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
