import ApusBytes

/// What can be said of a pattern without an engine: most patterns of queries and relabel rules are a literal, an
/// alternation of literals, or a literal with `.*` or `.+` before or after it.
enum RegexShape: Sendable {
    /// Nothing known.
    case none
    /// `.*`, or `(.*)` with `isGroup`.
    case everything(isGroup: Bool)
    /// `.+`: any value but the empty one.
    case notEmpty
    /// `a|b|c`, or `a`.
    case literals([ByteString], set: Set<ByteString>)
    /// `prefix.*`, `prefix.+`, `.*suffix`, `.*infix.*` …
    case affixed(prefix: ByteString, suffix: ByteString, minimumMiddle: Int)
    case contains(ByteString, minimumBefore: Int, minimumAfter: Int)
    /// Begins with a literal; the engine decides the rest.
    case prefixed(ByteString)

    enum Verdict { case yes, no, undecided }

    /// An alternation of more literals than this goes to the engine; it would be a file, not an expression.
    static let maximumLiterals = 10_000

    /// `pattern` passed the syntax check.
    init(_ pattern: ByteString) {
        let bytes = pattern.bytes
        if bytes.elementsEqual("(.*)".utf8) {
            self = .everything(isGroup: true)
            return
        }
        if let literals = Self.literals(bytes) {
            self = .literals(literals, set: Set(literals))
            return
        }
        if let shape = Self.wildcards(bytes) {
            self = shape
            return
        }
        let (prefix, _) = Self.literalRun(bytes, from: 0)
        // A repetition after the literal would make its last character optional; `|` would end the alternative.
        self = Self.hasTopLevelAlternation(bytes) || prefix.isEmpty ? .none : .prefixed(ByteString(prefix))
    }

    var isComplete: Bool {
        switch self {
        case .none, .prefixed: false
        default: true
        }
    }
    var wholeIsGroup: Bool { if case .everything(isGroup: true) = self { true } else { false } }
    var matchesEverything: Bool { if case .everything = self { true } else { false } }
    var literalValues: [ByteString]? { if case .literals(let values, _) = self { values } else { nil } }
    var literalPrefix: ByteString {
        switch self {
        case .affixed(let prefix, _, _), .prefixed(let prefix): prefix
        case .literals(let values, _) where values.count == 1: values[0]
        default: ""
        }
    }

    func matches(_ value: Span<UInt8>) -> Verdict {
        switch self {
        case .none: return .undecided
        case .everything: return .yes
        case .notEmpty: return value.count > 0 ? .yes : .no
        case .literals(let values, let set):
            if values.count <= 8 {
                for literal in values where equalBytes(literal.bytes.span, value) { return .yes }
                return .no
            }
            return set.contains(ByteString(copying: value)) ? .yes : .no
        case .affixed(let prefix, let suffix, let minimum):
            let fits = value.count >= prefix.count + suffix.count + minimum
            return fits && begins(value, prefix) && ends(value, suffix) ? .yes : .no
        case .contains(let infix, let before, let after):
            let last = value.count - infix.count - after
            guard last >= before else { return .no }
            for start in before...last where equalBytes(value.extracting(start..<(start + infix.count)), infix.bytes.span) { return .yes }
            return .no
        case .prefixed(let prefix):
            return begins(value, prefix) ? .undecided : .no
        }
    }

    private func begins(_ value: Span<UInt8>, _ prefix: ByteString) -> Bool {
        value.count >= prefix.count && equalBytes(value.extracting(0..<prefix.count), prefix.bytes.span)
    }
    private func ends(_ value: Span<UInt8>, _ suffix: ByteString) -> Bool {
        value.count >= suffix.count && equalBytes(value.extracting((value.count - suffix.count)..<value.count), suffix.bytes.span)
    }

    /// The alternatives of a pattern that holds nothing but literals and `|`. An invalid UTF-8 value can never equal a
    /// literal without U+FFFD, so bytes may be compared; with U+FFFD the engine decides.
    private static func literals(_ bytes: [UInt8]) -> [ByteString]? {
        var result: [ByteString] = []
        var seen: Set<ByteString> = []
        var index = 0
        while true {
            let (run, end) = wholeLiteral(bytes, from: index)
            guard let run else { return nil }
            let literal = ByteString(run)
            if seen.insert(literal).inserted { result.append(literal) }
            if result.count > maximumLiterals { return nil }
            if end == bytes.count { return result }
            index = end + 1
        }
    }

    /// The literal up to the next `|` or the end; nil if something else stands there.
    private static func wholeLiteral(_ bytes: [UInt8], from start: Int) -> ([UInt8]?, Int) {
        var run: [UInt8] = []
        var index = start
        while index < bytes.count, bytes[index] != UInt8(ascii: "|") {
            guard let (byte, next) = literalByte(bytes, index) else { return (nil, index) }
            run.append(byte)
            index = next
        }
        return holdsReplacement(run) ? (nil, index) : (run, index)
    }

    /// The longest literal from `start` that no repetition touches, and where it ends.
    private static func literalRun(_ bytes: [UInt8], from start: Int) -> ([UInt8], Int) {
        var run: [UInt8] = []
        /// Where each character of `run` began, in `bytes` and in `run`.
        var lastStart = (pattern: start, run: 0)
        var index = start
        while index < bytes.count, let (byte, next) = literalByte(bytes, index) {
            if byte & 0xC0 != 0x80 { lastStart = (index, run.count) }
            run.append(byte)
            index = next
        }
        if index < bytes.count, "*+?{".utf8.contains(bytes[index]) {
            run.removeSubrange(lastStart.run...)
            index = lastStart.pattern
        }
        return holdsReplacement(run) ? ([], start) : (run, index)
    }

    /// The byte that stands for itself at `index`, perhaps behind a backslash, and where the next begins.
    private static func literalByte(_ bytes: [UInt8], _ index: Int) -> (UInt8, Int)? {
        let byte = bytes[index]
        if byte == UInt8(ascii: "\\") {
            guard index + 1 < bytes.count, case let escaped = bytes[index + 1], escaped < 0x80, isPunctuation(escaped) else { return nil }
            return (escaped, index + 2)
        }
        return "^$.|?*+()[]{}".utf8.contains(byte) ? nil : (byte, index + 1)
    }

    private static func isPunctuation(_ byte: UInt8) -> Bool {
        (0x21...0x2F).contains(byte) || (0x3A...0x40).contains(byte) || (0x5B...0x60).contains(byte) || (0x7B...0x7E).contains(byte)
    }

    private static func holdsReplacement(_ run: [UInt8]) -> Bool {
        guard run.count >= 3 else { return false }
        for index in 0..<(run.count - 2) where run[index] == 0xEF && run[index + 1] == 0xBF && run[index + 2] == 0xBD { return true }
        return false
    }

    /// `.*` and `.+` around and between at most two literals.
    private static func wildcards(_ bytes: [UInt8]) -> RegexShape? {
        func wildcard(at index: Int) -> (minimum: Int, end: Int)? {
            guard index + 1 < bytes.count, bytes[index] == UInt8(ascii: ".") else { return nil }
            // A `?` after it changes what is captured and not what matches; a second repetition is rare enough.
            let next = index + 2 < bytes.count ? bytes[index + 2] : 0
            if "*+?{".utf8.contains(next) { return nil }
            if bytes[index + 1] == UInt8(ascii: "*") { return (0, index + 2) }
            // `.+` after a literal needs a whole character, and any byte is one or part of one.
            if bytes[index + 1] == UInt8(ascii: "+") { return (1, index + 2) }
            return nil
        }
        let (first, firstEnd) = literalRun(bytes, from: 0)
        guard let left = wildcard(at: firstEnd) else { return nil }
        let (second, secondEnd) = literalRun(bytes, from: left.end)
        if secondEnd == bytes.count {
            if first.isEmpty && second.isEmpty { return left.minimum == 0 ? .everything(isGroup: false) : .notEmpty }
            return .affixed(prefix: ByteString(first), suffix: ByteString(second), minimumMiddle: left.minimum)
        }
        guard first.isEmpty, !second.isEmpty, let right = wildcard(at: secondEnd), right.end == bytes.count else { return nil }
        return .contains(ByteString(second), minimumBefore: left.minimum, minimumAfter: right.minimum)
    }

    private static func hasTopLevelAlternation(_ bytes: [UInt8]) -> Bool {
        var depth = 0
        var index = 0
        var inClass = false
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\\"): index += 1
            case UInt8(ascii: "["): inClass = true
            case UInt8(ascii: "]"): inClass = false
            case UInt8(ascii: "(") where !inClass: depth += 1
            case UInt8(ascii: ")") where !inClass: depth -= 1
            // Inside a class a bar means itself; counting it costs a fast path and no answer.
            case UInt8(ascii: "|") where depth <= 0 || inClass: return true
            default: break
            }
            index += 1
        }
        return false
    }
}
