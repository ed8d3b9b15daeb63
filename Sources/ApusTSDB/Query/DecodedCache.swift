import ApusModel
import ApusStorage

/// Decoded samples of blocks that queries asked for lately, so that a dashboard that asks again every few seconds does not
/// have the same bits unpacked again.
///
///     key  block · series ──hash──▶ shard ──▶ entry ─▶ DecodedRun   first, step │ values [times]
///                                     └─────▶ seen     when those were asked for that are not here
///
/// - Bounded by bytes; a shard has its share. A series comes in when it is asked for again, and when the cache is full, only in
///   place of one that has not been asked for in a longer time than lies between the two. So a scan of a year drives nobody
///   out, a round that does not fit keeps the part that does, and a new dashboard takes the place of one that was left.
/// - Chunks of floats without start timestamps only: nearly all there are. Times at equal distances, as scrapes leave them,
///   take no memory of their own.
/// - `age` lets go of what nobody used for two of its calls: an idle server gives the memory back.
///
/// A hit costs a lock, a hash and the copy of what is wanted; decoding costs some 4 ns a sample from each chunk's first on,
/// and the checksum. Answers are the same to the bit: what is kept is what the decoder gave. Why whole series and not chunks:
/// `docs/decisions/0011-decoded-cache.md`.
public final class DecodedCache: Sendable {
    public struct Statistics: Sendable {
        public var limitBytes = 0
        public var bytes = 0
        public var series = 0
        public var hits: UInt64 = 0
        public var misses: UInt64 = 0
        public var evictions: UInt64 = 0
    }

    /// What to do about a series that was asked for.
    enum Lookup {
        case hit(DecodedRun)
        /// Decode it; it is not worth keeping yet.
        case miss
        /// Decode its chunks whole, and `insert` them.
        case wanted
    }

    public static let defaultLimitBytes = 24 << 20
    /// Threads of many queries that look at the same moment should not meet.
    private static let shardCount = 64

    private let shards: [Locked<DecodedCacheShard>]
    private let lastBlock = Locked<UInt32>(0)
    public let limitBytes: Int

    /// - Parameter limitBytes: of decoded samples and what finds them; 0: nothing is kept.
    public init(limitBytes: Int = DecodedCache.defaultLimitBytes) {
        self.limitBytes = max(0, limitBytes)
        let share = self.limitBytes / Self.shardCount
        shards = (0..<Self.shardCount).map { _ in Locked(DecodedCacheShard(limitBytes: share)) }
    }

    /// A number for a block that is opened: its series are kept under it.
    func newBlock() -> UInt32 {
        lastBlock.withLock { last in
            last &+= 1
            return last
        }
    }

    func find(_ series: UInt32, of block: UInt32, minTimeMs: Int64, maxTimeMs: Int64) -> Lookup {
        if limitBytes == 0 { return .miss }
        let key = DecodedCacheKey(block: block, series: series)
        return shards[key.shard(Self.shardCount)].withLock { $0.find(key, minTimeMs, maxTimeMs) }
    }

    /// Keeps a run, in place of what there is of its series.
    func insert(_ series: UInt32, of block: UInt32, _ run: DecodedRun) {
        let key = DecodedCacheKey(block: block, series: series)
        shards[key.shard(Self.shardCount)].withLock { $0.insert(key, run) }
    }

    /// Lets go of what was not used since the call before the last. To be called every minute or so.
    public func age() { for shard in shards { shard.withLock { $0.age() } } }

    /// Whether anything is kept; false lets go of all there is.
    public func setEnabled(_ isEnabled: Bool) { for shard in shards { shard.withLock { $0.setEnabled(isEnabled) } } }

    public func statistics() -> Statistics {
        var result = Statistics()
        result.limitBytes = limitBytes
        for shard in shards { shard.withLock { $0.add(to: &result) } }
        return result
    }
}
