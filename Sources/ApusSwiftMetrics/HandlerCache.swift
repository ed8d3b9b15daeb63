import ApusBytes
import ApusMetrics
import ApusModel

/// Series by label and dimensions as they were handed over, so that making a metric again costs one look-up.
///
/// Sixteen tables by hash, each open addressing under a lock of its own: a look-up hashes the strings before it takes
/// the lock and compares them under it, which for the same literals is comparing addresses.
final class HandlerCache: Sendable {
    /// A class, so that to look at one is to retain one object and not its three parts.
    private final class Entry: Sendable {
        let hash: UInt64
        let kind: MetricKind
        let label: String
        let dimensions: [(String, String)]
        let metric: Instrument

        init(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)], _ metric: Instrument) {
            self.hash = hash
            self.kind = kind
            self.label = label
            self.dimensions = dimensions
            self.metric = metric
        }

        func matches(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Bool {
            guard self.hash == hash, self.kind == kind, self.label == label, self.dimensions.count == dimensions.count else {
                return false
            }
            for index in dimensions.indices
            where self.dimensions[index].1 != dimensions[index].1 || self.dimensions[index].0 != dimensions[index].0 {
                return false
            }
            return true
        }
    }
    private struct Shard {
        /// A power of two of places, at most half of them taken.
        var places = [Entry?](repeating: nil, count: 8)
        var count = 0
    }
    private struct Owner {
        let family: FamilyTable.Family
        var hashes: [UInt64]
    }
    private static let shardCount = 16
    /// In how many orders of dimensions, or spellings of their names, one series is remembered.
    private static let maximumOrders = 64

    private let seed = UInt64.random(in: .min ... .max)
    private let shards = (0..<shardCount).map { _ in Locked(Shard()) }
    private let shardLimit: Int
    /// Where each metric is from and under which hashes it stands, for when it is destroyed.
    private let owners = Locked<[ObjectIdentifier: Owner]>([:])

    init(limit: Int) { shardLimit = max(1, limit / Self.shardCount) }

    func hash(_ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> UInt64 {
        var hash = Self.hash(label, seed: seed &+ UInt64(kind.rawValue))
        for (name, value) in dimensions { hash = Self.hash(value, seed: Self.hash(name, seed: hash)) }
        return hash
    }

    func find(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Instrument? {
        shard(hash).withLock { shard in
            guard let place = Self.place(hash, kind, label, dimensions, in: shard.places).found else { return nil }
            return shard.places[place]?.metric
        }
    }

    func insert(
        _ metric: Instrument, of family: FamilyTable.Family, _ hash: UInt64, _ kind: MetricKind, _ label: String,
        _ dimensions: [(String, String)]
    ) {
        // Before it can be found: what is found can be destroyed.
        let isKnown = owners.withLock { owners in
            var owner = owners[ObjectIdentifier(metric)] ?? Owner(family: family, hashes: [])
            if !owner.hashes.contains(hash) {
                // The orders of a few dimensions; more of them take the long way.
                guard owner.hashes.count < Self.maximumOrders else { return false }
                owner.hashes.append(hash)
            }
            owners[ObjectIdentifier(metric)] = owner
            return true
        }
        guard isKnown else { return }
        let entry = Entry(hash, kind, label, dimensions, metric)
        shard(hash).withLock { shard in
            guard shard.count < shardLimit else { return }
            if (shard.count + 1) * 2 > shard.places.count { Self.rebuild(&shard, places: shard.places.count * 2, without: nil) }
            let (found, free) = Self.place(hash, kind, label, dimensions, in: shard.places)
            if found == nil, let free {
                shard.places[free] = entry
                shard.count += 1
            }
        }
    }

    /// Forgets a metric. Returns the family that it is a series of.
    func remove(_ metric: Instrument) -> FamilyTable.Family? {
        guard let owner = owners.withLock({ $0.removeValue(forKey: ObjectIdentifier(metric)) }) else { return nil }
        for hash in Set(owner.hashes) {
            shard(hash).withLock { Self.rebuild(&$0, places: $0.places.count, without: metric) }
        }
        return owner.family
    }

    private func shard(_ hash: UInt64) -> Locked<Shard> { shards[Int(truncatingIfNeeded: hash >> 60)] }

    private static func place(
        _ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)], in places: [Entry?]
    ) -> (found: Int?, free: Int?) {
        let mask = places.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while let entry = places[place] {
            if entry.matches(hash, kind, label, dimensions) { return (place, nil) }
            place = (place + 1) & mask
        }
        return (nil, place)
    }

    private static func rebuild(_ shard: inout Shard, places count: Int, without gone: Instrument?) {
        var fresh = [Entry?](repeating: nil, count: count)
        var kept = 0
        for case let entry? in shard.places where entry.metric !== gone {
            var place = Int(truncatingIfNeeded: entry.hash) & (count - 1)
            while fresh[place] != nil { place = (place + 1) & (count - 1) }
            fresh[place] = entry
            kept += 1
        }
        shard = Shard(places: fresh, count: kept)
    }

    private static func hash(_ text: String, seed: UInt64) -> UInt64 {
        // Native strings give their bytes without a copy; a bridged one, which Linux has not, is copied.
        if let hash = unsafe text.utf8.withContiguousStorageIfAvailable({
            // SAFETY: the pointer is valid for `count` bytes during the closure.
            unsafe hashBytes($0.baseAddress, count: $0.count, seed: seed)
        }) {
            return hash
        }
        return hashBytes(Array(text.utf8).span, seed: seed)
    }
}
