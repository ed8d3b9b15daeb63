public import ApusBytes
public import ApusModel

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

    private var entries: UnsafeMutablePointer<Entry>
    private var entryCount = 0
    private var capacity: Int
    /// Entries up to here outlived the last commit.
    private var committedCount = 0
    private var generation: UInt32 = 0
    /// Whether each series entry is live, so that an uneventful commit needs no walk.
    private var allLive = true
    private let seed: HashSeed
    public private(set) var counts = Counts()

    // State of the scan that runs.
    private var cursor = 0
    private var isInOrder = true
    private var sawExplicitTimestamp = false
    private var lastTypeLine = -1

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

    // MARK: Scan

    /// Reads a page into `scratch`. Call `commit` or `abort` afterwards.
    ///
    /// - Parameter page: ends with a newline (the hot loop stops at it); an empty page needs none.
    /// - Throws: for a page that is not of the format, and what `resolver` throws. Then only `abort` makes sense.
    public mutating func scan(
        _ page: Span<UInt8>, options: Options, scratch: ScanScratch, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        precondition(page.count == 0 || page[page.count - 1] == .newline, "a page ends with a newline")
        begin(scratch)
        var parser = TextParser()
        var offset = 0
        while true {
            let first = cursor
            offset = scanExpected(page, from: offset, options: options, scratch: scratch)
            if !isInOrder { scratch.order.append(contentsOf: (UInt32(first)..<UInt32(cursor))) }
            guard offset < page.count else { return }
            parser.offset = offset
            try scanUnexpected(page, parser: &parser, options: options, scratch: scratch, resolver: &resolver)
            offset = parser.offset
        }
    }

    private mutating func begin(_ scratch: ScanScratch) {
        generation = generation == UInt32.max >> 1 ? 1 : generation + 1
        counts = Counts()
        cursor = 0
        isInOrder = true
        sawExplicitTimestamp = false
        lastTypeLine = -1
        scratch.reset()
    }

    /// The hot loop: as long as the expected line comes, in the usual form. Returns where it stopped.
    @inline(never)
    private mutating func scanExpected(_ page: Span<UInt8>, from: Int, options: Options, scratch: ScanScratch) -> Int {
        guard from < page.count, cursor < entryCount else { return from }
        scratch.reserve(entryCount - cursor)
        let powersOfTen = unsafe PowersOfTen.table.values
        let seed = seed
        let entries = unsafe entries
        let end = entryCount
        let refs = unsafe scratch.refs
        let timestamps = unsafe scratch.timestamps
        let values = unsafe scratch.values
        let mark = generation &<< 1
        let defaultTimestamp = options.timestampMs
        let honorTimestamps = options.honorTimestamps
        let explicitBit: UInt32 = options.tracksExplicitTimestamps ? 0 : 1
        var cursor = cursor
        var count = scratch.count
        var counts = counts
        var typeLine = lastTypeLine
        var sawExplicit = sawExplicitTimestamp
        // SAFETY: `page` is valid during the closure. Every read is below `size`: the series part by the test against
        // `left`, the rest because each loop over it stops at the newline which ends the page. The columns have room
        // for each entry from `cursor` on, and at most one sample is written for each.
        let stop = unsafe page.withUnsafeBufferPointer { buffer -> Int in
            guard let base = buffer.baseAddress else { return from }
            let size = buffer.count
            var offset = from
            while cursor < end {
                let line = unsafe base + offset
                let entry = unsafe entries + cursor
                let length = unsafe Int(entry.pointee.length)
                // At least one byte and the newline must follow the series part.
                if length >= size &- offset { break }
                let separator = unsafe line[length]
                if separator > 0x20 { break }
                let wanted = unsafe entry.pointee.hash
                if unsafe hashLine(line, length, seed) != wanted { break }
                let word = unsafe entry.pointee.word
                if word & Flag.comment != 0 {
                    if separator != 0x0A { break }
                    if word & Flag.typeLine != 0 { typeLine = offset }
                    unsafe entry.pointee.seen = mark
                    cursor &+= 1
                    offset &+= length &+ 1
                    if offset >= size { break }
                    continue
                }
                if separator != 0x20 { break }
                var position = unsafe line + length + 1
                var value = 0.0
                let taken = unsafe parsePlainDouble(position, powersOfTen: powersOfTen, into: &value)
                if unsafe taken > 0 && position[taken] <= 0x20 {
                    unsafe position += taken
                } else {
                    let slow = unsafe parseValueSlowly(position, into: &value)
                    if slow == 0 { break }
                    unsafe position += slow
                }
                var timestamp = defaultTimestamp
                var seenMark = mark
                if unsafe position[0] != 0x0A {
                    // The usual timestamp: one blank, at most 18 digits, the newline. Anything else goes the long way.
                    if unsafe position[0] != 0x20 { break }
                    unsafe position += 1
                    var parsed: Int64 = 0
                    var digits = 0
                    var digit = unsafe position[0] &- 0x30
                    while digit < 10 {
                        parsed = parsed &* 10 &+ Int64(truncatingIfNeeded: digit)
                        digits &+= 1
                        digit = unsafe position[digits] &- 0x30
                    }
                    unsafe position += digits
                    if unsafe digits == 0 || digits > 18 || position[0] != 0x0A { break }
                    if honorTimestamps {
                        if parsed > options.maxTimestampMs { break }
                        timestamp = parsed
                        seenMark = mark | explicitBit
                        sawExplicit = true
                    }
                }
                if unsafe entry.pointee.seen &>> 1 == mark &>> 1 { break }
                unsafe entry.pointee.seen = seenMark
                cursor &+= 1
                counts.scraped &+= 1
                if word & Flag.dropped == 0 {
                    unsafe refs[count] = word & Flag.refMask
                    unsafe timestamps[count] = timestamp
                    unsafe values[count] = value
                    count &+= 1
                }
                unsafe offset = position - base + 1
                if offset >= size { break }
            }
            return offset
        }
        counts.kept &+= count &- scratch.count
        self.cursor = cursor
        self.counts = counts
        lastTypeLine = typeLine
        sawExplicitTimestamp = sawExplicit
        scratch.count = count
        return stop
    }

    /// One entry of the page by the parser: a new line, one out of order, or one of unusual form.
    private mutating func scanUnexpected(
        _ page: Span<UInt8>, parser: inout TextParser, options: Options, scratch: ScanScratch,
        resolver: inout some SeriesResolver
    ) throws(ScanError) {
        let parsed: TextParser.Entry?
        let lineStart = parser.offset
        do { parsed = try parser.next(page) } catch { throw .malformed(error) }
        switch parsed {
        case nil: return
        case .series(let line):
            try scanSeries(line, page, parser: &parser, options: options, scratch: scratch, resolver: &resolver)
        case .comment(let range):
            _ = noteComment(page, range, flag: 0, scratch: scratch)
        case .help(let name, let text):
            let range = commentRange(page, from: lineStart, end: parser.offset)
            if noteComment(page, range, flag: 0, scratch: scratch) { resolver.foundHelp(name, text) }
        case .type(let name, let type):
            let range = commentRange(page, from: lineStart, end: parser.offset)
            lastTypeLine = range.lowerBound
            if noteComment(page, range, flag: Flag.typeLine, scratch: scratch) { resolver.foundType(name, type) }
        }
    }

    /// The comment that ends at `end`, without the blanks and blank lines before it.
    private func commentRange(_ page: Span<UInt8>, from: Int, end: Int) -> Range<Int> {
        var start = from
        while start < end && page[start] != UInt8(ascii: "#") { start += 1 }
        return start..<end
    }

    /// Returns whether the comment is new.
    private mutating func noteComment(_ page: Span<UInt8>, _ range: Range<Int>, flag: UInt64, scratch: ScanScratch) -> Bool {
        let hash = hash(page, range)
        if let index = find(hash, length: range.count, comment: true, scratch: scratch) {
            meet(index, mark: generation << 1, scratch: scratch)
            return false
        }
        add(Entry(hash: hash, word: Flag.comment | flag, length: UInt32(truncatingIfNeeded: range.count), seen: generation << 1), scratch)
        return true
    }

    private mutating func scanSeries(
        _ line: TextParser.SeriesLine, _ page: Span<UInt8>, parser: inout TextParser, options: Options,
        scratch: ScanScratch, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        counts.scraped += 1
        let explicit = options.honorTimestamps ? line.timestampMs : nil
        if explicit != nil { sawExplicitTimestamp = true }
        let mark = generation << 1 | (explicit != nil && !options.tracksExplicitTimestamps ? 1 : 0)
        let hash = hash(page, line.text)
        var ref: UInt64
        if let index = find(hash, length: line.text.count, comment: false, scratch: scratch) {
            let entry = unsafe entries[index]
            if entry.word & Flag.dropped != 0 {
                meet(index, mark: mark, scratch: scratch)
                return
            }
            counts.kept += 1
            if entry.seen >> 1 == generation && explicit == nil {
                counts.duplicates += 1
                scratch.order.append(UInt32(index))
                return
            }
            // A sample with the scrape's time makes the series live, whatever follows it in the page.
            meet(index, mark: entry.seen == generation << 1 ? entry.seen : mark, scratch: scratch)
            ref = entry.word & Flag.refMask
        } else {
            if lastTypeLine >= 0 {
                // The hot loop only noted where the type was declared.
                var typeParser = TextParser()
                typeParser.offset = lastTypeLine
                _ = try? typeParser.next(page)
                parser.currentType = typeParser.currentType
            } else {
                parser.currentType = nil
            }
            let resolution = try resolver.resolve(parser.labels(page), accepted: scratch.count)
            var entry = Entry(hash: hash, word: 0, length: UInt32(truncatingIfNeeded: line.text.count), seen: mark)
            switch resolution {
            case .dropped:
                entry.word = Flag.dropped
                add(entry, scratch)
                return
            case .refused:
                counts.kept += 1
                return
            case .series(let found):
                ref = found & Flag.refMask
                entry.word = ref
                add(entry, scratch)
                counts.kept += 1
                counts.added += 1
            }
        }
        let timestamp = explicit ?? options.timestampMs
        guard timestamp <= options.maxTimestampMs else {
            counts.outOfBounds += 1
            return
        }
        scratch.append(ref: ref, timestampMs: timestamp, value: line.value)
    }

    // MARK: Entries

    private func hash(_ page: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        let seed = seed
        // SAFETY: the range lies in the page, which is valid during the closure.
        return unsafe page.extracting(range).withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe hashLine(base, buffer.count, seed)
        }
    }

    private mutating func find(_ hash: UInt64, length: Int, comment: Bool, scratch: ScanScratch) -> Int? {
        leaveOrder(scratch)
        let entries = unsafe entries
        scratch.buildTable(count: entryCount) { unsafe entries[$0].hash }
        return scratch.find(hash) { index in
            let entry = unsafe entries[index]
            return entry.hash == hash && Int(entry.length) == length && (entry.word & Flag.comment != 0) == comment
        }
    }

    private mutating func leaveOrder(_ scratch: ScanScratch) {
        guard isInOrder else { return }
        isInOrder = false
        scratch.order.append(contentsOf: 0..<UInt32(cursor))
    }

    /// A known line came out of its order: go on expecting from there.
    private mutating func meet(_ index: Int, mark: UInt32, scratch: ScanScratch) {
        unsafe entries[index].seen = mark
        scratch.order.append(UInt32(index))
        cursor = index + 1
    }

    private mutating func add(_ entry: Entry, _ scratch: ScanScratch) {
        if entryCount == capacity { reallocate(max(64, capacity * 2)) }
        unsafe entries[entryCount] = entry
        entryCount += 1
        scratch.order.append(UInt32(entryCount - 1))
        let entries = unsafe entries
        scratch.insert(entryCount - 1, count: entryCount) { unsafe entries[$0].hash }
        // Entries of this scan lie behind the expected ones: the cursor stays, or moves with the end.
        if cursor == entryCount - 1 { cursor = entryCount }
    }

    private mutating func reallocate(_ newCapacity: Int) {
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
        compact(scratch)
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
    private mutating func compact(_ scratch: ScanScratch) {
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

/// Turns the labels of a line that is met for the first time into a series.
public protocol SeriesResolver {
    /// - Parameters:
    ///   - labels: as in the page: `__name__` first, unsorted, duplicates and empty values included.
    ///   - accepted: how many samples of the page are stored already, for a limit.
    /// - Throws: what makes the scrape fail.
    mutating func resolve(_ labels: [Label], accepted: Int) throws(ScanError) -> SeriesResolution
    mutating func foundHelp(_ name: ByteString, _ text: ByteString)
    mutating func foundType(_ name: ByteString, _ type: MetricType)
}

public enum SeriesResolution: Sendable {
    /// Below 2⁵⁶.
    case series(UInt64)
    /// Relabelling dropped it; the line is remembered as such.
    case dropped
    /// Counted, but neither stored nor remembered: a limit was reached.
    case refused
}

/// Why a scan failed.
public enum ScanError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(ExpositionError)
    /// The resolver's reason.
    case refused(String)
    public var description: String {
        switch self {
        case .malformed(let error): error.description
        case .refused(let reason): reason
        }
    }
}

/// A value of unusual form at `start`, and how many bytes it took; 0 when it is none or another rule decides.
@inline(never)
private func parseValueSlowly(_ start: UnsafePointer<UInt8>, into value: inout Double) -> Int {
    var length = 0
    // SAFETY: the page ends with a newline, which ends the loop.
    while unsafe start[length] > 0x20 {
        let byte = unsafe start[length]
        if byte | 0x20 == UInt8(ascii: "p") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "{") { return 0 }
        length &+= 1
    }
    guard let parsed = unsafe parseDouble(Span(_unsafeStart: start, count: length)) else { return 0 }
    value = parsed.isNaN ? Double(bitPattern: StaleNaN.normalBits) : parsed
    return length
}
