public import ApusBytes

/// Reads the records of a checkpoint and of the segments behind it, in order and in bounded memory.
///
///     let reader = try WALReader(directory: "data/wal", files: files)
///     var record = DecodedRecord()
///     while try reader.next(&record) { … }
///
/// Damage is an error with its place, `WALError.corrupt`: the records before it were good, the caller decides whether to
/// repair (`WALRepair`). After an error a reader has no further use.
public final class WALReader: @unchecked Sendable {
    // `@unchecked`: it has one owner, who uses it from one thread at a time.

    private let reader: SegmentReader
    /// What is still to be read, the next one last.
    private var remaining: [(directory: String, segment: Int)]
    private var isOpen = false

    /// Segments there are in all, those of the checkpoint included.
    public let segmentCount: Int
    /// Records read.
    public private(set) var recordCount = 0

    /// - Parameters:
    ///   - checkpoint: a checkpoint's directory; it is read first.
    ///   - first, last: the segments to read, both included; those that there are.
    public init(
        directory: String, checkpoint: String? = nil, first: Int = 0, last: Int = .max, files: any FileSystem
    ) throws(WALError) {
        reader = SegmentReader(files: files)
        var list: [(String, Int)] = []
        if let checkpoint { for segment in try SegmentFormat.list(checkpoint, files) { list.append((checkpoint, segment)) } }
        for segment in try SegmentFormat.list(directory, from: first, files) where segment <= last { list.append((directory, segment)) }
        remaining = list.reversed().map { (directory: $0.0, segment: $0.1) }
        segmentCount = list.count
    }

    /// The directory and number of the segment that the current record is in.
    public var directory: String { reader.directory }
    public var segment: Int { reader.segment }
    /// Where the current record begins and ends.
    public var recordOffset: Int { reader.recordOffset }
    public var offset: Int { reader.offset }
    /// Where the current record begins.
    public var position: LogPosition { LogPosition(segment: segment, offset: recordOffset) }

    /// Goes to the next record; false when there is none.
    public func next() throws(WALError) -> Bool {
        while true {
            if isOpen, try reader.next() {
                recordCount += 1
                return true
            }
            guard let next = remaining.popLast() else {
                reader.close()
                isOpen = false
                return false
            }
            try reader.open(next.directory, next.segment)
            isOpen = true
        }
    }

    /// The current record, decompressed; valid until the next call.
    @unsafe public var record: UnsafeRawBufferPointer { unsafe reader.record }

    /// Goes to the next record and decodes it; one that cannot be decoded is damage too.
    public func next(_ decoded: inout DecodedRecord) throws(WALError) -> Bool {
        guard try next() else { return false }
        do throws(RecordError) { try unsafe decoded.decode(reader.record) } catch { throw reader.undecodable(error.description) }
        return true
    }
}

/// Cuts a log at a damaged place.
public enum WALRepair {
    /// Keeps what `corruption.segment` holds up to its last good record, and removes all that lies behind, later segments
    /// included: what they hold may depend on what is lost.
    ///
    /// Later segments go first and the newest of them first, so that a crash in between leaves damage to be found again
    /// and never a gap.
    /// - Returns: how many segments were removed, and bytes cut off the damaged one.
    @discardableResult
    public static func repair(_ corruption: WALCorruption, files: any FileSystem) throws(WALError) -> (segmentsRemoved: Int, bytesCut: Int) {
        do throws(FileError) {
            var removed = 0
            for segment in try SegmentFormat.numbers(corruption.directory, files).reversed() where segment > corruption.segment {
                try files.removeFile(SegmentFormat.path(corruption.directory, segment))
                removed += 1
            }
            if removed > 0 { try files.syncDirectory(corruption.directory) }
            let file = try files.open(SegmentFormat.path(corruption.directory, corruption.segment), .update)
            defer { file.close() }
            let size = try file.size()
            let kept = min(size, corruption.goodBytes)
            try file.truncate(to: kept)
            try file.sync()
            return (removed, size - kept)
        } catch { throw .file(error) }
    }
}
