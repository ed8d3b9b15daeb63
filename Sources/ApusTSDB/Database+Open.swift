public import ApusBytes
public import ApusModel
import ApusStorage

extension Database {
    /// Opens a data directory, which is made when it is not there, and brings back all that was in it.
    ///
    ///     lock ─▶ leftovers of a crash ─▶ blocks ─▶ chunks_head ─▶ checkpoint, wal ─▶ wbl ─▶ a new segment, threads
    ///                                        └─▶ snapshot of a clean stop ────────────────────▲
    ///
    /// A log that is damaged is cut where it is, and the observer told: what lay behind is lost, as upstream has it. A block
    /// without a readable `meta.json` is left out and left alone.
    /// - Throws: when another process has the directory, it cannot be written, a block's index is damaged, or a segment of
    ///   the log is missing.
    public static func open(
        _ directory: String, options: DatabaseOptions = DatabaseOptions(), files: any FileSystem = PosixFileSystem(),
        time: any TimeSource = SystemTime(), observer: any DatabaseObserver = SilentObserver()
    ) throws(DatabaseError) -> Database {
        try open(directory, options, files, time, observer, isReadOnly: false)
    }

    /// Opens a data directory for a tool: without the lock, and without changing anything in it. What is there is read as
    /// far as it can be; of damage the observer is told.
    public static func openReadOnly(
        _ directory: String, options: DatabaseOptions = DatabaseOptions(), files: any FileSystem = PosixFileSystem(),
        time: any TimeSource = SystemTime(), observer: any DatabaseObserver = SilentObserver()
    ) throws(DatabaseError) -> Database {
        try open(directory, options, files, time, observer, isReadOnly: true)
    }

    private static func open(
        _ directory: String, _ options: DatabaseOptions, _ files: any FileSystem, _ time: any TimeSource, _ observer: any DatabaseObserver,
        isReadOnly: Bool
    ) throws(DatabaseError) -> Database {
        var lock: (any FileLock)?
        if isReadOnly {
            let status = try during("open data directory") { () throws(FileError) in try files.status(directory) }
            guard status?.isDirectory == true else { throw DatabaseError(.directory, "open data directory: \(directory) is no directory") }
        } else {
            lock = try DatabaseDisk.take(directory, files, locking: options.hasLockFile)
            try DatabaseDisk.removeLeftovers(directory, files, observer)
        }
        if let type = DatabaseDisk.networkFileSystem(directory) {
            observer.log(
                .warning, "This file system is not supported: data may be damaged or lost. Use a local disk", [("fs_type", type), ("dir", directory)])
        }
        let start = time.monotonicNs()
        let decodedCache = DecodedCache(limitBytes: options.decodedCacheBytes)
        let loaded = try BlockList.load(directory, files, decodedCache, observer, mayReport: true)
        let (head, chunkFiles, repairs) = try bringBack(directory, options, files, time, observer, loaded, isReadOnly: isReadOnly)
        var wal: WriteAheadLog?
        if !isReadOnly {
            try syncFound(directory, files)
            let log = try duringLog("open WAL") { () throws(WALError) in
                try WriteAheadLog.open(
                    joinPath(directory, DatabaseDisk.walName),
                    options: WALOptions(segmentBytes: options.walSegmentBytes, compression: options.walCompression), files: files, time: time)
            }
            // The names of the directories that were made.
            try during("sync data directory") { () throws(FileError) in try files.syncDirectory(directory) }
            for _ in 0..<repairs { log.countCorruption() }
            head.use(log: log)
            wal = log
        }
        let disk = DatabaseDisk(directory: directory, files: files, chunkFiles: chunkFiles, wal: wal, lock: lock, isReadOnly: isReadOnly)
        let database = Database(head: head, disk: disk, decodedCache: decodedCache, options: options, time: time, observer: observer)
        database.start(loaded, replaySeconds: Double(time.monotonicNs() &- start) / 1e9)
        return database
    }

    /// Gives blocks of late samples the hint that they lack, so that neither this start nor one of Prometheus passes by what
    /// the log has of their time.
    /// - Returns: up to where everything in order is in blocks, as far as such blocks tell.
    private static func markLateBlocks(
        _ directory: String, _ options: DatabaseOptions, _ files: any FileSystem, _ observer: any DatabaseObserver, _ loaded: BlockList,
        isReadOnly: Bool
    ) -> Int64 {
        let search = UnmarkedLateBlocks(
            log: joinPath(directory, DatabaseDisk.walName), files: files, blockRangeMs: options.minBlockDurationMs)
        var believedToMs = Int64.min
        for found in search.find(in: loaded.blocks) {
            let block = found.block
            believedToMs = max(believedToMs, found.believedToMs)
            if block.meta.isFromOutOfOrder { continue }
            observer.log(
                .warning, "A block of out-of-order samples was not marked as such; what the WAL has of its time is replayed",
                [("block", block.ulid.description)])
            do throws(BlockError) {
                try block.updateCompaction(inMemoryOnly: isReadOnly) { $0.hints.append(BlockMeta.Compaction.fromOutOfOrder) }
            } catch {
                // It is known in memory; the next start finds it again.
                observer.log(.warning, "The block can't be marked on the disk", [("block", block.ulid.description), ("err", error.description)])
            }
        }
        return believedToMs
    }

    /// The head as it was, from a snapshot or from chunk files and logs, and how many damaged places these had.
    private static func bringBack(
        _ directory: String, _ options: DatabaseOptions, _ files: any FileSystem, _ time: any TimeSource, _ observer: any DatabaseObserver,
        _ loaded: BlockList, isReadOnly: Bool
    ) throws(DatabaseError) -> (Head, HeadChunkFiles, repairs: Int) {
        // A tool leaves the snapshot to the server.
        if !isReadOnly,
            let taken = try loadSnapshot(directory, options, minValidTimeMs: loaded.minValidTimeMs, files, time, observer)
        {
            return (taken.head, taken.chunkFiles, 0)
        }
        // Not beside a snapshot, which is the head as it was.
        let believedToMs = markLateBlocks(directory, options, files, observer, loaded, isReadOnly: isReadOnly)
        let chunkFiles = try during("open head chunk files") { () throws(FileError) in
            try HeadChunkFiles.open(joinPath(directory, DatabaseDisk.chunkFilesName), files: files, readOnly: isReadOnly, time: time)
        }
        var headOptions = options.headOptions
        // Also when it is read only and takes nothing: what is mapped must live as long as the head and its readers.
        headOptions.chunkFiles = chunkFiles
        let head = Head(options: headOptions, time: time)
        // Before the replay: exemplars that find no room are passed over.
        head.exemplars.resize(to: options.settings.maxExemplars)
        head.exemplars.setOutOfOrderWindow(ms: options.settings.outOfOrderWindowMs)
        let replay = DatabaseReplay(head: head, directory: directory, files: files, observer: observer, isReadOnly: isReadOnly)
        return (head, chunkFiles, try replay.run(chunkFiles, minValidTimeMs: max(loaded.minValidTimeMs, believedToMs)))
    }

    /// Puts on the disk what a killed process may have left in the kernel. A log that we go on behind must not be torn
    /// before that place by a power cut later; nor must a file of chunks, since a replay takes all up to the newest chunk of
    /// a series for mapped, and zeros for a file's end.
    private static func syncFound(_ directory: String, _ files: any FileSystem) throws(DatabaseError) {
        let chunks = joinPath(directory, DatabaseDisk.chunkFilesName)
        try during("sync head chunk files") { () throws(FileError) in
            for entry in try files.list(chunks) where !entry.isDirectory {
                guard HeadChunkFiles.fileNumber(entry.name) != nil else { continue }
                let file = try files.open(joinPath(chunks, entry.name), .update)
                defer { file.close() }
                try file.sync()
            }
            try files.syncDirectory(chunks)
        }
        for log in [DatabaseDisk.walName, DatabaseDisk.outOfOrderName].map({ joinPath(directory, $0) }) {
            let segments = try duringLog("list segments") { () throws(WALError) in try SegmentFormat.list(log, files) }
            if segments.isEmpty { continue }
            try during("sync log") { () throws(FileError) in
                for segment in segments {
                    let file = try files.open(SegmentFormat.path(log, segment), .update)
                    defer { file.close() }
                    try file.sync()
                }
                try files.syncDirectory(log)
            }
        }
    }

    private func start(_ loaded: BlockList, replaySeconds: Double) {
        state.withLock { state in
            state.blocks = loaded.blocks
            state.statistics.brokenBlocks = loaded.broken
            state.statistics.replaySeconds = replaySeconds
            state.statistics.isReadOnly = isReadOnly
            state.statistics.reloads = 1
        }
        guard !isReadOnly else { return }
        apply(options.settings)
        if head.hasOutOfOrderInMemory {
            // What fails here is tried again when the log is whole again, and is in memory until then.
            try? head.logOutOfOrderAgain()
        }
        // What was compacted before a crash, and what is too old by now, goes before anyone reads it.
        removeObsoleteParents(loaded.obsolete)
        applyRetention()
        removeClosedBlocks()
        startThreads()
    }

    /// The log of out-of-order samples, opened now when it is needed for the first time. Nil when it is not needed, or
    /// cannot be opened: then those samples are not durable, and the observer is told.
    func outOfOrderLog(windowMs: Int64) -> WriteAheadLog? {
        guard let disk, !disk.isReadOnly else { return nil }
        if let known = state.withLock({ $0.outOfOrderLog }) { return known }
        let path = disk.path(DatabaseDisk.outOfOrderName)
        // Without a window it is there to be emptied, when what is in it has got into blocks.
        let isUsed = windowMs > 0 || ((try? SegmentFormat.list(path, disk.files)) ?? []).isEmpty == false
        guard isUsed else { return nil }
        do {
            let log = try WriteAheadLog.open(
                path, options: WALOptions(segmentBytes: options.walSegmentBytes, compression: options.walCompression), files: disk.files,
                time: time)
            try disk.files.syncDirectory(disk.directory)
            state.withLock { $0.outOfOrderLog = log }
            return log
        } catch {
            log(.error, "The log of out-of-order samples can't be opened; they are lost at a restart", ("err", "\(error)"))
            return nil
        }
    }

    // MARK: Closing

    /// Ends what is running, writes what is pending, and lets go of the directory. Call once; appends fail from then on.
    public func close() throws(DatabaseError) {
        let threads = state.withLock { state in
            state.isClosing = true
            defer { state.threads = [] }
            return state.threads
        }
        for thread in threads { thread.stop() }
        let failure = maintaining { closeDisk() }
        if let failure { throw failure }
    }

    private func closeDisk() -> DatabaseError? {
        let (blocks, outOfOrderLog) = state.withLock { state in
            defer {
                state.blocks = []
                state.outOfOrderLog = nil
            }
            return (state.blocks, state.outOfOrderLog)
        }
        guard let disk else { return nil }
        let minValidTimeMs = blocks.minValidTimeMs
        for block in blocks { block.close() }
        removeClosedBlocks()
        prepareSnapshot()
        var failure: DatabaseError?
        if !disk.isReadOnly {
            for log in [outOfOrderLog, disk.wal] {
                guard let log else { continue }
                let before = log.state
                if !log.close() {
                    var reason = "the disk refused"
                    if case .suspended(_, let error) = before { reason = error.description }
                    if case .suspended(_, let error) = log.state { reason = error.description }
                    if before != .closed {
                        failure = failure ?? DatabaseError(.failed, "close \(log.directory): \(reason); the newest samples may be lost")
                    }
                }
            }
            // What a log lacks it must not have from a snapshot either: a kill after the next start would take it.
            if failure == nil { writeSnapshot(minValidTimeMs: minValidTimeMs) }
            do throws(FileError) { try disk.chunkFiles?.close() } catch {
                // All of it is in the log, too.
                self.log(.warning, "Closing the head's chunk files failed", ("err", error.description))
            }
        }
        disk.lock?.release()
        return failure
    }
}
