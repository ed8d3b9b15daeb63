public import ApusBytes

/// How far the writing of a block has come.
public struct BlockProgress: Sendable, Equatable {
    public var seriesCount = 0
    public var chunkBytes = 0
}

/// Writes a block from series that come one after another; memory does not grow with the samples.
///
///     <ULID>.tmp-for-creation ─▶ chunks, index, meta.json, tombstones, each synced ─▶ renamed to <ULID>
///
/// A crash on the way leaves a directory that is removed at the next start.
/// - Parameter minTimeMs, maxTimeMs: what the block is to say it covers, `[min, max)`. All samples must lie in it.
/// - Parameter compaction: sources that are empty become the block itself, as for one written from the head.
/// - Parameter onProgress: called now and then; false stops the writing with an error of reason `cancelled`.
/// - Parameter onChunk: called with each chunk that is written.
/// - Returns: what was written, nil when there were no samples (then nothing is left on the disk).
public func writeBlock(
    _ source: any ChunkSeriesSet, into parent: String, ulid: ULID, minTimeMs: Int64, maxTimeMs: Int64,
    compaction: BlockMeta.Compaction = BlockMeta.Compaction(), files: any FileSystem,
    maxChunkFileBytes: Int = ChunkFileWriter.defaultMaxBytes,
    onProgress: (BlockProgress) -> Bool = { _ in true },
    onChunk: (EncodedChunk) -> Void = { _ in }
) throws(BlockError) -> BlockMeta? {
    let target = joinPath(parent, ulid.description)
    let temporary = target + BlockWriter.temporarySuffix
    try withFiles { () throws(FileError) in try files.removeTree(temporary) }
    var meta = BlockMeta(ulid: ulid, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    meta.compaction = compaction
    if meta.compaction.sources.isEmpty { meta.compaction.sources = [ulid] }
    do throws(BlockError) {
        let isEmpty = try BlockWriter(temporary, files, maxChunkFileBytes).write(source, &meta, onChunk, onProgress)
        if isEmpty {
            try withFiles { () throws(FileError) in try files.removeTree(temporary) }
            return nil
        }
        try withFiles { () throws(FileError) in
            try files.rename(temporary, to: target)
            try files.syncDirectory(parent)
        }
        return meta
    } catch {
        // What cannot be removed now is removed at the next start. A block that may or may not have its name after a power
        // cut goes as well: the next attempt writes another, and a start must not find both.
        try? files.removeTree(temporary)
        try? files.removeTree(target)
        throw error
    }
}

/// The writing of one block into a directory that is not yet a block.
struct BlockWriter {
    /// Behind the name of a block that is being written, and of one that is being removed.
    static let temporarySuffix = ".tmp-for-creation"
    /// Series between two reports.
    private static let seriesAReport = 1024

    private let directory: String
    private let files: any FileSystem
    private let chunks: ChunkFileWriter
    private let index: IndexWriter

    init(_ directory: String, _ files: any FileSystem, _ maxChunkFileBytes: Int) throws(BlockError) {
        self.directory = directory
        self.files = files
        chunks = try ChunkFileWriter(
            directory: joinPath(directory, ChunkFile.directoryName), files: files, maxBytes: maxChunkFileBytes)
        index = try IndexWriter(path: joinPath(directory, IndexFormat.fileName), files: files)
    }

    /// True when there was no sample: then the directory is of no use.
    func write(
        _ source: any ChunkSeriesSet, _ meta: inout BlockMeta, _ onChunk: (EncodedChunk) -> Void, _ onProgress: (BlockProgress) -> Bool
    ) throws(BlockError) -> Bool {
        var metas: [ChunkMeta] = []
        while try next(source) {
            metas.removeAll(keepingCapacity: true)
            for chunk in source.chunks {
                let samples = UInt64(chunk.count)
                if samples == 0 { continue }
                metas.append(ChunkMeta(ref: try chunks.append(chunk), minTimeMs: chunk.minTimeMs, maxTimeMs: chunk.maxTimeMs))
                onChunk(chunk)
                meta.statistics.samples += samples
                switch chunk.encoding {
                case .xor, .xor2: meta.statistics.floatSamples += samples
                case .histogram, .floatHistogram, .histogramWithStart, .floatHistogramWithStart:
                    meta.statistics.histogramSamples += samples
                }
            }
            if metas.isEmpty { continue }
            try index.add(labels: source.labels, chunks: metas)
            meta.statistics.series += 1
            meta.statistics.chunks += UInt64(metas.count)
            if meta.statistics.series % UInt64(Self.seriesAReport) == 0 {
                let progress = BlockProgress(seriesCount: Int(meta.statistics.series), chunkBytes: chunks.sizeBytes)
                if !onProgress(progress) { throw BlockError(.cancelled, "writing of block \(meta.ulid) was stopped") }
            }
        }
        if meta.statistics.samples == 0 { return true }
        try chunks.finish()
        _ = try index.finish()
        try Tombstones().write(directory: directory, files: files)
        try meta.write(directory: directory, files: files)
        try withFiles { () throws(FileError) in try files.syncDirectory(directory) }
        return false
    }

    private func next(_ source: any ChunkSeriesSet) throws(BlockError) -> Bool {
        do { return try source.next() } catch { throw BlockError(.corrupt, error.description) }
    }
}
