public import ApusModel
public import ApusStorage

/// Series one after another, in order of their labels, each with its finished chunks: what blocks are written from.
///
/// The head, a block, and the merge of several give this; the compactor and the block writer take it. For one thread.
public protocol ChunkSeriesSet: AnyObject {
    /// Moves to the next series; false behind the last. Before the first call there is none.
    func next() throws(StorageError) -> Bool
    /// Of the series moved to.
    var labels: LabelSet { get }
    /// Of the series moved to, in order of time, not overlapping; empty when all its samples are deleted.
    var chunks: [EncodedChunk] { get }
}
