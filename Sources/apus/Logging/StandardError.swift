#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Tells, on standard error, why the program ends.
func complain(_ message: String) { writeToStandardError("apus: \(message)\n") }

func writeToStandardError(_ text: String) { writeToStandardError(Array(text.utf8)) }

/// All of `bytes`, in one write where the system takes it. There is nobody to tell when that fails.
func writeToStandardError(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
        // SAFETY: the buffer is valid for its count during the call.
        let written = unsafe rest.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
        guard written > 0 else { return }
        rest = rest.dropFirst(written)
    }
}
