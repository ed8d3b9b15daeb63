public import ApusBytes
public import ApusModel
public import ApusStorage

/// The directory `chunks_head`: sealed chunks of the head, in files that are mapped, so that they take no memory of ours.
///
///     append ─▶ one write at the newest file's end ─▶ an address in its mapping, readable at once
///     000001  000002  000003 …   128 MiB each; numbers grow; the oldest go whole, once their chunks are in blocks
///
/// What is here is in the log too: a chunk that the disk did not take, or a file found damaged, is no loss. So nothing is
/// synced in `append`; `sync` does so for files that are full.
///
/// A file is grown ahead of its end, so that a decoder may read beyond the last chunk, and is never made shorter: a mapping
/// behind its file's end stops the process. Layout: `HeadChunkFormat`.
public final class HeadChunkFiles: SealedChunkStore {
    /// Upstream's limits, but for those a test makes smaller.
    public struct Limits: Sendable {
        /// Bytes of a file; a record that would cross them begins the next.
        public var fileBytes: Int
        /// Files are made longer by so many bytes at a time.
        public var growthBytes: Int
        /// After the disk refused, how long until it is asked again.
        public var retryMs: Int64
        public init(fileBytes: Int = 128 << 20, growthBytes: Int = 128 << 10, retryMs: Int64 = 10_000) {
            self.fileBytes = min(max(fileBytes, 4096), 1 << 31)
            self.growthBytes = min(max(growthBytes, 4096), self.fileBytes)
            self.retryMs = max(0, retryMs)
        }
    }

    public struct Statistics: Sendable, Equatable {
        public var files = 0
        /// Bytes of the files on the disk, by their lengths.
        public var sizeBytes = 0
        public var chunksWritten: UInt64 = 0
        /// Chunks that stayed in memory since the disk refused them.
        public var chunksRefused: UInt64 = 0
        /// Damaged files found.
        public var corruptions: UInt64 = 0
        /// The last refusal; nil when the last chunk was written.
        public var failure: FileError?
    }

    public let directory: String
    let files: any FileSystem
    let limits: Limits
    let isReadOnly: Bool
    private let time: any TimeSource
    let state: Locked<State>

    struct State {
        /// In order of number; the one being written is the last.
        var files: [ChunkFile] = []
        var nextNumber: UInt32 = 1
        /// The last of `files`, open for writing.
        var writer: (any File)?
        /// Full or given up, and not yet synced.
        var unsynced: [any File] = []
        var isDirectoryDirty = false
        /// Monotonic time before which no new file is tried.
        var retryAtNs: UInt64 = 0
        var isClosed = false
        var record: [UInt8] = []
        var statistics = Statistics()
    }

    struct ChunkFile {
        let number: UInt32
        let path: String
        let mapping: any FileMapping
        /// Bytes of the file: all of them may be read.
        var sizeBytes: Int
        /// Behind the last record; what lies between it and `sizeBytes` are zeros.
        var end: Int
        /// Of the newest sample; `.max` while not known.
        var maxTimeMs: Int64
        /// The last chunk with its slack, where the file ends too soon behind it; more of them when they are tiny.
        var padded: [PaddedChunk] = []
    }

    private init(directory: String, files: any FileSystem, limits: Limits, isReadOnly: Bool, time: any TimeSource, state: sending State) {
        self.directory = directory
        self.files = files
        self.limits = limits
        self.isReadOnly = isReadOnly
        self.time = time
        self.state = Locked(state)
    }

    /// Opens a directory, which is made when it is not there, and maps what it holds. Call `iterate` next.
    ///
    /// A newest file without a header is removed: the process ended just after it was made.
    /// - Throws: when the directory cannot be read, or holds a version of the format that is not known.
    public static func open(
        _ directory: String, files: any FileSystem, limits: Limits = Limits(), readOnly: Bool = false, time: any TimeSource = SystemTime()
    ) throws(FileError) -> HeadChunkFiles {
        if !readOnly { try files.createDurableDirectory(directory) }
        var found: [(number: UInt32, path: String)] = []
        if try files.exists(directory) {
            for entry in try files.list(directory) where !entry.isDirectory {
                guard let number = fileNumber(entry.name) else { continue }
                found.append((number, joinPath(directory, entry.name)))
            }
        }
        found.sort { $0.number < $1.number }
        var state = State()
        for (index, entry) in found.enumerated() {
            let mapping = try files.map(entry.path)
            let size = mapping.sizeBytes
            let magic = size < 4 ? 0 : unsafe UInt32(bigEndian: mapping.bytes.loadUnaligned(as: UInt32.self))
            if magic == 0 && index == found.count - 1 {
                if !readOnly { try files.removeFile(entry.path) }
                continue
            }
            // Version 0 there is not: the power went while the header was written.
            if magic == HeadChunkFormat.magic && size > 4, unsafe mapping.bytes[4] > HeadChunkFormat.version {
                let version = unsafe mapping.bytes[4]
                throw FileError("open", entry.path, code: 0, reason: "head chunk format version \(version) is not known, only \(HeadChunkFormat.version) is")
            }
            state.files.append(
                ChunkFile(number: entry.number, path: entry.path, mapping: mapping, sizeBytes: size, end: size, maxTimeMs: .max))
        }
        state.nextNumber = (found.last?.number ?? 0) &+ 1
        return HeadChunkFiles(directory: directory, files: files, limits: limits, isReadOnly: readOnly, time: time, state: state)
    }

    /// The number in a file's name; nil when the name is of something else.
    static func fileNumber(_ name: String) -> UInt32? {
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return nil }
        guard let number = UInt32(name), number > 0, number < .max else { return nil }
        return number
    }

    static func fileName(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.utf8.count)) + digits
    }

    public func statistics() -> Statistics {
        state.withLock { state in
            var result = state.statistics
            result.files = state.files.count
            result.sizeBytes = state.files.reduce(0) { $0 + $1.sizeBytes }
            return result
        }
    }

    // MARK: Writing

    public func append(
        ref: SeriesRef, encoding: ChunkEncoding, outOfOrder: Bool, minTimeMs: Int64, maxTimeMs: Int64, bytes: UnsafeRawBufferPointer
    ) -> StoredChunk? {
        if isReadOnly { return nil }
        return state.withLock { state in
            let needed = HeadChunkFormat.recordBytes(bytes.count)
            let room = needed + SealedChunkStoreLimits.readSlackBytes
            guard !state.isClosed, room <= limits.fileBytes - HeadChunkFormat.headerBytes, bytes.count <= Int(Int32.max) else { return nil }
            do throws(FileError) {
                guard try makeRoom(room, &state), let writer = state.writer, let last = state.files.indices.last else {
                    state.statistics.chunksRefused &+= 1
                    return nil
                }
                let dataOffset = unsafe HeadChunkFormat.encode(
                    ref: ref, encoding: encoding, outOfOrder: outOfOrder, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, bytes: bytes,
                    into: &state.record)
                let offset = state.files[last].end
                try writer.write(state.record, at: offset)
                guard let base = unsafe state.files[last].mapping.bytes.baseAddress, let place = UInt32(exactly: offset) else { return nil }
                state.files[last].end = offset + needed
                state.files[last].maxTimeMs = max(state.files[last].maxTimeMs, maxTimeMs)
                state.statistics.chunksWritten &+= 1
                state.statistics.failure = nil
                let address = unsafe UInt(bitPattern: base + offset + dataOffset)
                return StoredChunk(address: address, chunkRef: HeadChunkRef(fileNumber: state.files[last].number, offset: place))
            } catch {
                giveUp(error, &state)
                return nil
            }
        }
    }

    /// Sees to it that the newest file has `room` bytes behind its end; false while no file is to be tried.
    private func makeRoom(_ room: Int, _ state: inout State) throws(FileError) -> Bool {
        if let last = state.files.last, state.writer != nil, last.end + room > limits.fileBytes { finishFile(&state) }
        if state.writer == nil {
            if state.retryAtNs > 0 {
                if time.monotonicNs() < state.retryAtNs { return false }
                state.retryAtNs = 0
            }
            try beginFile(&state)
        }
        guard let writer = state.writer, let last = state.files.indices.last else { return false }
        let needed = state.files[last].end + room
        if needed > state.files[last].sizeBytes {
            // Never above the limit: the mapping ends there.
            let growth = limits.growthBytes
            let size = min(limits.fileBytes, (needed + growth - 1) / growth * growth)
            try writer.truncate(to: size)
            state.files[last].sizeBytes = size
        }
        return true
    }

    private func beginFile(_ state: inout State) throws(FileError) {
        guard state.nextNumber < .max else { throw FileError("create", directory, code: 0, reason: "no file numbers left") }
        let number = state.nextNumber
        let path = joinPath(directory, Self.fileName(number))
        do throws(FileError) {
            let writer = try files.open(path, .create)
            do throws(FileError) {
                try writer.truncate(to: limits.growthBytes)
                try writer.write(HeadChunkFormat.header, at: 0)
                let mapping = try files.mapGrowing(path, maximum: limits.fileBytes)
                state.files.append(
                    ChunkFile(
                        number: number, path: path, mapping: mapping, sizeBytes: limits.growthBytes, end: HeadChunkFormat.headerBytes,
                        maxTimeMs: .min))
                state.writer = writer
                state.nextNumber += 1
                state.isDirectoryDirty = true
            } catch {
                writer.close()
                throw error
            }
        } catch {
            // Without chunks it would only be in the way. If it cannot be removed, the next try empties it.
            try? files.removeFile(path)
            throw error
        }
    }

    private func finishFile(_ state: inout State) {
        if let writer = state.writer { state.unsynced.append(writer) }
        state.writer = nil
    }

    /// After the disk refused: the newest file is not written again, another one is tried later.
    private func giveUp(_ error: FileError, _ state: inout State) {
        state.statistics.chunksRefused &+= 1
        state.statistics.failure = error
        if let writer = state.writer, let last = state.files.last {
            // A reader must find the end here and not half a record. If this fails too, it finds damage and takes the
            // log, as it would have to anyway.
            try? writer.write([UInt8](repeating: 0, count: HeadChunkFormat.fixedBytes), at: last.end)
        }
        finishFile(&state)
        state.retryAtNs = max(1, time.monotonicNs() &+ UInt64(clamping: limits.retryMs) &* 1_000_000)
    }

    /// Lets the next chunk try the disk again, however short ago it refused.
    public func resume() { state.withLock { $0.retryAtNs = 0 } }

    /// Syncs the files that are full. Not under the head's lock: it waits for the disk.
    public func sync() throws(FileError) { try sync(closing: false) }

    /// Syncs all files; nothing is taken afterwards. What is mapped can be read as long as this object lives.
    public func close() throws(FileError) { try sync(closing: true) }

    private func sync(closing: Bool) throws(FileError) {
        let (unsynced, isDirectoryDirty) = state.withLock { state in
            if closing {
                finishFile(&state)
                state.isClosed = true
            }
            let result = (state.unsynced, state.isDirectoryDirty)
            state.unsynced = []
            state.isDirectoryDirty = false
            return result
        }
        var failure: FileError?
        for file in unsynced {
            do throws(FileError) { try file.sync() } catch { failure = failure ?? error }
            file.close()
        }
        if isDirectoryDirty { try files.syncDirectory(directory) }
        if let failure { throw failure }
    }
}

/// Memory for one chunk that has too few bytes behind it in its file.
@safe final class PaddedChunk: @unchecked Sendable {
    // `@unchecked`: written in `init` only.
    private let buffer: UnsafeMutableRawBufferPointer
    /// Of the chunk in its file, when it is in one.
    let place: HeadChunkRef
    init(copying bytes: UnsafeRawBufferPointer, at place: HeadChunkRef = HeadChunkRef(rawValue: 0)) {
        self.place = place
        unsafe buffer = .allocate(byteCount: bytes.count + SealedChunkStoreLimits.readSlackBytes, alignment: 8)
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe buffer.copyMemory(from: bytes)
    }
    deinit { unsafe buffer.deallocate() }
    var address: UInt { unsafe UInt(bitPattern: buffer.baseAddress) }
}
