import ApusBytes
import ApusModel
import Glibc

/// A disk in memory that loses power, fills up and fails on demand, and says which calls changed it.
///
/// It is as mean as POSIX allows: what was written and not synced may be there after a power cut, in part or not at all;
/// a name that was made, renamed or removed is so only once its directory was synced. A killed process is kinder: all its
/// finished calls stay. Restarts are values: `afterPowerCut` and `afterKill` give a new disk to open again.
final class SimulatedDisk: FileSystem, @unchecked Sendable {
    // `@unchecked`: all state is used under `lock`.

    /// What goes wrong, and when. Changing calls are counted from 0: writes, truncations, syncs, creations, renames, links,
    /// removals.
    enum Fault: Sendable {
        case none
        /// The call and all after it fail, as if the power went: of a write the first half is done.
        case powerCut(atChange: Int)
        /// The one call fails.
        case failure(atChange: Int, code: Int32)
        /// Calls that need room fail with ENOSPC.
        case full
        /// Calls that change anything fail with EROFS.
        case readOnly
    }

    /// Bytes a file may grow to. Address space only: pages come when they are written.
    static let maximumFileBytes = 192 << 20

    @safe private final class Node {
        let isDirectory: Bool
        let base: UnsafeMutableRawPointer?
        var size = 0
        /// What the disk holds for sure.
        var durable: [UInt8] = []
        /// What came since, in order.
        var pending: [Change] = []

        init(isDirectory: Bool) {
            self.isDirectory = isDirectory
            unsafe base =
                isDirectory ? nil
                : mmap(nil, SimulatedDisk.maximumFileBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        }
        deinit { if let base = unsafe base { _ = unsafe munmap(base, SimulatedDisk.maximumFileBytes) } }

        var content: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: base, count: size)) }

        func apply(_ change: Change) {
            guard let base = unsafe base else { return }
            switch change {
            case .write(let offset, let bytes):
                unsafe bytes.withUnsafeBytes { source in
                    if let start = source.baseAddress { unsafe (base + offset).copyMemory(from: start, byteCount: source.count) }
                }
                size = max(size, offset + bytes.count)
            case .truncate(let length):
                // What was behind reads as zeros when the file grows again.
                if length < size { _ = unsafe memset(base + length, 0, size - length) }
                size = length
            }
        }
    }

    private enum Change {
        case write(offset: Int, bytes: [UInt8])
        case truncate(Int)
    }

    private struct State {
        var entries: [String: Node] = [".": Node(isDirectory: true), "/": Node(isDirectory: true)]
        /// The names the disk holds for sure.
        var durable: [String: Node] = [:]
        var locks: Set<String> = []
        var fault = Fault.none
        var changes = 0
        var isOff = false
        var failedCall = ""
        var freeBytes = 1 << 40
    }

    private let state = Locked(Box(State()))
    private final class Box: @unchecked Sendable {
        // `@unchecked`: under the disk's lock.
        var value: State
        init(_ value: State) { self.value = value }
    }

    init() {}

    private func locked<R>(_ body: (inout State) throws(FileError) -> R) throws(FileError) -> R {
        let result: Result<R, FileError> = state.withLock { box in
            do throws(FileError) { return .success(try body(&box.value)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    // MARK: For tests

    var fault: Fault {
        get { state.withLock { $0.value.fault } }
        set { state.withLock { $0.value.fault = newValue } }
    }
    /// Changing calls so far.
    var changes: Int { state.withLock { $0.value.changes } }
    /// The call that the fault met: its name and its path.
    var failedCall: String { state.withLock { $0.value.failedCall } }
    /// Whether the power is gone.
    var isOff: Bool { state.withLock { $0.value.isOff } }
    var freeBytes: Int {
        get { state.withLock { $0.value.freeBytes } }
        set { state.withLock { $0.value.freeBytes = newValue } }
    }
    /// Paths of all files, sorted.
    var files: [String] { state.withLock { $0.value.entries.filter { !$0.value.isDirectory }.map(\.key).sorted() } }

    /// Flips one bit of a file, as a bad disk does.
    func flip(bit: Int, of path: String) {
        state.withLock { box in
            guard let node = box.value.entries[path], let base = unsafe node.base, bit / 8 < node.size else { return }
            let cell = unsafe base + bit / 8
            unsafe cell.storeBytes(of: cell.load(as: UInt8.self) ^ (1 << UInt8(bit % 8)), as: UInt8.self)
            node.durable = node.content
            node.pending = []
        }
    }

    /// The disk as it is when the machine starts again. What was not synced is there in part, as the generator has it.
    func afterPowerCut(using generator: inout some RandomNumberGenerator) -> SimulatedDisk {
        let result = SimulatedDisk()
        let durable = state.withLock { $0.value.durable.map { (path: $0.key, node: $0.value) } }.sorted { $0.path < $1.path }
        var made: [ObjectIdentifier: Node] = [:]
        for (path, node) in durable {
            let copy = made[ObjectIdentifier(node)] ?? Node(isDirectory: node.isDirectory)
            if made.updateValue(copy, forKey: ObjectIdentifier(node)) == nil && !node.isDirectory {
                copy.apply(.write(offset: 0, bytes: node.durable))
                let kept = Int.random(in: 0...node.pending.count, using: &generator)
                for (number, change) in node.pending.prefix(kept).enumerated() {
                    // The last may be torn.
                    if number == kept - 1, case .write(let offset, let bytes) = change {
                        copy.apply(.write(offset: offset, bytes: Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))))
                    } else {
                        copy.apply(change)
                    }
                }
                copy.durable = copy.content
            }
            result.state.withLock { box in
                box.value.entries[path] = copy
                box.value.durable[path] = copy
            }
        }
        result.removeOrphans()
        return result
    }

    /// The disk after the process was killed and the machine was not.
    func afterKill() -> SimulatedDisk {
        let result = SimulatedDisk()
        state.withLock { box in
            result.state.withLock { other in
                other.value.entries = box.value.entries
                other.value.durable = box.value.durable
            }
        }
        return result
    }

    /// Another disk with the same files.
    func copy() -> SimulatedDisk {
        let result = SimulatedDisk()
        let entries = state.withLock { $0.value.entries }
        for (path, node) in entries where path != "." && path != "/" {
            let copy = Node(isDirectory: node.isDirectory)
            if !node.isDirectory { copy.apply(.write(offset: 0, bytes: node.content)) }
            copy.durable = copy.content
            result.state.withLock { box in
                box.value.entries[path] = copy
                box.value.durable[path] = copy
            }
        }
        return result
    }

    /// A name whose directory is gone is gone.
    private func removeOrphans() {
        state.withLock { box in
            for path in box.value.entries.keys.sorted() where path != "." && path != "/" && box.value.entries[parentPath(path)] == nil {
                box.value.entries[path] = nil
                box.value.durable[path] = nil
            }
        }
    }

    /// Counts a changing call and lets it fail when its time has come.
    private func change(_ state: inout State, _ operation: String, _ path: String, needsRoom: Bool = false, half: ((inout State) -> Void)? = nil)
        throws(FileError)
    {
        if state.isOff { throw FileError(operation, path, code: EIO) }
        let number = state.changes
        state.changes += 1
        switch state.fault {
        case .none: break
        case .powerCut(let at) where number >= at:
            half?(&state)
            state.isOff = true
            state.failedCall = "\(operation) \(path)"
            throw FileError(operation, path, code: EIO)
        case .failure(let at, let code) where number == at:
            state.failedCall = "\(operation) \(path)"
            throw FileError(operation, path, code: code)
        case .full where needsRoom: throw FileError(operation, path, code: ENOSPC)
        case .readOnly: throw FileError(operation, path, code: EROFS)
        default: break
        }
    }

    // MARK: FileSystem

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let node = try locked { (state) throws(FileError) -> Node in
            if state.isOff { throw FileError("open", path, code: EIO) }
            if mode == .create {
                guard state.entries[parentPath(path)]?.isDirectory == true else { throw FileError("open", path, code: ENOENT) }
                try change(&state, "open", path, needsRoom: true)
                if let node = state.entries[path] {
                    if node.isDirectory { throw FileError("open", path, code: EISDIR) }
                    node.pending.append(.truncate(0))
                    node.apply(.truncate(0))
                    return node
                }
                let node = Node(isDirectory: false)
                state.entries[path] = node
                return node
            }
            guard let node = state.entries[path] else { throw FileError("open", path, code: ENOENT) }
            if node.isDirectory && mode != .read { throw FileError("open", path, code: EISDIR) }
            return node
        }
        return OpenFile(path: path, node: node, disk: self)
    }

    func map(_ path: String) throws(FileError) -> any FileMapping {
        try locked { (state) throws(FileError) -> Mapping in
            guard let node = state.entries[path], !node.isDirectory, !state.isOff else { throw FileError("open", path, code: ENOENT) }
            return Mapping(path: path, node: node, count: node.size)
        }
    }

    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping {
        try locked { (state) throws(FileError) -> Mapping in
            guard let node = state.entries[path], !node.isDirectory, !state.isOff else { throw FileError("open", path, code: ENOENT) }
            return Mapping(path: path, node: node, count: min(maximum, Self.maximumFileBytes))
        }
    }

    func list(_ directory: String) throws(FileError) -> [DirectoryEntry] {
        try locked { (state) throws(FileError) -> [DirectoryEntry] in
            guard state.entries[directory]?.isDirectory == true, !state.isOff else { throw FileError("open", directory, code: ENOENT) }
            return state.entries.filter { $0.key != directory && parentPath($0.key) == directory }.map { path, node in
                DirectoryEntry(name: String(path.dropFirst(directory == "." ? 0 : directory.count + 1)), isDirectory: node.isDirectory)
            }.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        }
    }

    func status(_ path: String) throws(FileError) -> FileStatus? {
        try locked { (state) throws(FileError) -> FileStatus? in
            if state.isOff { throw FileError("stat", path, code: EIO) }
            return state.entries[path].map { FileStatus(sizeBytes: $0.size, isDirectory: $0.isDirectory, modifiedMs: 0) }
        }
    }

    func createDirectory(_ path: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            var missing: [String] = []
            var parent = path
            while state.entries[parent] == nil {
                missing.append(parent)
                parent = parentPath(parent)
            }
            for directory in missing.reversed() {
                try change(&state, "mkdir", directory, needsRoom: true)
                state.entries[directory] = Node(isDirectory: true)
            }
        }
    }

    func rename(_ path: String, to target: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            guard let node = state.entries[path] else { throw FileError("rename", path, code: ENOENT) }
            try change(&state, "rename", path)
            state.entries[path] = nil
            state.entries[target] = node
            for (name, child) in state.entries where name.hasPrefix(path + "/") {
                state.entries[name] = nil
                state.entries[target + name.dropFirst(path.count)] = child
            }
            // A directory is one thing on the disk: what was durable in it is so under its new name, once that is.
            for (name, child) in state.durable where name.hasPrefix(path + "/") {
                state.durable[target + name.dropFirst(path.count)] = child
            }
        }
    }

    func hardLink(_ path: String, at target: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            guard let node = state.entries[path] else { throw FileError("link", path, code: ENOENT) }
            if state.entries[target] != nil { throw FileError("link", path, code: EEXIST) }
            try change(&state, "link", path, needsRoom: true)
            state.entries[target] = node
        }
    }

    func removeFile(_ path: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            if state.entries[path] == nil { return }
            try change(&state, "unlink", path)
            state.entries[path] = nil
        }
    }

    func removeTree(_ path: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            let doomed = state.entries.keys.filter { $0 == path || $0.hasPrefix(path + "/") }.sorted(by: >)
            for name in doomed {
                try change(&state, "unlink", name)
                state.entries[name] = nil
                // As on a real disk, what is removed from a directory may go at once.
                if name != path { state.durable[name] = nil }
            }
        }
    }

    func syncDirectory(_ path: String) throws(FileError) {
        try locked { (state) throws(FileError) in
            guard state.entries[path]?.isDirectory == true else { throw FileError("fsync", path, code: ENOENT) }
            try change(&state, "fsync", path)
            for name in state.durable.keys where parentPath(name) == path && state.entries[name] == nil { state.durable[name] = nil }
            for (name, node) in state.entries where parentPath(name) == path { state.durable[name] = node }
        }
    }

    func space(_ path: String) throws(FileError) -> DiskSpace {
        try locked { (state) throws(FileError) in DiskSpace(freeBytes: state.freeBytes, totalBytes: 1 << 40) }
    }

    func lock(_ path: String) throws(FileError) -> any FileLock {
        try locked { (state) throws(FileError) in
            if state.entries[path] == nil {
                try change(&state, "open", path, needsRoom: true)
                state.entries[path] = Node(isDirectory: false)
            }
            if !state.locks.insert(path).inserted { throw FileError("lock", path, code: EWOULDBLOCK) }
        }
        return Lock(path: path, disk: self)
    }

    // MARK: Handles

    private final class OpenFile: File, @unchecked Sendable {
        // `@unchecked`: the node is used under the disk's lock.
        let path: String
        private let node: Node
        private let disk: SimulatedDisk
        private let isClosed = Locked(false)

        init(path: String, node: Node, disk: SimulatedDisk) {
            self.path = path
            self.node = node
            self.disk = disk
        }

        private func check(_ operation: String) throws(FileError) {
            if isClosed.withLock({ $0 }) { throw FileError(operation, path, code: EBADF) }
        }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
            try check("read")
            return try disk.locked { (state) throws(FileError) -> Int in
                if state.isOff { throw FileError("read", path, code: EIO) }
                let count = min(buffer.count, max(0, node.size - offset))
                guard count > 0, let base = unsafe node.base, let target = buffer.baseAddress else { return 0 }
                unsafe target.copyMemory(from: base + offset, byteCount: count)
                return count
            }
        }

        func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
            try check("write")
            let content = unsafe Array(bytes)
            try disk.locked { (state) throws(FileError) in
                guard offset + content.count <= SimulatedDisk.maximumFileBytes else { throw FileError("write", path, code: EFBIG) }
                try disk.change(&state, "write", path, needsRoom: true) { [node] _ in
                    let half = Change.write(offset: offset, bytes: Array(content.prefix(content.count / 2)))
                    node.pending.append(half)
                    node.apply(half)
                }
                node.pending.append(.write(offset: offset, bytes: content))
                node.apply(.write(offset: offset, bytes: content))
            }
        }

        func size() throws(FileError) -> Int {
            try check("stat")
            return try disk.locked { (_) throws(FileError) in node.size }
        }

        func truncate(to sizeBytes: Int) throws(FileError) {
            try check("truncate")
            try disk.locked { (state) throws(FileError) in
                try disk.change(&state, "truncate", path, needsRoom: sizeBytes > node.size)
                node.pending.append(.truncate(sizeBytes))
                node.apply(.truncate(sizeBytes))
            }
        }

        func sync() throws(FileError) {
            try check("sync")
            try disk.locked { (state) throws(FileError) in
                try disk.change(&state, "sync", path)
                node.durable = node.content
                node.pending = []
            }
        }

        func close() { isClosed.withLock { $0 = true } }
    }

    @safe private final class Mapping: FileMapping, @unchecked Sendable {
        // `@unchecked`: nothing changes after `init`.
        let path: String
        private let node: Node
        private let count: Int
        init(path: String, node: Node, count: Int) {
            self.path = path
            self.node = node
            self.count = count
        }
        var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: node.base, count: count) }
    }

    private final class Lock: FileLock {
        private let path: String
        private let disk: SimulatedDisk
        init(path: String, disk: SimulatedDisk) {
            self.path = path
            self.disk = disk
        }
        deinit { release() }
        func release() { disk.state.withLock { _ = $0.value.locks.remove(path) } }
    }
}
