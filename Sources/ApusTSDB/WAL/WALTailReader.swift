public import ApusBytes

/// Follows a log that is being written: reads records from a position on, up to where the log ends now.
///
///     let tail = WALTailReader(directory: log.directory, from: position, files: files)
///     while try tail.next(&record, before: log.position) { … }      // false: caught up, ask again later
///
/// The end comes from the log itself (`WriteAheadLog.position`), so that it never meets half a record. When segments go
/// before they were read, it goes on with the oldest there is and says so in `lostSegments`.
public final class WALTailReader: @unchecked Sendable {
    // `@unchecked`: it has one owner, who uses it from one thread at a time.

    private let directory: String
    private let files: any FileSystem
    private let reader: SegmentReader
    private var isOpen = false

    /// Where the next record begins, or where the log ended.
    public private(set) var position: LogPosition
    /// Segments that were removed, or given up after a failed write, before they were read to their end.
    public private(set) var lostSegments = 0

    public init(directory: String, from position: LogPosition, files: any FileSystem) {
        self.directory = directory
        self.position = position
        self.files = files
        reader = SegmentReader(files: files)
    }

    /// Goes to the next record before `end` and decodes it; false when there is none yet.
    public func next(_ record: inout DecodedRecord, before end: LogPosition) throws(WALError) -> Bool {
        while position < end {
            guard try openSegment(before: end) else { return false }
            let isCurrent = position.segment == end.segment
            if try reader.next(before: isCurrent ? end.offset : .max) {
                position = LogPosition(segment: reader.segment, offset: reader.offset)
                do throws(RecordError) { try unsafe record.decode(reader.record) } catch { throw reader.undecodable(error.description) }
                return true
            }
            if isCurrent { return false }
            leave(to: position.segment + 1)
        }
        return false
    }

    /// Goes on with the next segment, after damage in this one.
    public func skipSegment() {
        lostSegments += 1
        leave(to: position.segment + 1)
    }

    private func leave(to segment: Int) {
        reader.close()
        isOpen = false
        position = LogPosition(segment: segment, offset: 0)
    }

    /// Opens the segment at `position`, or the oldest after it; false when there is none before `end`.
    private func openSegment(before end: LogPosition) throws(WALError) -> Bool {
        if isOpen { return true }
        while position < end {
            do throws(WALError) {
                try reader.open(directory, position.segment, at: position.offset)
                isOpen = true
                return true
            } catch {
                // Gone, or not readable: the second is an error. Segments go oldest first, so the list tells.
                let oldest = try SegmentFormat.list(directory, from: position.segment, files).first
                guard let oldest else { return false }
                if oldest == position.segment { throw error }
                lostSegments += oldest - position.segment
                position = LogPosition(segment: oldest, offset: 0)
            }
        }
        return false
    }
}
