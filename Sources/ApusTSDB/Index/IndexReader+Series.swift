import ApusBytes
public import ApusModel

/// An entry of the series section, with its parts found.
///
///     ┌──────────────┬─────────────┬────────────────────┬─────────────┬────────────────────────────┬────────┐
///     │ uvarint size │ label count │ name, value symbol │ chunk count │ min, max − min, chunk ref… │ CRC32C │
///     └──────────────┴─────────────┴────────────────────┴─────────────┴────────────────────────────┴────────┘
///
/// A chunk after the first has `min − last max` (uvarint), `max − min` (uvarint) and `ref − last ref` (varint).
struct SeriesEntry: BitwiseCopyable, Sendable {
    /// Where the symbols begin, in the file.
    let labels: Int
    let labelCount: Int
    /// Where the chunk count is, and the end of the entry.
    let chunks: Int
    let end: Int
}

extension IndexReader {
    /// Labels and chunks of a series.
    public func series(_ ref: UInt32) throws(BlockError) -> (labels: LabelSet, chunks: [ChunkMeta]) {
        let entry = try seriesEntry(ref)
        var metas: [ChunkMeta] = []
        var chunks = try chunks(of: entry)
        while let meta = try chunks.next() { metas.append(meta) }
        guard let labels = labelSet(of: entry) else { throw .corrupt(path, entry.labels, "read series: unknown symbol offset") }
        return (labels, metas)
    }

    /// Finds a series and checks its checksum.
    func seriesEntry(_ ref: UInt32) throws(BlockError) -> SeriesEntry {
        let content = try file.entry(at: version == 1 ? Int(ref) : Int(ref) &* IndexFormat.seriesAlignment)
        var reader = try file.reader(content.lowerBound, content.upperBound)
        let count = try file.decoding(content.lowerBound) { () throws(ByteReaderError) in try reader.uvarint() }
        // A label takes two bytes or more.
        guard count <= UInt64(reader.remaining / 2) else { throw .corrupt(path, content.lowerBound, "read series: invalid size") }
        let labels = content.lowerBound &+ reader.offset
        guard let chunks = skipVarints(Int(count) &* 2, from: labels, to: content.upperBound) else {
            throw .corrupt(path, labels, "read series: invalid size")
        }
        return SeriesEntry(labels: labels, labelCount: Int(count), chunks: chunks, end: content.upperBound)
    }

    /// Where the n-th varint from `start` on ends: as many bytes without the high bit are passed, eight at a time.
    private func skipVarints(_ count: Int, from start: Int, to end: Int) -> Int? {
        var left = count
        var offset = start
        // SAFETY: `end` lies in the file, and all loads end before it.
        while left > 0 && offset &+ 8 <= end {
            let word = unsafe file.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let last = (~word & 0x8080_8080_8080_8080).nonzeroBitCount
            if last >= left { break }
            left &-= last
            offset &+= 8
        }
        while left > 0 {
            if offset >= end { return nil }
            if unsafe file.base.load(fromByteOffset: offset, as: UInt8.self) < 0x80 { left &-= 1 }
            offset &+= 1
        }
        return offset
    }

    /// The labels of a series: the fields of its symbols, copied one behind the other. Nil when one is no symbol.
    func labelSet(of entry: SeriesEntry) -> LabelSet? {
        // Nearly all label sets fit in what the stack lends, and are copied to their array in one piece.
        unsafe withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { scratch in
            guard let base = scratch.baseAddress, var reader = try? file.reader(entry.labels, entry.chunks) else { return nil }
            var used = 0
            for _ in 0..<entry.labelCount &* 2 {
                guard let symbol = try? reader.uvarint(), let field = unsafe symbols.field(symbol) else { return nil }
                guard field.count <= scratch.count &- used else { return longLabelSet(of: entry) }
                // SAFETY: the field fits behind what is used.
                if let source = field.baseAddress {
                    unsafe copyShort(source, field.count, to: base + used, room: scratch.count &- used)
                }
                used &+= field.count
            }
            return LabelSet(alreadyEncoded: unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: used)))
        }
    }

    /// Copies 16 bytes at a time, past the end when both sides have the room: fields are short, and a call for each of
    /// them would cost more than the copying.
    @inline(__always)
    private func copyShort(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer, room: Int) {
        let rounded = (count &+ 15) & ~15
        // SAFETY: `source` is an address in the file's mapping, so `left` bytes can be read from it on.
        let left = unsafe file.count &- (source - file.base)
        guard rounded <= room, rounded <= left else { return unsafe target.copyMemory(from: source, byteCount: count) }
        var offset = 0
        while offset < rounded {
            let piece = unsafe source.loadUnaligned(fromByteOffset: offset, as: SIMD2<UInt64>.self)
            unsafe target.storeBytes(of: piece, toByteOffset: offset, as: SIMD2<UInt64>.self)
            offset &+= 16
        }
    }

    /// The same for those of any length.
    @inline(never)
    private func longLabelSet(of entry: SeriesEntry) -> LabelSet? {
        guard var reader = try? file.reader(entry.labels, entry.chunks) else { return nil }
        var encoded: [UInt8] = []
        for _ in 0..<entry.labelCount &* 2 {
            guard let symbol = try? reader.uvarint(), let field = unsafe symbols.field(symbol) else { return nil }
            unsafe encoded.append(contentsOf: field)
        }
        return LabelSet(alreadyEncoded: encoded)
    }

    /// Whether a number stands for the same symbol in both.
    func hasSameSymbols(as other: IndexReader) -> Bool {
        version != 1 && other.version != 1 && symbols.isSame(as: other.symbols)
    }

    /// Whether two series of indices with the same symbols have the same labels.
    func hasSameLabels(_ entry: SeriesEntry, as other: SeriesEntry, of index: IndexReader) -> Bool {
        let (mine, theirs) = (entry.labels..<entry.chunks, other.labels..<other.chunks)
        if mine.count != theirs.count { return false }
        return unsafe equalBytes(file.bytes(mine).span, index.file.bytes(theirs).span)
    }

    /// The symbols of a series' values for at most four names; nil when they do not fit.
    func projectionKey(of entry: SeriesEntry, _ names: [UInt64]) -> LabelProjection.Key? {
        guard var reader = try? file.reader(entry.labels, entry.chunks) else { return nil }
        var key = LabelProjection.Key()
        for _ in 0..<entry.labelCount {
            guard let name = try? reader.uvarint(), let value = try? reader.uvarint() else { return nil }
            for position in 0..<min(names.count, LabelProjection.maximumNames) where names[position] == name {
                guard let value = UInt32(exactly: value), value != LabelProjection.none else { return nil }
                key.values[position] = value
            }
        }
        return key
    }

    /// The symbol of a series' value for a name, nil when it has no such label.
    func valueSymbol(of entry: SeriesEntry, name: UInt64) throws(BlockError) -> UInt64? {
        var reader = try file.reader(entry.labels, entry.chunks)
        return try file.decoding(entry.labels) { () throws(ByteReaderError) in
            for _ in 0..<entry.labelCount {
                let (found, value) = (try reader.uvarint(), try reader.uvarint())
                if found == name { return value }
            }
            return nil
        }
    }

    /// Adds the symbols of a series' names.
    func collectNames(of entry: SeriesEntry, into symbols: inout Set<UInt64>) throws(BlockError) {
        var reader = try file.reader(entry.labels, entry.chunks)
        try file.decoding(entry.labels) { () throws(ByteReaderError) in
            for _ in 0..<entry.labelCount {
                symbols.insert(try reader.uvarint())
                _ = try reader.uvarint()
            }
        }
    }

    func chunks(of entry: SeriesEntry) throws(BlockError) -> ChunkMetas { try ChunkMetas(file, entry.chunks, entry.end) }
}

/// The chunks of one series, in order of time. Not to be used beyond the life of the index.
struct ChunkMetas {
    private var reader: ByteReader
    private let file: CheckedFile
    private let start: Int
    private var left: UInt64
    private var isFirst = true
    private var lastMax: Int64 = 0
    private var lastRef: UInt64 = 0

    init(_ file: CheckedFile, _ start: Int, _ end: Int) throws(BlockError) {
        self.file = file
        self.start = start
        var reader = try file.reader(start, end)
        left = try file.decoding(start) { () throws(ByteReaderError) in try reader.uvarint() }
        self.reader = reader
    }

    mutating func next() throws(BlockError) -> ChunkMeta? {
        if left == 0 { return nil }
        left &-= 1
        do throws(ByteReaderError) {
            let minTime: Int64
            let maxTime: Int64
            if isFirst {
                isFirst = false
                minTime = try reader.varint()
                maxTime = minTime &+ Int64(bitPattern: try reader.uvarint())
                lastRef = try reader.uvarint()
            } else {
                minTime = lastMax &+ Int64(bitPattern: try reader.uvarint())
                maxTime = minTime &+ Int64(bitPattern: try reader.uvarint())
                lastRef = lastRef &+ UInt64(bitPattern: try reader.varint())
            }
            lastMax = maxTime
            return ChunkMeta(ref: BlockChunkRef(rawValue: lastRef), minTimeMs: minTime, maxTimeMs: maxTime)
        } catch {
            left = 0
            throw .corrupt(file.path, start &+ error.offset, "read series: invalid size")
        }
    }
}
