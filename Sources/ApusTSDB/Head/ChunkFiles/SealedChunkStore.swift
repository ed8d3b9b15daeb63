public import ApusStorage

/// Where a chunk lies in `chunks_head`: the number of its file and the offset of its record there, as Prometheus packs them.
public struct HeadChunkRef: Hashable, Comparable, Sendable {
    /// `file number << 32 | offset`.
    public let rawValue: UInt64

    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(fileNumber: UInt32, offset: UInt32) { rawValue = UInt64(fileNumber) << 32 | UInt64(offset) }

    /// From 1.
    @inlinable public var fileNumber: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
    @inlinable public var offset: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    @inlinable public static func < (left: HeadChunkRef, right: HeadChunkRef) -> Bool { left.rawValue < right.rawValue }
}

/// A sealed chunk in a store.
public struct StoredChunk: Sendable, Equatable {
    /// Where the chunk's bytes lie in memory, from the sample count on. They neither move nor change; behind them
    /// `SealedChunkStoreLimits.readSlackBytes` more may be read.
    public let address: UInt
    public let chunkRef: HeadChunkRef

    public init(address: UInt, chunkRef: HeadChunkRef) {
        self.address = address
        self.chunkRef = chunkRef
    }
}

public enum SealedChunkStoreLimits {
    /// Bytes of anything that may be read behind every stored chunk.
    public static let readSlackBytes = 64
}

/// Takes the head's sealed chunks to where they need no memory of the process: files that are mapped.
///
/// Called under the head's lock.
public protocol SealedChunkStore: AnyObject, Sendable {
    /// Stores a chunk and says where it lies, readable at once.
    /// - Parameter bytes: the chunk from its sample count on.
    /// - Returns: Nil when the store cannot take it, now or ever: the head keeps the chunk in memory.
    func append(
        ref: SeriesRef, encoding: ChunkEncoding, outOfOrder: Bool, minTimeMs: Int64, maxTimeMs: Int64, bytes: UnsafeRawBufferPointer
    ) -> StoredChunk?
}
