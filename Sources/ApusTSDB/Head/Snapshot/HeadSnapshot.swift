public import ApusBytes
public import ApusModel

/// The head as it was when it stopped in order, in one file: a start copies it back into place instead of replaying a log.
///
/// It is good for the very files that lay beside it: it names each with its size, and when one was added, removed or
/// changed its size (another server ran in between, or this one was killed), it is not used. Whoever loads it removes it
/// first, so that no later start meets a snapshot that is older than the log.
///
///     body: identity │ numbers │ chunk files │ collected refs │ symbols │ pairs, postings │ runs │ series by label set
///           │ links of sealed chunks, by period │ series, each with its open chunk │ chunks out of order │ deletes
///           │ metadata │ exemplars
///
/// Tables are stored as they lie in memory; what is an address there is a place in a file or a block here.
public enum HeadSnapshot {
    public static let fileName = "apus_snapshot"
    /// Behind the name while it is being written.
    static let temporarySuffix = ".tmp"

    /// What the head's state depends on.
    public struct Identity: Sendable, Equatable {
        let text: [UInt8]

        /// Names and sizes of all files in some directories; one that is not there is one without files.
        /// - Parameter minValidTimeMs: end of the newest block.
        public init(directories: [String], minValidTimeMs: Int64, files: any FileSystem) throws(FileError) {
            var lines = ["min valid time \(minValidTimeMs)"]
            for (index, directory) in directories.enumerated() where try files.exists(directory) {
                try Self.list(directory, String(index), files, &lines)
            }
            text = Array(lines.joined(separator: "\n").utf8)
        }

        /// - Parameter name: in the text; a data directory may be moved as a whole.
        private static func list(_ directory: String, _ name: String, _ files: any FileSystem, _ lines: inout [String]) throws(FileError) {
            for entry in try files.list(directory) {
                let path = joinPath(directory, entry.name)
                if entry.isDirectory {
                    try list(path, joinPath(name, entry.name), files, &lines)
                } else if let status = try files.status(path) {
                    lines.append("\(joinPath(name, entry.name)) \(status.sizeBytes)")
                }
            }
        }
    }

    /// Writes the head to a file, as the last thing that is done with it.
    ///
    /// Open chunks of histograms, and those in XOR2, are sealed first, into the chunk files: close those afterwards, and the log before.
    /// - Parameter identity: called when all else is done.
    /// - Returns: false, and nothing is written, when the head has what only a replay brings back: samples out of order that
    ///   are in no file (`OutOfOrderStore.sealAll` comes first), chunks above 64 KiB that the disk refused, or series that the
    ///   files of chunks name by another ref.
    public static func write(
        _ head: Head, to path: String, files: any FileSystem, identity: () throws(FileError) -> Identity
    ) throws(FileError) -> Bool {
        try head.maintenance.withLock { _ throws(FileError) in
            try head.locked { () throws(FileError) in
                let state = head.state
                state.sealEncoders()
                guard let late = state.outOfOrder.snapshot(), state.chunks.periods.allSatisfy(\.large.isEmpty), state.fileRefs.isEmpty else {
                    return false
                }
                let places = (state.options.chunkFiles as? HeadChunkFiles)?.places()
                let temporary = path + temporarySuffix
                do throws(FileError) {
                    let file = try files.open(temporary, .create)
                    defer { file.close() }
                    let writer = SnapshotWriter(file)
                    try writer.array(try identity().text)
                    if try state.save(to: writer, places, late) {
                        try writer.finish()
                        // Not synced: after a power cut the checksum tells, and the log has it all.
                        try files.rename(temporary, to: path)
                        return true
                    }
                } catch {
                    try? files.removeFile(temporary)
                    throw error
                }
                try files.removeFile(temporary)
                return false
            }
        }
    }

    /// Makes a head from a snapshot. The file is removed, whether it can be used or not.
    ///
    /// - Parameters:
    ///   - options: as for a new head; `chunkFiles` open and not iterated.
    ///   - maxExemplars: room for exemplars.
    /// - Throws: why it is not used: start with an empty head, and replay.
    public static func load(
        _ path: String, options: HeadOptions, maxExemplars: Int = 0, identity: Identity, files: any FileSystem,
        time: any TimeSource = SystemTime()
    ) throws(SnapshotError) -> Head {
        let mapping: any FileMapping
        do throws(FileError) {
            guard try files.exists(path) else { throw FileError("open", path, code: 0, reason: "there is none") }
            mapping = try files.map(path)
            try files.removeFile(path)
            try files.syncDirectory(parentPath(path))
        } catch { throw SnapshotError(error.description) }
        var reader = try SnapshotReader(mapping)
        guard try reader.array(UInt8.self) == identity.text else {
            throw SnapshotError("the files of the log, the chunks or the blocks are not those it was made beside")
        }
        let head = Head(try HeadState.load(&reader, options), time: time)
        if maxExemplars > 0 { _ = head.exemplars.resize(to: maxExemplars) }
        try head.state.loadExemplars(&reader)
        guard reader.isAtEnd else { throw SnapshotError("it has more than it should") }
        return head
    }
}
