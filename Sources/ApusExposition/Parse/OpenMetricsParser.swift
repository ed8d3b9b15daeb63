public import ApusBytes
public import ApusModel

/// Reads a page of OpenMetrics 1.0 text, entry by entry, up to its `# EOF`.
///
///     var parser = OpenMetricsParser()
///     while let entry = try parser.next(page.span) { … }
///
/// Stricter than the text format, as the standard wants it: single blanks between tokens, no empty lines, no comments but
/// metadata, and an end that is told. Timestamps are in seconds. The parser keeps offsets into the page and no bytes of
/// it: lend the same page, which may be a mapped file of any size, to every call.
///
/// A line whose series part is that of the line before, byte for byte, is not taken apart again: a dump lists the samples
/// of a series one after the other, and so costs little more than its numbers.
public struct OpenMetricsParser: Sendable {
    /// What a line holds.
    public enum Entry: Sendable {
        /// `# HELP name text`, escapes resolved.
        case help(name: ByteString, text: ByteString)
        case type(name: ByteString, MetricType)
        case unit(name: ByteString, unit: ByteString)
        case series(SeriesLine)
    }

    /// One sample line.
    public struct SeriesLine: Sendable {
        /// The bytes that name the series: from the metric's name or the brace to the closing brace.
        public let text: Range<Int>
        public let value: Double
        /// Milliseconds since the Unix epoch, where the line has a timestamp.
        public let timestampMs: Int64?
        /// Whether the line before had the same series part.
        public let repeatsSeries: Bool
        /// Its labels are `exemplarLabels`.
        public let exemplar: ExemplarPart?
    }
    /// What stands behind the ` # ` of a line, but for the labels.
    public struct ExemplarPart: Sendable {
        public let value: Double
        public let timestampMs: Int64?
    }

    /// Where the next entry starts.
    public internal(set) var offset = 0
    /// The type that the last `# TYPE` line declared; it decides how `le` and `quantile` are written.
    public private(set) var currentType: MetricType?

    /// Of the series line that was read last.
    private(set) var parts = SeriesParts()
    var parsedText: Range<Int> { parts.text }
    private(set) var exemplarPairs = PairList()
    /// Whether lines of the usual form are read the quick way. Without it everything goes the way that knows all forms, which
    /// takes several times as long and says the same: tests and fuzzers hold the two against each other.
    public var takesPlainLines = true
    private var sawEnd = false
    private var checkedEnd = false

    /// Whether the page is one of OpenMetrics 2.0, whose names need not end with their unit.
    var isVersion2 = false

    public init() {}

    /// For who looks at lines of metadata alone, of any version.
    public static func forMetadata() -> OpenMetricsParser {
        var parser = OpenMetricsParser()
        parser.isVersion2 = true
        return parser
    }

    /// Goes on at another line: a scanner that knows most lines has one parsed.
    public mutating func move(to offset: Int, currentType: MetricType?) {
        self.offset = offset
        self.currentType = currentType
    }

    /// Where the marker at the end of a page begins, or nil when it has none.
    static func endMarker(_ page: Span<UInt8>) -> Int? {
        let end = page.count > 0 && page[page.count - 1] == .newline ? page.count - 1 : page.count
        let start = end - marker.count
        guard start >= 0, equalBytes(page.extracting(start..<end), marker.span) else { return nil }
        return start == 0 || page[start - 1] == .newline ? start : nil
    }

    /// The next entry, or nil behind `# EOF`.
    public mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> Entry? {
        guard try begins(page) else { return nil }
        if page[offset] == UInt8(ascii: "#") { return try parseComment(page) }
        return .series(try parseLine(page))
    }

    /// Whether there is another line, which `offset` then is at.
    mutating func begins(_ page: Span<UInt8>) throws(ExpositionError) -> Bool {
        if sawEnd { return false }
        if !checkedEnd {
            // Loops over numbers rely on it: something that is no digit follows each of them.
            guard Self.endMarker(page) != nil else { throw pageError(page, at: page.count, "data does not end with # EOF") }
            checkedEnd = true
        }
        guard offset < page.count else { throw pageError(page, at: offset, "data does not end with # EOF") }
        return true
    }

    /// The labels of the series line that `next` returned last: `__name__` first, then in order of appearance.
    /// Duplicates and empty values are kept, for the caller to judge.
    public func labels(_ page: Span<UInt8>) -> [Label] { parts.labels(page, type: currentType) }

    /// The pairs as they are written, but for escapes: without the metric's name, bounds not made alike.
    func rawPairs(_ page: Span<UInt8>) -> [Label] { parts.rawPairs(page) }

    /// The labels of the exemplar that the line had.
    public func exemplarLabels(_ page: Span<UInt8>) -> [Label] {
        (0..<exemplarPairs.count).map { index in
            let pair = exemplarPairs[index]
            return Label(unescaped(page, pair.name, quoted: pair.nameIsQuoted), unescaped(page, pair.value, quoted: true))
        }
    }

    /// Bytes of the marker at the end of a page, without a newline.
    static let markerSize = 5
    private static let marker = Array("# EOF".utf8)

    // MARK: Lines that start with #

    mutating func parseComment(_ page: Span<UInt8>) throws(ExpositionError) -> Entry? {
        let start = offset
        let end = endOfLine(page, from: start)
        let line = page.extracting(start..<end)
        if equalBytes(line, Self.marker.span) {
            guard page.count - end <= 1 else { throw pageError(page, at: end + 1, "unexpected data after # EOF") }
            offset = page.count
            sawEnd = true
            return nil
        }
        for (word, keyword) in Self.keywords where hasPrefix(line, word.span) {
            offset = start + word.count
            let name = try parseMetadataName(page, keyword: keyword, lineStart: start)
            guard offset < end, page[offset] == UInt8(ascii: " ") else { throw unexpected(page, "expected text in \(keyword)", from: start) }
            let text = offset + 1..<end
            offset = min(end + 1, page.count)
            return try metadata(page, keyword, name, text)
        }
        throw pageError(page, at: start, "unexpected comment: only HELP, TYPE, UNIT and EOF may follow #", from: start, to: end)
    }
    private static let keywords: [(word: [UInt8], keyword: String)] = [
        (Array("# HELP ".utf8), "HELP"), (Array("# TYPE ".utf8), "TYPE"), (Array("# UNIT ".utf8), "UNIT"),
    ]

    private func hasPrefix(_ bytes: Span<UInt8>, _ prefix: Span<UInt8>) -> Bool {
        bytes.count >= prefix.count && equalBytes(bytes.extracting(0..<prefix.count), prefix)
    }

    private mutating func metadata(
        _ page: Span<UInt8>, _ keyword: String, _ name: ByteString, _ text: Range<Int>
    ) throws(ExpositionError) -> Entry {
        switch keyword {
        case "HELP":
            let help = unescaped(page, text, quoted: true)
            guard help.isValidUTF8 else { throw pageError(page, at: text.lowerBound, "help text is not valid UTF-8") }
            return .help(name: name, text: help)
        case "UNIT":
            let unit = ByteString(copying: page.extracting(text))
            // The name carries its unit, so that who reads only the name knows it.
            guard unit.isEmpty || isVersion2 || name.hasSuffix("_" + unit) else {
                throw pageError(
                    page, at: text.lowerBound,
                    "unit \(quotedForError(unit.bytes.span)) not a suffix of metric \(quotedForError(name.bytes.span))")
            }
            return .unit(name: name, unit: unit)
        default:
            let word = ByteString(copying: page.extracting(text))
            guard let type = MetricType(rawValue: word.description) else {
                throw pageError(page, at: text.lowerBound, "invalid metric type \(quotedForError(word.bytes.span))")
            }
            currentType = type
            // The next line's labels may be written in another way: it is not the same series for sure.
            parts.removeAll()
            return .type(name: name, type)
        }
    }

    private mutating func parseMetadataName(
        _ page: Span<UInt8>, keyword: String, lineStart: Int
    ) throws(ExpositionError) -> ByteString {
        if offset < page.count, page[offset] == .quote, let content = quotedContent(page, at: offset) {
            offset = content.upperBound + 1
            return unescaped(page, content, quoted: true)
        }
        let start = offset
        guard offset < page.count, isNameStart(page[offset], colon: true) else {
            throw unexpected(page, "expected metric name after \(keyword)", from: lineStart)
        }
        while offset < page.count, isNameByte(page[offset], colon: true) { offset += 1 }
        return ByteString(copying: page.extracting(start..<offset))
    }

    // MARK: Sample lines

    /// The series line at `offset`, when it is of the usual form; nil, without moving, for anything else.
    @inline(__always)
    mutating func plainSeries(_ page: Span<UInt8>) -> SeriesLine? {
        guard takesPlainLines,
            let (line, repeats) = readPlainOpenMetricsLine(page, from: offset, parts: &parts, exemplarPairs: &exemplarPairs)
        else { return nil }
        offset = line.next
        return SeriesLine(
            text: line.text, value: line.value, timestampMs: line.timestampMs, repeatsSeries: repeats, exemplar: line.exemplar)
    }

    private mutating func parseLine(_ page: Span<UInt8>) throws(ExpositionError) -> SeriesLine {
        if let line = plainSeries(page) { return line }
        let start = offset
        let repeats = try parseSeriesAgain(page)
        guard offset < page.count, page[offset] == UInt8(ascii: " ") else {
            throw unexpected(page, "expected value after metric", from: start)
        }
        offset += 1
        var value = try parseNumber(page, "value", lineStart: start)
        if value.isNaN { value = Double(bitPattern: StaleNaN.normalBits) }
        var timestamp: Int64?
        var exemplar: ExemplarPart?
        exemplarPairs.removeAll()
        if startsTimestamp(page) {
            offset += 1
            timestamp = try parseTimestamp(page, lineStart: start)
        }
        if offset + 1 < page.count, page[offset] == UInt8(ascii: " "), page[offset + 1] == UInt8(ascii: "#") {
            exemplar = try parseExemplar(page, lineStart: start)
        }
        guard offset < page.count, page[offset] == .newline else { throw unexpected(page, "expected next entry", from: start) }
        offset += 1
        return SeriesLine(text: parts.text, value: value, timestampMs: timestamp, repeatsSeries: repeats, exemplar: exemplar)
    }

    /// The series part of a line. Returns whether it is that of the line before.
    mutating func parseSeriesAgain(_ page: Span<UInt8>) throws(ExpositionError) -> Bool {
        guard repeatsSeries(page) else {
            try parseSeries(page)
            return false
        }
        parts.text = offset..<offset + parts.text.count
        offset = parts.text.upperBound
        return true
    }

    private func repeatsSeries(_ page: Span<UInt8>) -> Bool {
        let length = parts.text.count
        guard length > 0, page.count - offset > length, page[offset + length] == UInt8(ascii: " ") else { return false }
        return equalBytes(page.extracting(offset..<offset + length), page.extracting(parts.text))
    }

    private func startsTimestamp(_ page: Span<UInt8>) -> Bool {
        offset + 1 < page.count && page[offset] == UInt8(ascii: " ") && page[offset + 1] != UInt8(ascii: "#")
    }

    private mutating func parseSeries(_ page: Span<UInt8>) throws(ExpositionError) {
        let start = offset
        parts.removeAll()
        var name: Range<Int>?
        var nameIsQuoted = false
        var pairs = PairList()
        if isNameStart(page[offset], colon: true) {
            while offset < page.count, isNameByte(page[offset], colon: true) { offset += 1 }
            name = 0..<offset - start
        } else if page[offset] != UInt8(ascii: "{") {
            throw unexpected(page, "expected a valid start token", from: start)
        }
        if offset < page.count, page[offset] == UInt8(ascii: "{") {
            if let quoted = try parsePairs(page, lineStart: start, into: &pairs, origin: start, mayNameMetric: true) {
                guard name == nil else {
                    throw pageError(page, at: quoted.lowerBound - 1, "metric name already set", from: start, to: offset)
                }
                name = quoted.lowerBound - start..<quoted.upperBound - start
                nameIsQuoted = true
            }
        }
        guard name != nil else {
            throw pageError(page, at: start, "metric name not set while parsing: \(quotedForError(page.extracting(start..<offset)))")
        }
        parts = SeriesParts(text: start..<offset, name: name, nameIsQuoted: nameIsQuoted, pairs: pairs)
    }

    /// Parses from the opening brace to past the closing one. Returns the quoted string that stands without a value, the
    /// metric's name, where there is one.
    /// - Parameter origin: what the offsets of pairs count from.
    private mutating func parsePairs(
        _ page: Span<UInt8>, lineStart: Int, into pairs: inout PairList, origin: Int, mayNameMetric: Bool
    ) throws(ExpositionError) -> Range<Int>? {
        var metric: Range<Int>?
        offset += 1
        if offset < page.count, page[offset] == UInt8(ascii: "}") {
            offset += 1
            return nil
        }
        while true {
            var name: Range<Int>
            var isQuoted = false
            guard offset < page.count else { throw unexpected(page, "expected label name", from: lineStart) }
            if page[offset] == .quote, let content = quotedContent(page, at: offset) {
                name = content
                isQuoted = true
                offset = content.upperBound + 1
            } else if isNameStart(page[offset], colon: false) {
                let start = offset
                while offset < page.count, isNameByte(page[offset], colon: false) { offset += 1 }
                name = start..<offset
            } else {
                throw unexpected(page, "expected label name", from: lineStart)
            }
            let after = offset < page.count ? page[offset] : 0
            if isQuoted, mayNameMetric, after == UInt8(ascii: ",") || after == UInt8(ascii: "}") {
                guard metric == nil else {
                    throw pageError(page, at: name.lowerBound - 1, "metric name already set", from: lineStart, to: offset)
                }
                guard isValidUTF8(page.extracting(name)) else {
                    throw pageError(page, at: name.lowerBound, "invalid UTF-8 metric name: \(quotedForError(page.extracting(name)))")
                }
                metric = name
            } else {
                guard after == UInt8(ascii: "=") else { throw unexpected(page, "expected equal", from: lineStart) }
                offset += 1
                guard offset < page.count, page[offset] == .quote, let value = quotedContent(page, at: offset) else {
                    throw unexpected(page, "expected label value", from: lineStart)
                }
                guard isValidUTF8(page.extracting(value)) else {
                    throw pageError(page, at: value.lowerBound, "invalid UTF-8 label value: \(quotedForError(page.extracting(value)))")
                }
                offset = value.upperBound + 1
                pairs.append(
                    PairRange(
                        name: name.lowerBound - origin..<name.upperBound - origin, nameIsQuoted: isQuoted,
                        value: value.lowerBound - origin..<value.upperBound - origin, mayHaveEscapes: true))
            }
            guard offset < page.count else { throw unexpected(page, "expected comma or brace close", from: lineStart) }
            switch page[offset] {
            case UInt8(ascii: "}"):
                offset += 1
                return metric
            case UInt8(ascii: ","):
                offset += 1
                // A comma behind the last pair is no error.
                guard offset < page.count, page[offset] == UInt8(ascii: "}") else { continue }
                offset += 1
                return metric
            default: throw unexpected(page, "expected comma or brace close", from: lineStart)
            }
        }
    }

    mutating func parseExemplar(_ page: Span<UInt8>, lineStart: Int) throws(ExpositionError) -> ExemplarPart {
        // At the blank before `# {`.
        offset += 2
        guard offset + 1 < page.count, page[offset] == UInt8(ascii: " "), page[offset + 1] == UInt8(ascii: "{") else {
            throw unexpected(page, "expected exemplar labels", from: lineStart)
        }
        offset += 1
        var pairs = PairList()
        _ = try parsePairs(page, lineStart: lineStart, into: &pairs, origin: 0, mayNameMetric: false)
        exemplarPairs = pairs
        guard offset < page.count, page[offset] == UInt8(ascii: " ") else {
            throw unexpected(page, "expected value after exemplar labels", from: lineStart)
        }
        offset += 1
        var value = try parseNumber(page, "value", lineStart: lineStart)
        if value.isNaN { value = Double(bitPattern: StaleNaN.normalBits) }
        var timestamp: Int64?
        if startsTimestamp(page) {
            offset += 1
            timestamp = try parseTimestamp(page, lineStart: lineStart)
        }
        return ExemplarPart(value: value, timestampMs: timestamp)
    }

    // MARK: Numbers

    /// Seconds with a fraction become whole ms; what is less is cut off, as upstream does.
    mutating func parseTimestamp(_ page: Span<UInt8>, lineStart: Int) throws(ExpositionError) -> Int64 {
        let start = offset
        let ms = try parseNumber(page, "timestamp", lineStart: lineStart) * 1000
        guard ms.isFinite else {
            throw pageError(
                page, at: start, "invalid timestamp \(quotedForError(page.extracting(start..<offset)))", from: lineStart, to: offset)
        }
        // A time that no clock reaches becomes the earliest one, as upstream's conversion has it; no store takes it.
        return ms.magnitude < 0x1p63 ? Int64(ms) : .min
    }

    mutating func parseNumber(_ page: Span<UInt8>, _ what: String, lineStart: Int) throws(ExpositionError) -> Double {
        let start = offset
        var value = 0.0
        // SAFETY: `next` has seen that the page ends with `# EOF`, so a byte that is not of a number lies behind `start`.
        let taken = unsafe page.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress, start < buffer.count else { return 0 }
            return unsafe parsePlainDouble(base + start, powersOfTen: PowersOfTen.table.values, into: &value)
        }
        if taken > 0, start + taken < page.count, page[start + taken] <= 0x20 {
            offset += taken
            return value
        }
        while offset < page.count, page[offset] > 0x20 { offset += 1 }
        let bytes = page.extracting(start..<offset)
        guard bytes.count > 0 else { throw unexpected(page, "expected \(what)", from: lineStart) }
        for index in 0..<bytes.count where bytes[index] | 0x20 == UInt8(ascii: "p") || bytes[index] == UInt8(ascii: "_") {
            throw pageError(page, at: start, "unsupported character in float", from: lineStart, to: offset)
        }
        switch parseDoubleDetailed(bytes) {
        case .value(let value): return value
        case .outOfRange:
            throw pageError(page, at: start, "parsing \(quotedForError(bytes)): value out of range", from: lineStart, to: offset)
        case .malformed:
            throw pageError(page, at: start, "parsing \(quotedForError(bytes)): invalid syntax", from: lineStart, to: offset)
        }
    }

    private func endOfLine(_ page: Span<UInt8>, from: Int) -> Int {
        firstIndex(of: .newline, in: page, from: from)
    }

    /// An error at `offset` that shows what was found there.
    func unexpected(_ page: Span<UInt8>, _ expectation: String, from lineStart: Int) -> ExpositionError {
        guard offset < page.count else {
            return pageError(page, at: offset, "\(expectation), got end of page", from: lineStart, to: page.count)
        }
        let found = quotedForError(page.extracting(offset..<offset + 1))
        return pageError(page, at: offset, "\(expectation), got \(found)", from: lineStart, to: offset + 1)
    }
}
