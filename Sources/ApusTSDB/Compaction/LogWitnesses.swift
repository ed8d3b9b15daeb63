import ApusModel

/// Samples that came in order, as far as a log tells: some of each block range, of as many targets as there are.
struct LogWitnesses {
    /// In a block range, each of another series.
    static let limit = 64
    /// With so many confirmed a block range needs no more.
    static let enough = 32
    /// New ones of one record, which mostly is one page: else all would be of one target.
    static let newInRecord = 2
    /// Block ranges that are looked at; a log has a few hours.
    static let rangeLimit = 4096

    fileprivate struct Witness {
        var timeMs: Int64
        /// The log has an earlier sample of the series before it, so it did not come late.
        var isConfirmed = false
    }

    struct Range {
        fileprivate var witnesses: [UInt64: Witness] = [:]
        fileprivate var confirmed = 0

        /// Refs and times to look for: the confirmed ones, where there are some.
        var best: [(ref: UInt64, timeMs: Int64)] {
            let chosen = confirmed * 8 >= LogWitnesses.limit ? witnesses.filter(\.value.isConfirmed) : witnesses
            return chosen.map { ($0.key, $0.value.timeMs) }
        }
    }

    /// Of the samples that are wanted.
    let times: Swift.Range<Int64>
    let rangeMs: Int64
    /// By start of the block range.
    private(set) var ranges: [Int64: Range] = [:]
    private var newestMs = Int64.min
    /// The block range of the last sample, and whether it has enough: then a sample costs two comparisons.
    private var start = Int64.max
    private var isComplete = false

    init(times: Swift.Range<Int64>, rangeMs: Int64) {
        self.times = times
        self.rangeMs = rangeMs
    }

    var refs: Set<UInt64> { Set(ranges.values.flatMap(\.witnesses.keys)) }

    /// Whether a sample in order of the wanted time can still come.
    var mayComeMore: Bool { oldestInOrderMs < times.upperBound }

    /// The oldest time that a sample may have to be taken as one in order, beside the newest one.
    private var oldestInOrderMs: Int64 {
        let (bound, overflow) = newestMs.subtractingReportingOverflow(rangeMs / 2)
        return overflow ? .min : bound
    }

    mutating func see(_ record: DecodedRecord) {
        var new = 0
        for (ref, timeMs) in zip(record.samples.refs, record.samples.timestampsMs) { see(ref.rawValue, timeMs, &new) }
        for sample in record.samples.histograms { see(sample.ref.rawValue, sample.timestampMs, &new) }
        for tombstone in record.tombstones { forget(tombstone) }
    }

    private mutating func see(_ ref: UInt64, _ timeMs: Int64, _ new: inout Int) {
        if timeMs > newestMs { newestMs = timeMs }
        // What is older was late when it came.
        guard times.contains(timeMs), timeMs >= oldestInOrderMs else { return }
        if timeMs < start || timeMs &- start >= rangeMs {
            start = alignedDown(timeMs, to: rangeMs)
            isComplete = (ranges[start]?.confirmed ?? 0) >= Self.enough || ranges[start] == nil && ranges.count >= Self.rangeLimit
        }
        if isComplete { return }
        var range = ranges.removeValue(forKey: start) ?? Range()
        if let known = range.witnesses[ref] {
            if timeMs > known.timeMs {
                if !known.isConfirmed { range.confirmed += 1 }
                range.witnesses[ref] = Witness(timeMs: timeMs, isConfirmed: true)
                isComplete = range.confirmed >= Self.enough
            }
        } else if new < Self.newInRecord && range.witnesses.count < Self.limit {
            new += 1
            range.witnesses[ref] = Witness(timeMs: timeMs)
        }
        ranges[start] = range
    }

    /// What was deleted while the head had it did not get into a block.
    private mutating func forget(_ tombstone: TombstoneRecord) {
        for (key, range) in ranges {
            guard let known = range.witnesses[tombstone.ref.rawValue], known.timeMs >= tombstone.minTimeMs, known.timeMs <= tombstone.maxTimeMs
            else { continue }
            ranges[key]?.witnesses[tombstone.ref.rawValue] = nil
            if known.isConfirmed { ranges[key]?.confirmed -= 1 }
            start = .max
        }
    }
}
