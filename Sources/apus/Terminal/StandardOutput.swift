import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Standard output for a lot of bytes: collected, and written in large pieces.
struct StandardOutput {
    var bytes: [UInt8] = []
    private static let pieceBytes = 1 << 18

    mutating func flushIfLarge() throws(FileError) {
        if bytes.count >= Self.pieceBytes { try flush() }
    }

    mutating func flush() throws(FileError) {
        var written = 0
        while written < bytes.count {
            // SAFETY: `written` is below the buffer's count, and the buffer is valid during the call.
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe write(STDOUT_FILENO, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", "standard output", code: errno)
            }
            written += count
        }
        bytes.removeAll(keepingCapacity: true)
    }
}
