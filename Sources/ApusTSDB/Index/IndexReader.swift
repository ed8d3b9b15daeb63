public import ApusBytes
import Synchronization

/// The index of a block: which series it has, where their chunks are, and which have a label pair.
///
/// Reads a mapping. Sections are checked when the index is opened, postings and series when they are read. In memory it
/// holds what `IndexSymbols` and `PostingsTable` say: about a byte for each symbol and each label pair.
///
/// Any bytes are safe: what is not as the format says is an error that names the file and the offset.
///
/// Where to go next: `+Series` (series and their labels), `+Select` (matchers), `IndexWriter`.
public final class IndexReader: Sendable {
    public let path: String
    /// 1, 2 or 3 (which is read as 2).
    public let version: UInt8
    let file: CheckedFile
    let symbols: IndexSymbols
    let table: PostingsTable
    private let checked = CheckedLists()

    public init(path: String, files: some FileSystem) throws(BlockError) {
        self.path = path
        file = try CheckedFile(path: path, files: files)
        guard file.count >= IndexFormat.headerBytes else { throw .corrupt(path, 0, "index header: invalid size") }
        var header = try file.reader(0, IndexFormat.headerBytes)
        let (magic, version) = try file.decoding(0) { () throws(ByteReaderError) in (try header.u32(), try header.u8()) }
        if magic != IndexFormat.magic { throw .corrupt(path, 0, "invalid magic number \(String(magic, radix: 16))") }
        guard (1...3).contains(version) else { throw .corrupt(path, 4, "unknown index file version \(version)") }
        self.version = version
        let toc = try IndexTOC(file)
        do throws(BlockError) { symbols = try IndexSymbols(file, at: toc.symbols, version: version) } catch {
            throw error.during("read symbols")
        }
        do throws(BlockError) { table = try PostingsTable(file, at: toc.postingsTable, version: version) } catch {
            throw error.during("read postings table")
        }
    }

    public var sizeBytes: Int { file.count }
    public var symbolCount: Int { symbols.count }
    /// As Prometheus counts it: 8 bytes for each symbol whose place is remembered.
    public var symbolTableBytes: Int { (symbols.count + IndexFormat.sampling - 1) / IndexFormat.sampling * 8 }
    /// All strings, sorted.
    public func allSymbols() throws(BlockError) -> [ByteString] { try symbols.all() }

    /// Sorted, unique.
    public var labelNames: [ByteString] { table.names.compactMap { $0.name.isEmpty ? nil : file.byteString($0.name) } }

    /// Sorted, unique; empty when no series has the label. `limit` 0 for all.
    public func labelValues(_ name: ByteString, limit: Int = 0) throws(BlockError) -> [ByteString] {
        guard !name.isEmpty, let name = table.find(name: name.bytes.span) else { return [] }
        var values: [ByteString] = []
        var entries = table.entries(of: name)
        while let entry = try entries.next() {
            values.append(file.byteString(entry.value))
            if limit > 0 && values.count >= limit { break }
        }
        return values
    }

    /// The series with `name = value`, in order of labels. An empty list when there are none.
    public func postings(_ name: ByteString, _ value: ByteString) throws(BlockError) -> [UInt32] {
        try list(name, value)?.refs ?? []
    }

    /// All series, in order of labels.
    public func allPostings() throws(BlockError) -> [UInt32] { try postings("", "") }

    func list(_ name: ByteString, _ value: ByteString) throws(BlockError) -> PostingsList? {
        guard let name = table.find(name: name.bytes.span), let offset = try table.postingsOffset(name, value.bytes.span) else {
            return nil
        }
        return try list(at: offset)
    }

    func list(at offset: UInt64) throws(BlockError) -> PostingsList {
        let isChecked = checked.contains(offset)
        let content = try file.section(at: offset, verify: !isChecked)
        if !isChecked && content.count >= CheckedLists.minBytes { checked.insert(offset) }
        var reader = try file.reader(content.lowerBound, content.upperBound)
        let count = Int(try file.decoding(content.lowerBound) { () throws(ByteReaderError) in try reader.u32() })
        guard reader.remaining == count &* 4 else {
            throw .corrupt(
                path, content.lowerBound,
                "decode postings: unexpected postings length, should be \(count &* 4) bytes for \(count) postings, got \(reader.remaining) bytes"
            )
        }
        // SAFETY: the section was found to hold as many; the list lives within calls on this reader.
        return unsafe PostingsList(file.base + (content.lowerBound &+ 4), count: count)
    }

    /// No ref of a series is above it.
    var refBound: Int { version == 1 ? file.count : file.count / IndexFormat.seriesAlignment }
}

/// The long postings whose checksum was found right. A list of a hundred thousand series takes 40 µs to check, more than
/// to intersect it with a short one; so it is checked once, and again when another list took its cell.
///
/// Many threads read and write it without a lock.
@safe private final class CheckedLists: @unchecked Sendable {
    // `@unchecked`: the cells are atomic.
    static let minBytes = 4096
    private static let cellCount = 256
    private let cells = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: CheckedLists.cellCount)

    init() { for index in 0..<Self.cellCount { unsafe (cells + index).initialize(to: Atomic(0)) } }

    deinit {
        unsafe cells.deinitialize(count: Self.cellCount)
        unsafe cells.deallocate()
    }

    private func cell(_ offset: UInt64) -> Int { Int(truncatingIfNeeded: (offset &* 0x9E37_79B9_7F4A_7C15) >> 56) }

    // No list begins at offset 0, where the header is; so an empty cell is no list's.
    func contains(_ offset: UInt64) -> Bool { unsafe offset != 0 && cells[cell(offset)].load(ordering: .relaxed) == offset }
    func insert(_ offset: UInt64) { unsafe cells[cell(offset)].store(offset, ordering: .relaxed) }
}
