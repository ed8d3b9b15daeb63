import ApusBytes
import ApusConfig
import ApusPromQL
import ApusTSDB

/// What flags and configuration together say of the storage. Upstream's rule: what the file says wins, and 15 days hold
/// when neither says anything of time or size.
struct StorageSettings: Sendable {
    let flags: StorageFlags
    let features: Features

    static let defaultRetentionMs: Int64 = 15 * 86_400_000

    /// What a reload may change.
    /// - Throws: `ConfigProblem` when a rule's selector is none, or start timestamps are wanted in chunks that have no room for them.
    func settings(_ configuration: StorageConfig) throws(ConfigProblem) -> DatabaseSettings {
        let flagMs = flags.retentionTime?.ms
        let bytes = configuration.retentionSizeBytes ?? Int64(clamping: flags.retentionSize.bytes)
        let percentage = configuration.retentionPercentage ?? 0
        let retentionMs = configuration.retentionMs ?? flagMs ?? (bytes > 0 || percentage > 0 ? 0 : Self.defaultRetentionMs)
        let exemplars = configuration.maxExemplars ?? (features.exemplarStorage ? StorageConfig.defaultMaxExemplars : 0)
        return DatabaseSettings(
            retentionMs: retentionMs, retentionBytes: bytes, retentionPercentage: percentage,
            retentionRules: try rules(configuration.retentionRules), outOfOrderWindowMs: configuration.outOfOrderTimeWindowMs,
            maxExemplars: Int(clamping: exemplars), formats: try formats(configuration))
    }

    private func formats(_ configuration: StorageConfig) throws(ConfigProblem) -> ChunkFormats {
        let usesXOR2 = configuration.usesXOR2Chunks ?? features.xor2Chunks
        if features.startTimestamps && !usesXOR2 {
            throw ConfigProblem(
                "--enable-feature=st-storage keeps start timestamps in XOR2 chunks: set storage.tsdb.chunk_encoding.floats to xor2",
                at: configuration.chunkEncodingPosition)
        }
        return ChunkFormats(
            usesXOR2: usesXOR2, keepsStarts: features.startTimestamps, keepsHistogramStarts: features.histogramStartTimestamps)
    }

    private func rules(_ rules: [StorageConfig.RetentionRule]) throws(ConfigProblem) -> [RetentionRule] {
        var result: [RetentionRule] = []
        for rule in rules {
            do {
                result.append(RetentionRule(matchers: try parseSelector(ByteString(rule.match)), retentionMs: rule.timeMs))
            } catch {
                throw ConfigProblem("'storage.tsdb.retention.rules': \(rule.match): \(error.message)", at: rule.position)
            }
        }
        return result
    }

    func options(_ configuration: StorageConfig) throws(ConfigProblem) -> DatabaseOptions {
        var options = DatabaseOptions(
            settings: try settings(configuration), minBlockDurationMs: flags.minBlockDuration.ms,
            maxBlockDurationMs: flags.maxBlockDuration.ms, walSegmentBytes: flags.walSegmentSize.bytes,
            walCompression: flags.isWALCompressed ? flags.walCompression : .none, walSyncIntervalMs: flags.walSyncInterval.ms,
            maxSeries: flags.maximumSeries, samplesPerChunk: flags.samplesPerChunk, isSnapshotEnabled: flags.hasFastStart,
            hasLockFile: !flags.hasNoLockFile)
        // A small limit leaves little for what only saves time.
        let cacheBytes = flags.decodedCacheSize.bytes
        options.decodedCacheBytes = flags.memoryLimit.bytes > 0 ? min(cacheBytes, flags.memoryLimit.bytes / 16) : cacheBytes
        // In memory mode the oldest samples make room long before anything else has to give way.
        if flags.mode == .memory { options.memoryLimitBytes = flags.memoryLimit.bytes / 100 * Self.memoryModeShare }
        return options
    }

    /// Of `--memory.limit`, what samples may take in memory mode, in percent: below the first step of the budget.
    private static let memoryModeShare = 70
}
