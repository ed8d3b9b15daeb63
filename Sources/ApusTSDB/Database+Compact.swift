import ApusBytes
import ApusStorage

/// Compaction: what is in the head gets into blocks, and blocks into larger ones. Each step ends with a block complete on
/// the disk and in the list before anything that it replaces goes, so a crash anywhere loses nothing.
extension Database {
    private func compactor(_ disk: DatabaseDisk) -> Compactor {
        Compactor(
            directory: disk.directory, files: disk.files, maxChunkFileBytes: options.maxChunkFileBytes,
            samplesPerChunk: options.samplesPerChunk, isCancelled: { [self] in isClosing })
    }

    func newULID() -> ULID {
        var random = SystemRandomNumberGenerator()
        return ULID(timeMs: time.wallMs(), using: &random)
    }

    /// Writes a block from series in memory and puts it into the list.
    private func write(
        _ source: any ChunkSeriesSet, _ disk: DatabaseDisk, _ range: Range<Int64>, hints: [ByteString] = []
    ) throws(DatabaseError) {
        let start = time.monotonicNs()
        var compaction = BlockMeta.Compaction()
        compaction.hints = hints
        let ulid = newULID()
        state.withLock { $0.statistics.compactions.isPopulating = true }
        defer { state.withLock { $0.statistics.compactions.isPopulating = false } }
        var shapes = DatabaseStatistics.ChunkShapes()
        let meta = try duringBlock("write block") { () throws(BlockError) in
            try writeBlock(
                source, into: disk.directory, ulid: ulid, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, compaction: compaction,
                files: disk.files, maxChunkFileBytes: options.maxChunkFileBytes, onProgress: { [self] _ in !isClosing },
                onChunk: { shapes.add($0) })
        }
        guard let meta else { return }
        state.withLock { $0.statistics.chunkShapes.add(shapes) }
        try replace([], with: meta)
        noteWritten(meta, since: start)
        log(
            .info, "write block", ("mint", String(range.lowerBound)), ("maxt", String(range.upperBound)), ("ulid", ulid.description),
            ("duration_ms", String((time.monotonicNs() &- start) / 1_000_000)), ("ooo", String(!hints.isEmpty)))
    }

    private func noteWritten(_ meta: BlockMeta, since start: UInt64) {
        let seconds = Double(time.monotonicNs() &- start) / 1e9
        state.withLock { state in
            state.statistics.compactions.total += 1
            state.statistics.compactions.duration.add(seconds)
        }
    }

    private func fail(_ what: String, _ error: DatabaseError) {
        // Stopping is no failure.
        if error.reason == .closed { return }
        state.withLock { $0.statistics.compactions.failed += 1 }
        log(.error, what, ("err", error.description))
    }

    // MARK: The head

    /// Writes the head's oldest block range as long as the head spans one and a half, and then what came out of order; drops
    /// it from head and logs.
    func compactHead() {
        guard let disk else { return }
        state.withLock { $0.statistics.compactions.triggered += 1 }
        let blockRange = options.minBlockDurationMs
        var compactedTo: Int64?
        while !isClosing, let held = head.timeRange, held.upperBound.subtractingReportingOverflow(held.lowerBound).overflow
            || held.upperBound - held.lowerBound > blockRange / 2 * 3
        {
            let start = alignedDown(held.lowerBound, to: blockRange)
            let (end, overflow) = start.addingReportingOverflow(blockRange)
            if overflow { break }
            do throws(DatabaseError) {
                try compactHead(disk, start..<end)
                compactedTo = end
            } catch {
                fail("compact head failed", error)
                break
            }
            if let now = head.timeRange, now.lowerBound < end { break }
        }
        guard let compactedTo else { return }
        // Before the log is condensed, which would forget what is deleted of them.
        writeOutOfOrder()
        truncateLog(before: min(compactedTo, head.oldestOutOfOrderMs ?? .max))
    }

    private func compactHead(_ disk: DatabaseDisk, _ range: Range<Int64>) throws(DatabaseError) {
        // A block of another's making may end inside of the range: what the head holds is behind it.
        let newest = blocks.filter { !$0.meta.isFromOutOfOrder }.map(\.maxTimeMs).max() ?? .min
        let start = newest > range.lowerBound && newest < range.upperBound && (head.timeRange?.lowerBound ?? .min) >= newest ? newest : range.lowerBound
        // Nothing that belongs into the block may come while it is written. The head refuses such old samples anyway.
        head.setMinValidTime(range.upperBound)
        try write(head.chunkSeries(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound - 1), disk, start..<range.upperBound)
        truncateHead(disk, before: range.upperBound)
    }

    private func truncateHead(_ disk: DatabaseDisk, before time: Int64) {
        head.truncate(before: time)
        state.withLock { $0.statistics.compactions.headTruncations += 1 }
        guard let chunkFiles = disk.chunkFiles else { return }
        do throws(FileError) {
            let unlinked = try chunkFiles.unlink(before: time, keepingFrom: head.oldestOutOfOrderFile ?? .max)
            if !unlinked.isEmpty { head.keepForReaders(unlinked) }
        } catch {
            state.withLock { $0.statistics.compactions.headTruncationsFailed += 1 }
            log(.error, "Old files of the head's chunks can't be removed yet", ("err", error.description))
        }
    }

    // MARK: The log

    /// Condenses the first two thirds of the log to a checkpoint of what the head still needs, and removes them.
    func truncateLog(before time: Int64) {
        guard let disk, let wal = disk.wal, case .writing = wal.state else { return }
        let start = self.time.monotonicNs()
        do throws(DatabaseError) {
            // So that what was just written to blocks can go, and not only when the segment is full.
            do throws(AppendError) { try wal.rotate() } catch { throw DatabaseError(.failed, "start a segment: \(error)") }
            let segments = try duringLog("list segments") { () throws(WALError) in try SegmentFormat.list(wal.directory, disk.files) }
            guard let first = segments.first, let current = segments.last else { return }
            let last = first + (current - 1 - first) * 2 / 3
            if last <= first { return }
            log(.info, "Creating checkpoint", ("from_segment", String(first)), ("to_segment", String(last)), ("mint", String(time)))
            do throws(WALError) {
                try Checkpoint.write(
                    in: wal.directory, through: last, minTimeMs: time, compression: options.walCompression,
                    segmentBytes: options.walSegmentBytes, files: disk.files, keep: { [head] in head.keepSeries($0, segment: last) })
                state.withLock { $0.statistics.compactions.checkpointsCreated += 1 }
            } catch {
                state.withLock { $0.statistics.compactions.checkpointsFailed += 1 }
                throw DatabaseError("create checkpoint", error)
            }
            try duringLog("truncate WAL") { () throws(WALError) in
                try wal.truncate(before: last + 1)
                head.forgetCollected(upTo: last)
                try Checkpoint.remove(before: last, in: wal.directory, files: disk.files)
            }
            let seconds = Double(self.time.monotonicNs() &- start) / 1e9
            state.withLock { state in
                state.statistics.compactions.checkpointsDeleted += 1
                state.statistics.compactions.walTruncations.add(seconds)
            }
            log(.info, "WAL checkpoint complete", ("first", String(first)), ("last", String(last)))
        } catch { log(.error, "truncate WAL failed", ("err", error.description)) }
    }

    // MARK: Out of order

    /// Writes what came out of order to blocks of its own, after the head was compacted: queries merge it until then, and
    /// its blocks until they are merged with those they overlap.
    func writeOutOfOrder() {
        guard let disk else { return }
        do throws(DatabaseError) {
            let held: OutOfOrderHead?
            do throws(AppendError) { held = try head.outOfOrderHead() } catch {
                throw DatabaseError(.failed, "collect out-of-order samples: \(error)")
            }
            guard let held else { return }
            for start in held.blockStarts(rangeMs: options.minBlockDurationMs) {
                let (end, overflow) = start.addingReportingOverflow(options.minBlockDurationMs)
                if overflow { continue }
                try write(
                    held.chunkSeries(minTimeMs: start, maxTimeMs: end - 1), disk, start..<end, hints: [BlockMeta.Compaction.fromOutOfOrder])
            }
            try duringLog("truncate the log of out-of-order samples") { () throws(WALError) in try head.truncateOutOfOrder(held) }
        } catch { fail("compact out-of-order head failed", error) }
    }

    // MARK: Blocks

    /// Compacts blocks until the planner is content.
    func compactBlocks() {
        guard let disk else { return }
        while !isClosing {
            let (settings, blocks) = state.withLock { ($0.settings, $0.blocks) }
            let rules = retentionRules(settings, blocks)
            // Late samples of a time that the head still holds wait for its block: merged with others, they would pass for all
            // there is of that time, and the next start would skip what the log has.
            let end = blocks.filter { !$0.meta.isFromOutOfOrder }.map(\.maxTimeMs).max() ?? .min
            let candidates = blocks.filter { $0.maxTimeMs <= end }.map { candidate($0, rules) }
            let plan = Planner(rangesMs: currentRangesMs(settings)).plan(candidates)
            if plan.isEmpty { return }
            let wanted = Set(plan.map(\.ulid))
            if !compact(blocks.filter { wanted.contains($0.ulid) }, disk) { return }
        }
    }

    private func currentRangesMs(_ settings: DatabaseSettings) -> [Int64] {
        var options = options
        options.settings = settings
        return options.blockRangesMs
    }

    private func candidate(_ block: Block, _ rules: RetentionRules) -> Planner.Candidate {
        let meta = block.meta
        var candidate = Planner.Candidate(
            ulid: meta.ulid, minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, series: meta.statistics.series,
            tombstones: meta.statistics.tombstones, hasFailed: meta.compaction.hasFailed)
        if candidate.tombstones > 0 && rules.concerns(minTimeMs: meta.minTimeMs) {
            candidate.isExpiring = rules.isExpiring(
                minTimeMs: meta.minTimeMs, maxTimeMs: meta.maxTimeMs, firstMarkedMs: block.tombstones.firstTimeMs)
        }
        return candidate
    }

    /// False when it failed.
    private func compact(_ blocks: [Block], _ disk: DatabaseDisk, level: Int64? = nil) -> Bool {
        let start = time.monotonicNs()
        let ulid = newULID()
        let names = blocks.map(\.ulid.description).joined(separator: " ")
        state.withLock { $0.statistics.compactions.isPopulating = true }
        defer { state.withLock { $0.statistics.compactions.isPopulating = false } }
        do throws(DatabaseError) {
            let meta = try duringBlock("compact blocks \(names)") { () throws(BlockError) in
                do throws(BlockError) { return try compactor(disk).write(blocks, ulid: ulid, level: level) } catch {
                    // What is damaged stays so; a disk that is full does not.
                    if [.corrupt, .order, .limit].contains(error.reason) { markFailed(blocks) }
                    throw error
                }
            }
            if meta == nil {
                // Noted first: until its files are gone a start would take it for a block that is needed.
                for block in blocks {
                    try duringBlock("mark block \(block.ulid)") { () throws(BlockError) in try block.updateCompaction { $0.isDeletable = true } }
                }
            }
            try replace(blocks, with: meta)
            if let meta { noteWritten(meta, since: start) }
            log(
                .info, meta == nil ? "compact blocks resulted in empty block" : "compact blocks", ("count", String(blocks.count)),
                ("ulid", ulid.description), ("sources", names), ("duration_ms", String((time.monotonicNs() &- start) / 1_000_000)))
            return true
        } catch {
            fail("compaction failed", error)
            return false
        }
    }

    private func markFailed(_ blocks: [Block]) {
        for block in blocks {
            do throws(BlockError) { try block.updateCompaction { $0.hasFailed = true } } catch {
                log(.error, "setting compaction failed for block", ("block", block.ulid.description), ("err", error.description))
            }
        }
    }

    /// Writes every block anew that has something deleted, so that it is gone from the disk.
    public func cleanTombstones() throws(DatabaseError) {
        let disk = try writableDisk("clean tombstones")
        let start = time.monotonicNs()
        let failed: DatabaseError? = maintaining {
            for block in blocks where !block.tombstones.isEmpty {
                if isClosing { return DatabaseError(.closed, "clean tombstones: the database is closing") }
                if !compact([block], disk, level: block.meta.compaction.level) {
                    return DatabaseError(.failed, "clean tombstones: block \(block.ulid) can't be written anew; the log says why")
                }
            }
            return nil
        }
        let seconds = Double(time.monotonicNs() &- start) / 1e9
        state.withLock { $0.statistics.tombstoneCleanups.add(seconds) }
        if let failed { throw failed }
        removeClosedBlocks()
    }

    /// The disk of a database that can be changed.
    func writableDisk(_ what: String) throws(DatabaseError) -> DatabaseDisk {
        guard let disk else { throw DatabaseError(.unsupported, "\(what): the database is in memory and has no blocks") }
        if disk.isReadOnly { throw DatabaseError(.unsupported, "\(what): the database is open for reading only") }
        if isClosing { throw DatabaseError(.closed, "\(what): the database is closed") }
        return disk
    }
}

extension OutOfOrderHead {
    /// The starts of the block ranges that have samples or may have some, ascending. By chunks: one old sample does not
    /// make a block of each two hours since.
    func blockStarts(rangeMs: Int64) -> [Int64] {
        var starts = Set<Int64>()
        for one in series {
            for chunk in one.chunks {
                var start = alignedDown(chunk.minTimeMs, to: rangeMs)
                while start <= chunk.maxTimeMs {
                    // A sparse chunk: the ranges between its ends are found empty one by one.
                    starts.insert(start)
                    let (next, overflow) = start.addingReportingOverflow(rangeMs)
                    if overflow { break }
                    start = next
                }
            }
        }
        return starts.sorted()
    }
}
