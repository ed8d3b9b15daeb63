import ApusBytes
import ApusModel

extension PageScanner {
    /// Reads a page into `scratch`. Call `commit` or `abort` afterwards.
    ///
    /// - Parameter page: one of text ends with a newline (the hot loop stops at it); an empty page needs none.
    /// - Throws: for a page that is not of the format, and what `resolver` throws. Then only `abort` makes sense.
    public mutating func scan(
        _ page: Span<UInt8>, options: Options, scratch: ScanScratch, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        try scan(page, options: options, scratch: &scratch.state, resolver: &resolver)
    }

    private mutating func scan(
        _ page: Span<UInt8>, options: Options, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        begin(&scratch, pageBytes: page.count)
        if options.format == .protobuf {
            try scanEntries(page, options: options, scratch: &scratch, resolver: &resolver)
            return
        }
        precondition(page.count == 0 || page[page.count - 1] == .newline, "a page ends with a newline")
        let isOpenMetrics = options.format == .openMetrics
        if options.format == .openMetrics2 || options.convertsClassicHistograms || options.addsTypeAndUnitLabels
            || (isOpenMetrics && options.takesStartTimestamps)
        {
            try scanEntries(page, options: options, scratch: &scratch, resolver: &resolver)
        } else if isOpenMetrics {
            try scanOpenMetrics(page, options: options, scratch: &scratch, resolver: &resolver)
        } else {
            try scanText(page, options: options, scratch: &scratch, resolver: &resolver)
        }
    }

    private mutating func scanText(
        _ page: Span<UInt8>, options: Options, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        var parser = TextParser()
        var offset = 0
        while true {
            if cursor < entryCount { offset = scanExpected(page, from: offset, options: options, scratch: &scratch) }
            guard offset < page.count else { return }
            parser.offset = offset
            if let line = parser.plainSeries(page) {
                try scanSeries(line, page, parser: parser, options: options, scratch: &scratch, resolver: &resolver)
            } else {
                try scanUnexpected(page, parser: &parser, options: options, scratch: &scratch, resolver: &resolver)
            }
            offset = parser.offset
        }
    }

    private mutating func scanOpenMetrics(
        _ page: Span<UInt8>, options: Options, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        var parser = OpenMetricsParser()
        // The marker is never expected, so that it is the parser that sees it wherever it stands.
        let end = OpenMetricsParser.endMarker(page) ?? 0
        var offset = 0
        while true {
            if offset < end, cursor < entryCount {
                offset = scanExpected(page.extracting(0..<end), from: offset, options: options, scratch: &scratch)
            }
            parser.move(to: offset, currentType: parser.currentType)
            if offset < end, let line = parser.plainSeries(page) {
                try scanSeries(line, page, parser: parser, options: options, scratch: &scratch, resolver: &resolver)
                offset = parser.offset
                continue
            }
            let isMore = try scanUnexpected(page, parser: &parser, options: options, scratch: &scratch, resolver: &resolver)
            guard isMore else { return }
            offset = parser.offset
        }
    }

    private mutating func begin(_ scratch: inout ScanState, pageBytes: Int) {
        generation = generation == UInt32.max >> 1 ? 1 : generation + 1
        counts = Counts()
        cursor = 0
        isInOrder = true
        sawExplicitTimestamp = false
        lastTypeLine = -1
        declaredLine = -1
        declaredType = nil
        scratch.reset(pageBytes: pageBytes)
        if capacity == 0 { reallocate(max(64, scratch.expectedLines)) }
    }

    /// The hot loop: as long as the expected line comes, in the usual form. Returns where it stopped.
    @inline(never)
    private mutating func scanExpected(_ page: Span<UInt8>, from: Int, options: Options, scratch: inout ScanState) -> Int {
        guard from < page.count, cursor < entryCount else { return from }
        let first = self.cursor
        let isOpenMetrics = options.format == .openMetrics
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
                    if unsafe position[0] != 0x20 { break }
                    unsafe position += 1
                    var parsed: Int64 = 0
                    if isOpenMetrics {
                        // Seconds, and nothing behind them.
                        var seconds = 0.0
                        let taken = unsafe parsePlainDouble(position, powersOfTen: powersOfTen, into: &seconds)
                        unsafe position += taken
                        let ms = seconds * 1000
                        if unsafe taken == 0 || position[0] != 0x0A || !(ms.magnitude < 0x1p63) { break }
                        parsed = Int64(ms)
                    } else {
                        // The usual timestamp: one blank, at most 18 digits, the newline. Anything else goes the long way.
                        var digits = 0
                        var digit = unsafe position[0] &- 0x30
                        while digit < 10 {
                            parsed = parsed &* 10 &+ Int64(truncatingIfNeeded: digit)
                            digits &+= 1
                            digit = unsafe position[digits] &- 0x30
                        }
                        unsafe position += digits
                        if unsafe digits == 0 || digits > 18 || position[0] != 0x0A { break }
                    }
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
        if !isInOrder { scratch.order.append(contentsOf: (UInt32(first)..<UInt32(cursor))) }
        return stop
    }

    /// One entry of the page by the parser: a new line, one out of order, or one of unusual form.
    private mutating func scanUnexpected(
        _ page: Span<UInt8>, parser: inout TextParser, options: Options, scratch: inout ScanState,
        resolver: inout some SeriesResolver
    ) throws(ScanError) {
        let parsed: TextParser.Entry?
        let lineStart = parser.offset
        do { parsed = try parser.next(page) } catch { throw .malformed(error) }
        switch parsed {
        case nil: return
        case .series(let line):
            try scanSeries(line, page, parser: parser, options: options, scratch: &scratch, resolver: &resolver)
        case .comment(let range):
            _ = noteComment(page, range, flag: 0, scratch: &scratch)
        case .help(let name, let text):
            let range = commentRange(page, from: lineStart, end: parser.offset)
            if noteComment(page, range, flag: 0, scratch: &scratch) { resolver.foundHelp(name, text) }
        case .type(let name, let type):
            let range = commentRange(page, from: lineStart, end: parser.offset)
            declare(type, at: range.lowerBound)
            if noteComment(page, range, flag: Flag.typeLine, scratch: &scratch) { resolver.foundType(name, type) }
        }
    }

    /// The same of an OpenMetrics page. Returns false behind its end.
    private mutating func scanUnexpected(
        _ page: Span<UInt8>, parser: inout OpenMetricsParser, options: Options, scratch: inout ScanState,
        resolver: inout some SeriesResolver
    ) throws(ScanError) -> Bool {
        let parsed: OpenMetricsParser.Entry?
        let lineStart = parser.offset
        do { parsed = try parser.next(page) } catch { throw .malformed(error) }
        guard let parsed else { return false }
        // Without the newline.
        let comment = lineStart..<max(lineStart, parser.offset - 1)
        switch parsed {
        case .series(let line):
            try scanSeries(line, page, parser: parser, options: options, scratch: &scratch, resolver: &resolver)
        case .help(let name, let text):
            if noteComment(page, comment, flag: 0, scratch: &scratch) { resolver.foundHelp(name, text) }
        case .unit(let name, let unit):
            if noteComment(page, comment, flag: 0, scratch: &scratch) { resolver.foundUnit(name, unit) }
        case .type(let name, let type):
            declare(type, at: lineStart)
            if noteComment(page, comment, flag: Flag.typeLine, scratch: &scratch) { resolver.foundType(name, type) }
        }
        return true
    }

    /// A line that was parsed last.
    @inline(__always)
    private mutating func scanSeries(
        _ line: TextParser.SeriesLine, _ page: Span<UInt8>, parser: borrowing TextParser, options: Options, scratch: inout ScanState,
        resolver: inout some SeriesResolver
    ) throws(ScanError) {
        let meeting = meet(line.text, page, timestampMs: line.timestampMs, options: options, scratch: &scratch)
        var found = meeting.ref
        if meeting.isNew {
            if lastTypeLine != declaredLine { readDeclaredType(page, isOpenMetrics: false) }
            scratch.labels.set(parser.parts, page, type: declaredType)
            found = try resolve(meeting, scratch: &scratch, resolver: &resolver)
        }
        guard let found else { return }
        store(found, value: line.value, timestampMs: line.timestampMs, options: options, scratch: &scratch)
    }

    /// The same of an OpenMetrics page.
    @inline(__always)
    private mutating func scanSeries(
        _ line: OpenMetricsParser.SeriesLine, _ page: Span<UInt8>, parser: borrowing OpenMetricsParser, options: Options,
        scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        let meeting = meet(line.text, page, timestampMs: line.timestampMs, options: options, scratch: &scratch)
        var found = meeting.ref
        if meeting.isNew {
            if lastTypeLine != declaredLine { readDeclaredType(page, isOpenMetrics: true) }
            scratch.labels.set(parser.parts, page, type: declaredType)
            found = try resolve(meeting, scratch: &scratch, resolver: &resolver)
        }
        guard let found else { return }
        let isStored = store(found, value: line.value, timestampMs: line.timestampMs, options: options, scratch: &scratch)
        guard isStored, let exemplar = line.exemplar else { return }
        scratch.labels.set(parser.exemplarPairs, page)
        scratch.exemplars.append(
            ScannedExemplar(
                ref: found, labels: LabelSet(scratch.labels), value: exemplar.value,
                timestampMs: exemplar.timestampMs ?? time(line.timestampMs, options), hasTimestamp: exemplar.timestampMs != nil))
    }

    private mutating func declare(_ type: MetricType, at line: Int) {
        lastTypeLine = line
        declaredLine = line
        declaredType = type
    }

    /// What the last TYPE line said: the hot loop only noted where it stands.
    private mutating func readDeclaredType(_ page: Span<UInt8>, isOpenMetrics: Bool) {
        declaredLine = lastTypeLine
        if isOpenMetrics {
            var parser = OpenMetricsParser()
            parser.move(to: lastTypeLine, currentType: nil)
            _ = try? parser.next(page)
            declaredType = parser.currentType
        } else {
            var parser = TextParser()
            parser.offset = lastTypeLine
            _ = try? parser.next(page)
            declaredType = parser.currentType
        }
    }

    /// The comment that ends at `end`, without the blanks and blank lines before it.
    private func commentRange(_ page: Span<UInt8>, from: Int, end: Int) -> Range<Int> {
        var start = from
        while start < end && page[start] != UInt8(ascii: "#") { start += 1 }
        return start..<end
    }

    /// Returns whether the comment is new.
    private mutating func noteComment(_ page: Span<UInt8>, _ range: Range<Int>, flag: UInt64, scratch: inout ScanState) -> Bool {
        noteComment(hashSpan(page.extracting(range), seed), length: UInt32(truncatingIfNeeded: range.count), flag: flag, scratch: &scratch)
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
