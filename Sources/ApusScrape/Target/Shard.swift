/// Which of several servers scrapes a target: number `index` of `count`, from 1, as `--scrape.shard=2/5` says.
///
/// Rendezvous hashing: each server has a score for each target, and the highest one scrapes it. One more server takes its
/// share evenly from the others, and nothing else moves. Source: Thaler and Ravishankar, "Using Name-Based Mappings to
/// Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1), 1998.
public struct Shard: Sendable, Equatable, CustomStringConvertible {
    public static let maxCount = 10_000
    public let index: Int
    public let count: Int

    /// - Returns: nil unless the text is `index/count` with 1 ≤ index ≤ count ≤ `maxCount`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]), index >= 1, index <= count, count <= Self.maxCount
        else { return nil }
        self.index = index
        self.count = count
    }

    public var description: String { "\(index)/\(count)" }

    /// - Parameter target: a hash of what names the target, the same on all servers.
    func owns(_ target: UInt64) -> Bool {
        let own = Self.score(target, index)
        for other in 1...count where other != index {
            let score = Self.score(target, other)
            // Of equal scores the lower number wins, on all servers alike.
            if score > own || (score == own && other < index) { return false }
        }
        return true
    }

    /// The finalizer of splitmix64 over both.
    private static func score(_ target: UInt64, _ shard: Int) -> UInt64 {
        var z = target ^ (UInt64(truncatingIfNeeded: shard) &* 0x9E37_79B9_7F4A_7C15)
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
