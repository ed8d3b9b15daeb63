import ApusBytes
public import ApusStorage

/// A chunk as a file of `chunks_head` holds it.
public struct HeadChunk: Sendable, Equatable {
    public let ref: SeriesRef
    public let encoding: ChunkEncoding
    public let isOutOfOrder: Bool
    /// Time of the first sample, ms.
    public let minTimeMs: Int64
    /// Time of the last sample, ms.
    public let maxTimeMs: Int64
    /// Bytes of the chunk, from the sample count on.
    public let sizeBytes: Int
    public let stored: StoredChunk
}

/// Why a file of `chunks_head` cannot be read on.
public struct HeadChunkCorruption: Error, Equatable, Sendable, CustomStringConvertible {
    public let path: String
    public let fileNumber: UInt32
    /// Of the record that is damaged.
    public let offset: Int
    public let reason: String

    public var description: String {
        "\(path): offset \(offset): \(reason); this file and those after it are removed, their samples are taken from the log"
    }
}

/// The layout of a file and its records, as in upstream's `tsdb/docs/format/head_chunks.md`.
///
///     ┌────────────────────┬────────────┬────────────────┬────────┬────────┬──────
///     │ 0x0130BC91, u32 BE │ 1, 1 byte  │ padding, 3 × 0 │ record │ record │ zeros…
///     └────────────────────┴────────────┴────────────────┴────────┴────────┴──────
///     record:
///     ┌─────────────────┬──────────────┬──────────────┬────────────┬──────────────┬──────┬─────────────────┐
///     │ series, u64 BE  │ min time, i64│ max time, i64│ enc, 1 byte│ size, uvarint│ data │ CRC-32C, u32 BE │
///     └─────────────────┴──────────────┴──────────────┴────────────┴──────────────┴──────┴─────────────────┘
///
/// The checksum covers all before it. A series and times of zero are the end: files are made longer in advance.
enum HeadChunkFormat {
    static let magic: UInt32 = 0x0130_BC91
    static let version: UInt8 = 1
    static let headerBytes = 8
    /// Bytes in front of the size.
    static let fixedBytes = 25
    static let checksumBytes = 4
    /// No more bytes hold a chunk's size.
    static let maxSizeBytes = 5
    /// A reader that has fewer bytes left than this takes them for the end if they are zero. As upstream's.
    static let maxMetaBytes = fixedBytes + maxSizeBytes + checksumBytes

    static let header: [UInt8] = [0x01, 0x30, 0xBC, 0x91, version, 0, 0, 0]

    /// Bytes of the record of a chunk of `sizeBytes`.
    static func recordBytes(_ sizeBytes: Int) -> Int {
        var rest = sizeBytes >> 7
        var varint = 1
        while rest > 0 {
            varint += 1
            rest >>= 7
        }
        return fixedBytes + varint + sizeBytes + checksumBytes
    }

    /// Replaces `buffer` with a record; returns the offset of the data in it.
    static func encode(
        ref: SeriesRef, encoding: ChunkEncoding, outOfOrder: Bool, minTimeMs: Int64, maxTimeMs: Int64, bytes: UnsafeRawBufferPointer,
        into buffer: inout [UInt8]
    ) -> Int {
        buffer.removeAll(keepingCapacity: true)
        append(ref.rawValue, to: &buffer)
        append(UInt64(bitPattern: minTimeMs), to: &buffer)
        append(UInt64(bitPattern: maxTimeMs), to: &buffer)
        buffer.append(encoding.rawValue | (outOfOrder ? ChunkEncoding.outOfOrderBit : 0))
        buffer.appendUvarint(UInt64(bytes.count))
        let start = buffer.count
        unsafe buffer.append(contentsOf: bytes)
        let checksum = buffer.span.crc32c
        for shift in [24, 16, 8, 0] as [UInt32] { buffer.append(UInt8(truncatingIfNeeded: checksum &>> shift)) }
        return start
    }

    private static func append(_ value: UInt64, to buffer: inout [UInt8]) {
        // SAFETY: the copy on the stack is read during the closure only.
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe buffer.append(contentsOf: $0) }
    }

    /// What lies at an offset.
    enum Item: Equatable {
        case end
        case chunk(Record)
    }

    struct Record: Equatable {
        let ref: SeriesRef
        let encoding: ChunkEncoding
        let isOutOfOrder: Bool
        let minTimeMs: Int64
        let maxTimeMs: Int64
        /// Offset of the data in the file, and its size.
        let data: Range<Int>
        /// Offset behind the record.
        var end: Int { data.upperBound + checksumBytes }
    }

    /// What is wrong with a record.
    struct Damage: Error, Equatable {
        let reason: String
    }

    /// Reads the record at `offset`. Never reads outside of `file`.
    static func decode(_ file: UnsafeRawBufferPointer, at offset: Int) throws(Damage) -> Item {
        let left = file.count - offset
        guard offset >= headerBytes, left > 0 else { return .end }
        if left < maxMetaBytes {
            // SAFETY: `offset` lies in the file.
            let isEnd = unsafe UnsafeRawBufferPointer(rebasing: file[offset...]).allSatisfy { $0 == 0 }
            // A shorter record is possible, but upstream would not read it and does not leave one.
            if isEnd { return .end }
            if left < fixedBytes + 1 + checksumBytes { throw Damage(reason: "the file ends inside a record") }
        }
        let ref = unsafe UInt64(bigEndian: file.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let minTime = unsafe Int64(bigEndian: file.loadUnaligned(fromByteOffset: offset + 8, as: Int64.self))
        let maxTime = unsafe Int64(bigEndian: file.loadUnaligned(fromByteOffset: offset + 16, as: Int64.self))
        if ref == 0 && minTime == 0 && maxTime == 0 { return .end }

        var position = offset + fixedBytes
        var size = 0
        var shift = 0
        while true {
            guard position < file.count, shift < 7 * maxSizeBytes else { throw Damage(reason: "the chunk's size is not a number") }
            let byte = unsafe file[position]
            position += 1
            size |= Int(byte & 0x7F) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        guard size <= file.count - position - checksumBytes else {
            throw Damage(reason: "the file has \(file.count - position) bytes for a chunk of \(size) and its checksum")
        }
        let data = position..<(position + size)
        let stored = unsafe UInt32(bigEndian: file.loadUnaligned(fromByteOffset: data.upperBound, as: UInt32.self))
        let actual = unsafe crc32c(UnsafeRawBufferPointer(rebasing: file[offset..<data.upperBound]))
        guard stored == actual else {
            throw Damage(reason: "the checksum is 0x\(String(actual, radix: 16)), the record says 0x\(String(stored, radix: 16))")
        }
        let byte = unsafe file[offset + 24]
        guard let encoding = ChunkEncoding(rawValue: byte & ~ChunkEncoding.outOfOrderBit) else {
            throw Damage(reason: "the chunk's encoding \(byte) is not known")
        }
        guard minTime <= maxTime else { throw Damage(reason: "the chunk ends at \(maxTime), before it begins at \(minTime)") }
        guard size >= 2 else { throw Damage(reason: "the chunk has \(size) bytes and no sample count") }
        return .chunk(
            Record(
                ref: SeriesRef(rawValue: ref), encoding: encoding, isOutOfOrder: byte & ChunkEncoding.outOfOrderBit != 0,
                minTimeMs: minTime, maxTimeMs: maxTime, data: data))
    }
}
