import ApusBytes

/// Numbers of the index file.
///
///     ┌───────────────┬─────────┬─────────┬────────┬─────────────────┬──────────┬──────────────────┬─────┐
///     │ magic u32     │ version │ symbols │ series │ (label indices) │ postings │ postings offsets │ TOC │
///     └───────────────┴─────────┴─────────┴────────┴─────────────────┴──────────┴──────────────────┴─────┘
///
/// Version 2 counts a series' place in steps of 16 bytes and a symbol by its number; version 1 counts both in bytes.
/// Label indices came with versions before 3.14; nobody reads them. All bytes: docs/formats/block.md.
enum IndexFormat {
    static let fileName = "index"
    static let magic: UInt32 = 0xBAAA_D700
    static let headerBytes = 5
    /// Six offsets and a checksum.
    static let tocBytes = 52
    static let seriesAlignment = 16
    /// Of symbols and of values, each n-th is remembered where it is; the others are found from there.
    static let sampling = 32
    /// What a series' place in 32 bits can say.
    static let maxBytes: Int = 64 << 30
}

/// Where the sections of an index begin, bytes from the start of the file.
struct IndexTOC: Equatable {
    var symbols: UInt64 = 0
    var series: UInt64 = 0
    var labelIndices: UInt64 = 0
    var labelIndicesTable: UInt64 = 0
    var postings: UInt64 = 0
    var postingsTable: UInt64 = 0

    init() {}

    init(_ file: CheckedFile) throws(BlockError) {
        let start = file.count - IndexFormat.tocBytes
        guard start >= 0 else { throw .corrupt(file.path, 0, "read TOC: invalid size") }
        let content = start..<file.count - 4
        var tail = try file.reader(content.upperBound, file.count)
        let sum = try file.decoding(content.upperBound) { () throws(ByteReaderError) in try tail.u32() }
        // Prometheus says it twice.
        if unsafe file.bytes(content).span.crc32c != sum {
            throw .corrupt(file.path, start, "read TOC: read TOC: invalid checksum")
        }
        var reader = try file.reader(start, file.count)
        (symbols, series, labelIndices, labelIndicesTable, postings, postingsTable) = try file.decoding(start) {
            () throws(ByteReaderError) in
            (try reader.u64(), try reader.u64(), try reader.u64(), try reader.u64(), try reader.u64(), try reader.u64())
        }
    }

    /// As they lie in the file, without the checksum.
    var fields: [UInt64] { [symbols, series, labelIndices, labelIndicesTable, postings, postingsTable] }
}

/// Where a chunk lies in a block: the number of its file, from 0, and the offset of its length there.
public struct BlockChunkRef: Hashable, Comparable, Sendable {
    /// `file << 32 | offset`.
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public init(file: Int, offset: Int) { rawValue = UInt64(file) << 32 | UInt64(offset) }
    @inlinable public var file: Int { Int(rawValue >> 32) }
    @inlinable public var offset: Int { Int(rawValue & 0xFFFF_FFFF) }
    @inlinable public static func < (left: BlockChunkRef, right: BlockChunkRef) -> Bool { left.rawValue < right.rawValue }
}

/// What the index says of a chunk.
public struct ChunkMeta: Sendable, Equatable {
    public var ref: BlockChunkRef
    /// Time of the first sample, ms.
    public var minTimeMs: Int64
    /// Time of the last sample, ms.
    public var maxTimeMs: Int64
    public init(ref: BlockChunkRef, minTimeMs: Int64, maxTimeMs: Int64) {
        self.ref = ref
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }
}
