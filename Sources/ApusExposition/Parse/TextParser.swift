public import ApusBytes
public import ApusModel

/// Reads a page of the Prometheus text format (0.0.4, and 1.0.0 with its quoted UTF-8 names), entry by entry.
///
///     var parser = TextParser()
///     while let entry = try parser.next(page.span) { … }
///
/// The parser keeps offsets into the page and no bytes of it: lend the same page to every call. It accepts what
/// Prometheus's own scanner accepts, no more: blanks between tokens, a trailing comma, pairs without a comma between
/// them, comments that only look like metadata. It never recurses, and its memory is one array of ranges.
public struct TextParser: Sendable {
    /// What a line holds.
    public enum Entry: Sendable {
        /// `# HELP name text`, escapes resolved.
        case help(name: ByteString, text: ByteString)
        case type(name: ByteString, MetricType)
        /// Any other comment, from its `#` to the end of the line.
        case comment(Range<Int>)
        case series(SeriesLine)
    }

    /// One sample line.
    public struct SeriesLine: Sendable {
        /// The bytes that name the series: from the metric's name or the brace to the closing brace.
        public let text: Range<Int>
        public let value: Double
        /// Milliseconds since the Unix epoch, where the line has a timestamp.
        public let timestampMs: Int64?
    }

    /// Where the next entry starts. Settable, so that a scanner which knows most lines can have one parsed.
    public var offset = 0
    /// The type that the last `# TYPE` line declared; it decides how `le` and `quantile` are written.
    public var currentType: MetricType?

    /// Of the series line that was read last.
    private(set) var parts = SeriesParts()
    /// Whether lines of the usual form are read the quick way. Without it everything goes the way that knows all forms, which
    /// takes several times as long and says the same: tests and fuzzers hold the two against each other.
    public var takesPlainLines = true

    public init() {}

    /// The next entry, or nil at the end of the page. A missing newline at the end is forgiven.
    public mutating func next(_ page: Span<UInt8>) throws(ExpositionError) -> Entry? {
        while true {
            skipBlanks(page)
            guard offset < page.count else { return nil }
            switch page[offset] {
            case .newline: offset += 1
            case UInt8(ascii: "#"): return try parseComment(page)
            default: return .series(try parseSeries(page))
            }
        }
    }

    /// The labels of the series line that `next` returned last: `__name__` first, then in order of appearance.
    /// Duplicates and empty values are kept, for the caller to judge.
    public func labels(_ page: Span<UInt8>) -> [Label] { parts.labels(page, type: currentType) }

    // MARK: Lines that start with #

    private mutating func parseComment(_ page: Span<UInt8>) throws(ExpositionError) -> Entry {
        let start = offset
        offset += 1
        let hasBlank = isBlank(page, offset)
        skipBlanks(page)
        guard hasBlank, let isHelp = metadataKeyword(page) else {
            offset = endOfLine(page, from: start)
            return .comment(start..<offset)
        }
        offset += 4
        skipBlanks(page)
        let name = try parseMetadataName(page, keyword: isHelp ? "HELP" : "TYPE", lineStart: start)
        var textStart = offset
        offset = endOfLine(page, from: offset)
        if textStart < offset { textStart += 1 }  // The blank that ends the name.
        if isHelp {
            let text = unescaped(page, textStart..<offset, quoted: false, keepQuotes: true)
            guard text.isValidUTF8 else { throw pageError(page, at: textStart, "help text is not valid UTF-8") }
            return .help(name: name, text: text)
        }
        let word = page.extracting(textStart..<offset)
        guard let type = Self.types.first(where: { equalBytes($0.word.span, word) })?.type else {
            throw pageError(page, at: textStart, "invalid metric type \(quotedForError(word))")
        }
        currentType = type
        return .type(name: name, type)
    }

    /// True for `HELP`, false for `TYPE`, each followed by a blank; nil for any other comment.
    private func metadataKeyword(_ page: Span<UInt8>) -> Bool? {
        guard page.count - offset > 4, isBlank(page, offset + 4) else { return nil }
        let word = page.extracting(offset..<offset + 4)
        if equalBytes(word, Self.help.span) { return true }
        if equalBytes(word, Self.type.span) { return false }
        return nil
    }
    private static let types: [(word: [UInt8], type: MetricType)] = [
        (Array("counter".utf8), .counter), (Array("gauge".utf8), .gauge), (Array("histogram".utf8), .histogram),
        (Array("summary".utf8), .summary), (Array("untyped".utf8), .unknown),
    ]
    private static let help = Array("HELP".utf8)
    private static let type = Array("TYPE".utf8)

    private mutating func parseMetadataName(
        _ page: Span<UInt8>, keyword: String, lineStart: Int
    ) throws(ExpositionError) -> ByteString {
        if offset < page.count, page[offset] == .quote, let content = parseQuoted(page) {
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
        guard takesPlainLines, let line = readPlainTextLine(page, from: offset, parts: &parts) else { return nil }
        offset = line.next
        return SeriesLine(text: line.text, value: line.value, timestampMs: line.timestampMs)
    }

    private mutating func parseSeries(_ page: Span<UInt8>) throws(ExpositionError) -> SeriesLine {
        if let line = plainSeries(page) { return line }
        let start = offset
        parts.removeAll()
        if isNameStart(page[offset], colon: true) {
            while offset < page.count, isNameByte(page[offset], colon: true) { offset += 1 }
            parts.name = 0..<offset - start
            let nameEnd = offset
            skipBlanks(page)
            if offset < page.count, page[offset] == UInt8(ascii: "{") {
                try parsePairs(page, lineStart: start)
            } else {
                offset = nameEnd
            }
        } else if page[offset] == UInt8(ascii: "{") {
            try parsePairs(page, lineStart: start)
        } else {
            throw unexpected(page, "expected a valid start token", from: start)
        }
        let text = start..<offset
        parts.text = text
        skipBlanks(page)
        let valueStart = offset
        while offset < page.count, isValueByte(page[offset]) { offset += 1 }
        guard parts.name != nil else {
            throw pageError(page, at: start, "metric name not set while parsing: \(quotedForError(page.extracting(start..<offset)))")
        }
        guard offset > valueStart else { throw unexpected(page, "expected value after metric", from: start) }
        var value = try parseValue(page, valueStart..<offset, lineStart: start)
        if value.isNaN { value = Double(bitPattern: StaleNaN.normalBits) }
        skipBlanks(page)
        var timestamp: Int64?
        if offset < page.count, page[offset] != .newline {
            timestamp = try parseTimestamp(page, lineStart: start)
            skipBlanks(page)
            if offset < page.count, page[offset] != .newline {
                throw unexpected(page, "expected next entry after timestamp", from: start)
            }
        }
        if offset < page.count { offset += 1 }
        return SeriesLine(text: text, value: value, timestampMs: timestamp)
    }

    private func parseValue(_ page: Span<UInt8>, _ range: Range<Int>, lineStart: Int) throws(ExpositionError) -> Double {
        let bytes = page.extracting(range)
        // Hexadecimal floats and digit separators came to Go later than to this format.
        for index in 0..<bytes.count where bytes[index] | 0x20 == UInt8(ascii: "p") || bytes[index] == UInt8(ascii: "_") {
            throw pageError(page, at: range.lowerBound, "unsupported character in float", from: lineStart, to: range.upperBound)
        }
        switch parseDoubleDetailed(bytes) {
        case .value(let value): return value
        case .outOfRange:
            throw pageError(
                page, at: range.lowerBound, "parsing \(quotedForError(bytes)): value out of range", from: lineStart,
                to: range.upperBound)
        case .malformed:
            throw pageError(
                page, at: range.lowerBound, "parsing \(quotedForError(bytes)): invalid syntax", from: lineStart, to: range.upperBound)
        }
    }

    private mutating func parseTimestamp(_ page: Span<UInt8>, lineStart: Int) throws(ExpositionError) -> Int64 {
        let start = offset
        var value: Int64 = 0
        var overflowed = false
        while offset < page.count {
            let digit = page[offset] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(Int64(digit))
            overflowed = overflowed || tooLarge || overflow
            value = sum
            offset += 1
        }
        guard offset > start else { throw unexpected(page, "expected timestamp or new record", from: lineStart) }
        if overflowed {
            throw pageError(
                page, at: start, "parsing \(quotedForError(page.extracting(start..<offset))): value out of range", from: lineStart,
                to: offset)
        }
        return value
    }

    /// Parses from the opening brace to past the closing one.
    private mutating func parsePairs(_ page: Span<UInt8>, lineStart: Int) throws(ExpositionError) {
        offset += 1
        skipBlanks(page)
        while true {
            guard offset < page.count else { throw unexpected(page, "expected label name", from: lineStart) }
            let first = page[offset]
            if first == UInt8(ascii: "}") {
                offset += 1
                return
            }
            var name: Range<Int>
            var isQuoted = false
            if first == .quote {
                guard let content = parseQuoted(page) else { throw unexpected(page, "expected label name", from: lineStart) }
                name = content
                isQuoted = true
            } else if isNameStart(first, colon: false) {
                name = offset..<offset
                while offset < page.count, isNameByte(page[offset], colon: false) { offset += 1 }
                name = name.lowerBound..<offset
            } else {
                throw unexpected(page, "expected label name", from: lineStart)
            }
            skipBlanks(page)
            let after = offset < page.count ? page[offset] : 0
            if isQuoted && (after == UInt8(ascii: ",") || after == UInt8(ascii: "}")) {
                // A quoted string of its own is the metric's name.
                guard parts.name == nil else {
                    throw pageError(page, at: name.lowerBound - 1, "metric name already set", from: lineStart, to: offset + 1)
                }
                guard isValidUTF8(page.extracting(name)) else {
                    throw pageError(page, at: name.lowerBound, "invalid UTF-8 metric name: \(quotedForError(page.extracting(name)))")
                }
                parts.name = name.lowerBound - lineStart..<name.upperBound - lineStart
                parts.nameIsQuoted = true
                offset += 1
                if after == UInt8(ascii: "}") { return }
                skipBlanks(page)
                continue
            }
            guard after == UInt8(ascii: "=") else { throw unexpected(page, "expected equal", from: lineStart) }
            offset += 1
            skipBlanks(page)
            guard offset < page.count, page[offset] == .quote, let value = parseQuoted(page) else {
                throw unexpected(page, "expected label value", from: lineStart)
            }
            guard isValidUTF8(page.extracting(value)) else {
                throw pageError(page, at: value.lowerBound, "invalid UTF-8 label value: \(quotedForError(page.extracting(value)))")
            }
            parts.pairs.append(
                PairRange(
                    name: name.lowerBound - lineStart..<name.upperBound - lineStart, nameIsQuoted: isQuoted,
                    value: value.lowerBound - lineStart..<value.upperBound - lineStart, mayHaveEscapes: true))
            skipBlanks(page)
            // The comma is optional: Prometheus's parser forgives its absence, and so pages without it exist.
            if offset < page.count, page[offset] == UInt8(ascii: ",") {
                offset += 1
                skipBlanks(page)
            }
        }
    }

    /// With `offset` at a quote: the range between the quotes, escapes kept, and moves past them; nil, without moving,
    /// when the string does not end.
    private mutating func parseQuoted(_ page: Span<UInt8>) -> Range<Int>? {
        guard let content = quotedContent(page, at: offset) else { return nil }
        offset = content.upperBound + 1
        return content
    }

    // MARK: Bytes

    private mutating func skipBlanks(_ page: Span<UInt8>) {
        while isBlank(page, offset) { offset += 1 }
    }
    private func isBlank(_ page: Span<UInt8>, _ index: Int) -> Bool {
        index < page.count && (page[index] == UInt8(ascii: " ") || page[index] == UInt8(ascii: "\t"))
    }
    private func isValueByte(_ byte: UInt8) -> Bool {
        byte != UInt8(ascii: "{") && byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\t") && byte != .newline && byte != 0
    }
    private func endOfLine(_ page: Span<UInt8>, from: Int) -> Int {
        firstIndex(of: .newline, in: page, from: from)
    }

    // MARK: Errors

    /// An error at `offset` that shows what was found there.
    private func unexpected(_ page: Span<UInt8>, _ expectation: String, from lineStart: Int) -> ExpositionError {
        guard offset < page.count else {
            return pageError(page, at: offset, "\(expectation), got end of page", from: lineStart, to: page.count)
        }
        let found = quotedForError(page.extracting(offset..<offset + 1))
        return pageError(page, at: offset, "\(expectation), got \(found)", from: lineStart, to: offset + 1)
    }
}

/// A bucket bound or quantile as OpenMetrics writes it: always with a point or an exponent (`1.0`, `1e+06`, `+Inf`).
func formatOpenMetricsNumber(_ value: Double) -> [UInt8] {
    var text: [UInt8] = []
    text.appendDouble(value, style: .general)
    if value.isFinite && !text.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") }) {
        text.append(contentsOf: ".0".utf8)
    }
    return text
}
