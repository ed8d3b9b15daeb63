import ApusBytes
import ApusStorage

/// Writes one block of several, or of one whose tombstones are to be gone.
struct Compactor {
    let directory: String
    let files: any FileSystem
    let maxChunkFileBytes: Int
    let samplesPerChunk: Int
    /// Asked now and then while a block is written.
    let isCancelled: () -> Bool

    /// What the block that is made of `parents` says of its making.
    static func compaction(of parents: [BlockMeta], level: Int64? = nil) -> BlockMeta.Compaction {
        var compaction = BlockMeta.Compaction()
        compaction.level = level ?? (parents.map(\.compaction.level).max() ?? 0) + 1
        compaction.sources = Set(parents.flatMap(\.compaction.sources)).sorted()
        compaction.parents = parents.sorted { ($0.minTimeMs, $0.ulid) < ($1.minTimeMs, $1.ulid) }.map {
            .init(ulid: $0.ulid, minTimeMs: $0.minTimeMs, maxTimeMs: $0.maxTimeMs)
        }
        // Else a start would take its end for that of the samples in order, and skip what the log has before.
        if !parents.isEmpty && parents.allSatisfy(\.isFromOutOfOrder) { compaction.hints = [BlockMeta.Compaction.fromOutOfOrder] }
        return compaction
    }

    /// - Parameter level: nil for one above the highest of the blocks.
    /// - Returns: nil when nothing is left of the samples.
    func write(_ blocks: [Block], ulid: ULID, level: Int64? = nil) throws(BlockError) -> BlockMeta? {
        let metas = blocks.map(\.meta)
        var sources: [any ChunkSeriesSet] = []
        for block in blocks.sorted(by: Block.wins) { sources.append(try block.chunkSeries(minTimeMs: .min, maxTimeMs: .max)) }
        return try writeBlock(
            sources.count == 1 ? sources[0] : MergeChunkSeries(sources, samplesPerChunk: samplesPerChunk), into: directory, ulid: ulid,
            minTimeMs: metas.map(\.minTimeMs).min() ?? 0, maxTimeMs: metas.map(\.maxTimeMs).max() ?? 0,
            compaction: Self.compaction(of: metas, level: level), files: files, maxChunkFileBytes: maxChunkFileBytes,
            onProgress: { _ in !isCancelled() })
    }
}
