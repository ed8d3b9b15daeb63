/// A run of bytes that is usually, but not always, UTF-8: a metric name, a label name or value, a piece of a query.
///
/// Not a `String`: a `String` holds `é` equal to `e` + accent, sorts by another order than bytes do, and cannot hold
/// `\xff`. What a target sent is compared, sorted and stored as the bytes it sent. `description` is for display only.
public struct ByteString: Hashable, Sendable {
    public var bytes: [UInt8]

    @inlinable public init() { bytes = [] }
    @inlinable public init(_ bytes: [UInt8]) { self.bytes = bytes }
    @inlinable public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    @inlinable public init(_ string: String) { bytes = Array(string.utf8) }
    /// Copies the bytes of `span`.
    @inlinable public init(copying span: Span<UInt8>) {
        // SAFETY: the buffer is valid during the closure, which copies it.
        bytes = unsafe span.withUnsafeBufferPointer { unsafe Array($0) }
    }

    @inlinable public var count: Int { bytes.count }
    @inlinable public var isEmpty: Bool { bytes.isEmpty }

    /// Whether the bytes are well-formed UTF-8. O(n).
    public var isValidUTF8: Bool { ApusBytes.isValidUTF8(bytes.span) }
}

extension Array where Element == UInt8 {
    /// An array of at most `capacity` bytes, written by `fill` without clearing it first.
    @inlinable public init(capacity: Int, fill: (inout [UInt8]) -> Void) {
        self = []
        reserveCapacity(capacity)
        fill(&self)
    }
}

extension ByteString: Comparable {
    /// Byte order, as Go orders strings.
    @inlinable public static func < (left: ByteString, right: ByteString) -> Bool {
        compareBytes(left.bytes.span, right.bytes.span) < 0
    }
}

extension ByteString: ExpressibleByStringLiteral {
    @inlinable public init(stringLiteral value: String) { self.init(value) }
}

extension ByteString: CustomStringConvertible, CustomDebugStringConvertible {
    /// For display: bytes that are not UTF-8 show as U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
    public var debugDescription: String { description.debugDescription }
}

extension ByteString {
    @inlinable public static func + (left: ByteString, right: ByteString) -> ByteString { ByteString(left.bytes + right.bytes) }
    @inlinable public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }
    @inlinable public func hasSuffix(_ suffix: ByteString) -> Bool {
        bytes.count >= suffix.count && bytes.suffix(suffix.count).elementsEqual(suffix.bytes)
    }
}
