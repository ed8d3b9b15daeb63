/// How long things took lately, by a hash of what they were: so that who does the same again knows whether it is quick.
///
/// Of a fixed size: each hash has one place, and what comes to it later drives out what was there. Nothing is sure: two things
/// may share a hash, and what was quick may take long the next time.
public final class RecentDurations: Sendable {
    /// Microseconds beside what is left of the hash.
    private static let durationBits: UInt64 = 20
    private static let longest: UInt64 = (1 << durationBits) - 1

    private let places: Locked<[UInt64]>
    private let mask: Int

    /// - Parameter capacity: rounded up to a power of two, at most 65,536; 8 bytes each.
    public init(capacity: Int = 1024) {
        var count = 16
        while count < min(capacity, 65_536) { count *= 2 }
        mask = count - 1
        places = Locked([UInt64](repeating: 0, count: count))
    }

    /// How long the thing took last, ns, rounded up to the next microsecond; nil when it is not known. More than a second is
    /// told as a second.
    public func last(hash: UInt64) -> UInt64? {
        let found = places.withLock { $0[Int(truncatingIfNeeded: hash) & mask] }
        guard found != 0, found &>> Self.durationBits == hash &>> Self.durationBits else { return nil }
        return (found & Self.longest) &* 1000
    }

    public func note(hash: UInt64, ns: UInt64) {
        let microseconds = max(1, min(Self.longest, ns / 1000 &+ 1))
        let entry = (hash & ~Self.longest) | microseconds
        places.withLock { $0[Int(truncatingIfNeeded: hash) & mask] = entry }
    }
}
