/// Why a call on a file failed: which call, on which path, and the system's error.
public struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
    public let operation: String
    public let path: String
    /// An `errno`.
    public let code: Int32
    /// The system's words for `code`.
    public let reason: String

    public init(_ operation: String, _ path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
        reason = errorText(code)
    }
    public init(_ operation: String, _ path: String, code: Int32, reason: String) {
        self.operation = operation
        self.path = path
        self.code = code
        self.reason = reason
    }
    /// As the tools of the field print it: `open data/wal/00000001: no such file or directory`.
    public var description: String { "\(operation) \(path): \(reason)" }
}

/// What a directory holds under one name.
public struct DirectoryEntry: Sendable, Equatable {
    public let name: String
    public let isDirectory: Bool
    public init(name: String, isDirectory: Bool) {
        self.name = name
        self.isDirectory = isDirectory
    }
}

public struct FileStatus: Sendable, Equatable {
    public let sizeBytes: Int
    public let isDirectory: Bool
    /// Wall clock, ms.
    public let modifiedMs: Int64
    public init(sizeBytes: Int, isDirectory: Bool, modifiedMs: Int64) {
        self.sizeBytes = sizeBytes
        self.isDirectory = isDirectory
        self.modifiedMs = modifiedMs
    }
}

/// Free and total bytes of the disk a path lies on; free as an ordinary user may fill it.
public struct DiskSpace: Sendable, Equatable {
    public let freeBytes: Int
    public let totalBytes: Int
    public init(freeBytes: Int, totalBytes: Int) {
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
    }
}

/// An open file. Not to be used from two threads at once, but for `read`.
public protocol File: AnyObject, Sendable {
    var path: String { get }
    /// Reads up to `buffer.count` bytes from `offset`; fewer only at the end of the file, 0 there.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int
    /// Writes all of `bytes` at `offset`, growing the file if need be. On an error some of it may be written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError)
    /// Bytes of the file now.
    func size() throws(FileError) -> Int
    func truncate(to sizeBytes: Int) throws(FileError)
    /// Returns when all that was written is on the disk. After an error nothing is known of what was written since the
    /// last success: give the file up, do not sync it again.
    func sync() throws(FileError)
    /// Further calls fail with EBADF. Closing twice is no error.
    func close()
}

/// A file's bytes in memory, read-only. The mapping lives as long as the object.
public protocol FileMapping: AnyObject, Sendable {
    var path: String { get }
    /// All bytes the file had when it was mapped. The file must not be made shorter while this is in use.
    var bytes: UnsafeRawBufferPointer { get }
}

/// Keeps other processes from opening the same directory until it is released or goes away.
public protocol FileLock: AnyObject, Sendable {
    func release()
}

public enum OpenMode: Sendable {
    case read
    /// Read and write what exists.
    case update
    /// A new, empty file for reading and writing; one that exists is emptied.
    case create
}

/// All work on files goes through here, so that a test can fail the n-th call, cut the power, fill the disk.
///
/// Paths are as the operator gave them. No call follows the name of a file anywhere but to the disk: no cleaning, no
/// expansion. Every change to a directory needs `syncDirectory` before it survives a power cut.
public protocol FileSystem: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Maps a whole file. An empty file gives an empty mapping.
    func map(_ path: String) throws(FileError) -> any FileMapping
    /// Maps a file that others still append to, up to `maximum` bytes in all. Of the mapping's bytes only those below the
    /// file's size may be read: what lies behind is not there, and to read it stops the process.
    func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping
    /// Names in byte order, without `.` and `..`.
    func list(_ directory: String) throws(FileError) -> [DirectoryEntry]
    /// Nil when there is nothing of that name.
    func status(_ path: String) throws(FileError) -> FileStatus?
    /// With its parents; one that exists is no error.
    func createDirectory(_ path: String) throws(FileError)
    /// Replaces what is at `target`.
    func rename(_ path: String, to target: String) throws(FileError)
    func hardLink(_ path: String, at target: String) throws(FileError)
    /// A file; one that is not there is no error.
    func removeFile(_ path: String) throws(FileError)
    /// A file or a directory with all in it; nothing there is no error.
    func removeTree(_ path: String) throws(FileError)
    func syncDirectory(_ path: String) throws(FileError)
    func space(_ path: String) throws(FileError) -> DiskSpace
    /// Creates the file if need be and locks it. Throws EWOULDBLOCK when another process holds it.
    func lock(_ path: String) throws(FileError) -> any FileLock
}

extension FileSystem {
    /// A whole file's bytes.
    /// - Throws: EFBIG when it is larger than `limit`.
    public func read(_ path: String, limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
        let file = try open(path, .read)
        defer { file.close() }
        let size = try file.size()
        if size > limit { throw FileError("read", path, code: fileTooLarge) }
        var bytes = [UInt8](repeating: 0, count: size)
        var filled = 0
        while filled < size {
            let result: Result<Int, FileError> = unsafe bytes.withUnsafeMutableBytes { buffer in
                do throws(FileError) {
                    return .success(try unsafe file.read(into: .init(rebasing: buffer[filled...]), at: filled))
                } catch { return .failure(error) }
            }
            let count = try result.get()
            if count == 0 { break }
            filled += count
        }
        if filled < size { bytes.removeLast(size - filled) }
        return bytes
    }

    /// Writes a file whole or not at all: to `path.tmp`, synced, renamed, the directory synced.
    public func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
        let temporary = path + ".tmp"
        let file = try open(temporary, .create)
        defer { file.close() }
        try file.write(bytes, at: 0)
        try file.sync()
        try rename(temporary, to: path)
        try syncDirectory(parentPath(path))
    }

    /// Makes a directory with its parents and sees to it that their names survive a power cut.
    public func createDurableDirectory(_ path: String) throws(FileError) {
        var made = [path]
        var parent = parentPath(path)
        while try status(parent) == nil, parentPath(parent) != parent {
            made.append(parent)
            parent = parentPath(parent)
        }
        try createDirectory(path)
        // The last also when it was there: whoever made it may have been killed before this.
        for directory in made.reversed() { try syncDirectory(parentPath(directory)) }
    }

    public func exists(_ path: String) throws(FileError) -> Bool { try status(path) != nil }

    /// Bytes of all files in a directory and below; 0 when it is not there.
    public func treeSize(_ path: String) throws(FileError) -> Int {
        guard let status = try status(path) else { return 0 }
        if !status.isDirectory { return status.sizeBytes }
        var total = 0
        for entry in try list(path) { total += try treeSize(joinPath(path, entry.name)) }
        return total
    }
}

extension File {
    public func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
        var failure: FileError?
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(FileError) { try unsafe write(buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

extension FileMapping {
    public var sizeBytes: Int { unsafe bytes.count }
}

/// `directory/name`, with one slash between.
public func joinPath(_ directory: String, _ name: String) -> String {
    directory.isEmpty ? name : directory.utf8.last == UInt8(ascii: "/") ? directory + name : directory + "/" + name
}

/// The directory a path lies in: `.` for a bare name, `/` for what lies in the root.
public func parentPath(_ path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
}
