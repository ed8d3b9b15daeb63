public import ApusBytes
import CRE2

/// Why a pattern was refused. `description` is Go's text, as Prometheus shows it.
public struct RegexError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A regular expression as Prometheus uses them: RE2 syntax as Go has it, matching the whole value, the dot matching
/// newlines too, that is `^(?s:pattern)$`. Linear time; at most `memoryLimitBytes` each. Safe to share between threads.
///
///     pattern ─▶ GoSyntax (accepts what Go accepts, Go's error texts) ─▶ Shape (literals, prefixes: no engine needed)
///                                                                    └▶ RE2
///
/// RE2 compiles only what no shape answers: most patterns in queries are literals and their alternations.
@safe public final class AnchoredRegex: @unchecked Sendable {
    // `@unchecked`: an RE2 object may be matched from several threads at once; nothing here changes after init.
    public static let memoryLimitBytes = 8 << 20

    public let pattern: ByteString
    /// Nil if `shape` answers all.
    private let regex: OpaquePointer?
    private let shape: RegexShape

    public init(_ pattern: ByteString) throws(RegexError) {
        self.pattern = pattern
        let syntax = try GoSyntax.check(pattern)
        shape = RegexShape(pattern)
        if shape.isComplete {
            unsafe regex = nil
        } else {
            unsafe regex = try Self.compile(syntax.translated)
        }
    }

    /// Without the shapes: the model that tests hold them against.
    init(withoutShape pattern: ByteString) throws(RegexError) {
        self.pattern = pattern
        shape = .none
        unsafe regex = try Self.compile(GoSyntax.check(pattern).translated)
    }

    private static func compile(_ pattern: ByteString) throws(RegexError) -> OpaquePointer {
        var message = [CChar](repeating: 0, count: 256)
        // SAFETY: the pattern and the message buffer are valid for the call, which keeps neither.
        let compiled = unsafe pattern.bytes.withUnsafeBufferPointer { pattern in
            unsafe message.withUnsafeMutableBufferPointer { message in
                unsafe cre2_new(
                    UnsafeRawPointer(pattern.baseAddress)?.assumingMemoryBound(to: CChar.self), pattern.count,
                    memoryLimitBytes, message.baseAddress, message.count)
            }
        }
        guard let compiled = unsafe compiled else {
            let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw RegexError(goError(String(decoding: text, as: UTF8.self), pattern))
        }
        return unsafe compiled
    }

    /// What `GoSyntax` leaves to RE2, unknown Unicode classes and patterns that need too much memory, in Go's form.
    private static func goError(_ message: String, _ pattern: ByteString) -> String {
        if message.hasPrefix("pattern too large") { return "error parsing regexp: expression too large: `\(pattern)`" }
        guard let colon = message.firstIndex(of: ":") else { return "error parsing regexp: " + message }
        return "error parsing regexp: \(message[..<colon]): `\(message[colon...].dropFirst(2))`"
    }

    deinit { if let regex = unsafe regex { unsafe cre2_free(regex) } }

    /// The values that the pattern can match, if they are few and known: `a|b|c`. Unsorted, unique.
    public var literalValues: [ByteString]? { shape.literalValues }
    /// What every matching value begins with; may be empty.
    public var literalPrefix: ByteString { shape.literalPrefix }
    /// Whether the pattern matches any value, `.*`.
    public var matchesEverything: Bool { shape.matchesEverything }
    /// Whether the empty value, that is an absent label, matches.
    public var matchesEmpty: Bool { matches([UInt8]().span) }

    public func matches(_ value: Span<UInt8>) -> Bool {
        switch shape.matches(value) {
        case .yes: return true
        case .no: return false
        case .undecided: break
        }
        // Go reads a byte that is no UTF-8 as U+FFFD; RE2 would refuse it even to the dot.
        if !isValidUTF8(value) {
            var origins: [Int] = []
            let repaired = repairUTF8(value, origins: &origins)
            return engineMatches(repaired.span)
        }
        return engineMatches(value)
    }

    private func engineMatches(_ value: Span<UInt8>) -> Bool {
        guard let regex = unsafe regex else { return false }
        // SAFETY: the pointer is valid during the call, which does not keep it; RE2 takes a null pointer for no bytes.
        return unsafe value.withUnsafeBufferPointer { value in
            unsafe cre2_full_match(
                regex, UnsafeRawPointer(value.baseAddress)?.assumingMemoryBound(to: CChar.self), value.count) != 0
        }
    }

    /// Fills `template` with what the groups matched, nil if `value` does not match. As Go's `Regexp.Expand`: `$1`,
    /// `${1}`, `$name`, `${name}`; `$1x` is the group named `1x`; `$$` is a dollar; an unknown group is empty.
    public func expand(template: ByteString, in value: Span<UInt8>) -> ByteString? {
        switch shape.matches(value) {
        case .no: return nil
        case .yes:
            // A shape is complete without groups, or `(.*)`, whose only group is the whole.
            if shape.isComplete {
                let hasGroup = shape.wholeIsGroup
                return expandTemplate(template) { reference in
                    switch reference {
                    case .number(0): copying(value)
                    case .number(1) where hasGroup: copying(value)
                    default: []
                    }
                }
            }
        case .undecided: break
        }
        let isValid = isValidUTF8(value)
        var origins: [Int] = []
        let repaired = isValid ? [] : repairUTF8(value, origins: &origins)
        let text = isValid ? value : repaired.span
        guard let regex = unsafe regex, let offsets = groupOffsets(text) else { return nil }
        return expandTemplate(template) { reference in
            let index: Int
            switch reference {
            case .number(let number): index = number
            case .name(let name):
                // SAFETY: the pointer is valid during the call, which does not keep it.
                index = Int(
                    unsafe name.withUnsafeBufferPointer {
                        unsafe cre2_group_number(
                            regex, UnsafeRawPointer($0.baseAddress)?.assumingMemoryBound(to: CChar.self), $0.count)
                    })
            }
            guard index >= 0, index < offsets.count, let range = offsets[index] else { return [] }
            // What was matched as U+FFFD is handed on as the byte it was.
            return copying(value.extracting(isValid ? range : origins[range.lowerBound]..<origins[range.upperBound]))
        }
    }

    /// Where group 0, 1, … matched; nil if the value does not match.
    private func groupOffsets(_ value: Span<UInt8>) -> [Range<Int>?]? {
        guard let regex = unsafe regex else { return nil }
        let count = Int(unsafe cre2_group_count(regex)) + 1
        var offsets = [Int](repeating: -1, count: count * 2)
        // SAFETY: both pointers are valid during the call, which writes `count` pairs and keeps neither.
        let isMatch = unsafe value.withUnsafeBufferPointer { value in
            unsafe offsets.withUnsafeMutableBufferPointer { offsets in
                unsafe cre2_full_match_groups(
                    regex, UnsafeRawPointer(value.baseAddress)?.assumingMemoryBound(to: CChar.self), value.count,
                    offsets.baseAddress, Int32(clamping: count)) != 0
            }
        }
        guard isMatch else { return nil }
        return (0..<count).map { index in
            let (start, end) = (offsets[2 * index], offsets[2 * index + 1])
            // RE2 reports an empty match in an empty text, whose pointer is null, as unset; both expand to nothing.
            return start >= 0 && end >= start && end <= value.count ? start..<end : nil
        }
    }
}

private func copying(_ span: Span<UInt8>) -> [UInt8] { ByteString(copying: span).bytes }
