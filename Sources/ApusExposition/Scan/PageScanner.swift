import ApusBytes
import ApusModel

/// Reads the pages of one target, scrape after scrape, and knows the series by their bytes.
///
/// A page seldom changes its shape, so the scanner keeps the sequence of lines of the last page and expects it again:
///
///     entry i:  ┌────────────┬───────────────────┬─────────────┬──────────────┐
///               │ hash, u64  │ flags + ref, u64  │ length, u32 │ last scan,u32│   24 bytes a line
///               └────────────┴───────────────────┴─────────────┴──────────────┘
///
/// A line whose first `length` bytes have the keyed 64-bit hash of the entry that is due is that series: no parsing,
/// no allocation. Stored text would be as fast, but costs 88 bytes a series. A line that is not the one expected is
/// parsed, looked for among all entries (the table is built for that scan only) and, when it is new, resolved by the
/// user. A scan changes nothing that `abort` cannot take back: what is live, and so what becomes stale, moves only
/// with `commit`.
///
/// Not thread-safe: one scan at a time.
@safe public struct PageScanner: ~Copyable {
    struct Entry {
        var hash: UInt64
        /// The ref in the low 56 bits, flags above.
        var word: UInt64
        /// Bytes of the series part, or of the whole comment line.
        var length: UInt32
        /// The scan that saw it last, doubled, plus 1 when its sample had a timestamp of its own.
        var seen: UInt32
    }
    enum Flag {
        static let refMask: UInt64 = (1 << 56) - 1
        static let dropped: UInt64 = 1 << 56
        static let comment: UInt64 = 1 << 57
        static let typeLine: UInt64 = 1 << 58
        /// The last committed scan appended a sample with the scrape's own timestamp: it ends with a staleness marker.
        static let live: UInt64 = 1 << 59
        static let placed: UInt64 = 1 << 60
        static let notSeries = dropped | comment
    }

    /// How a scan treats what it finds.
    public struct Options: Sendable {
        public var format = PageFormat.text
        /// Whether classic histograms become native ones with custom bounds.
        public var convertsClassicHistograms = false
        /// Whether classic series are kept beside native histograms of the same name.
        public var keepsClassicHistograms = false
        /// Whether native histograms are read; without it the classic buckets beside them are.
        public var readsNativeHistograms = true
        /// Whether start timestamps are looked for; then `_created` lines are no series.
        public var takesStartTimestamps = false
        /// Whether the type and the unit of a family become labels of its series.
        public var addsTypeAndUnitLabels = false
        /// The time of samples without a timestamp.
        public var timestampMs: Int64
        /// Whether a timestamp in the page counts.
        public var honorTimestamps = true
        /// Whether series with timestamps of their own get staleness markers too.
        public var tracksExplicitTimestamps = false
        /// Samples later than this are out of bounds.
        public var maxTimestampMs = Int64.max
        public init(timestampMs: Int64) { self.timestampMs = timestampMs }
    }

    /// What a scan counted.
    public struct Counts: Equatable, Sendable {
        /// Sample lines.
        public var scraped = 0
        /// Those that relabelling kept, duplicates included.
        public var kept = 0
        /// Series that this scan met for the first time.
        public var added = 0
        /// Lines whose series an earlier line of the page had.
        public var duplicates = 0
        public var outOfBounds = 0
        public init() {}
    }

    var entries: UnsafeMutablePointer<Entry>
    var entryCount = 0
    var capacity: Int
    /// Entries up to here outlived the last commit.
    var committedCount = 0
    var generation: UInt32 = 0
    /// Whether each series entry is live, so that an uneventful commit needs no walk.
    var allLive = true
    let seed: HashSeed
    public internal(set) var counts = Counts()

    // State of the scan that runs.
    var cursor = 0
    var isInOrder = true
    var sawExplicitTimestamp = false
    var lastTypeLine = -1
    /// What the TYPE line at `declaredLine` says.
    var declaredType: MetricType?
    var declaredLine = -1

    public init(seed: UInt64) {
        capacity = 0
        unsafe entries = .allocate(capacity: 1)
        self.seed = HashSeed(seed)
    }

    deinit { unsafe entries.deallocate() }

    /// Lines known, series and comments.
    public var lineCount: Int { entryCount }
    /// Memory held between scans.
    public var sizeBytes: Int { capacity * MemoryLayout<Entry>.stride }

    // MARK: Entries

    mutating func find(_ hash: UInt64, length: UInt32, comment: Bool, scratch: inout ScanState) -> Int? {
        if cursor < entryCount {
            // The one that is due, in an unusual form.
            let entry = unsafe entries[cursor]
            if entry.hash == hash && entry.length == length && (entry.word & Flag.comment != 0) == comment { return cursor }
        }
        leaveOrder(&scratch)
        let entries = unsafe entries
        scratch.buildTable(count: entryCount) { unsafe entries[$0].hash }
        return scratch.find(hash) { index in
            let entry = unsafe entries[index]
            return entry.hash == hash && entry.length == length && (entry.word & Flag.comment != 0) == comment
        }
    }

    private mutating func leaveOrder(_ scratch: inout ScanState) {
        guard isInOrder else { return }
        isInOrder = false
        scratch.order.append(contentsOf: 0..<UInt32(cursor))
    }

    /// A known line came, in its order or out of it: go on expecting from there.
    mutating func meet(_ index: Int, mark: UInt32, scratch: inout ScanState) {
        unsafe entries[index].seen = mark
        if !isInOrder { scratch.order.append(UInt32(index)) }
        cursor = index + 1
    }

    mutating func add(_ entry: Entry, _ scratch: inout ScanState) {
        if entryCount == capacity { reallocate(max(64, capacity * 2)) }
        unsafe entries[entryCount] = entry
        entryCount += 1
        scratch.order.append(UInt32(entryCount - 1))
        let entries = unsafe entries
        scratch.insert(entryCount - 1, count: entryCount) { unsafe entries[$0].hash }
        // Entries of this scan lie behind the expected ones: the cursor stays, or moves with the end.
        if cursor == entryCount - 1 { cursor = entryCount }
    }

    mutating func reallocate(_ newCapacity: Int) {
        let fresh = UnsafeMutablePointer<Entry>.allocate(capacity: max(newCapacity, 1))
        // SAFETY: both regions hold `entryCount` entries and do not overlap.
        unsafe fresh.update(from: entries, count: entryCount)
        unsafe entries.deallocate()
        unsafe entries = fresh
        capacity = newCapacity
    }

    // MARK: Ends of a scan

    /// The scan's samples were stored: forgets the lines that did not come, and returns the refs of the series that
    /// ended, for which staleness markers are due.
    public mutating func commit(_ scratch: ScanScratch) -> [UInt64] {
        if isInOrder && cursor == entryCount && !sawExplicitTimestamp && allLive {
            committedCount = entryCount
            return []
        }
        let ended = updateLiveness()
        compact(scratch.state)
        committedCount = entryCount
        return ended
    }

    /// Nothing of the scan was stored, or there was no page: every live series ends. Returns their refs. Lines stay
    /// known, so that the target's return costs nothing, unless those of failed scans alone have piled up.
    /// - Returns: the refs, and whether lines had to be forgotten.
    public mutating func abort() -> (ended: [UInt64], forgot: Bool) {
        let ended = endAll()
        let forgot = entryCount > committedCount * 2 + 1000
        if forgot { entryCount = committedCount }
        return (ended, forgot)
    }

    /// The refs of all live series, which are live no longer.
    public mutating func endAll() -> [UInt64] {
        var ended: [UInt64] = []
        for index in 0..<entryCount {
            let word = unsafe entries[index].word
            if word & Flag.live == 0 { continue }
            ended.append(word & Flag.refMask)
            unsafe entries[index].word &= ~Flag.live
        }
        allLive = false
        return ended
    }

    /// Forgets the series in `refs`: the store no longer knows them, so their lines must be resolved anew.
    public mutating func forget(_ refs: Set<UInt64>) {
        for index in 0..<entryCount {
            let word = unsafe entries[index].word
            if word & Flag.notSeries == 0 && refs.contains(word & Flag.refMask) {
                // No line has this length, so the entry is never met again; the next commit drops it.
                unsafe entries[index].length = UInt32.max
                unsafe entries[index].seen = 0
                unsafe entries[index].word &= ~Flag.live
            }
        }
        allLive = false
    }

    private mutating func updateLiveness() -> [UInt64] {
        let mark = generation << 1
        var ended: [UInt64] = []
        var seriesLive = true
        var anySeen = false
        for index in 0..<entryCount {
            let entry = unsafe entries[index]
            if entry.word & Flag.notSeries != 0 { continue }
            let wasLive = entry.word & Flag.live != 0
            let isLive = entry.seen == mark
            if isLive {
                unsafe entries[index].word |= Flag.live
                anySeen = true
            } else {
                unsafe entries[index].word &= ~Flag.live
                // Lines that did not come leave with the compaction, so they do not count.
                if entry.seen >> 1 == generation { seriesLive = false }
                if wasLive { ended.append(entry.word & Flag.refMask) }
            }
        }
        allLive = seriesLive
        guard !ended.isEmpty, anySeen else { return ended }
        // One series may come under two texts, its labels in another order: it ends only when all of them are gone.
        var endedSet = Set(ended)
        for index in 0..<entryCount {
            let word = unsafe entries[index].word
            if word & Flag.live != 0 { endedSet.remove(word & Flag.refMask) }
        }
        return endedSet.count == ended.count ? ended : ended.filter { endedSet.remove($0) != nil }
    }

    /// Keeps the lines of this page, in its order, in memory of just their size.
    private mutating func compact(_ scratch: borrowing ScanState) {
        if isInOrder {
            entryCount = cursor
            return
        }
        let fresh = UnsafeMutablePointer<Entry>.allocate(capacity: max(scratch.order.count, 1))
        var count = 0
        for index in scratch.order {
            let index = Int(index)
            // SAFETY: `order` holds indices of entries only, and `fresh` has room for each of them once.
            if unsafe entries[index].word & Flag.placed != 0 { continue }
            unsafe entries[index].word |= Flag.placed
            unsafe fresh[count] = entries[index]
            unsafe fresh[count].word &= ~Flag.placed
            count += 1
        }
        unsafe entries.deallocate()
        unsafe entries = fresh
        entryCount = count
        capacity = max(scratch.order.count, 1)
        if capacity > count + count / 8 + 16 { reallocate(count) }
    }
}
