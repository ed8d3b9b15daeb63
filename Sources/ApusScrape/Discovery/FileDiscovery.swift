import ApusBytes
import ApusConfig
import ApusModel
import Glibc
import Yams

/// The targets that files list: `file_sd_configs`. A value: what was read last, so that a file that is broken for a
/// moment keeps its targets.
struct FileDiscovery: Sendable {
    static let maxFileBytes = 64 << 20
    let config: FileSDConfig
    /// By path.
    private(set) var groupsByFile: [String: [TargetGroup]] = [:]

    init(config: FileSDConfig) { self.config = config }

    /// In order of path.
    var groups: [TargetGroup] { groupsByFile.sorted { $0.key < $1.key }.flatMap(\.value) }

    /// The directories whose changes concern this configuration.
    var directories: Set<String> {
        Set(config.files.map { path in
            guard let slash = path.lastIndex(of: "/") else { return "." }
            return slash == path.startIndex ? "/" : String(path[..<slash])
        })
    }

    /// Reads all files again. A file that cannot be read keeps its last groups; one that is gone loses them.
    /// - Returns: what went wrong, each with its path.
    mutating func refresh() -> [(path: String, problem: String)] {
        var fresh: [String: [TargetGroup]] = [:]
        var problems: [(path: String, problem: String)] = []
        for path in paths() {
            do {
                fresh[path] = try Self.parse(Self.read(path), path: path)
            } catch {
                problems.append((path, error.description))
                fresh[path] = groupsByFile[path]
            }
        }
        groupsByFile = fresh
        return problems
    }

    private func paths() -> [String] {
        var found: Set<String> = []
        for pattern in config.files {
            var result = unsafe glob_t()
            // SAFETY: `result` is freed once, after its paths were copied.
            let status = unsafe glob(pattern, 0, nil, &result)
            if status == 0 {
                for index in unsafe 0..<Int(result.gl_pathc) {
                    if let path = unsafe result.gl_pathv[index] { found.insert(unsafe String(cString: path)) }
                }
            }
            unsafe globfree(&result)
        }
        return found.sorted()
    }

    struct FileError: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private static func read(_ path: String) throws(FileError) -> [UInt8] {
        guard let bytes = readFile(path, limit: maxFileBytes) else { throw FileError("open \(path): \(lastError())") }
        return bytes
    }

    /// Target groups from YAML, of which JSON is a part: a list of `{targets: […], labels: {…}}`.
    /// - Parameter label: the one that says where a target was found.
    static func parse(_ bytes: [UInt8], path: String, label: ByteString = "__meta_filepath") throws(FileError) -> [TargetGroup] {
        let node: Node?
        do { node = try Yams.compose(yaml: String(decoding: bytes, as: UTF8.self)) } catch { throw FileError("\(path): \(error)") }
        guard let node, node.null == nil else { return [] }
        guard let list = node.sequence else { throw FileError("\(path): expected a list of target groups") }
        var groups: [TargetGroup] = []
        for (index, item) in list.enumerated() {
            guard let mapping = item.mapping else { throw FileError("\(path): group \(index): expected a mapping") }
            var group = TargetGroup(source: "\(path):\(index)")
            var labels: [Label] = []
            for (key, value) in mapping {
                switch key.scalar?.string {
                case "targets":
                    guard let addresses = value.sequence else { throw FileError("\(path): group \(index): targets must be a list") }
                    for address in addresses {
                        guard let text = address.scalar?.string else {
                            throw FileError("\(path): group \(index): a target must be a string")
                        }
                        group.targets.append(LabelSet([Label(Target.addressLabel, ByteString(text))]))
                    }
                case "labels":
                    guard let pairs = value.mapping else { throw FileError("\(path): group \(index): labels must be a mapping") }
                    for (name, value) in pairs {
                        guard let name = name.scalar?.string, let value = value.scalar?.string, !name.isEmpty else {
                            throw FileError("\(path): group \(index): a label must be a name and a string")
                        }
                        labels.append(Label(ByteString(name), ByteString(value)))
                    }
                case let other?: throw FileError("\(path): group \(index): field \(other) not known")
                case nil: throw FileError("\(path): group \(index): a key must be a string")
                }
            }
            labels.append(Label(label, ByteString(path)))
            group.labels = LabelSet(labels)
            groups.append(group)
        }
        return groups
    }
}

/// The whole of a file, or nil when it can't be read (`errno` says why) or exceeds `limit`.
func readFile(_ path: String, limit: Int) -> [UInt8]? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = unsafe piece.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if count < 0 { return nil }
        if count == 0 { return bytes }
        bytes.append(contentsOf: piece[..<count])
        if bytes.count > limit {
            errno = EFBIG
            return nil
        }
    }
}

/// What `errno` says, in lower case as Go writes it.
func lastError() -> String {
    switch errno {
    case ENOENT: "no such file or directory"
    case EACCES: "permission denied"
    case EISDIR: "is a directory"
    case EFBIG: "file too large"
    case let other: "errno \(other)"
    }
}
