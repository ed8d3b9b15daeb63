public import ApusBytes
import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `queries.active` in the data directory: the queries that run, in memory that the system writes to the file even when
/// the process dies. A start reads it, and so knows what ran when the last run came to its end.
///
///     byte 0      1                              1001
///          [      {"query":…,"timestamp_sec":…}  {…}…      one place of 1,000 bytes for each query that may run
///                 zeros behind the entry, and `,` in its last byte
///
/// Prometheus's format, in both directions.
@safe public final class ActiveQueryFile: @unchecked Sendable {
    // `@unchecked`: a place is written by who took it from `free`, and by nobody else.
    static let entryBytes = 1_000

    private let memory: UnsafeMutableRawBufferPointer
    private let free: Locked<[Int]>

    /// Makes the file anew.
    /// - Parameter slots: how many queries may run at once; those beyond are not written.
    public init(path: String, slots: Int) throws(FileError) {
        let slots = max(1, min(slots, 10_000))
        let size = 1 + slots * Self.entryBytes
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw FileError("open", path, code: errno) }
        defer { close(descriptor) }
        // Blocks are taken now: a full disk must be an error here, and not a signal when a page is written.
        let problem = posix_fallocate(descriptor, 0, off_t(size))
        if problem != 0 { throw FileError("truncate", path, code: problem) }
        guard let base = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), unsafe base != MAP_FAILED else {
            throw FileError("mmap", path, code: errno)
        }
        unsafe memory = UnsafeMutableRawBufferPointer(start: base, count: size)
        unsafe memory[0] = UInt8(ascii: "[")
        free = Locked((0..<slots).reversed())
    }

    deinit { unsafe munmap(memory.baseAddress, memory.count) }

    /// Writes a query into a free place; nil when there is none.
    func insert(_ query: ByteString, atSeconds seconds: Int64) -> Int? {
        guard let slot = free.withLock({ $0.popLast() }) else { return nil }
        let entry = Self.entry(query, seconds)
        let start = 1 + slot * Self.entryBytes
        for (index, byte) in entry.enumerated() { unsafe memory[start + index] = byte }
        unsafe memory[start + Self.entryBytes - 1] = UInt8(ascii: ",")
        return slot
    }

    func remove(_ slot: Int) {
        let start = 1 + slot * Self.entryBytes
        for index in start..<start + Self.entryBytes { unsafe memory[index] = 0 }
        free.withLock { $0.append(slot) }
    }

    /// The entry, its query cut so that all fits.
    private static func entry(_ query: ByteString, _ seconds: Int64) -> [UInt8] {
        var length = min(query.count, entryBytes)
        while true {
            var json = JSONWriter()
            json.object { json in
                json.key("query")
                json.string(ByteString(query.bytes.prefix(length)))
                json.key("timestamp_sec")
                json.integer(seconds)
            }
            if json.bytes.count < entryBytes { return json.bytes }
            length -= max(1, (json.bytes.count - entryBytes) / 6)
            // Not in the middle of a character.
            while length > 0, query.bytes[length] & 0xC0 == 0x80 { length -= 1 }
        }
    }

    /// What ran when the last run ended, as a JSON array; nil when nothing did, or there is no file.
    public static func unfinished(path: String) -> String? {
        guard let bytes = try? PosixFileSystem().read(path, limit: 1 + 10_000 * entryBytes) else { return nil }
        var text = bytes.filter { $0 != 0 }
        guard text.count > 1, text[0] == UInt8(ascii: "["), text.popLast() == UInt8(ascii: ",") else { return nil }
        return String(decoding: text + [UInt8(ascii: "]")], as: UTF8.self)
    }
}
