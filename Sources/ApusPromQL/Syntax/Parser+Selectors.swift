import ApusBytes
import ApusModel
import ApusRegex
import ApusStorage

private let metricNameLabel: ByteString = "__name__"

extension Parser {
    /// A selector and nothing else, as `match[]` takes it.
    mutating func parseWholeSelector() throws(ParseError) -> [Matcher] {
        var name: Range<Int>?
        switch current.kind {
        case .leftBrace: break
        case .identifier, .metricIdentifier, .aggregator, .preprocessor, .binary(.and), .binary(.or), .binary(.unless),
            .keyword(.by), .keyword(.without), .keyword(.offset), .keyword(.anchored), .keyword(.smoothed):
            name = current.range
            try advance()
        default: throw unexpected()
        }
        let id = try parseSelector(name: name)
        guard current.kind == .endOfInput else { throw unexpected() }
        guard case .vectorSelector(let selector) = nodes[id.index].kind else { return [] }
        return selector.matchers
    }

    /// The braces behind a name that has been consumed, or braces alone.
    mutating func parseSelector(name: Range<Int>?) throws(ParseError) -> NodeID {
        let start = name?.lowerBound ?? current.range.lowerBound
        var matchers: [Matcher] = []
        if try accept(.leftBrace) { matchers = try parseMatchers() }
        var selector = VectorSelector(name: ByteString(), matchers: matchers)
        if let name {
            selector.name = text(name)
            selector.matchers.append(Matcher(metricNameLabel, equals: selector.name))
        }
        selectorCount += 1
        if selectorCount > options.maxSelectors {
            throw lines.error("query has more than \(options.maxSelectors) selectors (limit of selectors)", start..<previousEnd)
        }
        return add(.vectorSelector(selector), .instantVector, start..<previousEnd)
    }

    /// Matchers up to the closing brace, which it consumes.
    private mutating func parseMatchers() throws(ParseError) -> [Matcher] {
        var matchers: [Matcher] = []
        if try accept(.rightBrace) { return matchers }
        while true {
            matchers.append(try parseMatcher())
            if try accept(.rightBrace) { return matchers }
            try expect(.comma, in: "label matching", expected: "\",\" or \"}\"")
            // A comma may stand last.
            if try accept(.rightBrace) { return matchers }
        }
    }

    /// `name op "value"`, with the name quoted or not, or a quoted metric name.
    private mutating func parseMatcher() throws(ParseError) -> Matcher {
        let token = current
        var name = text(token.range)
        switch token.kind {
        case .identifier: break
        case .string: name = try unquote(token)
        default: throw unexpected(in: "label matching", expected: "identifier or \"}\"")
        }
        try advance()
        let kind: Matcher.Kind
        switch current.kind {
        case .assign: kind = .equal
        case .binary(.notEqual): kind = .notEqual
        case .regexMatch: kind = .regex
        case .regexNoMatch: kind = .notRegex
        default:
            guard token.kind == .string else { throw unexpected(in: "label matching", expected: "label matching operator") }
            return Matcher(metricNameLabel, equals: name)
        }
        try advance()
        guard current.kind == .string else { throw unexpected(in: "label matching", expected: "string") }
        let range = token.range.lowerBound..<current.range.upperBound
        let value = try unquote(current)
        let matcher: Matcher
        do throws(RegexError) {
            matcher = try Matcher(name, kind, value)
        } catch {
            throw lines.error(error.description, range)
        }
        try advance()
        return matcher
    }
}
