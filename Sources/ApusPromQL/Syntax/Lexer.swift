import ApusBytes

/// Cuts a query into tokens, one at a time, over its bytes.
///
/// What a byte means depends on the brackets it stands in: `a:b` is one name outside and `[5m:1m]` has a colon inside,
/// keywords are plain label names between braces.
struct Lexer {
    let input: [UInt8]
    /// Why the last token was `.failure`.
    private(set) var failure = ""
    private var position = 0
    private var start = 0
    private var parenDepth = 0
    private var isInBraces = false
    private var isInBrackets = false
    /// In brackets and before their first number: nothing but a duration may stand there.
    private var expectsDuration = false
    private var gotColon = false

    init(_ input: [UInt8]) { self.input = input }

    private func peek(_ ahead: Int = 0) -> UInt8? {
        let index = position + ahead
        return index < input.count ? input[index] : nil
    }

    /// The character at `position`; `nil` at the end.
    private func peekRune() -> (rune: UInt32, width: Int)? {
        position < input.count ? decodeRune(input[...], at: position) : nil
    }

    private func emit(_ kind: Token.Kind) -> Token { Token(kind: kind, range: start..<position) }

    private mutating func fail(_ reason: String) -> Token {
        failure = reason
        return Token(kind: .failure, range: min(start, input.count)..<input.count)
    }

    private mutating func take(_ kind: Token.Kind, count: Int = 1) -> Token {
        position += count
        return emit(kind)
    }

    /// The next token, comments included. After `.failure` or `.endOfInput` there is nothing more.
    mutating func next() -> Token {
        while isSpace(peek()) { position += 1 }
        start = position
        if peek() == UInt8(ascii: "#"), !expectsDuration { return comment() }
        if isInBraces { return insideBraces() }
        if expectsDuration { return durationStart() }
        return statement()
    }

    private mutating func comment() -> Token {
        while let byte = peek(), byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") { position += 1 }
        return emit(.comment)
    }

    private mutating func statement() -> Token {
        guard let (rune, width) = peekRune() else {
            if parenDepth != 0 { return fail("unclosed left parenthesis") }
            if isInBrackets { return fail("unclosed left bracket") }
            return emit(.endOfInput)
        }
        guard rune < 0x80, let byte = peek() else { return fail("unexpected character: \(quotedRune(rune))") }
        switch byte {
        case UInt8(ascii: ","): return take(.comma)
        case UInt8(ascii: "*"): return take(.binary(.multiply))
        case UInt8(ascii: "/"): return take(.binary(.divide))
        case UInt8(ascii: "%"): return take(.binary(.modulo))
        case UInt8(ascii: "+"): return take(.binary(.add))
        case UInt8(ascii: "-"): return take(.binary(.subtract))
        case UInt8(ascii: "^"): return take(.binary(.power))
        case UInt8(ascii: "@"): return take(.at)
        case UInt8(ascii: "="):
            if peek(1) == UInt8(ascii: "=") { return take(.binary(.equal), count: 2) }
            if peek(1) == UInt8(ascii: "~") { return fail("unexpected character after '=': '~'") }
            return take(.assign)
        case UInt8(ascii: "!"):
            if peek(1) == UInt8(ascii: "=") { return take(.binary(.notEqual), count: 2) }
            position += width
            return fail("unexpected character after '!': \(quotedRune(peekRune()?.rune))")
        case UInt8(ascii: "<"):
            if peek(1) == UInt8(ascii: "=") { return take(.binary(.lessOrEqual), count: 2) }
            if peek(1) == UInt8(ascii: "/") { return take(.binary(.trimUpper), count: 2) }
            return take(.binary(.less))
        case UInt8(ascii: ">"):
            if peek(1) == UInt8(ascii: "=") { return take(.binary(.greaterOrEqual), count: 2) }
            if peek(1) == UInt8(ascii: "/") { return take(.binary(.trimLower), count: 2) }
            return take(.binary(.greater))
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return string(byte)
        case UInt8(ascii: "`"): return rawString()
        case UInt8(ascii: "("): return openParen()
        case UInt8(ascii: ")"): return closeParen()
        case UInt8(ascii: "{"):
            isInBraces = true
            return take(.leftBrace)
        case UInt8(ascii: "["):
            if isInBrackets { return fail("unexpected left bracket '['") }
            (isInBrackets, expectsDuration, gotColon) = (true, true, false)
            return take(.leftBracket)
        case UInt8(ascii: "]"):
            if !isInBrackets { return fail("unexpected right bracket ']'") }
            return closeBracket()
        default:
            if isDigit(byte) || (byte == UInt8(ascii: ".") && isDigit(peek(1))) { return numberOrDuration() }
            if isAlpha(byte) || byte == UInt8(ascii: ":") { return isInBrackets ? wordInBrackets(byte) : wordOrName() }
            return fail("unexpected character: \(quotedRune(rune))")
        }
    }

    private mutating func openParen() -> Token {
        parenDepth += 1
        return take(.leftParen)
    }

    private mutating func closeParen() -> Token {
        parenDepth -= 1
        if parenDepth < 0 {
            position += 1
            start = position
            return fail("unexpected right parenthesis ')'")
        }
        return take(.rightParen)
    }

    private mutating func closeBracket() -> Token {
        (isInBrackets, expectsDuration) = (false, false)
        return take(.rightBracket)
    }

    // MARK: In brackets

    /// After `[` and before its first number.
    private mutating func durationStart() -> Token {
        guard let (rune, _) = peekRune(), let byte = peek() else {
            return fail("unexpected end of input in duration expression")
        }
        switch byte {
        case UInt8(ascii: "]"): return closeBracket()
        case UInt8(ascii: ":"):
            position += 1
            start = position
            return fail("unexpected colon before duration in duration expression")
        case UInt8(ascii: "("): return openParen()
        case UInt8(ascii: ")"): return closeParen()
        case UInt8(ascii: "+"): return take(.binary(.add))
        case UInt8(ascii: "-"): return take(.binary(.subtract))
        case UInt8(ascii: "*"): return take(.binary(.multiply))
        case UInt8(ascii: "/"): return take(.binary(.divide))
        case UInt8(ascii: "%"): return take(.binary(.modulo))
        case UInt8(ascii: "^"): return take(.binary(.power))
        case UInt8(ascii: ","): return take(.comma)
        default:
            if isDigit(byte) || (byte == UInt8(ascii: ".") && isDigit(peek(1))) {
                expectsDuration = false
                return numberOrDuration()
            }
            if let token = durationWord() {
                expectsDuration = false
                return token
            }
            return fail("unexpected character in duration expression: \(quotedRune(rune))")
        }
    }

    private mutating func wordInBrackets(_ byte: UInt8) -> Token {
        if byte == UInt8(ascii: ":") {
            if gotColon { return fail("unexpected colon ':'") }
            gotColon = true
            return take(.colon)
        }
        return durationWord() ?? fail("unexpected character: \(quotedRune(UInt32(byte))), expected ':'")
    }

    /// `step`, `range`, `min_of`, `max_of`.
    private mutating func durationWord() -> Token? {
        var end = position
        while end < input.count, isAlpha(input[end]) { end += 1 }
        guard case .preprocessor(let word)? = Token.word(input[position..<end]), word != .start, word != .end else { return nil }
        position = end
        return emit(.preprocessor(word))
    }

    // MARK: In braces

    private mutating func insideBraces() -> Token {
        guard let (rune, _) = peekRune(), let byte = peek() else { return fail("unexpected end of input inside braces") }
        switch byte {
        case UInt8(ascii: ","): return take(.comma)
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return string(byte)
        case UInt8(ascii: "`"): return rawString()
        case UInt8(ascii: "="):
            return peek(1) == UInt8(ascii: "~") ? take(.regexMatch, count: 2) : take(.assign)
        case UInt8(ascii: "!"):
            if peek(1) == UInt8(ascii: "~") { return take(.regexNoMatch, count: 2) }
            if peek(1) == UInt8(ascii: "=") { return take(.binary(.notEqual), count: 2) }
            position += 1
            return fail("unexpected character after '!' inside braces: \(quotedRune(peekRune()?.rune))")
        case UInt8(ascii: "{"): return fail("unexpected left brace '{'")
        case UInt8(ascii: "}"):
            isInBraces = false
            return take(.rightBrace)
        default:
            guard isAlpha(byte) else { return fail("unexpected character inside braces: \(quotedRune(rune))") }
            while isAlphaNumeric(peek()) { position += 1 }
            return emit(.identifier)
        }
    }

    // MARK: Words

    private mutating func wordOrName() -> Token {
        var hasColon = false
        while let byte = peek(), isAlphaNumeric(byte) || byte == UInt8(ascii: ":") {
            hasColon = hasColon || byte == UInt8(ascii: ":")
            position += 1
        }
        guard let word = Token.word(input[start..<position]) else { return emit(hasColon ? .metricIdentifier : .identifier) }
        switch word {
        case .keyword(.fill), .keyword(.fillLeft), .keyword(.fillRight):
            // Young keywords: old queries use them as names, so they count only before `(`.
            var ahead = position
            while ahead < input.count, isSpace(input[ahead]) { ahead += 1 }
            return emit(ahead < input.count && input[ahead] == UInt8(ascii: "(") ? word : .identifier)
        default: return emit(word)
        }
    }

    // MARK: Strings

    private mutating func string(_ quote: UInt8) -> Token {
        position += 1
        while let (rune, width) = peekRune() {
            position += width
            switch rune {
            case UInt32(quote): return emit(.string)
            case UInt32(UInt8(ascii: "\\")):
                if let reason = escape(quote) { return fail(reason) }
            case replacementRune: return fail("invalid UTF-8 rune")
            case UInt32(UInt8(ascii: "\n")): return fail("unterminated quoted string")
            default: continue
            }
        }
        return fail("unterminated quoted string")
    }

    private mutating func rawString() -> Token {
        position += 1
        while let (rune, width) = peekRune() {
            position += width
            if rune == UInt32(UInt8(ascii: "`")) { return emit(.string) }
            if rune == replacementRune { return fail("invalid UTF-8 rune") }
        }
        return fail("unterminated raw string")
    }

    /// Passes over an escape, its backslash already behind.
    /// - Returns: what is wrong with it, if anything.
    private mutating func escape(_ quote: UInt8) -> String? {
        guard let (rune, width) = peekRune() else { return "escape sequence not terminated" }
        let digits: Int
        let base: UInt32
        switch rune < 0x80 ? UInt8(rune) : 0 {
        case UInt8(ascii: "a"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"),
            UInt8(ascii: "v"), UInt8(ascii: "\\"), quote:
            position += width
            return nil
        case UInt8(ascii: "0")...UInt8(ascii: "7"): (digits, base) = (3, 8)
        case UInt8(ascii: "x"): (digits, base) = (2, 16)
        case UInt8(ascii: "u"): (digits, base) = (4, 16)
        case UInt8(ascii: "U"): (digits, base) = (8, 16)
        default: return "unknown escape sequence \(namedRune(rune))"
        }
        if base == 16 { position += 1 }
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let (rune, width) = peekRune() else { return "escape sequence not terminated" }
            guard rune < 0x80, let digit = digitValue(UInt8(rune)), digit < base else {
                return "illegal character \(namedRune(rune)) in escape sequence"
            }
            value = value &* base &+ digit
            position += width
        }
        let maximum: UInt32 = digits < 4 ? 255 : 0x10_ffff
        return value > maximum || (0xd800..<0xe000).contains(value) ? "escape sequence is an invalid Unicode code point" : nil
    }

    // MARK: Numbers

    private mutating func numberOrDuration() -> Token {
        if scanNumber() { return emit(.number) }
        if scanDuration() { return emit(.duration) }
        // The text up to the character that broke the rule, that one included.
        return fail("bad number or duration syntax: \(quoted(input[start..<position]))")
    }

    private mutating func accept(_ set: StaticString) -> Bool {
        guard let byte = peek() else { return false }
        for index in 0..<set.utf8CodeUnitCount where unsafe set.utf8Start[index] == byte {
            position += 1
            return true
        }
        return false
    }

    /// Passes over what looks like a number; the parser checks that it is one.
    private mutating func scanNumber() -> Bool {
        var isHex = false
        if accept("0"), accept("xX") {
            _ = accept("_")
            isHex = true
        }
        func isNumberDigit(_ byte: UInt8?) -> Bool { isDigit(byte) || (isHex && byte.flatMap(digitValue) != nil) }
        if accept("."), peek().map({ !isNumberDigit($0) }) ?? true { return false }
        var gotDot = position > start && input[position - 1] == UInt8(ascii: ".")
        var gotExponent = false
        while let byte = peek() {
            if isNumberDigit(byte) {
                position += 1
            } else if byte == UInt8(ascii: ".") {
                position += 1
                if gotDot || accept("_.") || isHex { return false }
                gotDot = true
            } else if lowercased(byte) == UInt8(ascii: "e") {
                position += 1
                if gotExponent { return false }
                gotExponent = true
                _ = accept("+-")
                if accept("._eE") || peek() == nil { return false }
            } else if byte == UInt8(ascii: "_") {
                position += 1
                if accept("._eE") || peek() == nil { return false }
            } else {
                break
            }
        }
        return position > start && !isAlphaNumeric(peek())
    }

    /// Goes on where `scanNumber` stopped.
    private mutating func scanDuration() -> Bool {
        guard accept("smhdwy") else { return false }
        _ = accept("s")
        while isDigit(peek()) {
            while isDigit(peek()) { position += 1 }
            // No `y`: years come first in a duration.
            guard accept("smhdw") else { return false }
            _ = accept("s")
        }
        if isAlphaNumeric(peek()) {
            position += 1
            return false
        }
        return true
    }
}
