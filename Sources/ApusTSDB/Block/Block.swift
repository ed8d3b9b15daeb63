public import ApusBytes
import ApusModel
public import ApusStorage

/// A block: the samples of a stretch of time, on the disk, never changed. What is deleted from it stands in its tombstones
/// until it is written again.
///
///     01M83RVVJG80V2V806Q3Y2ME22/
///       meta.json     which time, how much, made of what        BlockMeta
///       index         which series, where their chunks are      IndexReader, IndexWriter
///       chunks/000001 the chunks of all series                  ChunkFileReader, ChunkFileWriter
///       tombstones    what is deleted                           Tombstones
///
/// All files are mapped or in memory while it is open. A block that is to go is closed, and let go of its files when the
/// last querier has closed.
///
/// Where to go next: `BlockQuerier` (queries), `Block+ChunkSeries` (compaction), `BlockWriter`.
public final class Block: Queryable, Sendable {
    public let directory: String
    public let ulid: ULID
    /// ms, included.
    public let minTimeMs: Int64
    /// ms, not included.
    public let maxTimeMs: Int64
    /// Where queries keep what they decoded, and what it knows the block by; nil for tools.
    let cache: DecodedCache?
    let number: UInt32
    private let files: any FileSystem
    private let state: Locked<State>
    /// One change of tombstones or of meta.json at a time. See `Head.lock` for the flag.
    private let changes = Locked(false)

    /// What readers share.
    struct Parts: Sendable {
        let index: IndexReader
        let chunks: ChunkFileReader
    }

    private struct State: Sendable {
        var meta: BlockMeta
        var tombstones: Tombstones
        var metaBytes: Int
        var tombstoneBytes: Int
        /// Nil when closed.
        var parts: Parts?
        var readers = 0
        var isClosing = false
        var whenClosed: [@Sendable () -> Void] = []
    }

    /// Opens the block that lies in a directory.
    ///
    /// A missing or broken meta.json is an error of reason `meta`: such a directory is left out. Missing chunk files are
    /// found when a chunk is read.
    /// - Parameter cache: for chunks that queries decode; nil decodes them each time.
    public static func open(_ directory: String, files: any FileSystem, cache: DecodedCache? = nil) throws(BlockError) -> Block {
        let meta = try BlockMeta.read(directory: directory, files: files)
        let chunks = try ChunkFileReader(directory: joinPath(directory, ChunkFile.directoryName), files: files)
        let index = try IndexReader(path: joinPath(directory, IndexFormat.fileName), files: files)
        let (tombstones, tombstoneBytes) = try Tombstones.read(directory: directory, files: files)
        let metaStatus = try withFiles { () throws(FileError) in try files.status(joinPath(directory, BlockMeta.fileName)) }
        let state = State(
            meta: meta, tombstones: tombstones, metaBytes: metaStatus?.sizeBytes ?? 0, tombstoneBytes: tombstoneBytes,
            parts: Parts(index: index, chunks: chunks))
        return Block(directory: directory, files: files, cache: cache, state: state)
    }

    private init(directory: String, files: any FileSystem, cache: DecodedCache?, state: State) {
        self.directory = directory
        self.cache = cache
        number = cache?.newBlock() ?? 0
        self.files = files
        ulid = state.meta.ulid
        minTimeMs = state.meta.minTimeMs
        maxTimeMs = state.meta.maxTimeMs
        self.state = Locked(state)
    }

    // MARK: What it is

    public var meta: BlockMeta { state.withLock { $0.meta } }
    public var tombstones: Tombstones { state.withLock { $0.tombstones } }
    /// Bytes of all its files.
    public var sizeBytes: Int {
        state.withLock { state in
            state.metaBytes + state.tombstoneBytes + (state.parts.map { $0.index.sizeBytes + $0.chunks.sizeBytes } ?? 0)
        }
    }
    /// Bytes in memory for finding symbols, as Prometheus counts them.
    public var symbolTableBytes: Int { state.withLock { $0.parts.map { $0.index.symbolTableBytes } ?? 0 } }

    /// Whether samples of `[minTimeMs, maxTimeMs]`, both ends included, may be in it.
    public func overlaps(minTimeMs: Int64, maxTimeMs: Int64) -> Bool {
        self.minTimeMs <= maxTimeMs && minTimeMs < self.maxTimeMs
    }

    // MARK: Reading

    public func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        do throws(BlockError) {
            let (parts, tombstones) = try beginReading()
            return BlockQuerier(block: self, parts: parts, tombstones: tombstones, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
        } catch { throw StorageError(error.description) }
    }

    /// The index, for tools. It stays readable as long as it is held.
    public func index() throws(BlockError) -> IndexReader {
        guard let parts = state.withLock({ $0.parts }) else { throw Self.closing }
        return parts.index
    }

    static let closing = BlockError(.closed, "block is closing")

    /// Takes part in the count of readers. `endReading` must follow.
    func beginReading() throws(BlockError) -> (Parts, Tombstones) {
        let granted = state.withLock { state -> (Parts, Tombstones)? in
            guard !state.isClosing, let parts = state.parts else { return nil }
            state.readers += 1
            return (parts, state.tombstones)
        }
        guard let granted else { throw Self.closing }
        return granted
    }

    func endReading() {
        let callbacks = state.withLock { state -> [@Sendable () -> Void] in
            state.readers -= 1
            return Self.finishClosing(&state)
        }
        for callback in callbacks { callback() }
    }

    // MARK: Closing

    /// No new readers from now on. When the last one has ended, now or later, the files are let go of and then
    /// `completion` is called, on the thread that ended last.
    public func close(then completion: @escaping @Sendable () -> Void = {}) {
        let callbacks = state.withLock { state -> [@Sendable () -> Void] in
            state.isClosing = true
            state.whenClosed.append(completion)
            return Self.finishClosing(&state)
        }
        for callback in callbacks { callback() }
    }

    private static func finishClosing(_ state: inout State) -> [@Sendable () -> Void] {
        guard state.isClosing, state.readers == 0 else { return [] }
        state.parts = nil
        let callbacks = state.whenClosed
        state.whenClosed = []
        return callbacks
    }

    // MARK: Changing what stands beside the samples

    /// Deletes the samples in `[minTimeMs, maxTimeMs]`, both ends included, of the series that match all matchers of any
    /// of the selections. Chunks stay as they are until the block is written again.
    public func delete(_ selections: [[Matcher]], minTimeMs: Int64, maxTimeMs: Int64) throws(BlockError) {
        try changeTombstones { (parts, tombstones) throws(BlockError) in
            for matchers in selections {
                for ref in try parts.index.select(matchers) {
                    let entry = try parts.index.seriesEntry(ref)
                    // Not beyond the samples there are: a merge with a later block must not lose its samples.
                    guard let range = try Self.range(parts.index, entry, minTimeMs, maxTimeMs) else { continue }
                    tombstones.add(range, to: UInt64(ref))
                }
            }
        }
    }

    /// Adds to the tombstones, first on the disk and then for readers that begin from now on.
    func changeTombstones(_ change: (Parts, inout Tombstones) throws(BlockError) -> Void) throws(BlockError) {
        try changing { () throws(BlockError) in
            let (parts, known) = try beginReading()
            defer { endReading() }
            var tombstones = known
            try change(parts, &tombstones)
            if tombstones == known { return }
            let size = try tombstones.write(directory: directory, files: files)
            var meta = meta
            meta.statistics.tombstones = UInt64(tombstones.count)
            state.withLock { [tombstones, meta] state in
                state.tombstones = tombstones
                state.tombstoneBytes = size
                state.meta = meta
            }
            try write(meta)
        }
    }

    /// What of `[minTimeMs, maxTimeMs]` lies between the first and the last sample of a series that has a chunk there.
    static func range(
        _ index: IndexReader, _ entry: SeriesEntry, _ minTimeMs: Int64, _ maxTimeMs: Int64
    ) throws(BlockError) -> DeletedInterval? {
        var chunks = try index.chunks(of: entry)
        var first: Int64?
        var last = Int64.min
        var isHit = false
        while let chunk = try chunks.next() {
            if first == nil { first = chunk.minTimeMs }
            last = chunk.maxTimeMs
            if chunk.minTimeMs <= maxTimeMs && minTimeMs <= chunk.maxTimeMs { isHit = true }
        }
        guard let first, isHit else { return nil }
        return DeletedInterval(minTimeMs: max(minTimeMs, first), maxTimeMs: min(maxTimeMs, last))
    }

    /// Changes what meta.json says of compactions, such as that one failed.
    /// - Parameter inMemoryOnly: for a directory that is only read.
    public func updateCompaction(inMemoryOnly: Bool = false, _ change: (inout BlockMeta.Compaction) -> Void) throws(BlockError) {
        try changing { () throws(BlockError) in
            var meta = meta
            change(&meta.compaction)
            state.withLock { [meta] in $0.meta = meta }
            if !inMemoryOnly { try write(meta) }
        }
    }

    private func write(_ meta: BlockMeta) throws(BlockError) {
        try meta.write(directory: directory, files: files)
        state.withLock { $0.metaBytes = meta.json.count }
    }

    private func changing(_ body: () throws(BlockError) -> Void) throws(BlockError) {
        try changes.withLock { (_: inout sending Bool) throws(BlockError) -> Void in try body() }
    }

    /// Makes the same block under another parent, of hard links.
    public func link(into parent: String) throws(BlockError) {
        try changing { () throws(BlockError) in
            try withFiles { () throws(FileError) in
                let target = joinPath(parent, ulid.description)
                let chunks = joinPath(target, ChunkFile.directoryName)
                try files.createDirectory(chunks)
                for name in [BlockMeta.fileName, IndexFormat.fileName, Tombstones.fileName]
                where try files.exists(joinPath(directory, name)) {
                    try files.hardLink(joinPath(directory, name), at: joinPath(target, name))
                }
                for entry in try files.list(joinPath(directory, ChunkFile.directoryName)) {
                    try files.hardLink(
                        joinPath(joinPath(directory, ChunkFile.directoryName), entry.name), at: joinPath(chunks, entry.name))
                }
                try files.syncDirectory(chunks)
                try files.syncDirectory(target)
                try files.syncDirectory(parent)
            }
        }
    }
}

extension Block: CustomStringConvertible {
    public var description: String { ulid.description }
}
