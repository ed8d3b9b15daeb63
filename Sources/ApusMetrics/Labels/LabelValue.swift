public import ApusBytes

/// What can be a label's value. An enum needs no code:
///
///     enum Method: String, LabelValue { case get, post }
///
/// Two values that write the same text are the same series. Keep the number of different values small: each
/// combination is a series of its own, and beyond a family's limit they share one.
public protocol LabelValue: Sendable {
    /// Writes the value's text, unescaped, with one or more calls of `writer.append`.
    func write(to writer: inout LabelWriter)
}

extension RawRepresentable where RawValue: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { rawValue.write(to: &writer) }
}

extension String: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(self) }
}

extension Substring: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(self) }
}

extension StaticString: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { withUTF8Buffer { unsafe writer.append($0) } }
}

extension ByteString: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) {
        unsafe bytes.withUnsafeBufferPointer { unsafe writer.append($0) }
    }
}

extension Bool: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) {
        (self ? "true" as StaticString : "false").write(to: &writer)
    }
}

extension Int: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(decimal: Int64(self)) }
}
extension Int64: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(decimal: self) }
}
extension Int32: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(decimal: Int64(self)) }
}
extension UInt16: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(decimal: Int64(self)) }
}
extension UInt32: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { writer.append(decimal: Int64(self)) }
}

/// No value is an empty one, which Prometheus reads as an absent label.
extension Optional: LabelValue where Wrapped: LabelValue {
    @inlinable @inline(__always) public func write(to writer: inout LabelWriter) { self?.write(to: &writer) }
}
