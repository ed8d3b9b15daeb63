import ApusBytes
public import ApusStorage

extension Database {
    /// Deletes the samples in `[minTimeMs, maxTimeMs]`, both ends included, of the series that match all matchers of any of
    /// the selections. They are out of sight at once, and off the disk when their blocks are written anew.
    public func deleteSeries(_ matchers: [[Matcher]], minTimeMs: Int64, maxTimeMs: Int64) throws(DatabaseError) {
        if disk != nil { _ = try writableDisk("delete series") }
        // No compaction meanwhile: it might have read what is to be deleted, and write it after.
        let failure: DatabaseError? = maintaining {
            do throws(DatabaseError) {
                for block in blocks where block.overlaps(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs) {
                    try duringBlock("delete from block \(block.ulid)") { () throws(BlockError) in
                        try block.delete(matchers, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
                    }
                }
                for selection in matchers {
                    do throws(AppendError) { try head.delete(selection, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs) } catch {
                        throw DatabaseError(.failed, "delete from the head: \(error)")
                    }
                }
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    /// Copies the database to a directory of its own under `snapshots/`: blocks as hard links, the head, if wanted, as one
    /// more block.
    /// - Returns: the directory's name.
    public func snapshot(includingHead: Bool) throws(DatabaseError) -> String {
        let disk = try writableDisk("snapshot")
        var random = SystemRandomNumberGenerator()
        let name = compactTimestamp(time.wallMs()) + "-" + hexadecimal(random.next() >> 1)
        let target = joinPath(disk.path(DatabaseDisk.snapshotsName), name)
        // No compaction meanwhile: what is in the head must not get into a block after the blocks were copied.
        let failure: DatabaseError? = maintaining {
            do throws(DatabaseError) {
                try during("snapshot") { () throws(FileError) in try disk.files.createDirectory(target) }
                for block in blocks {
                    log(.info, "Snapshotting block", ("block", block.ulid.description))
                    try duringBlock("snapshot block \(block.ulid)") { () throws(BlockError) in try block.link(into: target) }
                }
                if includingHead { try writeHead(disk, into: target) }
                return nil
            } catch {
                try? disk.files.removeTree(target)
                return error
            }
        }
        if let failure { throw failure }
        return name
    }

    private func writeHead(_ disk: DatabaseDisk, into target: String) throws(DatabaseError) {
        let inOrder = head.timeRange
        let late: OutOfOrderHead?
        do throws(AppendError) { late = try head.outOfOrderHead() } catch {
            throw DatabaseError(.failed, "snapshot head: \(error)")
        }
        var range = inOrder
        if let late, late.minTimeMs <= late.maxTimeMs {
            range = min(inOrder?.lowerBound ?? .max, late.minTimeMs)...max(inOrder?.upperBound ?? .min, late.maxTimeMs)
        }
        guard let range else { return }
        // Differs from Prometheus: what came out of order is in the copy, too.
        var sources: [any ChunkSeriesSet] = []
        if let late { sources.append(late.chunkSeries(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)) }
        sources.append(head.chunkSeries(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound))
        let (end, overflow) = range.upperBound.addingReportingOverflow(1)
        _ = try duringBlock("snapshot head block") { () throws(BlockError) in
            try writeBlock(
                MergeChunkSeries(sources, samplesPerChunk: options.samplesPerChunk), into: target, ulid: newULID(),
                minTimeMs: range.lowerBound, maxTimeMs: overflow ? .max : end, files: disk.files, maxChunkFileBytes: options.maxChunkFileBytes)
        }
    }
}

/// `20240131T235959Z`.
func compactTimestamp(_ timeMs: Int64) -> String {
    let seconds = timeMs >= 0 ? timeMs / 1000 : (timeMs - 999) / 1000
    let day = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
    let second = seconds - day * 86_400
    // Days to a date by eras of 400 years that begin in March: http://howardhinnant.github.io/date_algorithms.html
    let shifted = day + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = padded(year, 4) + padded(month, 2) + padded(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, 2)
    return date + "T" + padded(second / 3600, 2) + padded(second / 60 % 60, 2) + padded(second % 60, 2) + "Z"
}

private func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }
