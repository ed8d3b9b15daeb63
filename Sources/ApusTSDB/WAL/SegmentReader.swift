import ApusBytes

/// Reads the records of one segment after the other, in a buffer of eight pages that it keeps.
///
/// After an error it has no further use.
@safe final class SegmentReader: @unchecked Sendable {
    // `@unchecked`: it has one owner, who uses it from one thread at a time.

    /// Read from the file at once.
    private static let bufferBytes = 8 * SegmentFormat.pageSizeBytes
    /// Kept of a buffer that one long record took.
    private static let keptBytes = 4 << 20

    private let files: any FileSystem
    private(set) var directory = ""
    private(set) var segment = 0
    private var file: (any File)?

    private let buffer: UnsafeMutableRawBufferPointer
    /// Where the buffer's first byte lies in the segment, on a page's edge, and how many bytes it holds.
    private var bufferOffset = 0
    private var bufferCount = 0

    /// Fragments of a record that is in more than one.
    private var assembly = ByteWriter(capacity: 4096)
    private var decompressor: RecordDecompressor

    /// Where the current record began.
    private(set) var recordOffset = 0
    /// Behind the current record.
    private(set) var offset = 0
    /// The current record: valid until the next call of `next` or `open`.
    @unsafe private(set) var record = unsafe UnsafeRawBufferPointer(start: nil, count: 0)

    init(files: any FileSystem, maxRecordBytes: Int = SegmentFormat.maxRecordBytes) {
        self.files = files
        decompressor = RecordDecompressor(maxRecordBytes: maxRecordBytes)
        unsafe buffer = .allocate(byteCount: Self.bufferBytes, alignment: 64)
    }

    deinit {
        unsafe buffer.deallocate()
        file?.close()
    }

    /// Goes to `offset` of a segment, where a record must begin.
    func open(_ directory: String, _ segment: Int, at offset: Int = 0) throws(WALError) {
        close()
        self.directory = directory
        self.segment = segment
        self.offset = max(0, offset)
        recordOffset = self.offset
        do throws(FileError) { file = try files.open(SegmentFormat.path(directory, segment), .read) } catch { throw .file(error) }
    }

    func close() {
        file?.close()
        file = nil
        bufferOffset = 0
        bufferCount = 0
        unsafe record = UnsafeRawBufferPointer(start: nil, count: 0)
        if assembly.capacity > Self.keptBytes { assembly.removeAll(keepingAtMost: Self.keptBytes) }
    }

    /// Goes to the next record; false at the end of the segment, where it may be asked again after the segment has grown.
    ///
    /// - Parameter end: read up to this offset only, as if the segment ended there.
    func next(before end: Int = .max) throws(WALError) -> Bool {
        var cursor = offset
        var start = cursor
        var fragments = 0
        var flags: UInt8 = 0
        while true {
            let pageRest = SegmentFormat.pageRest(cursor)
            let available = min(try load(cursor, pageRest, before: end), end &- cursor)
            if available <= 0 {
                if fragments > 0 { throw damage(at: start, "last record is torn") }
                return false
            }
            // SAFETY: `load` has put `available` bytes from `cursor` on into the buffer, all of them in one page.
            let page = unsafe UnsafeRawBufferPointer(rebasing: buffer[(cursor &- bufferOffset)..<(cursor &- bufferOffset &+ available)])
            let head = unsafe page[0]
            if head == 0 || pageRest < SegmentFormat.headerSizeBytes {
                guard unsafe page.allSatisfy({ $0 == 0 }) else { throw damage(at: cursor, "unexpected non-zero byte in padded page") }
                cursor &+= available
                continue
            }
            if available < SegmentFormat.headerSizeBytes {
                throw damage(at: cursor, "record header is torn: \(available) of \(SegmentFormat.headerSizeBytes) bytes")
            }
            let length = unsafe Int(page[1]) &<< 8 | Int(page[2])
            let size = SegmentFormat.headerSizeBytes &+ length
            if size > SegmentFormat.pageSizeBytes { throw damage(at: cursor, "invalid record size \(length)") }
            if size > pageRest {
                throw damage(at: cursor, "record would overflow current page: \(SegmentFormat.pageSizeBytes - pageRest + size) > \(SegmentFormat.pageSizeBytes)")
            }
            if size > available { throw damage(at: cursor, "record is torn: \(available) of \(size) bytes") }
            let wanted = unsafe UInt32(bigEndian: page.loadUnaligned(fromByteOffset: 3, as: UInt32.self))
            let data = unsafe UnsafeRawBufferPointer(rebasing: page[SegmentFormat.headerSizeBytes..<size])
            let found = unsafe crc32c(data)
            if found != wanted {
                throw damage(at: cursor, "unexpected checksum \(String(found, radix: 16)), expected \(String(wanted, radix: 16))")
            }
            let type = head & SegmentFormat.typeMask
            switch type {
            case SegmentFormat.full, SegmentFormat.first:
                if fragments > 0 { throw damage(at: cursor, "unexpected \(type == SegmentFormat.full ? "full" : "first") record") }
                start = cursor
                flags = head
            case SegmentFormat.middle, SegmentFormat.last:
                if fragments == 0 { throw damage(at: cursor, "unexpected \(type == SegmentFormat.middle ? "middle" : "last") record") }
            default: throw damage(at: cursor, "unexpected record type \(type)")
            }
            cursor &+= size
            if type == SegmentFormat.full {
                try unsafe finish(data, flags, start, cursor)
                return true
            }
            if fragments == 0 { assembly.removeAll() }
            if assembly.count + length > SegmentFormat.maxRecordBytes {
                throw damage(at: start, "record of more than \(SegmentFormat.maxRecordBytes) bytes")
            }
            unsafe assembly.append(data)
            fragments &+= 1
            if type == SegmentFormat.last {
                try unsafe finish(assembly.bytes, flags, start, cursor)
                return true
            }
        }
    }

    private func finish(_ data: UnsafeRawBufferPointer, _ flags: UInt8, _ start: Int, _ end: Int) throws(WALError) {
        do throws(RecordDecompressor.Failure) {
            unsafe record = try unsafe decompressor.decompress(data, flags: flags)
        } catch { throw damage(at: start, error.reason) }
        recordOffset = start
        offset = end
    }

    /// What is wrong at `place`; all up to `offset` is good.
    private func damage(at place: Int, _ reason: String) -> WALError {
        .corrupt(WALCorruption(directory: directory, segment: segment, offset: place, goodBytes: offset, reason: reason))
    }

    /// That the current record cannot be decoded.
    func undecodable(_ reason: String) -> WALError {
        .corrupt(WALCorruption(directory: directory, segment: segment, offset: recordOffset, goodBytes: recordOffset, reason: reason))
    }

    /// Puts the page's bytes from `cursor` on into the buffer; returns how many there are, at most `wanted`.
    private func load(_ cursor: Int, _ wanted: Int, before end: Int) throws(WALError) -> Int {
        var held = cursor >= bufferOffset ? bufferOffset &+ bufferCount &- cursor : 0
        // A page that was not complete when it was read may have grown since.
        if held < min(wanted, end &- cursor) && (bufferCount < Self.bufferBytes || held <= 0 || cursor < bufferOffset) {
            guard let file else { return 0 }
            bufferOffset = cursor & ~(SegmentFormat.pageSizeBytes &- 1)
            bufferCount = 0
            do throws(FileError) { bufferCount = try unsafe file.read(into: buffer, at: bufferOffset) } catch { throw .file(error) }
            held = bufferOffset &+ bufferCount &- cursor
        }
        return max(0, min(held, wanted))
    }
}
