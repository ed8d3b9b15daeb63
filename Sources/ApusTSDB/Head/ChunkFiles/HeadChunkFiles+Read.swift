public import ApusBytes
import ApusStorage

/// Files that were removed from the disk and are mapped still, for readers that came before.
public final class UnlinkedChunkFiles: Sendable {
    private let mappings: [any FileMapping]
    private let padded: [PaddedChunk]
    /// Bytes of the files on the disk.
    public let sizeBytes: Int

    init(_ files: [HeadChunkFiles.ChunkFile]) {
        mappings = files.map(\.mapping)
        padded = files.flatMap(\.padded)
        sizeBytes = files.reduce(0) { $0 + $1.sizeBytes }
    }

    public var isEmpty: Bool { mappings.isEmpty }

    /// Ends the mappings: to be called when no reader is left that may know a chunk in them. The object must go then.
    public consuming func release() {}
}

extension HeadChunkFiles {
    /// Calls `body` for every chunk, in the order in which they were written. Call it once, before the first `append`.
    ///
    /// Each file is checked whole before its first chunk is passed on. A damaged one is removed with all after it, as
    /// upstream does, and returned: the samples are then to be taken from the log. (Not removed when read only.)
    public func iterate(_ body: (HeadChunk) -> Void) -> HeadChunkCorruption? {
        let numbers = state.withLock { $0.files.map(\.number) }
        var previous: UInt32?
        for number in numbers {
            var chunks: [HeadChunk] = []
            let isGap = previous.map { $0 &+ 1 != number } ?? false
            let corruption = state.withLock { state in
                guard let index = state.files.firstIndex(where: { $0.number == number }) else { return nil as HeadChunkCorruption? }
                do throws(HeadChunkCorruption) {
                    if isGap { throw damage(in: state.files[index], 0, "a file before it is missing") }
                    chunks = try scan(&state.files[index])
                    return nil
                } catch { return error }
            }
            if let corruption {
                remove(from: corruption.fileNumber)
                return corruption
            }
            for chunk in chunks { body(chunk) }
            previous = number
        }
        return nil
    }

    private func damage(in file: ChunkFile, _ offset: Int, _ reason: String) -> HeadChunkCorruption {
        HeadChunkCorruption(path: file.path, fileNumber: file.number, offset: offset, reason: reason)
    }

    private func scan(_ file: inout ChunkFile) throws(HeadChunkCorruption) -> [HeadChunk] {
        // SAFETY: the mapping is as long as the file was, and files are not made shorter.
        let bytes = unsafe file.mapping.bytes
        guard bytes.count >= HeadChunkFormat.headerBytes, unsafe bytes.prefix(5).elementsEqual(HeadChunkFormat.header.prefix(5)) else {
            throw damage(in: file, 0, "the file does not begin with the magic number and version of head chunks")
        }
        var offset = HeadChunkFormat.headerBytes
        var maxTime = Int64.min
        var chunks: [HeadChunk] = []
        while true {
            let item: HeadChunkFormat.Item
            do throws(HeadChunkFormat.Damage) { item = try unsafe HeadChunkFormat.decode(bytes, at: offset) } catch {
                throw damage(in: file, offset, error.reason)
            }
            guard case .chunk(let record) = item else { break }
            guard let place = UInt32(exactly: offset) else { throw damage(in: file, offset, "the file is larger than 4 GiB") }
            let chunkRef = HeadChunkRef(fileNumber: file.number, offset: place)
            chunks.append(chunk(record, chunkRef, &file))
            maxTime = max(maxTime, record.maxTimeMs)
            offset = record.end
        }
        file.end = offset
        file.maxTimeMs = maxTime
        return chunks
    }

    private func chunk(_ record: HeadChunkFormat.Record, _ chunkRef: HeadChunkRef, _ file: inout ChunkFile) -> HeadChunk {
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: file.mapping.bytes[record.data])
        var address = UInt(bitPattern: bytes.baseAddress)
        if record.data.upperBound + SealedChunkStoreLimits.readSlackBytes > file.sizeBytes {
            // A file that upstream wrote may end with its last chunk.
            let padded = unsafe PaddedChunk(copying: bytes, at: chunkRef)
            file.padded.append(padded)
            address = padded.address
        }
        return HeadChunk(
            ref: record.ref, encoding: record.encoding, isOutOfOrder: record.isOutOfOrder, minTimeMs: record.minTimeMs,
            maxTimeMs: record.maxTimeMs, sizeBytes: record.data.count, stored: StoredChunk(address: address, chunkRef: chunkRef))
    }

    /// Takes files out, newest first, so that a stop in between leaves no gap.
    private func remove(from number: UInt32) {
        let removed: [ChunkFile] = state.withLock { state in
            state.statistics.corruptions &+= 1
            let removed = state.files.filter { $0.number >= number }
            state.files.removeAll { $0.number >= number }
            return removed
        }
        if isReadOnly { return }
        for file in removed.reversed() { try? files.removeFile(file.path) }
    }

    // MARK: Truncation

    /// Removes the oldest files, as long as all their chunks end before `timeMs` and their number is below `number`.
    ///
    /// The newest file stays, so that numbers grow across a restart; when it could go, the next chunk begins another.
    /// - Returns: What must be kept until the readers that may know the chunks are gone; then `release` it.
    public func unlink(before timeMs: Int64, keepingFrom number: UInt32 = .max) throws(FileError) -> UnlinkedChunkFiles {
        let taken: [ChunkFile] = state.withLock { state in
            var count = 0
            for file in state.files {
                guard file.maxTimeMs < timeMs, file.number < number else { break }
                count += 1
            }
            if count > 0 && count == state.files.count {
                count -= 1
                if let writer = state.writer, state.files[count].end > HeadChunkFormat.headerBytes {
                    state.unsynced.append(writer)
                    state.writer = nil
                }
            }
            let taken = Array(state.files.prefix(count))
            state.files.removeFirst(count)
            return taken
        }
        if !isReadOnly {
            // Oldest first: a stop in between leaves no gap.
            for (index, file) in taken.enumerated() {
                do throws(FileError) { try files.removeFile(file.path) } catch {
                    state.withLock { $0.files.insert(contentsOf: taken[index...], at: 0) }
                    throw error
                }
            }
        }
        return UnlinkedChunkFiles(taken)
    }

    /// Removes all files, for a head that starts from its log alone. No reader may be left.
    public func removeAll() throws(FileError) {
        let taken: [ChunkFile] = state.withLock { state in
            let taken = state.files
            if let writer = state.writer { writer.close() }
            state.writer = nil
            state.files = []
            return taken
        }
        if isReadOnly { return }
        for file in taken.reversed() { try files.removeFile(file.path) }
    }
}
