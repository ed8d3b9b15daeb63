public import ApusBytes
public import ApusModel
public import ApusStorage

public struct WALOptions: Sendable {
    /// A segment ends before it would exceed this.
    public var segmentBytes: Int
    public var compression: WALCompression
    public init(segmentBytes: Int = 128 << 20, compression: WALCompression = .snappy) {
        self.segmentBytes = segmentBytes
        self.compression = compression
    }
}

/// Whether a log writes.
public enum WALState: Sendable, Equatable {
    case writing
    /// A write or a sync failed. What is appended is accepted, counted and dropped. All that was appended at or after
    /// `sinceMs`, a time of the wall clock, may be missing on the disk, and has to be appended again after `resume`: samples
    /// from `oldestMissingMs` on.
    case suspended(sinceMs: Int64, error: FileError)
    case closed
}

/// The log on disk: what was appended survives a crash of the process when the call returns, and a power cut after the
/// next `sync`.
///
///     append(series:) ─▶ staged ─┐                       ┌▶ wal/00000007   full, waits for `sync`
///     append(samples:) ──────────┴▶ encode, compress, ───┴▶ wal/00000008   one write per commit
///                                   frame
///
/// Opening always begins a new segment: the one before may end in the middle of something. `WALReader` reads it back,
/// `Checkpoint` condenses old segments, `truncate` removes them.
///
/// After a failed write or sync the kernel may have dropped what it had and will not say so again. The log then gives its
/// segments up back to the last place known to be good (`state`, `resume`).
public final class WriteAheadLog: CommitLog {
    /// Staged series are written without waiting for samples above this.
    private static let stagedBytesLimit = 1 << 20
    /// Memory kept of a record that was larger.
    private static let keptBytes = 1 << 20
    /// What `resume` writes to see whether the disk takes anything.
    private static let probeBytes = 1 << 20

    /// The log's state; all but syncing happens under the lock.
    private final class Writer {
        let segments: SegmentWriter
        var encoder = RecordEncoder()
        /// One record of the series that came since the last write.
        var staged = RecordEncoder()
        var stagedCount = 0
        var state = WALState.writing
        var statistics = WALStatistics()
        /// A new segment's name may not be on the disk yet.
        var directoryIsDirty = true
        /// Known to be on the disk: all before it.
        var durable: LogPosition
        /// After a failure: what of the log is good. Behind `durable` when only a write failed.
        var good: LogPosition?
        /// When `durable` was the end of the log.
        var durableMs: Int64
        /// Of the oldest sample that came since the last sync began, and of those that this sync is about. Dropped ones count.
        var oldestMs = Int64.max
        var oldestSyncingMs = Int64.max

        init(segments: SegmentWriter, nowMs: Int64) {
            self.segments = segments
            durable = segments.position
            durableMs = nowMs
        }

        /// Frames the staged series, in front of what comes next.
        func addStaged() throws(FileError) {
            if stagedCount == 0 { return }
            stagedCount = 0
            let before = segments.segment
            try unsafe segments.add(staged.bytes)
            staged.trim(to: WriteAheadLog.keptBytes)
            if segments.segment != before { directoryIsDirty = true }
        }

        /// Frames the record that was encoded.
        func addEncoded() throws(FileError) {
            let before = segments.segment
            try unsafe segments.add(encoder.bytes)
            encoder.trim(to: WriteAheadLog.keptBytes)
            if segments.segment != before { directoryIsDirty = true }
        }
    }

    public let directory: String
    private let files: any FileSystem
    private let time: any TimeSource
    private let writer: Locked<Writer>
    /// Held during a sync, so that files are closed by nobody else meanwhile.
    private let syncing = Locked(false)

    /// Opens the log of a directory, made when it is not there, and begins a segment behind the last.
    public static func open(
        _ directory: String, options: WALOptions = WALOptions(), files: any FileSystem, time: any TimeSource
    ) throws(WALError) -> WriteAheadLog {
        let segments = SegmentWriter(directory: directory, segmentBytes: options.segmentBytes, compression: options.compression, files: files)
        do throws(FileError) {
            try files.createDurableDirectory(directory)
            try segments.open((try SegmentFormat.numbers(directory, files).last ?? -1) + 1)
        } catch { throw .file(error) }
        return WriteAheadLog(directory, Writer(segments: segments, nowMs: time.wallMs()), files, time)
    }

    private init(_ directory: String, _ writer: sending Writer, _ files: any FileSystem, _ time: any TimeSource) {
        self.directory = directory
        self.files = files
        self.time = time
        self.writer = Locked(writer)
    }

    // MARK: Appending

    public func append(series: [SeriesRecord]) throws(AppendError) -> LogPosition {
        try commit(series.count) { (writer: Writer) throws(FileError) in
            if series.isEmpty { return }
            if writer.stagedCount == 0 { writer.staged.series(series) } else { writer.staged.appendSeries(series) }
            writer.stagedCount += series.count
            if writer.staged.count < Self.stagedBytesLimit { return }
            try writer.addStaged()
            try writer.segments.flush()
        }
    }

    public func append(samples: borrowing SampleBatch) throws(AppendError) -> LogPosition {
        let batch = copy samples
        let entries = batch.count + batch.histograms.count + batch.exemplars.count + batch.metadata.count
        return try commit(entries, oldestMs: batch.oldestTimestampMs) { (writer: Writer) throws(FileError) in
            try writer.addStaged()
            if !batch.metadata.isEmpty {
                writer.encoder.metadata(batch.metadata)
                try writer.addEncoded()
            }
            if batch.count > 0 {
                if batch.startTimestampsMs.isEmpty {
                    writer.encoder.samples(batch.refs, batch.timestampsMs, batch.values, count: batch.count)
                } else {
                    writer.encoder.samplesV2(batch)
                }
                try writer.addEncoded()
            }
            if !batch.histograms.isEmpty {
                for type in RecordEncoder.histogramTypes where writer.encoder.histograms(batch.histograms, of: type) > 0 {
                    try writer.addEncoded()
                }
            }
            if !batch.exemplars.isEmpty {
                writer.encoder.exemplars(batch.exemplars)
                try writer.addEncoded()
            }
            try writer.segments.flush()
        }
    }

    public func append(tombstones: [TombstoneRecord]) throws(AppendError) -> LogPosition {
        try commit(tombstones.count) { (writer: Writer) throws(FileError) in
            if tombstones.isEmpty { return }
            try writer.addStaged()
            writer.encoder.tombstones(tombstones)
            try writer.addEncoded()
            try writer.segments.flush()
        }
    }

    /// For a log of out-of-order samples.
    public func append(mmapMarkers: [MmapMarkerRecord]) throws(AppendError) -> LogPosition {
        try commit(mmapMarkers.count) { (writer: Writer) throws(FileError) in
            if mmapMarkers.isEmpty { return }
            try writer.addStaged()
            writer.encoder.mmapMarkers(mmapMarkers)
            try writer.addEncoded()
            try writer.segments.flush()
        }
    }

    /// Runs `body` under the lock when the log writes; returns where the log ended before.
    /// - Parameter oldestMs: of the oldest sample among the entries.
    private func commit(
        _ entries: Int, oldestMs: Int64 = .max, _ body: (Writer) throws(FileError) -> Void
    ) throws(AppendError) -> LogPosition {
        try writer.withLock { writer throws(AppendError) in
            let position = writer.segments.position
            writer.oldestMs = min(writer.oldestMs, oldestMs)
            switch writer.state {
            case .closed: throw .unavailable("the write-ahead log \(directory) is closed")
            case .suspended: writer.statistics.entriesDropped += entries
            case .writing:
                do throws(FileError) { try body(writer) } catch {
                    writer.statistics.entriesDropped += entries
                    suspend(writer, error, syncFailed: false)
                }
            }
            return position
        }
    }

    /// Where the log ends: readers may read all that is before.
    public var position: LogPosition {
        writer.withLock { LogPosition(segment: $0.segments.segment, offset: $0.segments.offset) }
    }

    public var lastSegment: Int { position.segment }

    /// Of the oldest sample that came since what the last sync put on the disk, dropped or not; `Int64.max` when none did.
    /// All that the log may lack are samples of this time and later ones, however old they were when they came.
    public var oldestMissingMs: Int64 { writer.withLock { min($0.oldestMs, $0.oldestSyncingMs) } }

    public var state: WALState { writer.withLock { $0.state } }

    public var statistics: WALStatistics {
        writer.withLock { writer in
            var statistics = writer.statistics
            statistics.segment = writer.segments.segment
            statistics.pageFlushes = writer.segments.flushes
            statistics.completedPages = writer.segments.completedPages
            return statistics
        }
    }

    /// Bytes of the directory, checkpoints included; 0 when it cannot be read.
    public var sizeBytes: Int { (try? files.treeSize(directory)) ?? 0 }

    /// Notes that the log was found damaged and was repaired.
    public func countCorruption() { writer.withLock { $0.statistics.corruptions += 1 } }

    // MARK: Segments

    /// Ends the current segment, so that a checkpoint may have it; returns the number of the new one. Nothing happens to
    /// an empty segment.
    @discardableResult
    public func rotate() throws(AppendError) -> Int {
        _ = try commit(0) { (writer: Writer) throws(FileError) in
            try writer.addStaged()
            try writer.segments.flush()
            if writer.segments.offset == 0 { return }
            try writer.segments.rotate()
            writer.directoryIsDirty = true
        }
        return position.segment
    }

    /// Removes the segments before `segment`, oldest first: what remains is always in sequence.
    public func truncate(before segment: Int) throws(WALError) {
        writer.withLock { $0.statistics.truncations += 1 }
        let current = position.segment
        do throws(FileError) {
            for number in try SegmentFormat.numbers(directory, files) where number < min(segment, current) {
                try files.removeFile(SegmentFormat.path(directory, number))
            }
        } catch {
            writer.withLock { $0.statistics.truncationsFailed += 1 }
            throw .file(error)
        }
    }

    // MARK: Syncing

    /// Puts all that was appended on the disk. Appends go on meanwhile.
    ///
    /// - Returns: whether all was put there; if not, the log is suspended.
    @discardableResult
    public func sync() -> Bool {
        // A second caller waits, and then finds little to do.
        syncing.withLock { _ in
            let work = writer.withLock { writer -> SyncWork? in
                guard case .writing = writer.state else { return nil }
                do throws(FileError) {
                    try writer.addStaged()
                    try writer.segments.flush()
                } catch {
                    suspend(writer, error, syncFailed: false)
                    return nil
                }
                guard let file = writer.segments.file else { return nil }
                let end = writer.segments.position
                let retired = writer.segments.retired
                if end == writer.durable && retired.isEmpty && !writer.directoryIsDirty {
                    writer.durableMs = time.wallMs()
                    return nil
                }
                writer.segments.retired = []
                writer.oldestSyncingMs = min(writer.oldestSyncingMs, writer.oldestMs)
                writer.oldestMs = .max
                defer { writer.directoryIsDirty = false }
                return SyncWork(file: file, retired: retired, end: end, directory: writer.directoryIsDirty, nowMs: time.wallMs())
            }
            guard let work else { return state == .writing }
            let started = time.monotonicNs()
            do throws(FileError) {
                for (_, file) in work.retired { try file.sync() }
                try work.file.sync()
                if work.directory { try files.syncDirectory(directory) }
            } catch {
                // The files are closed when the last who uses them lets go.
                writer.withLock { writer in suspend(writer, error, syncFailed: true) }
                return false
            }
            for (_, file) in work.retired { file.close() }
            let seconds = Double(time.monotonicNs() &- started) / 1e9
            return writer.withLock { writer in
                writer.statistics.syncs.add(seconds)
                writer.durable = max(writer.durable, work.end)
                writer.durableMs = work.nowMs
                if writer.state == .writing { writer.oldestSyncingMs = .max }
                return writer.state == .writing
            }
        }
    }

    private struct SyncWork {
        let file: any File
        let retired: [(segment: Int, file: any File)]
        let end: LogPosition
        let directory: Bool
        let nowMs: Int64
    }

    // MARK: Failure

    /// Stops writing. Under the lock.
    private func suspend(_ writer: Writer, _ error: FileError, syncFailed: Bool) {
        writer.statistics.writesFailed += 1
        // What was written before a write failed is in the kernel, and a crash of the process loses none of it.
        let written = LogPosition(segment: writer.segments.segment, offset: writer.segments.offset)
        if syncFailed { writer.good = writer.durable } else if writer.good == nil { writer.good = written }
        guard case .writing = writer.state else { return }
        writer.state = .suspended(sinceMs: writer.durableMs, error: error)
        writer.segments.giveUp()
        writer.segments.retired = []
        writer.stagedCount = 0
        // Now if it can be, for whoever starts after a crash; it must be before the log goes on.
        try? cut(writer)
    }

    /// Shortens what may be damaged to what is good: behind a torn record nothing would be read.
    ///
    /// Later segments are emptied and kept, since numbers go up without gaps and are used once.
    private func cut(_ writer: Writer) throws(FileError) {
        let good = writer.good ?? writer.durable
        for segment in (good.segment...max(good.segment, writer.segments.segment)).reversed() {
            let path = SegmentFormat.path(directory, segment)
            guard try files.status(path) != nil else { continue }
            let kept = segment == good.segment ? good.offset : 0
            let file = try files.open(path, .update)
            defer { file.close() }
            if try file.size() > kept { try file.truncate(to: kept) }
            // A power cut must not bring back what was cut off. This vouches for nothing else: no byte is left that a
            // failed sync was about.
            try file.sync()
        }
    }

    /// After a failed write, puts on the disk what was written before; no segment is synced in which a sync has failed.
    private func syncGood(_ writer: Writer) throws(FileError) {
        guard let good = writer.good, good > writer.durable else { return }
        for segment in writer.durable.segment...good.segment {
            let file = try files.open(SegmentFormat.path(directory, segment), .update)
            defer { file.close() }
            do throws(FileError) { try file.sync() } catch {
                writer.good = writer.durable
                throw error
            }
        }
    }

    /// Tries to write again after a failure, into a new segment.
    ///
    /// - Returns: true when the log writes; the caller must then append all series, and all samples from `oldestMissingMs`
    ///   on, again.
    public func resume() -> Bool {
        syncing.withLock { _ in
            writer.withLock { writer in
                switch writer.state {
                case .writing: return true
                case .closed: return false
                case .suspended: break
                }
                let next = writer.segments.segment + 1
                let path = SegmentFormat.path(directory, next)
                do throws(FileError) {
                    try syncGood(writer)
                    try cut(writer)
                    try probe(path)
                    try writer.segments.open(next)
                    try files.syncDirectory(directory)
                } catch {
                    writer.segments.giveUp()
                    try? files.removeFile(path)
                    writer.statistics.writesFailed += 1
                    return false
                }
                writer.state = .writing
                writer.good = nil
                writer.directoryIsDirty = false
                writer.durable = writer.segments.position
                writer.durableMs = time.wallMs()
                return true
            }
        }
    }

    /// Writes, syncs and removes some zeros: a full disk makes an empty file and refuses what is to be in it.
    private func probe(_ path: String) throws(FileError) {
        let file = try files.open(path, .create)
        defer { file.close() }
        try file.write([UInt8](repeating: 0, count: Self.probeBytes), at: 0)
        try file.sync()
        try file.truncate(to: 0)
    }

    /// Writes and syncs what is left. Further appends are refused.
    /// - Returns: whether all that was appended is on the disk.
    @discardableResult
    public func close() -> Bool {
        let isDurable = sync()
        return syncing.withLock { _ in
            writer.withLock { writer in
                let hasNothing = writer.segments.pendingBytes == 0 && writer.stagedCount == 0
                let all = isDurable && writer.durable == writer.segments.position && hasNothing
                writer.segments.file?.close()
                writer.segments.giveUp()
                writer.state = .closed
                return all
            }
        }
    }
}

extension SampleBatch {
    /// `Int64.max` when it is empty.
    fileprivate var oldestTimestampMs: Int64 {
        var oldest = timestampsMs.min() ?? .max
        for sample in histograms { oldest = min(oldest, sample.timestampMs) }
        for sample in exemplars { oldest = min(oldest, sample.exemplar.timestampMs) }
        return oldest
    }
}
