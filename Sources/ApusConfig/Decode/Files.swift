#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif
import ApusModel

/// The whole of a configuration file as text.
func readConfigFile(_ path: String) throws(ConfigError) -> String {
    func failure(_ message: String) -> ConfigError { ConfigError(.file, fileName: path, problems: [ConfigProblem(message)]) }
    guard let bytes = readFile(path, limit: YAMLNode.maximumFileBytes) else {
        let code = errno
        if code == 0 { throw failure("read \(path): file is larger than \(YAMLNode.maximumFileBytes) bytes") }
        throw failure("open \(path): \(systemError(code))")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        throw failure("parsing YAML file \(path): yaml: invalid UTF-8")
    }
    return text
}

/// Go's text for an error number.
func systemError(_ code: Int32) -> String {
    switch code {
    case ENOENT: "no such file or directory"
    case EACCES: "permission denied"
    case EISDIR: "is a directory"
    case ENOTDIR: "not a directory"
    default: "error \(code)"
    }
}

/// Nil with `errno` set if it can't be read, or zero if it is larger than `limit`.
func readFile(_ path: String, limit: Int) -> [UInt8]? {
    errno = 0
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        // SAFETY: the buffer is valid for the call, which writes at most its size.
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            return nil
        }
        if count == 0 { return bytes }
        bytes += buffer[..<count]
        if bytes.count > limit {
            errno = 0
            return nil
        }
    }
}

/// The files that `pattern` matches, sorted; none is no error. A pattern without wildcards matches if the file exists.
public func expandGlob(_ pattern: String) -> [String] {
    var found = unsafe glob_t()
    defer { unsafe globfree(&found) }
    // SAFETY: `found` is initialised by the call and freed at the end; the paths are C strings that live until then.
    guard unsafe glob(pattern, 0, nil, &found) == 0 else { return [] }
    let count = Int(unsafe found.gl_pathc)
    return (0..<count).compactMap { index in
        unsafe found.gl_pathv[index].map { unsafe String(cString: $0) }
    }
}

/// Whether something stands at `path`.
func fileExists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

/// The value of an environment variable.
@Sendable public func environmentVariable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

/// `path` seen from `directory`, if it is relative.
func resolvePath(_ path: String, _ directory: String) -> String {
    if path.isEmpty || path.hasPrefix("/") || directory.isEmpty || directory == "." { return path }
    return directory.hasSuffix("/") ? directory + path : directory + "/" + path
}

/// What stands before the last slash, `.` if there is none.
func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
