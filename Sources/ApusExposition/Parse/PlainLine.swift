import ApusBytes
import ApusModel

// Lines in the form in which every client library writes them, read by pointer: single blanks, names without quotes, values
// without a line break. Any other line, and any that is wrong, is left to the parsers, which know all forms and say what is
// wrong; `PlainLineTests` holds the two to the same answers.

/// A sample line of the usual form.
struct PlainLine {
    /// Of the page: what names the series.
    var text: Range<Int>
    var value: Double
    /// Milliseconds since the Unix epoch, where the line has a timestamp.
    var timestampMs: Int64?
    var exemplar: OpenMetricsParser.ExemplarPart?
    /// Where the next line begins.
    var next: Int
}

/// Reads a line of the text format at `start`; nil when it is of another form.
@inline(__always)
func readPlainTextLine(_ page: Span<UInt8>, from start: Int, parts: inout SeriesParts) -> PlainLine? {
    guard start >= 0, start < page.count, page[page.count - 1] == .newline else { return nil }
    // SAFETY: the buffer is valid during the closure, and a newline stands at its end.
    return unsafe page.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return nil }
        parts.removeAll()
        var reader = unsafe PlainReader(base: base, count: buffer.count, position: start)
        guard reader.readSeries(&parts), let value = reader.readValue() else { return nil }
        var timestamp: Int64?
        if reader.byte != .newline {
            guard let whole = reader.readWholeTimestamp() else { return nil }
            timestamp = whole
        }
        return PlainLine(text: parts.text, value: value, timestampMs: timestamp, exemplar: nil, next: reader.position &+ 1)
    }
}

/// Reads a line of OpenMetrics at `start`; nil when it is of another form.
/// - Parameter parts: those of the line before; kept when this one's text is the same.
@inline(__always)
func readPlainOpenMetricsLine(
    _ page: Span<UInt8>, from start: Int, parts: inout SeriesParts, exemplarPairs: inout PairList
) -> (line: PlainLine, repeatsSeries: Bool)? {
    // Without a newline behind the marker the page ends with the one before it.
    let end = page.count > 0 && page[page.count - 1] == .newline ? page.count : page.count - OpenMetricsParser.markerSize
    guard start >= 0, start < end, page[end - 1] == .newline else { return nil }
    exemplarPairs.removeAll()
    // SAFETY: the buffer is valid during the closure, and a newline stands at `end` − 1.
    return unsafe page.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return nil }
        var reader = unsafe PlainReader(base: base, count: end, position: start)
        let repeats = reader.repeatsSeries(parts)
        if repeats {
            // A text with a newline in it must not be passed, and the other way is quick with lines that repeat.
            if !parts.isPlain { return nil }
            reader.skipSeries(like: &parts)
        } else {
            parts.removeAll()
        }
        guard repeats || reader.readSeries(&parts), let line = reader.readOpenMetricsSample(of: parts.text, &exemplarPairs) else {
            // Or who reads the line in the other way would find that it repeats itself.
            if !repeats { parts.removeAll() }
            return nil
        }
        return (line, repeats)
    }
}

/// A place in a page. A newline stands at or behind it, and no method moves it past one, so none reads past the page.
@safe
private struct PlainReader {
    let base: UnsafePointer<UInt8>
    let count: Int
    var position: Int

    init(base: UnsafePointer<UInt8>, count: Int, position: Int) {
        unsafe self.base = base
        self.count = count
        self.position = position
    }

    // SAFETY, for all of this type: `position` is below `count`, see above. What looks one byte further first saw that the
    // byte at `position` is no newline, and what loads a word saw that it ends at or before `count`.
    @inline(__always) var byte: UInt8 { unsafe base[position] }
    @inline(__always) func byte(at index: Int) -> UInt8 { unsafe base[index] }

    /// Whether ` #` stands here.
    @inline(__always) var isAtExemplar: Bool { byte == UInt8(ascii: " ") && byte(at: position &+ 1) == UInt8(ascii: "#") }

    /// Whether a series part stands here that is the same, byte for byte, as `parts`.
    @inline(__always)
    func repeatsSeries(_ parts: borrowing SeriesParts) -> Bool {
        let length = parts.text.count
        guard length > 0, count &- position > length, parts.text.upperBound <= position, byte(at: position &+ length) == UInt8(ascii: " ")
        else { return false }
        return unsafe equalBytes(
            Span(_unsafeStart: base + position, count: length), Span(_unsafeStart: base + parts.text.lowerBound, count: length))
    }

    /// Passes it.
    @inline(__always)
    mutating func skipSeries(like parts: inout SeriesParts) {
        let end = position &+ parts.text.count
        parts.text = position..<end
        position = end
    }

    /// From the metric's name to past the closing brace.
    @inline(__always)
    mutating func readSeries(_ parts: inout SeriesParts) -> Bool {
        let start = position
        guard ByteClass.isNameStart(byte) else { return false }
        repeat { position &+= 1 } while ByteClass.isNameByte(byte)
        parts.name = 0..<position &- start
        if byte == UInt8(ascii: "{") {
            guard readPairs(&parts.pairs, origin: start) else { return false }
        }
        parts.text = start..<position
        parts.isPlain = true
        return true
    }

    /// From the opening brace to past the closing one.
    /// - Parameter origin: what offsets count from.
    @inline(__always)
    mutating func readPairs(_ pairs: inout PairList, origin: Int) -> Bool {
        position &+= 1
        while byte != UInt8(ascii: "}") {
            let nameStart = position
            guard ByteClass.isLabelStart(byte) else { return false }
            repeat { position &+= 1 } while ByteClass.isLabelByte(byte)
            let nameEnd = position
            guard byte == UInt8(ascii: "="), byte(at: position &+ 1) == .quote else { return false }
            position &+= 2
            let valueStart = position
            guard let special = findQuote() else { return false }
            if special.hasHighBytes {
                let isValid = unsafe isValidUTF8(Span(_unsafeStart: base + valueStart, count: position &- valueStart))
                if !isValid { return false }
            }
            pairs.append(
                PairRange(
                    name: nameStart &- origin..<nameEnd &- origin, nameIsQuoted: false,
                    value: valueStart &- origin..<position &- origin, mayHaveEscapes: special.hasEscapes))
            position &+= 1
            if byte == UInt8(ascii: ",") {
                position &+= 1
            } else if byte != UInt8(ascii: "}") {
                return false
            }
        }
        position &+= 1
        return true
    }

    /// Moves to the quote that ends a value; nil when a newline or the page's end comes first.
    @inline(__always)
    private mutating func findQuote() -> (hasEscapes: Bool, hasHighBytes: Bool)? {
        var hasEscapes = false
        var hasHighBytes = false
        while true {
            while position &+ 8 <= count {
                let word = unsafe UInt64(
                    littleEndian: UnsafeRawPointer(base).loadUnaligned(fromByteOffset: position, as: UInt64.self))
                let found = Self.specialBytes(word)
                if found == 0 {
                    position &+= 8
                    continue
                }
                position &+= found.trailingZeroBitCount &>> 3
                break
            }
            guard position < count else { return nil }
            let byte = byte
            if byte == .quote { return (hasEscapes, hasHighBytes) }
            if byte == .newline { return nil }
            if byte == .backslash {
                hasEscapes = true
                // At the end of a page an escape is half: the newline there ends the search.
                if position &+ 1 >= count || self.byte(at: position &+ 1) == .newline { return nil }
                position &+= 1
            }
            // What an escape hides may be the first byte of a character.
            if self.byte >= 0x80 { hasHighBytes = true }
            position &+= 1
        }
    }

    /// The highest bit of each byte that is a quote, a backslash, a newline or beyond ASCII. Exact up to the lowest one.
    @inline(__always)
    private static func specialBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ 0x2222_2222_2222_2222
        let backslashes = word ^ 0x5C5C_5C5C_5C5C_5C5C
        let newlines = word ^ 0x0A0A_0A0A_0A0A_0A0A
        let found = ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes) | ((newlines &- ones) & ~newlines) | word
        return found & 0x8080_8080_8080_8080
    }

    /// A blank and a number, and moves to what follows: a blank or a newline.
    @inline(__always)
    mutating func readValue() -> Double? {
        guard byte == UInt8(ascii: " ") else { return nil }
        position &+= 1
        return readNumber()
    }

    @inline(__always)
    private mutating func readNumber() -> Double? {
        var value = 0.0
        let taken = unsafe parsePlainDouble(base + position, powersOfTen: PowersOfTen.table.values, into: &value)
        if taken > 0, byte(at: position &+ taken) == UInt8(ascii: " ") || byte(at: position &+ taken) == .newline {
            position &+= taken
            return value
        }
        return readWord()
    }

    /// The words that pages have for what is no number. The rest is not plain.
    @inline(never)
    private mutating func readWord() -> Double? {
        if skip("+Inf") { return .infinity }
        if skip("NaN") { return Double(bitPattern: StaleNaN.normalBits) }
        if skip("-Inf") { return -.infinity }
        return nil
    }

    private mutating func skip(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        // SAFETY: a static text has `length` code units. A byte that differs, as a newline does, ends the loop.
        for index in 0..<length where unsafe byte(at: position &+ index) != word.utf8Start[index] { return false }
        guard byte(at: position &+ length) == UInt8(ascii: " ") || byte(at: position &+ length) == .newline else { return false }
        position &+= length
        return true
    }

    /// A blank and at most 18 digits before the newline.
    @inline(__always)
    mutating func readWholeTimestamp() -> Int64? {
        position &+= 1
        let start = position
        var result: Int64 = 0
        var digit = byte &- UInt8(ascii: "0")
        while digit < 10 {
            result = result &* 10 &+ Int64(digit)
            position &+= 1
            digit = byte &- UInt8(ascii: "0")
        }
        return position > start && position &- start <= 18 && byte == .newline ? result : nil
    }

    /// A blank and seconds, in ms.
    @inline(__always)
    mutating func readSecondsTimestamp() -> Int64? {
        position &+= 1
        guard let seconds = readNumber() else { return nil }
        let ms = seconds * 1000
        return ms.magnitude < 0x1p63 ? Int64(ms) : nil
    }

    /// What follows the series part, with the newline.
    @inline(__always)
    mutating func readOpenMetricsSample(of text: Range<Int>, _ exemplarPairs: inout PairList) -> PlainLine? {
        guard let value = readValue() else { return nil }
        var line = PlainLine(text: text, value: value, timestampMs: nil, exemplar: nil, next: 0)
        if byte == UInt8(ascii: " "), !isAtExemplar {
            guard let timestamp = readSecondsTimestamp() else { return nil }
            line.timestampMs = timestamp
        }
        if byte == UInt8(ascii: " ") {
            guard let exemplar = readExemplar(&exemplarPairs) else { return nil }
            line.exemplar = exemplar
        }
        guard byte == .newline else { return nil }
        line.next = position &+ 1
        return line
    }

    /// ` # {labels} value`, and perhaps a timestamp.
    @inline(__always)
    mutating func readExemplar(_ pairs: inout PairList) -> OpenMetricsParser.ExemplarPart? {
        guard isAtExemplar, byte(at: position &+ 2) == UInt8(ascii: " "), byte(at: position &+ 3) == UInt8(ascii: "{") else { return nil }
        position &+= 3
        guard readPairs(&pairs, origin: 0), let value = readValue() else { return nil }
        var timestamp: Int64?
        if byte == UInt8(ascii: " ") {
            guard let ms = readSecondsTimestamp() else { return nil }
            timestamp = ms
        }
        return OpenMetricsParser.ExemplarPart(value: value, timestampMs: timestamp)
    }
}

/// What a byte may be a part of.
private enum ByteClass {
    @inline(__always) static func isNameStart(_ byte: UInt8) -> Bool { isLabelStart(byte) || byte == UInt8(ascii: ":") }
    @inline(__always) static func isLabelStart(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "_")
    }
    /// Letters, digits and `_`, by a bit each.
    @inline(__always) static func isLabelByte(_ byte: UInt8) -> Bool {
        let bits: UInt64 = byte < 64 ? 0x03FF_0000_0000_0000 : 0x07FF_FFFE_87FF_FFFE
        return byte < 128 && bits &>> UInt64(byte) & 1 != 0
    }
    @inline(__always) static func isNameByte(_ byte: UInt8) -> Bool {
        let bits: UInt64 = byte < 64 ? 0x07FF_0000_0000_0000 : 0x07FF_FFFE_87FF_FFFE
        return byte < 128 && bits &>> UInt64(byte) & 1 != 0
    }
}
