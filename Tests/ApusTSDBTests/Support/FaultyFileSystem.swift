import ApusBytes
import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The disk of this machine or another, with calls that fail when a test says so, and a count of all that change something.
final class FaultyFileSystem: FileSystem {
    enum Call: String, Sendable, CaseIterable {
        case open, map, list, status, createDirectory, rename, hardLink, removeFile, removeTree, syncDirectory, space, lock
        case read, write, size, truncate, sync
    }

    /// Which calls fail, and how.
    struct Fault: Sendable {
        var call: Call
        /// Only on paths that contain this.
        var path = ""
        /// So many calls succeed before.
        var after = 0
        /// So many fail.
        var times = Int.max
        var code: Int32 = EIO
        /// Of a write: bytes that reach the file nonetheless.
        var writtenBytes = 0
    }

    private struct State {
        var faults: [Fault] = []
        var counts: [Call: Int] = [:]
    }

    private let base: any FileSystem
    private let state = Locked(State())

    init(_ base: any FileSystem = PosixFileSystem()) { self.base = base }

    /// Adds a fault; the first that matches a call decides.
    func fail(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }
    func fail(_ call: Call, path: String = "", after: Int = 0, times: Int = .max, code: Int32 = EIO, writtenBytes: Int = 0) {
        fail(Fault(call: call, path: path, after: after, times: times, code: code, writtenBytes: writtenBytes))
    }
    func heal() { state.withLock { $0.faults = [] } }
    func count(_ call: Call) -> Int { state.withLock { $0.counts[call] ?? 0 } }

    fileprivate func fault(_ call: Call, _ path: String) -> Fault? {
        state.withLock { state in
            state.counts[call, default: 0] += 1
            for index in state.faults.indices where state.faults[index].call == call {
                if !state.faults[index].path.isEmpty && !path.contains(state.faults[index].path) { continue }
                if state.faults[index].after > 0 {
                    state.faults[index].after -= 1
                    continue
                }
                if state.faults[index].times == 0 { continue }
                state.faults[index].times -= 1
                return state.faults[index]
            }
            return nil
        }
    }

    fileprivate func check(_ call: Call, _ path: String) throws(FileError) {
        if let fault = fault(call, path) { throw FileError(call.rawValue, path, code: fault.code) }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        try check(.open, path)
        return FaultyFile(try base.open(path, mode), self)
    }
    func map(_ path: String) throws(FileError) -> any FileMapping {
        try check(.map, path)
        return try base.map(path)
    }
    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping {
        try check(.map, path)
        return try base.mapGrowing(path, maximum: maximum)
    }
    func list(_ directory: String) throws(FileError) -> [DirectoryEntry] {
        try check(.list, directory)
        return try base.list(directory)
    }
    func status(_ path: String) throws(FileError) -> FileStatus? {
        try check(.status, path)
        return try base.status(path)
    }
    func createDirectory(_ path: String) throws(FileError) {
        try check(.createDirectory, path)
        try base.createDirectory(path)
    }
    func rename(_ path: String, to target: String) throws(FileError) {
        try check(.rename, path)
        try base.rename(path, to: target)
    }
    func hardLink(_ path: String, at target: String) throws(FileError) {
        try check(.hardLink, path)
        try base.hardLink(path, at: target)
    }
    func removeFile(_ path: String) throws(FileError) {
        try check(.removeFile, path)
        try base.removeFile(path)
    }
    func removeTree(_ path: String) throws(FileError) {
        try check(.removeTree, path)
        try base.removeTree(path)
    }
    func syncDirectory(_ path: String) throws(FileError) {
        try check(.syncDirectory, path)
        try base.syncDirectory(path)
    }
    func space(_ path: String) throws(FileError) -> DiskSpace {
        try check(.space, path)
        return try base.space(path)
    }
    func lock(_ path: String) throws(FileError) -> any FileLock {
        try check(.lock, path)
        return try base.lock(path)
    }
}

private final class FaultyFile: File {
    private let base: any File
    private let system: FaultyFileSystem

    init(_ base: any File, _ system: FaultyFileSystem) {
        self.base = base
        self.system = system
    }

    var path: String { base.path }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try system.check(.read, path)
        return try unsafe base.read(into: buffer, at: offset)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        if let fault = system.fault(.write, path) {
            let written = min(bytes.count, fault.writtenBytes)
            if written > 0 { try unsafe base.write(UnsafeRawBufferPointer(rebasing: bytes[..<written]), at: offset) }
            throw FileError("write", path, code: fault.code)
        }
        try unsafe base.write(bytes, at: offset)
    }
    func size() throws(FileError) -> Int {
        try system.check(.size, path)
        return try base.size()
    }
    func truncate(to sizeBytes: Int) throws(FileError) {
        try system.check(.truncate, path)
        try base.truncate(to: sizeBytes)
    }
    func sync() throws(FileError) {
        try system.check(.sync, path)
        try base.sync()
    }
    func close() { base.close() }
}
