import ApusBytes
import ApusModel
import ApusStorage

/// A clean stop leaves the head in a file, and the next start takes it from there in place of the log. The log stays as it
/// is, and is what counts: a snapshot that is missing, damaged or of other files costs nothing but the time to replay.
///
///     close   late chunks finished ─▶ logs synced, closed ─▶ snapshot ─▶ chunk files synced, closed
///     open    snapshot removed, directory synced ─▶ its log, chunk files and blocks are those here? ─▶ head
///                                                                   └─ no: an empty head, and a replay
extension Database {
    /// What a head depends on, beside the blocks.
    private static let partsOfHead = [DatabaseDisk.walName, DatabaseDisk.outOfOrderName, DatabaseDisk.chunkFilesName]

    private static func identity(
        _ directory: String, minValidTimeMs: Int64, _ files: any FileSystem
    ) throws(FileError) -> HeadSnapshot.Identity {
        try HeadSnapshot.Identity(
            directories: partsOfHead.map { joinPath(directory, $0) }, minValidTimeMs: minValidTimeMs, files: files)
    }

    /// Takes the head over that a clean stop left, and opens the files of its chunks.
    /// - Returns: nil when there is none, or none that can be used: then it is gone.
    static func loadSnapshot(
        _ directory: String, _ options: DatabaseOptions, minValidTimeMs: Int64, _ files: any FileSystem, _ time: any TimeSource,
        _ observer: any DatabaseObserver
    ) throws(DatabaseError) -> (head: Head, chunkFiles: HeadChunkFiles)? {
        let path = joinPath(directory, HeadSnapshot.fileName)
        // It cannot be looked at: the replay will say what is wrong with the directory.
        guard (try? files.exists(path)) == true else { return nil }
        if !options.isSnapshotEnabled {
            // Nobody will want it: once this run has a log of its own it is out of date.
            try during("remove the snapshot of the head") { () throws(FileError) in try files.removeFile(path) }
            return nil
        }
        let start = time.monotonicNs()
        do throws(SnapshotError) {
            let identity: HeadSnapshot.Identity
            let chunkFiles: HeadChunkFiles
            do throws(FileError) {
                // First: opening the chunk files may remove one.
                identity = try Self.identity(directory, minValidTimeMs: minValidTimeMs, files)
                chunkFiles = try HeadChunkFiles.open(joinPath(directory, DatabaseDisk.chunkFilesName), files: files, time: time)
            } catch { throw SnapshotError(error.description) }
            var headOptions = options.headOptions
            headOptions.chunkFiles = chunkFiles
            let head = try HeadSnapshot.load(
                path, options: headOptions, maxExemplars: options.settings.maxExemplars, identity: identity, files: files, time: time)
            head.setMinValidTime(minValidTimeMs)
            observer.log(
                .info, "Took the head over from the snapshot of a clean stop",
                [
                    ("series", String(head.locked { head.state.seriesCount })),
                    ("duration_ms", String((time.monotonicNs() &- start) / 1_000_000)),
                ])
            return (head, chunkFiles)
        } catch {
            observer.log(.info, "The snapshot of the head is not used; the log is replayed", [("reason", error.description)])
            return nil
        }
    }

    /// Finishes late chunks, while their log still takes markers of them.
    func prepareSnapshot() {
        guard options.isSnapshotEnabled, let disk, !disk.isReadOnly, case .writing = disk.wal?.state else { return }
        do throws(AppendError) {
            try head.locked { () throws(AppendError) in try head.state.outOfOrder.sealAll() }
        } catch { log(.warning, "Late samples can't be put into chunks for a snapshot", ("err", "\(error)")) }
    }

    /// Leaves the head for the next start; to be called when the logs are closed and whole, and the chunk files still open.
    /// - Parameter minValidTimeMs: end of the newest block.
    func writeSnapshot(minValidTimeMs: Int64) {
        guard options.isSnapshotEnabled, let disk, !disk.isReadOnly else { return }
        let start = time.monotonicNs()
        do throws(FileError) {
            let isWritten = try HeadSnapshot.write(head, to: disk.path(HeadSnapshot.fileName), files: disk.files) {
                () throws(FileError) in try Self.identity(disk.directory, minValidTimeMs: minValidTimeMs, disk.files)
            }
            if isWritten {
                log(.info, "Wrote a snapshot of the head", ("duration_ms", String((time.monotonicNs() &- start) / 1_000_000)))
            } else {
                log(.info, "No snapshot of the head: some of its chunks are in no file. The next start replays the log")
            }
        } catch {
            log(.warning, "A snapshot of the head can't be written; the next start replays the log", ("err", error.description))
        }
    }
}
