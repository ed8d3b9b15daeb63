import ApusModel
import ApusStorage

/// The series of several sources as one, in order of labels: what a block made of blocks is written from.
///
///     source 0   │ chunk 1 │ chunk 2 │
///     source 1                       │ chunk 3 │ chunk 4  │
///     source 2                                      │ chunk 5 │
///     merged     │ chunk 1 │ chunk 2 │ chunk 3 │ 4 and 5, written anew │
///
/// Chunks that overlap no other are passed on as the bytes they are. Of samples with one timestamp that of the first
/// source stays. For one thread, as its sources are.
final class MergeChunkSeries: ChunkSeriesSet {
    /// A source and the labels it stands at; nil when it has ended.
    private struct Source {
        let set: any ChunkSeriesSet
        var labels: LabelSet?
    }
    /// A chunk and where it comes from.
    private struct Piece {
        let chunk: EncodedChunk
        let source: Int
        /// Number of the chunk among those of its source.
        let index: Int
    }

    private var sources: [Source]
    private let samplesPerChunk: Int
    private var isStarted = false
    /// The sources that stand at the current series, the one that wins first.
    private var current: [Int] = []
    private(set) var labels = LabelSet.empty
    private(set) var chunks: [EncodedChunk] = []

    /// - Parameter sources: the first wins.
    init(_ sources: [any ChunkSeriesSet], samplesPerChunk: Int = defaultSamplesPerChunk) {
        self.sources = sources.map { Source(set: $0) }
        self.samplesPerChunk = samplesPerChunk
    }

    func next() throws(StorageError) -> Bool {
        let moving = isStarted ? current : Array(sources.indices)
        isStarted = true
        for index in moving { sources[index].labels = try sources[index].set.next() ? sources[index].set.labels : nil }
        current.removeAll(keepingCapacity: true)
        var smallest: LabelSet?
        for (index, source) in sources.enumerated() {
            guard let labels = source.labels else { continue }
            let order = smallest.map { labels.compare(to: $0) } ?? -1
            if order > 0 { continue }
            if order < 0 {
                smallest = labels
                current.removeAll(keepingCapacity: true)
            }
            current.append(index)
        }
        guard let smallest else {
            chunks = []
            return false
        }
        labels = smallest
        chunks = current.count == 1 ? sources[current[0]].set.chunks : try merge()
        return true
    }

    private func merge() throws(StorageError) -> [EncodedChunk] {
        var pieces: [Piece] = []
        for source in current {
            for (index, chunk) in sources[source].set.chunks.enumerated() { pieces.append(Piece(chunk: chunk, source: source, index: index)) }
        }
        pieces.sort { ($0.chunk.minTimeMs, $0.source) < ($1.chunk.minTimeMs, $1.source) }
        var result: [EncodedChunk] = []
        var last: Piece?
        var start = 0
        while start < pieces.count {
            var end = start + 1
            var maxTime = pieces[start].chunk.maxTimeMs
            while end < pieces.count && pieces[end].chunk.minTimeMs <= maxTime {
                maxTime = max(maxTime, pieces[end].chunk.maxTimeMs)
                end += 1
            }
            let group = withoutCopies(pieces[start..<end])
            if group.count == 1, keepsPredecessor(group[0], last) {
                result.append(group[0].chunk)
            } else {
                result.append(contentsOf: try encodeMerged(group))
            }
            last = pieces[end - 1]
            start = end
        }
        return result
    }

    /// Blocks that one agent uploaded twice, or that were restored beside themselves, have equal chunks.
    private func withoutCopies(_ group: ArraySlice<Piece>) -> [Piece] {
        var kept: [Piece] = []
        for piece in group where !kept.contains(where: { $0.chunk == piece.chunk }) { kept.append(piece) }
        return kept
    }

    /// Whether what the chunk says of the sample before it, which only histograms do, is still about that sample. A source's
    /// first chunk has none before it in its source, and follows the block before.
    private func keepsPredecessor(_ piece: Piece, _ last: Piece?) -> Bool {
        if piece.chunk.encoding.isFloat || piece.index == 0 { return true }
        return last.map { $0.source == piece.source && $0.index == piece.index - 1 } ?? false
    }

    private func encodeMerged(_ group: [Piece]) throws(StorageError) -> [EncodedChunk] {
        var columns = SampleColumns(histograms: true)
        // The last source first: of two samples with one timestamp `mergeTail` keeps the later one.
        for piece in group.sorted(by: { (-$0.source, $0.index) < (-$1.source, $1.index) }) {
            let start = columns.count
            do throws(ChunkError) { try piece.chunk.decode(into: &columns) } catch {
                throw StorageError("a chunk of the series \(labels.description) cannot be merged: \(error)")
            }
            if start > 0 { mergeTail(of: &columns, from: start, base: 0) }
        }
        if columns.count > 0 { forgetHint(in: &columns, at: 0) }
        return encodeChunks(columns, samplesPerChunk: samplesPerChunk)
    }
}
