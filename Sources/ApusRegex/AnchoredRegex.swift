public import ApusBytes
import CRE2

/// Why a pattern was refused. `description` is Go's text, as Prometheus shows it.
public struct RegexError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// A regular expression as Prometheus uses them: RE2 syntax as Go has it, matching the whole value, the dot matching
/// newlines too, that is `^(?s:pattern)$`. Linear time; at most `memoryLimitBytes` each. Safe to share between threads.
@safe public final class AnchoredRegex: @unchecked Sendable {
    // `@unchecked`: an RE2 object may be matched from several threads at once; nothing here changes after init.
    public static let memoryLimitBytes = 8 << 20

    public let pattern: ByteString
    private let regex: OpaquePointer

    public init(_ pattern: ByteString) throws(RegexError) {
        self.pattern = pattern
        var message = [CChar](repeating: 0, count: 256)
        // SAFETY: the pattern and the message buffer are valid for the call, which keeps neither.
        let compiled = unsafe pattern.bytes.withUnsafeBufferPointer { pattern in
            unsafe message.withUnsafeMutableBufferPointer { message in
                unsafe cre2_new(
                    UnsafeRawPointer(pattern.baseAddress)?.assumingMemoryBound(to: CChar.self), pattern.count,
                    Self.memoryLimitBytes, message.baseAddress, message.count)
            }
        }
        guard let compiled = unsafe compiled else {
            let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw RegexError("error parsing regexp: " + String(decoding: text, as: UTF8.self))
        }
        unsafe regex = compiled
    }

    deinit { unsafe cre2_free(regex) }

    public func matches(_ value: Span<UInt8>) -> Bool {
        // SAFETY: the pointer is valid during the call, which does not keep it; RE2 takes a null pointer for no bytes.
        unsafe value.withUnsafeBufferPointer { value in
            unsafe cre2_full_match(
                regex, UnsafeRawPointer(value.baseAddress)?.assumingMemoryBound(to: CChar.self), value.count) != 0
        }
    }
}
