import ApusBytes
import ApusModel
import ApusPromQL

/// A query that ended, as statistics keep it.
struct RecentQuery: Sendable {
    /// Cut to `maxTextBytes`.
    var text: ByteString
    /// The time between first and last step, rounded to seconds: the same expression over an hour and over a month are two queries.
    var rangeSeconds: Int64
    var endedMs: Int64
    var seconds: Double
    var samples: Int64
    var peakBytes: Int64
    var hasFailed: Bool

    static let maxTextBytes = 2_048

    init(_ activity: QueryActivity, _ outcome: QueryOutcome, endedMs: Int64) {
        let query = activity.query
        text = query.count > Self.maxTextBytes ? ByteString(query.bytes.prefix(Self.maxTextBytes)) : query
        rangeSeconds = (activity.endMs &- activity.startMs) / 1_000
        self.endedMs = endedMs
        seconds = outcome.statistics.execTotalSeconds
        samples = outcome.statistics.totalQueryableSamples
        peakBytes = outcome.statistics.peakBytes
        hasFailed = outcome.error != nil
    }
}

/// The last queries that ended, in a ring.
final class RecentQueries: Sendable {
    /// How many are kept.
    static let capacity = 10_000

    private struct Ring {
        var entries: [RecentQuery] = []
        var next = 0
    }
    private let ring = Locked(Ring())

    func add(_ query: RecentQuery) {
        ring.withLock { ring in
            if ring.entries.count < Self.capacity {
                ring.entries.append(query)
            } else {
                ring.entries[ring.next] = query
            }
            ring.next = (ring.next + 1) % Self.capacity
        }
    }

    /// All runs of one expression over one length of time.
    struct Group: Sendable {
        var text: ByteString
        var rangeSeconds: Int64
        var count = 0
        var failed = 0
        var sumSeconds = 0.0
        var maxSeconds = 0.0
        var samples: Int64 = 0
        var peakBytes: Int64 = 0
        var averageSeconds: Double { count > 0 ? sumSeconds / Double(count) : 0 }
    }

    private struct Key: Hashable {
        var text: ByteString
        var rangeSeconds: Int64
    }

    /// The runs that ended after `sinceMs`, by expression and length of time; in no order.
    func groups(sinceMs: Int64) -> [Group] {
        let entries = ring.withLock { $0.entries }
        var groups: [Key: Group] = [:]
        for entry in entries where entry.endedMs > sinceMs {
            var group = groups[Key(text: entry.text, rangeSeconds: entry.rangeSeconds)] ?? Group(text: entry.text, rangeSeconds: entry.rangeSeconds)
            group.count += 1
            if entry.hasFailed { group.failed += 1 }
            group.sumSeconds += entry.seconds
            group.maxSeconds = max(group.maxSeconds, entry.seconds)
            group.samples &+= entry.samples
            group.peakBytes = max(group.peakBytes, entry.peakBytes)
            groups[Key(text: entry.text, rangeSeconds: entry.rangeSeconds)] = group
        }
        return Array(groups.values)
    }
}
