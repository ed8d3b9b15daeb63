import ApusBytes
import ApusStorage

/// What happens by time:
///
///     each second   the logs are synced                                          a thread of its own
///     each minute   a log that was given up is tried again                       another thread,
///                   head ─▶ blocks, head truncated, log condensed                of low priority
///                   out-of-order samples ─▶ blocks
///                   blocks ─▶ larger blocks
///                   retention by time, size and rules
extension Database {
    /// To be called every few seconds. Returns at once, unless the database has no threads: then all that is due is done.
    public func maintain(nowMs: Int64) {
        guard !isReadOnly else { return }
        let now = time.monotonicNs()
        let (isDue, threads) = state.withLock { state in
            if state.isClosing || now < state.nextPassNs { return (false, [BackgroundThread]()) }
            state.nextPassNs = now &+ UInt64(options.maintenanceIntervalMs) &* 1_000_000
            return (true, state.threads)
        }
        guard isDue else { return }
        if threads.isEmpty {
            sync()
            runPass()
        } else {
            for thread in threads { thread.wake() }
        }
    }

    /// Runs what writes or removes blocks, or truncates the head: one at a time, and appends may have to wait for it.
    func maintaining<R>(_ body: () -> R) -> R {
        stalling.add(1, ordering: .relaxed)
        defer { stalling.subtract(1, ordering: .relaxed) }
        var result: R?
        maintenance.withLock { (_: inout sending Bool) in result = body() }
        guard let result else { preconditionFailure("the lock did not run its body") }
        return result
    }

    func startThreads() {
        guard options.hasThreads, disk != nil else { return }
        let syncing = BackgroundThread(intervalMs: options.walSyncIntervalMs) { [weak self] in self?.sync() }
        let compacting = BackgroundThread(intervalMs: 0, isLowPriority: true) { [weak self] in self?.runPass() }
        let started = [syncing, compacting].filter { $0.start() }
        if started.count < 2 {
            // All is done by the caller of `maintain` then.
            log(.error, "The system has no more threads; the database works in its caller's", ("started", String(started.count)))
            for thread in started { thread.stop() }
            return
        }
        state.withLock { $0.threads = [syncing, compacting] }
    }

    /// Puts what the logs hold on the disk.
    func sync() {
        guard let disk else { return }
        stalling.add(1, ordering: .relaxed)
        defer { stalling.subtract(1, ordering: .relaxed) }
        disk.wal?.sync()
        state.withLock({ $0.outOfOrderLog })?.sync()
        // Best effort: all of it is in the log.
        try? disk.chunkFiles?.sync()
    }

    /// One pass of everything that is not syncing. Errors are told to the observer; the next pass tries again.
    func runPass() {
        maintaining {
            if isClosing { return }
            guard disk != nil else {
                limitMemory()
                return
            }
            resumeLogs()
            removeClosedBlocks()
            decodedCache.age()
            compactHead()
            if options.isCompactionEnabled { compactBlocks() }
            applyRetention()
            expireHead()
            removeClosedBlocks()
        }
    }

    // MARK: Memory mode

    /// Retention of a database without a disk: by time, then the oldest periods while the head is too large.
    private func limitMemory() {
        guard let range = head.timeRange else { return }
        let settings = settings
        expireHead()
        if settings.retentionMs > 0 {
            let (bound, overflow) = range.upperBound.subtractingReportingOverflow(settings.retentionMs)
            if !overflow { head.drop(before: bound) }
        }
        guard options.memoryLimitBytes > 0 else { return }
        while head.statistics().memory.total > options.memoryLimitBytes, let range = head.timeRange {
            let (next, overflow) = alignedDown(range.lowerBound, to: options.minBlockDurationMs)
                .addingReportingOverflow(options.minBlockDurationMs)
            // The newest period stays: a database that takes nothing any more helps nobody.
            if overflow || next > range.upperBound { break }
            log(.warning, "The head is larger than its limit; its oldest samples go", ("before_ms", String(next)))
            head.drop(before: next)
            if head.timeRange?.lowerBound ?? .max < next { break }
        }
    }

    // MARK: A full disk

    /// Tries logs again that were given up when the disk refused, and appends to them what they lost.
    private func resumeLogs() {
        guard let disk else { return }
        let settings = settings
        if settings.outOfOrderWindowMs > 0, state.withLock({ $0.outOfOrderLog == nil }) {
            // It could not be opened so far. What is in the head without it is written to it.
            apply(settings)
            if state.withLock({ $0.outOfOrderLog != nil }) {
                do throws(AppendError) { try head.logOutOfOrderAgain() } catch {
                    self.log(.error, "The log of out-of-order samples can't be brought up to date", ("err", "\(error)"))
                }
            }
        }
        if let wal = disk.wal, case .suspended(let sinceMs, _) = wal.state, wal.resume() {
            disk.chunkFiles?.resume()
            do throws(AppendError) {
                try head.relog(sinceMs: wal.oldestMissingMs, into: wal)
                log(.info, "The write-ahead log is written again", ("since_ms", String(sinceMs)))
            } catch { log(.error, "The write-ahead log can't be brought up to date", ("err", "\(error)")) }
        }
        if let log = state.withLock({ $0.outOfOrderLog }), case .suspended = log.state, log.resume() {
            do throws(AppendError) { try head.logOutOfOrderAgain() } catch {
                self.log(.error, "The log of out-of-order samples can't be brought up to date", ("err", "\(error)"))
            }
        }
    }

    // MARK: Retention

    /// Marks what rules do not keep, and removes the blocks that are too old or too many.
    func applyRetention() {
        guard let disk, !disk.isReadOnly else { return }
        let (settings, blocks) = state.withLock { ($0.settings, $0.blocks) }
        expireByRules(settings, blocks)
        let diskBytes = settings.retentionPercentage > 0 ? (try? disk.files.space(disk.directory))?.totalBytes : nil
        let policy = RetentionPolicy(
            retentionMs: settings.retentionMs, limitBytes: RetentionPolicy.limitBytes(settings, diskBytes: diskBytes))
        let expired = policy.expired(
            blocks.map { .init(ulid: $0.ulid, minTimeMs: $0.minTimeMs, maxTimeMs: $0.maxTimeMs, sizeBytes: $0.sizeBytes) },
            otherBytes: policy.limitBytes > 0 ? disk.headBytes : 0)
        state.withLock { state in
            state.statistics.retention.limitBytes = policy.limitBytes
            state.statistics.retention.timeDeletions += expired.values.contains(.time) ? 1 : 0
            state.statistics.retention.sizeDeletions += expired.values.contains(.size) ? 1 : 0
            state.blocks.removeAll { expired[$0.ulid] != nil }
            for ulid in expired.keys { state.expiredBounds[ulid] = nil }
        }
        let gone = blocks.filter { expired[$0.ulid] != nil }
        for block in gone { log(.info, "Deleting obsolete block", ("block", block.ulid.description)) }
        remove(gone)
    }

    func retentionRules(_ settings: DatabaseSettings, _ blocks: [Block]) -> RetentionRules {
        RetentionRules(settings.retentionRules, newestMs: blocks.map(\.maxTimeMs).max() ?? .min, unitMs: options.minBlockDurationMs)
    }

    /// Marks in the head what the rules do not keep, counted from its newest sample.
    private func expireHead() {
        let rules = state.withLock { $0.settings.retentionRules }
        guard !rules.isEmpty, let newest = head.timeRange?.upperBound else { return }
        // Smaller steps than in blocks, since the head has no more than some hours; but each is a record in the log for every
        // series that a rule finds.
        let bounded = RetentionRules(rules, newestMs: newest, unitMs: max(1, options.minBlockDurationMs / RetentionRules.headSteps))
        if state.withLock({ $0.expiredHeadBounds }) == bounded.boundsMs { return }
        do throws(AppendError) {
            let marked = try head.expire(bounded)
            state.withLock { state in
                state.expiredHeadBounds = bounded.boundsMs
                state.statistics.retention.headSeriesMarked += UInt64(marked)
            }
        } catch {
            state.withLock { $0.statistics.retention.rulesFailed += 1 }
            log(.error, "Retention rules can't be applied to the head", ("err", "\(error)"))
        }
    }

    private func expireByRules(_ settings: DatabaseSettings, _ blocks: [Block]) {
        let rules = retentionRules(settings, blocks)
        if rules.isEmpty { return }
        for block in blocks where rules.concerns(minTimeMs: block.minTimeMs) {
            let bounds = rules.boundsMs(minTimeMs: block.minTimeMs, maxTimeMs: block.maxTimeMs)
            if state.withLock({ $0.expiredBounds[block.ulid] }) == bounds { continue }
            do throws(BlockError) {
                try block.expire(rules)
                state.withLock { state in
                    state.expiredBounds[block.ulid] = bounds
                    state.statistics.retention.blocksMarked += 1
                }
            } catch {
                state.withLock { $0.statistics.retention.rulesFailed += 1 }
                log(.error, "Retention rules can't be applied to a block", ("block", block.ulid.description), ("err", error.description))
            }
        }
    }
}

extension Head {
    /// Drops the periods that end at or before `time`, of samples in and out of order.
    func drop(before time: Int64) {
        locked { state.outOfOrder.remove(before: time) }
        truncate(before: time)
    }
}
