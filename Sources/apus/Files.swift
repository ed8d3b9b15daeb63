#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Why a file can't be read: which, and what the system says.
struct FileError: Error, CustomStringConvertible {
    let path: String
    let code: Int32

    var description: String {
        // SAFETY: strerror returns a text ended by zero, valid until the next call on this thread; it is copied at once.
        "open \(path): \(unsafe String(cString: strerror(code)))"
    }
}

/// All of a file.
func readFile(_ path: String) throws(FileError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY)
    guard descriptor >= 0 else { throw FileError(path: path, code: errno) }
    defer { close(descriptor) }
    guard let bytes = readAll(descriptor) else { throw FileError(path: path, code: errno) }
    return bytes
}

/// All that comes from standard input; nil when it can't be read.
func readStandardInput() -> [UInt8]? { readAll(STDIN_FILENO) }

private func readAll(_ descriptor: Int32) -> [UInt8]? {
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        // SAFETY: read writes at most `count` bytes into the buffer.
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count == 0 { return result }
        if count < 0 {
            if errno == EINTR { continue }
            return nil
        }
        result.append(contentsOf: buffer[..<count])
    }
}
