/// Which series of which block.
struct DecodedCacheKey: Equatable {
    let block: UInt32
    let series: UInt32
    let hash: UInt64

    init(block: UInt32, series: UInt32) {
        self.block = block
        self.series = series
        // Refs differ in low bits, blocks in few: multiplications spread them over all.
        var mixed = (UInt64(block) &<< 32 | UInt64(series)) &* 0x9E37_79B9_7F4A_7C15
        mixed ^= mixed &>> 32
        hash = mixed &* 0xD6E8_FEB8_6659_FD93
    }

    /// - Parameter count: a power of two.
    func shard(_ count: Int) -> Int { Int(truncatingIfNeeded: hash &>> 50) & (count &- 1) }
}

/// A part of the cache, behind one lock.
final class DecodedCacheShard {
    private struct Entry {
        let key: DecodedCacheKey
        let run: DecodedRun
        let sizeBytes: Int
        /// When it was asked for last, in reads of the shard.
        var lastTick: UInt32
        /// The same in calls of `age`.
        var lastAge: UInt32
    }

    /// Among so many entries, from the hand on, is looked for the one that was not used for longest.
    private static let samples = 8
    /// Series that were asked for and are not here are remembered in so many places.
    private static let seenCount = 512

    private let limitBytes: Int
    private var isEnabled = true
    private var bytes = 0
    private var table = IndexTable()
    /// Without gaps: the last takes the place of one that goes.
    private var entries: [Entry] = []
    private var hand = 0
    /// By hash: half of it, and when the series was asked for.
    private var seen: [UInt64] = []
    /// Reads so far. Differences count: it begins again.
    private var tick: UInt32 = 0
    private var currentAge: UInt32 = 0
    private var hits: UInt64 = 0
    private var misses: UInt64 = 0
    private var evictions: UInt64 = 0

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    func find(_ key: DecodedCacheKey, _ minTimeMs: Int64, _ maxTimeMs: Int64) -> DecodedCache.Lookup {
        tick &+= 1
        if let index = index(of: key) {
            entries[index].lastTick = tick
            let run = entries[index].run
            if run.header.covers.lowerBound <= minTimeMs, run.header.covers.upperBound >= maxTimeMs {
                hits &+= 1
                entries[index].lastAge = currentAge
                return .hit(run)
            }
            misses &+= 1
            return .wanted
        }
        misses &+= 1
        guard isEnabled, let pause = sawAgain(key), makesRoom(for: pause) else { return .miss }
        return .wanted
    }

    private func index(of key: DecodedCacheKey) -> Int? {
        table.find(hash: key.hash) { entries[Int($0)].key == key }.map { Int($0) }
    }

    /// Notes that a series was asked for; how long ago that was before, if it was.
    private func sawAgain(_ key: DecodedCacheKey) -> UInt32? {
        if seen.isEmpty { seen = [UInt64](repeating: 0, count: Self.seenCount) }
        let place = Int(truncatingIfNeeded: key.hash &>> 20) & (Self.seenCount &- 1)
        let mark = key.hash & 0xFFFF_FFFF_0000_0000 | 1 << 32
        let before = seen[place]
        seen[place] = mark | UInt64(tick)
        return before & 0xFFFF_FFFF_0000_0000 == mark ? tick &- UInt32(truncatingIfNeeded: before) : nil
    }

    /// Whether there is room for a usual run, or was made: of one that was not asked for in more than `pause`.
    private func makesRoom(for pause: UInt32) -> Bool {
        bytes &+ usualBytes <= limitBytes || evict(idleFor: pause)
    }

    /// Lets go of the one that was not asked for in the longest time, of a few, if that is more than `pause`.
    private func evict(idleFor pause: UInt32) -> Bool {
        var oldest = -1
        var longest = pause
        for _ in 0..<min(Self.samples, entries.count) {
            hand = hand &+ 1 >= entries.count ? 0 : hand &+ 1
            let idle = tick &- entries[hand].lastTick
            if idle > longest { (oldest, longest) = (hand, idle) }
        }
        if oldest < 0 { return false }
        remove(at: oldest)
        evictions &+= 1
        return true
    }

    /// Of the runs that are here, on average.
    private var usualBytes: Int { entries.isEmpty ? 0 : bytes / entries.count }

    /// Keeps a run, in place of what there is of its series.
    func insert(_ key: DecodedCacheKey, _ run: DecodedRun) {
        let size = DecodedRun.sizeBytes(run.header)
        guard isEnabled, size <= limitBytes else { return }
        if let index = index(of: key) { remove(at: index) }
        // It may be larger than what made room for it.
        while bytes &+ size > limitBytes { if !evict(idleFor: 0) { return } }
        guard let index = UInt32(exactly: entries.count) else { return }
        entries.append(Entry(key: key, run: run, sizeBytes: size, lastTick: tick, lastAge: currentAge))
        bytes &+= size
        table.insert(index, hash: key.hash) { entries[Int($0)].key.hash }
    }

    private func remove(at index: Int) {
        let last = entries.count - 1
        bytes &-= entries[index].sizeBytes
        table.remove(UInt32(index), hash: entries[index].key.hash)
        if index != last {
            table.remove(UInt32(last), hash: entries[last].key.hash)
            entries[index] = entries[last]
            table.insert(UInt32(index), hash: entries[index].key.hash) { entries[Int($0)].key.hash }
        }
        entries.removeLast()
    }

    func age() {
        currentAge &+= 1
        var index = 0
        while index < entries.count {
            if currentAge &- entries[index].lastAge > 1 { remove(at: index) } else { index += 1 }
        }
        if entries.isEmpty { release() }
    }

    func setEnabled(_ isEnabled: Bool) {
        self.isEnabled = isEnabled
        if !isEnabled { release() }
    }

    private func release() {
        entries = []
        seen = []
        table = IndexTable()
        bytes = 0
        hand = 0
    }

    func add(to statistics: inout DecodedCache.Statistics) {
        statistics.bytes += bytes
        statistics.series += entries.count
        statistics.hits &+= hits
        statistics.misses &+= misses
        statistics.evictions &+= evictions
    }
}
