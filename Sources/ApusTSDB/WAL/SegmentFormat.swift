public import ApusBytes

/// The shape of a segment: a file of a log, named by its number in eight digits.
///
///     page, 32 KiB                                        page
///     ┌──────────┬──────────┬──────────┬───────────────┬──────────────┬───────
///     │ fragment │ fragment │ first …  │ (< 7 B: zeros)│ … last       │ zeros
///     └──────────┴──────────┴──────────┴───────────────┴──────────────┴───────
///     fragment: │ type and flags, u8 │ length, u16 │ CRC-32C of the data, u32 │ data │
///
/// A record is one fragment, or a first, any number of middle ones and a last; no fragment crosses the end of a page, no
/// record that of a segment. A zero where a type should be says that the rest of the page is zeros. A segment may end
/// anywhere behind a fragment; it may be empty.
enum SegmentFormat {
    static let pageSizeBytes = 32 << 10
    static let headerSizeBytes = 7
    static let defaultSegmentBytes = 128 << 20
    /// Records that decompress to more are refused as damage.
    static let maxRecordBytes = 512 << 20

    static let full: UInt8 = 1
    static let first: UInt8 = 2
    static let middle: UInt8 = 3
    static let last: UInt8 = 4
    static let typeMask: UInt8 = 0x07
    static let snappyFlag: UInt8 = 0x08
    static let zstdFlag: UInt8 = 0x10

    /// Bytes from `offset` to the end of its page.
    static func pageRest(_ offset: Int) -> Int { pageSizeBytes &- offset & (pageSizeBytes &- 1) }

    /// Whether a record of `length` bytes, begun at `offset`, ends within a segment of `segmentBytes`.
    static func fits(_ length: Int, at offset: Int, segmentBytes: Int) -> Bool {
        let rest = offset < segmentBytes ? pageRest(offset) : 0
        let pagesBehind = max(0, segmentBytes - offset - rest) / pageSizeBytes
        // Even nothing at all needs a header.
        if rest < headerSizeBytes && pagesBehind == 0 { return false }
        return length <= max(0, rest - headerSizeBytes) + pagesBehind * (pageSizeBytes - headerSizeBytes)
    }

    /// Appends a record's fragments to `output`, whose end will lie at `offset` of the segment; with the zeros before them
    /// where a page has no room for a header.
    @unsafe static func frame(_ record: UnsafeRawBufferPointer, flags: UInt8, offset: Int, into output: inout ByteWriter) {
        var offset = offset
        var rest = unsafe record
        var isFirst = true
        repeat {
            var room = pageRest(offset)
            if room < headerSizeBytes {
                output.zeros(room)
                offset &+= room
                room = pageSizeBytes
            }
            let length = min(rest.count, room &- headerSizeBytes)
            let part = unsafe UnsafeRawBufferPointer(rebasing: rest[..<length])
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[length...])
            let isLast = rest.count == 0
            let type = isFirst ? (isLast ? full : first) : (isLast ? last : middle)
            output.reserve(headerSizeBytes + length)
            output.u8(type | flags)
            output.u16(UInt16(truncatingIfNeeded: length))
            unsafe output.u32(crc32c(part))
            unsafe output.append(part)
            offset &+= headerSizeBytes &+ length
            isFirst = false
        } while rest.count > 0
    }

    static func name(_ segment: Int) -> String {
        let digits = String(segment)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    static func path(_ directory: String, _ segment: Int) -> String { joinPath(directory, name(segment)) }

    /// The number of a file, nil when it is not a segment.
    static func number(_ name: String) -> Int? {
        guard name.utf8.count >= 8, name.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(name), self.name(number) == name
        else { return nil }
        return number
    }

    /// The segments of a log or a checkpoint, ascending. Empty when there is no directory.
    static func numbers(_ directory: String, _ files: any FileSystem) throws(FileError) -> [Int] {
        guard try files.status(directory) != nil else { return [] }
        return try files.list(directory).compactMap { $0.isDirectory ? nil : number($0.name) }.sorted()
    }

    /// Those from `first` on.
    /// - Throws: `WALError.notSequential` when one is missing between two others: what is behind must not be read without
    ///   it. Before `first` anything may be missing: a power cut may undo some removals and not others.
    static func list(_ directory: String, from first: Int = 0, _ files: any FileSystem) throws(WALError) -> [Int] {
        let numbers: [Int]
        do throws(FileError) { numbers = try self.numbers(directory, files).filter { $0 >= first } } catch { throw .file(error) }
        for index in numbers.indices.dropFirst() where numbers[index] != numbers[index - 1] + 1 {
            throw .notSequential(directory: directory, missing: numbers[index - 1] + 1)
        }
        return numbers
    }
}

/// Where a log is damaged. What lies before is good, what lies behind cannot be trusted.
public struct WALCorruption: Error, Equatable, Sendable, CustomStringConvertible {
    public let directory: String
    public let segment: Int
    /// Of the fragment or record that is damaged, in bytes.
    public let offset: Int
    /// Bytes of the segment up to the end of its last good record: what a repair keeps.
    public let goodBytes: Int
    /// As upstream words it where it knows this damage.
    public let reason: String

    public init(directory: String, segment: Int, offset: Int, goodBytes: Int, reason: String) {
        self.directory = directory
        self.segment = segment
        self.offset = offset
        self.goodBytes = goodBytes
        self.reason = reason
    }

    public var description: String {
        "corruption in segment \(SegmentFormat.path(directory, segment)) at \(offset): \(reason)"
    }
}

/// Why a log cannot be read or opened.
public enum WALError: Error, Equatable, Sendable, CustomStringConvertible {
    case file(FileError)
    case corrupt(WALCorruption)
    /// A segment between two others is not there.
    case notSequential(directory: String, missing: Int)
    /// A checkpoint that is asked for cannot follow from what is there.
    case checkpoint(String)

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .corrupt(let corruption): corruption.description
        case .notSequential(let directory, let missing):
            "segments are not sequential: \(SegmentFormat.path(directory, missing)) is missing; restore it, or move the later segments away"
        case .checkpoint(let text): text
        }
    }
}
