import ApusBytes

/// Writes records into the segments of a directory: `add` frames them in memory, `flush` writes what was added at once.
///
/// After a failed call nothing is known of what the file holds behind `offset`: call `open` to begin another segment.
final class SegmentWriter {
    /// What `flush` keeps of its buffer.
    private static let keptBytes = 1 << 20

    let directory: String
    let segmentBytes: Int
    let files: any FileSystem
    private var compressor: RecordCompressor
    private var output = ByteWriter(capacity: 64 << 10)

    /// Nil until `open`, and after `giveUp`.
    private(set) var file: (any File)?
    private(set) var segment = 0
    /// Bytes that the segment's file holds.
    private(set) var offset = 0
    /// Files of full segments that nobody has synced yet, oldest first.
    var retired: [(segment: Int, file: any File)] = []

    private(set) var flushes = 0
    private(set) var completedPages = 0

    init(directory: String, segmentBytes: Int, compression: WALCompression, files: any FileSystem) {
        self.directory = directory
        self.segmentBytes = max(SegmentFormat.pageSizeBytes, segmentBytes)
        self.files = files
        compressor = RecordCompressor(compression)
    }

    /// Where the next record goes.
    var position: LogPosition { LogPosition(segment: segment, offset: offset + output.count) }

    /// Bytes added and not written.
    var pendingBytes: Int { output.count }

    /// Begins a new segment; what is not written of the last one is forgotten.
    func open(_ segment: Int) throws(FileError) {
        output.removeAll()
        file = nil
        file = try files.open(SegmentFormat.path(directory, segment), .create)
        self.segment = segment
        offset = 0
    }

    /// Lets go of the segment's file and of what was not written.
    func giveUp() {
        output.removeAll()
        file = nil
    }

    /// Frames a record behind the others. One that does not fit the segment goes into the next, which may write the file.
    @unsafe func add(_ record: UnsafeRawBufferPointer) throws(FileError) {
        let (bytes, flag) = unsafe compressor.compress(record)
        var place = offset + output.count
        if !SegmentFormat.fits(bytes.count, at: place, segmentBytes: segmentBytes) && place > 0 {
            // `bytes` belong to the compressor, or to the caller: rotating touches neither.
            try rotate()
            place = 0
        }
        unsafe SegmentFormat.frame(bytes, flags: flag, offset: place, into: &output)
        if record.count > Self.keptBytes { compressor.trim(to: Self.keptBytes) }
    }

    /// Writes what was added; returns when it has reached the kernel.
    func flush() throws(FileError) {
        if output.isEmpty { return }
        guard let file else { throw FileError("write", SegmentFormat.path(directory, segment), code: 9, reason: "the segment was given up") }
        try unsafe file.write(output.bytes, at: offset)
        let pageSize = SegmentFormat.pageSizeBytes
        completedPages += (offset + output.count) / pageSize - offset / pageSize
        offset += output.count
        flushes += 1
        output.removeAll(keepingAtMost: Self.keptBytes)
    }

    /// Fills the last page with zeros, as a finished segment has it, and begins the next segment.
    func rotate() throws(FileError) {
        let rest = SegmentFormat.pageRest(offset + output.count)
        if rest < SegmentFormat.pageSizeBytes { output.zeros(rest) }
        try flush()
        if let file { retired.append((segment, file)) }
        try open(segment + 1)
    }
}
