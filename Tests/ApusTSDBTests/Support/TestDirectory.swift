import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A new directory for one test, removed when the value goes away.
final class TestDirectory: Sendable {
    let path: String
    private let files = PosixFileSystem()

    init() {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array((joinPath(parent, "apus-test-XXXXXX")).utf8CString)
        path = unsafe template.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.flatMap { unsafe mkdtemp($0) }.map { unsafe String(cString: $0) } ?? "/nonexistent"
        }
    }

    deinit { try? files.removeTree(path) }

    func file(_ name: String) -> String { joinPath(path, name) }
}
