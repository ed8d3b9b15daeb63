import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// All of a file.
func readFile(_ path: String) throws(FileError) -> [UInt8] { try PosixFileSystem().read(path) }

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
