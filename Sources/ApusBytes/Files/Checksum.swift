import CChecksum

/// The CRC-32C of some bytes; `initial` is the checksum of what came before them, 0 at the start.
@inlinable
public func crc32c(_ bytes: UnsafeRawBufferPointer, initial: UInt32 = 0) -> UInt32 {
    unsafe crc32cOf(bytes, initial)
}

@usableFromInline
func crc32cOf(_ bytes: UnsafeRawBufferPointer, _ initial: UInt32) -> UInt32 {
    unsafe cchecksum_crc32c(initial, bytes.baseAddress, bytes.count)
}

extension Span<UInt8> {
    /// The CRC-32C of these bytes.
    public var crc32c: UInt32 {
        // SAFETY: the buffer is used during the closure only.
        unsafe withUnsafeBytes { unsafe crc32cOf($0, 0) }
    }
}
