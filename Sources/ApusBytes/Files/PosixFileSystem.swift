#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The system's words for an `errno`, in lower case as Go prints them.
public func errorText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    // SAFETY: the buffer is 256 bytes long, and the call writes a terminating zero within them.
    let text = unsafe buffer.withUnsafeMutableBufferPointer { buffer -> String in
        guard let base = buffer.baseAddress, unsafe strerror_r(code, base, buffer.count) == 0 else { return "" }
        return unsafe String(cString: base)
    }
    guard let first = text.first else { return "error \(code)" }
    return first.lowercased() + text.dropFirst()
}

let fileTooLarge = EFBIG

/// The disk of this machine.
public struct PosixFileSystem: FileSystem {
    public init() {}

    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR
            case .create: O_RDWR | O_CREAT | O_TRUNC
            }
        let descriptor = try retrying("open", path) { posixOpen(path, flags | O_CLOEXEC, 0o666) }
        return PosixFile(path: path, descriptor: descriptor)
    }

    public func map(_ path: String) throws(FileError) -> any FileMapping { try map(path, size: nil) }

    public func mapGrowing(_ path: String, maximum: Int) throws(FileError) -> any FileMapping { try map(path, size: maximum) }

    private func map(_ path: String, size wanted: Int?) throws(FileError) -> PosixMapping {
        let descriptor = try retrying("open", path) { posixOpen(path, O_RDONLY | O_CLOEXEC) }
        defer { _ = posixClose(descriptor) }
        var status = stat()
        _ = try retrying("stat", path) { unsafe fstat(descriptor, &status) }
        let size = wanted ?? Int(status.st_size)
        if size <= 0 { return unsafe PosixMapping(path: path, base: nil, count: 0) }
        guard let base = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), unsafe base != MAP_FAILED else {
            throw FileError("mmap", path, code: errno)
        }
        return unsafe PosixMapping(path: path, base: base, count: size)
    }

    public func list(_ directory: String) throws(FileError) -> [DirectoryEntry] {
        guard let stream = unsafe opendir(directory) else { throw FileError("open", directory, code: errno) }
        defer { _ = unsafe closedir(stream) }
        var entries: [DirectoryEntry] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(stream) else {
                if errno != 0 { throw FileError("readdir", directory, code: errno) }
                break
            }
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name == "." || name == ".." { continue }
            var isDirectory = unsafe Int32(entry.pointee.d_type) == Int32(DT_DIR)
            let type = unsafe Int32(entry.pointee.d_type)
            if type == Int32(DT_UNKNOWN) || type == Int32(DT_LNK) {
                isDirectory = try status(joinPath(directory, name))?.isDirectory ?? false
            }
            entries.append(DirectoryEntry(name: name, isDirectory: isDirectory))
        }
        return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    public func status(_ path: String) throws(FileError) -> FileStatus? {
        var status = stat()
        if unsafe stat(path, &status) != 0 {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileError("stat", path, code: errno)
        }
        return FileStatus(
            sizeBytes: Int(status.st_size), isDirectory: status.st_mode & S_IFMT == S_IFDIR,
            modifiedMs: Int64(status.st_mtim.tv_sec) &* 1000 &+ Int64(status.st_mtim.tv_nsec) / 1_000_000)
    }

    public func createDirectory(_ path: String) throws(FileError) {
        if unsafe mkdir(path, 0o777) == 0 { return }
        let code = errno
        if code == EEXIST, try status(path)?.isDirectory == true { return }
        let parent = parentPath(path)
        guard code == ENOENT, parent != path, parent != "." else { throw FileError("mkdir", path, code: code) }
        try createDirectory(parent)
        if unsafe mkdir(path, 0o777) != 0 && errno != EEXIST { throw FileError("mkdir", path, code: errno) }
    }

    public func rename(_ path: String, to target: String) throws(FileError) {
        if posixRename(path, target) != 0 { throw FileError("rename", path, code: errno) }
    }

    public func hardLink(_ path: String, at target: String) throws(FileError) {
        if unsafe link(path, target) != 0 { throw FileError("link", path, code: errno) }
    }

    public func removeFile(_ path: String) throws(FileError) {
        if unsafe unlink(path) != 0 && errno != ENOENT { throw FileError("unlink", path, code: errno) }
    }

    public func removeTree(_ path: String) throws(FileError) {
        var status = stat()
        if unsafe lstat(path, &status) != 0 {
            if errno == ENOENT { return }
            throw FileError("lstat", path, code: errno)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return try removeFile(path) }
        for entry in try list(path) { try removeTree(joinPath(path, entry.name)) }
        if unsafe rmdir(path) != 0 && errno != ENOENT { throw FileError("rmdir", path, code: errno) }
    }

    public func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try retrying("open", path) { posixOpen(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { _ = posixClose(descriptor) }
        if fsync(descriptor) != 0 { throw FileError("fsync", path, code: errno) }
    }

    public func space(_ path: String) throws(FileError) -> DiskSpace {
        var status = statvfs()
        if unsafe statvfs(path, &status) != 0 { throw FileError("statvfs", path, code: errno) }
        let unit = UInt64(status.f_frsize)
        return DiskSpace(
            freeBytes: Int(clamping: unit.multipliedReportingOverflow(by: UInt64(status.f_bavail)).partialValue),
            totalBytes: Int(clamping: unit.multipliedReportingOverflow(by: UInt64(status.f_blocks)).partialValue))
    }

    public func lock(_ path: String) throws(FileError) -> any FileLock {
        let descriptor = try retrying("open", path) { posixOpen(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            _ = posixClose(descriptor)
            throw FileError("lock", path, code: code)
        }
        return PosixLock(descriptor: descriptor)
    }
}

/// Runs a call again while a signal interrupts it.
private func retrying(_ operation: String, _ path: String, _ call: () -> Int32) throws(FileError) -> Int32 {
    while true {
        let result = call()
        if result >= 0 { return result }
        if errno != EINTR { throw FileError(operation, path, code: errno) }
    }
}

private final class PosixFile: File, @unchecked Sendable {
    // `@unchecked`: `descriptor` changes in `close` only, which the owner calls when nobody else uses the file.
    let path: String
    private var descriptor: Int32

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        var filled = 0
        while filled < buffer.count {
            // SAFETY: `filled` is below the buffer's count.
            let count = unsafe pread(descriptor, buffer.baseAddress.map { unsafe $0 + filled }, buffer.count - filled, off_t(offset &+ filled))
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("read", path, code: errno)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        var written = 0
        while written < bytes.count {
            // SAFETY: `written` is below the buffer's count.
            let count = unsafe pwrite(descriptor, bytes.baseAddress.map { unsafe $0 + written }, bytes.count - written, off_t(offset &+ written))
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", path, code: errno)
            }
            written += count
        }
    }

    func size() throws(FileError) -> Int {
        var status = stat()
        if unsafe fstat(descriptor, &status) != 0 { throw FileError("stat", path, code: errno) }
        return Int(status.st_size)
    }

    func truncate(to sizeBytes: Int) throws(FileError) {
        _ = try retrying("truncate", path) { ftruncate(descriptor, off_t(sizeBytes)) }
    }

    func sync() throws(FileError) {
        // Not tried again: after an error the kernel may have dropped the pages and call the next sync a success.
        if fdatasync(descriptor) != 0 { throw FileError("sync", path, code: errno) }
    }

    func close() {
        if descriptor >= 0 { _ = posixClose(descriptor) }
        descriptor = -1
    }
}

@safe private final class PosixMapping: FileMapping, @unchecked Sendable {
    // `@unchecked`: nothing changes after `init`.
    let path: String
    private let base: UnsafeMutableRawPointer?
    private let count: Int

    init(path: String, base: UnsafeMutableRawPointer?, count: Int) {
        self.path = path
        unsafe self.base = base
        self.count = count
    }

    deinit { if let base = unsafe base { _ = unsafe munmap(base, count) } }

    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }
}

private final class PosixLock: FileLock, @unchecked Sendable {
    // `@unchecked`: the owner releases it once, or lets it go.
    private var descriptor: Int32
    init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { release() }
    func release() {
        if descriptor >= 0 { _ = close(descriptor) }
        descriptor = -1
    }
}

// The system's calls whose names the methods above have, too.
private func posixOpen(_ path: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 { unsafe open(path, flags, mode) }
private func posixClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func posixRename(_ path: String, _ target: String) -> Int32 { unsafe rename(path, target) }
