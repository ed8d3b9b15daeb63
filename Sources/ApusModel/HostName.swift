public import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What this machine calls itself; empty when it does not say.
public func hostName() -> ByteString {
    var buffer = [CChar](repeating: 0, count: 256)
    // SAFETY: the pointer is valid for the call, which writes no more than `count` bytes and keeps nothing.
    let status = unsafe buffer.withUnsafeMutableBufferPointer { buffer -> CInt in
        guard let start = buffer.baseAddress else { return -1 }
        return unsafe gethostname(start, buffer.count)
    }
    guard status == 0 else { return ByteString() }
    return ByteString(buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
}
