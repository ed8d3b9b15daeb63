import ApusBytes

/// What was deleted from a block or from the head and is still in its chunks: intervals by series.
///
/// The file is read whole and replaced whole:
///
///     ┌───────────┬───────────┬─────────────────────────────────────────┬───┬────────┐
///     │ magic u32 │ version 1 │ series uvarint, min varint, max varint  │ … │ CRC32C │
///     └───────────┴───────────┴─────────────────────────────────────────┴───┴────────┘
///
/// The checksum is of what stands between it and the version.
public struct Tombstones: Sendable, Equatable {
    public static let fileName = "tombstones"
    static let magic: UInt32 = 0x0130_BA30
    static let version: UInt8 = 1

    private var intervals: [UInt64: [DeletedInterval]] = [:]

    public init() {}

    /// Intervals in all.
    public var count: Int { intervals.values.reduce(0) { $0 + $1.count } }
    public var isEmpty: Bool { intervals.isEmpty }
    /// The series that have some, sorted.
    public var series: [UInt64] { intervals.keys.sorted() }

    /// Of one series: sorted, neither overlapping nor touching; empty in the usual case.
    public subscript(series: UInt64) -> [DeletedInterval] {
        intervals.isEmpty ? [] : intervals[series] ?? []
    }

    public mutating func add(_ interval: DeletedInterval, to series: UInt64) {
        guard interval.minTimeMs <= interval.maxTimeMs else { return }
        intervals[series, default: []].add(interval)
    }

    /// Takes in all of `other`.
    public mutating func formUnion(_ other: Tombstones) {
        for (series, list) in other.intervals { for interval in list { add(interval, to: series) } }
    }

    /// Forgets a series.
    public mutating func remove(series: UInt64) { intervals[series] = nil }

    /// Forgets what ends before `time`, ms.
    public mutating func truncate(before time: Int64) {
        for (series, list) in intervals {
            let kept = list.filter { $0.maxTimeMs >= time }
            if kept.count < list.count { intervals[series] = kept.isEmpty ? nil : kept }
        }
    }

    // MARK: The file

    /// Reads the file of a block; empty when it has none. Also how many bytes the file has.
    static func read(directory: String, files: some FileSystem) throws(BlockError) -> (tombstones: Tombstones, sizeBytes: Int) {
        let path = joinPath(directory, fileName)
        let bytes = try withFiles { () throws(FileError) -> [UInt8]? in
            try files.exists(path) ? try files.read(path, limit: 1 << 30) : nil
        }
        guard let bytes else { return (Tombstones(), 0) }
        return (try Tombstones(encoded: bytes, path: path), bytes.count)
    }

    /// Replaces the file of a block; how many bytes it has now.
    @discardableResult
    func write(directory: String, files: some FileSystem) throws(BlockError) -> Int {
        let bytes = encoded
        try withFiles { () throws(FileError) in try files.replace(joinPath(directory, Self.fileName), with: bytes) }
        return bytes.count
    }

    /// - Parameter path: for errors.
    public init(encoded: [UInt8], path: String = Tombstones.fileName) throws(BlockError) {
        guard encoded.count >= 9 else { throw .corrupt(path, 0, "tombstones header: invalid size") }
        let content = 5..<encoded.count - 4
        let sum = encoded.span.extracting(content).crc32c
        let failure: Result<[UInt64: [DeletedInterval]], BlockError> = unsafe encoded.withUnsafeBytes { buffer in
            do throws(BlockError) { return .success(try unsafe Self.decode(buffer, content, sum, path)) } catch {
                return .failure(error)
            }
        }
        intervals = try failure.get()
    }

    private static func decode(
        _ buffer: UnsafeRawBufferPointer, _ content: Range<Int>, _ sum: UInt32, _ path: String
    ) throws(BlockError) -> [UInt64: [DeletedInterval]] {
        // SAFETY: the reader lives within the call, and the buffer longer.
        var reader = unsafe ByteReader(buffer)
        var tail = reader
        func reading<R>(_ body: () throws(ByteReaderError) -> R) throws(BlockError) -> R {
            do throws(ByteReaderError) { return try body() } catch { throw .corrupt(path, error.offset, "invalid size") }
        }
        let (magic, version, expected) = try reading { () throws(ByteReaderError) in
            try tail.seek(to: content.upperBound)
            return (try reader.u32(), try reader.u8(), try tail.u32())
        }
        if magic != Self.magic { throw .corrupt(path, 0, "invalid magic number \(String(magic, radix: 16))") }
        if sum != expected { throw .corrupt(path, content.upperBound, "checksum did not match") }
        if version != Self.version { throw .corrupt(path, 4, "invalid tombstone format \(String(version, radix: 16))") }
        var intervals: [UInt64: [DeletedInterval]] = [:]
        while reader.offset < content.upperBound {
            let (series, minTime, maxTime) = try reading { () throws(ByteReaderError) in
                (try reader.uvarint(), try reader.varint(), try reader.varint())
            }
            if reader.offset > content.upperBound { throw .corrupt(path, content.upperBound, "invalid size") }
            if minTime <= maxTime { intervals[series, default: []].add(DeletedInterval(minTimeMs: minTime, maxTimeMs: maxTime)) }
        }
        return intervals
    }

    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: Self.magic)
        bytes.append(Self.version)
        for series in series {
            for interval in self[series] {
                bytes.appendUvarint(series)
                bytes.appendVarint(interval.minTimeMs)
                bytes.appendVarint(interval.maxTimeMs)
            }
        }
        bytes.append(bigEndian: bytes.span.extracting(5..<bytes.count).crc32c)
        return bytes
    }
}
