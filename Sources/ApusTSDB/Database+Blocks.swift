import ApusBytes
import ApusStorage

/// The blocks of a directory, opened.
struct BlockList {
    /// In order of time; without those that others were made of.
    var blocks: [Block] = []
    /// Blocks that can go: parents of others, and those marked so.
    var obsolete: [Block] = []
    /// Directories that are named as blocks and cannot be read as such.
    var broken = 0

    /// End of the newest block of samples in order: what the log has from before it is in a block.
    var minValidTimeMs: Int64 { blocks.minValidTimeMs }

    /// - Throws: when a block that is not another's parent is damaged: a start without it would hide its samples.
    static func load(
        _ directory: String, _ files: any FileSystem, _ cache: DecodedCache, _ observer: any DatabaseObserver, mayReport: Bool
    ) throws(DatabaseError) -> BlockList {
        var result = BlockList()
        var loaded: [Block] = []
        var corrupt: [(ulid: ULID, error: BlockError)] = []
        let entries = try during("read data directory") { () throws(FileError) in try files.list(directory) }
        for entry in entries where entry.isDirectory {
            guard let ulid = ULID(entry.name.utf8) else { continue }
            let path = joinPath(directory, entry.name)
            do throws(BlockError) { loaded.append(try Block.open(path, files: files, cache: cache)) } catch {
                if error.reason == .meta {
                    result.broken += 1
                    observer.log(
                        .error, "Failed to read meta.json for a block during reloadBlocks. Skipping",
                        [("dir", path), ("err", error.description)])
                } else {
                    corrupt.append((ulid, error))
                }
            }
        }
        var obsolete = Set<ULID>()
        for block in loaded {
            if block.meta.compaction.isDeletable { obsolete.insert(block.ulid) }
            for parent in block.meta.compaction.parents { obsolete.insert(parent.ulid) }
        }
        if let first = corrupt.first(where: { !obsolete.contains($0.ulid) }) {
            for block in loaded { block.close() }
            throw DatabaseError(
                .corrupt,
                "unexpected corrupted block \(first.ulid): \(first.error); move \(joinPath(directory, first.ulid.description)) away to start without it")
        }
        result.blocks = sorted(loaded.filter { !obsolete.contains($0.ulid) })
        result.obsolete = loaded.filter { obsolete.contains($0.ulid) }
        if mayReport, let overlap = overlaps(result.blocks) {
            observer.log(.info, "Found overlapping blocks", [("detail", overlap)])
        }
        return result
    }

    static func sorted(_ blocks: [Block]) -> [Block] {
        blocks.sorted { ($0.minTimeMs, $0.maxTimeMs, $0.ulid) < ($1.minTimeMs, $1.maxTimeMs, $1.ulid) }
    }

    /// The first overlap, in words; nil when there is none.
    private static func overlaps(_ sorted: [Block]) -> String? {
        for (left, right) in zip(sorted, sorted.dropFirst()) where right.minTimeMs < left.maxTimeMs { return "\(left.ulid), \(right.ulid)" }
        return nil
    }
}

extension [Block] {
    /// End of the newest block of samples in order.
    var minValidTimeMs: Int64 { filter { !$0.meta.isFromOutOfOrder }.map(\.maxTimeMs).max() ?? .min }
}

extension Database {
    /// Opens a block that was written and puts it into the list in place of others, at once for every reader.
    func replace(_ old: [Block], with meta: BlockMeta?) throws(DatabaseError) {
        guard let disk else { return }
        let new = try meta.map { meta throws(DatabaseError) in
            try duringBlock("open block \(meta.ulid)") { () throws(BlockError) in
                try Block.open(disk.path(meta.ulid.description), files: disk.files, cache: decodedCache)
            }
        }
        let removed = Set(old.map(\.ulid))
        state.withLock { state in
            state.blocks = BlockList.sorted(state.blocks.filter { !removed.contains($0.ulid) } + (new.map { [$0] } ?? []))
            for ulid in removed { state.expiredBounds[ulid] = nil }
            state.statistics.reloads += 1
        }
        remove(old)
    }

    /// Lets go of blocks that are in the list no more. Their files go when the last reader has ended.
    func remove(_ blocks: [Block]) {
        guard let disk, !disk.isReadOnly else { return }
        for block in blocks {
            block.close { [weak self] in
                guard let self else { return }
                // Not here: this is the thread of whoever read last.
                let threads = state.withLock { state in
                    state.removals.append(block.directory)
                    return state.threads
                }
                for thread in threads { thread.wake() }
            }
        }
    }

    func removeObsoleteParents(_ blocks: [Block]) {
        for block in blocks { log(.info, "Deleting obsolete block", ("block", block.ulid.description)) }
        remove(blocks)
    }

    /// Removes the files of blocks that nobody reads any more: renamed first, so that half a block is never taken for one.
    func removeClosedBlocks() {
        guard let disk, !disk.isReadOnly else { return }
        let directories = state.withLock { state in
            defer { state.removals = [] }
            return state.removals
        }
        for directory in directories {
            let target = directory + DatabaseDisk.deletionSuffix
            do throws(FileError) {
                if try disk.files.exists(target) { try disk.files.removeTree(target) }
                try disk.files.rename(directory, to: target)
                try disk.files.syncDirectory(disk.directory)
                try disk.files.removeTree(target)
            } catch {
                // Tried again in the next pass: what stays until a restart may be taken for a block that is needed.
                let left = (try? disk.files.exists(directory)) == false ? nil : directory
                state.withLock { state in if let left { state.removals.append(left) } }
                log(.error, "A block that is no longer needed can't be removed yet", ("dir", directory), ("err", error.description))
            }
        }
    }
}
