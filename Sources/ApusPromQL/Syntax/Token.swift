import ApusBytes

/// A word of the language and the bytes it came from.
struct Token {
    enum Kind: Equatable {
        case endOfInput
        /// The lexer gave up; `Lexer.failure` says why.
        case failure
        case comment
        case identifier
        /// An identifier with a colon: names a metric and nothing else.
        case metricIdentifier
        case string
        /// A number, `inf` and `nan` included.
        case number
        case duration
        case leftParen, rightParen, leftBrace, rightBrace, leftBracket, rightBracket
        case comma, colon
        /// `=`
        case assign
        case regexMatch, regexNoMatch
        case at
        /// Every operator between expressions; `!=` is a matcher's, too.
        case binary(BinaryOperator)
        case aggregator(AggregationOperator)
        case keyword(Keyword)
        /// Words that are functions, modifiers or names, as their place decides.
        case preprocessor(Preprocessor)
    }

    enum Keyword: String {
        case offset, anchored, smoothed, by, without, on, ignoring, bool, fill
        case groupLeft = "group_left"
        case groupRight = "group_right"
        case fillLeft = "fill_left"
        case fillRight = "fill_right"
    }

    enum Preprocessor: String {
        case start, end, step, range
        case minOf = "min_of"
        case maxOf = "max_of"
    }

    var kind: Kind
    var range: Range<Int>

    /// The token of a whole word, case ignored; `nil` for an ordinary identifier. All keywords are ASCII and shorter
    /// than 16 bytes.
    static func word(_ bytes: ArraySlice<UInt8>) -> Kind? {
        guard bytes.count < 16 else { return nil }
        return words[String(decoding: bytes.map(lowercased), as: UTF8.self)]
    }

    private static let words: [String: Kind] = {
        var words: [String: Kind] = ["inf": .number, "nan": .number]
        for op in [BinaryOperator.and, .or, .unless, .atan2] { words[op.rawValue] = .binary(op) }
        for op in AggregationOperator.allCases { words[op.rawValue] = .aggregator(op) }
        let keywords: [Keyword] = [
            .offset, .anchored, .smoothed, .by, .without, .on, .ignoring, .bool, .fill, .groupLeft, .groupRight, .fillLeft,
            .fillRight,
        ]
        for keyword in keywords { words[keyword.rawValue] = .keyword(keyword) }
        for word in [Preprocessor.start, .end, .step, .range, .minOf, .maxOf] { words[word.rawValue] = .preprocessor(word) }
        return words
    }()

    /// How an error names the token: `identifier "foo"`, `<op:+>`, `end of input`.
    func described(in query: [UInt8]) -> String {
        let bytes = query[range]
        switch kind {
        case .endOfInput: return "end of input"
        case .failure: return "error"
        case .comment: return "comment " + Self.shortened(bytes)
        case .identifier: return "identifier " + quoted(bytes)
        case .metricIdentifier: return "metric identifier " + quoted(bytes)
        case .string: return "string " + Self.shortened(bytes)
        case .number: return "number " + Self.shortened(bytes)
        case .duration: return "duration " + Self.shortened(bytes)
        case .keyword: return "<" + String(decoding: bytes, as: UTF8.self) + ">"
        case .binary, .regexMatch, .regexNoMatch, .at: return "<op:" + String(decoding: bytes, as: UTF8.self) + ">"
        case .aggregator: return "<aggr:" + String(decoding: bytes, as: UTF8.self) + ">"
        default: return Self.shortened(bytes)
        }
    }

    /// At most the first ten characters, quoted.
    private static func shortened(_ bytes: ArraySlice<UInt8>) -> String {
        if bytes.count <= 10 { return quoted(bytes) }
        var end = bytes.startIndex
        var characters = 0
        while end < bytes.endIndex, characters < 10 {
            end += decodeRune(bytes, at: end).width
            characters += 1
        }
        return quoted(bytes[..<end]) + "..."
    }
}

@inline(__always) func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
@inline(__always) func isDigit(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    return byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
}
@inline(__always) func isAlpha(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    let lower = byte | 0x20
    return byte == UInt8(ascii: "_") || (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z"))
}
@inline(__always) func isAlphaNumeric(_ byte: UInt8?) -> Bool { isAlpha(byte) || isDigit(byte) }
@inline(__always) func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d }
