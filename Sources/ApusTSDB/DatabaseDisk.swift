import ApusBytes
import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A data directory and what a database holds open in it.
///
///     data/
///       lock              held by one process, unless it was told not to
///       wal/ wbl/         logs: all samples, those out of order
///       chunks_head/      full chunks of the head
///       01M83RV…/         blocks
///       snapshots/        copies that somebody asked for
///       apus_snapshot     the head as a clean stop left it, until the next start
final class DatabaseDisk: Sendable {
    let directory: String
    let files: any FileSystem
    /// Nil when opened for reading only, or when there are none.
    let chunkFiles: HeadChunkFiles?
    let isReadOnly: Bool
    /// Both are nil when opened for reading only; the lock also when there is to be none.
    let wal: WriteAheadLog?
    let lock: (any FileLock)?

    static let lockName = "lock"
    static let walName = "wal"
    static let outOfOrderName = "wbl"
    static let chunkFilesName = "chunks_head"
    static let snapshotsName = "snapshots"
    static let headSnapshotPrefix = "chunk_snapshot."
    static let deletionSuffix = ".tmp-for-deletion"

    init(
        directory: String, files: any FileSystem, chunkFiles: HeadChunkFiles?, wal: WriteAheadLog?, lock: (any FileLock)?, isReadOnly: Bool
    ) {
        self.directory = directory
        self.files = files
        self.chunkFiles = chunkFiles
        self.wal = wal
        self.lock = lock
        self.isReadOnly = isReadOnly
    }

    func path(_ name: String) -> String { joinPath(directory, name) }

    /// Bytes of the logs and the head's chunk files.
    var headBytes: Int {
        [Self.walName, Self.outOfOrderName, Self.chunkFilesName].reduce(0) { $0 + ((try? files.treeSize(path($1))) ?? 0) }
    }

    // MARK: What a crash leaves

    /// Whether something is what was being written or removed when the process ended.
    static func isLeftover(_ name: String) -> Bool {
        if name == HeadSnapshot.fileName + HeadSnapshot.temporarySuffix { return true }
        for suffix in [BlockWriter.temporarySuffix, deletionSuffix, ".tmp"] where name.hasSuffix(suffix) {
            let stem = name.dropLast(suffix.count)
            return ULID(stem.utf8) != nil || stem.hasPrefix(headSnapshotPrefix) || stem.hasPrefix(Checkpoint.prefix)
        }
        return false
    }

    /// Removes them. What cannot be removed stays for the next start.
    static func removeLeftovers(_ directory: String, _ files: any FileSystem, _ observer: any DatabaseObserver) throws(DatabaseError) {
        let entries = try during("read data directory") { () throws(FileError) in try files.list(directory) }
        for entry in entries where isLeftover(entry.name) {
            let path = joinPath(directory, entry.name)
            do throws(FileError) {
                try files.removeTree(path)
                observer.log(.info, "Found and deleted tmp dir", [("dir", path)])
            } catch { observer.log(.error, "failed to delete tmp dir", [("dir", path), ("err", error.description)]) }
        }
        for log in [walName, outOfOrderName] {
            try duringLog("remove unfinished checkpoints") { () throws(WALError) in
                try Checkpoint.removeLeftovers(in: joinPath(directory, log), files: files)
            }
        }
    }

    // MARK: The disk below

    /// Makes the directory, and locks it if it is to be locked.
    static func take(_ directory: String, _ files: any FileSystem, locking: Bool) throws(DatabaseError) -> (any FileLock)? {
        do throws(FileError) { try files.createDurableDirectory(directory) } catch {
            throw DatabaseError(.directory, "create data directory: \(error); name another one by --storage.tsdb.path")
        }
        if !locking { return nil }
        do throws(FileError) { return try files.lock(joinPath(directory, lockName)) } catch {
            if error.code == EWOULDBLOCK { throw DatabaseError(.locked, "lock DB directory: \(error.reason)") }
            throw DatabaseError(.directory, "lock DB directory: \(error); the directory must be writable")
        }
    }

    /// The type of the network file system that a path lies on, of which upstream and we say that locks and maps cannot be
    /// trusted; nil when it lies on none, or nobody knows.
    static func networkFileSystem(_ path: String) -> String? {
        #if os(Linux)
            guard let resolved = unsafe realpath(path, nil) else { return nil }
            defer { unsafe free(resolved) }
            guard let mounts = unsafe fopen("/proc/self/mounts", "r") else { return nil }
            defer { _ = unsafe fclose(mounts) }
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while text.count < 1 << 20 {
                let count = unsafe buffer.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, mounts) }
                if count == 0 { break }
                text.append(contentsOf: buffer[..<count])
            }
            return networkFileSystem(unsafe String(cString: resolved), mounts: String(decoding: text, as: UTF8.self))
        #else
            return nil
        #endif
    }

    /// - Parameter mounts: lines of device, directory, type and more, as Linux has them. The last one of a directory counts.
    static func networkFileSystem(_ path: String, mounts: String) -> String? {
        var best: (length: Int, type: Substring)?
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.count >= 3 else { continue }
            let point = fields[1]
            let isAbove = point == "/" || path == point || path.hasPrefix(point + "/")
            if isAbove && point.utf8.count >= best?.length ?? 0 { best = (point.utf8.count, fields[2]) }
        }
        return best.flatMap { $0.type == "nfs" || $0.type == "nfs4" ? String($0.type) : nil }
    }
}
