import ApusBytes
import ApusModel
import Logging
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `--config.auto-reload`: looks now and then whether the configuration, or a file that it names, changed, and has it loaded.
///
/// By content and not by time stamps or events: files are mounted, linked and replaced in many ways.
struct ConfigWatch: Service {
    let reloader: Reloader
    let intervalMs: Int64

    func run() async throws {
        // Ends with the server, in the middle of a pause too.
        try? await cancelWhenGracefulShutdown {
            var last = reloader.fingerprint()
            while true {
                try await Task.sleep(for: .milliseconds(max(intervalMs, 1)))
                let now = reloader.fingerprint()
                if now == last { continue }
                last = now
                _ = await reloader.reload()
                // The new configuration may name other files.
                last = reloader.fingerprint()
            }
        }
    }
}

/// A hash over the contents of `file` and of the files that `patterns` name, and over their names.
func configFingerprint(_ file: String, patterns: [String]) -> UInt64 {
    var hash: UInt64 = 0
    for path in [file] + patterns.flatMap(globbed) {
        hash = hashBytes(Array(path.utf8).span, seed: hash)
        if let bytes = try? readFile(path) { hash = hashBytes(bytes.span, seed: hash &+ 1) }
    }
    return hash
}

private func globbed(_ pattern: String) -> [String] {
    var result = unsafe glob_t()
    defer { unsafe globfree(&result) }
    // SAFETY: `result` is freed once, after its paths were copied.
    guard unsafe glob(pattern, 0, nil, &result) == 0 else { return [] }
    return unsafe (0..<Int(result.gl_pathc)).compactMap { index in
        unsafe result.gl_pathv[index].map { unsafe String(cString: $0) }
    }
}
