public import ApusBytes
public import ApusRegex

/// One test on one label. A label that is absent has the empty value.
public struct Matcher: Sendable, Hashable {
    public enum Kind: String, Sendable {
        case equal = "="
        case notEqual = "!="
        case regex = "=~"
        case notRegex = "!~"
    }
    public let name: ByteString
    public let kind: Kind
    public let value: ByteString
    /// Set for the two regex kinds.
    public let regex: AnchoredRegex?

    /// - Throws: for the regex kinds, when `value` is not a pattern.
    public init(_ name: ByteString, _ kind: Kind, _ value: ByteString) throws(RegexError) {
        self.name = name
        self.kind = kind
        self.value = value
        switch kind {
        case .equal, .notEqual: regex = nil
        case .regex, .notRegex: regex = try AnchoredRegex(value)
        }
    }

    /// Equality needs no pattern and cannot fail.
    public init(_ name: ByteString, equals value: ByteString) {
        self.name = name
        self.value = value
        kind = .equal
        regex = nil
    }

    public func matches(_ candidate: Span<UInt8>) -> Bool {
        switch kind {
        case .equal: equalBytes(value.bytes.span, candidate)
        case .notEqual: !equalBytes(value.bytes.span, candidate)
        case .regex: regex?.matches(candidate) ?? false
        case .notRegex: !(regex?.matches(candidate) ?? true)
        }
    }

    public var matchesEmpty: Bool {
        let empty: [UInt8] = []
        return matches(empty.span)
    }

    public static func == (left: Matcher, right: Matcher) -> Bool {
        left.name == right.name && left.kind == right.kind && left.value == right.value
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(kind)
        hasher.combine(value)
    }
}

extension Matcher: CustomStringConvertible {
    public var description: String { "\(name)\(kind.rawValue)\(value.description.debugDescription)" }
}
