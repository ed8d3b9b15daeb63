public import ApusBytes
public import ApusModel

/// Writes the index of a block, version 2, byte for byte as Prometheus 3.14 does.
///
///     add(series) ─▶ series spool (a file) + label pairs, counted ─▶ finish: symbols ─▶ series ─▶ postings ─▶ offsets ─▶ TOC
///
/// The symbols stand first in the file and are known last, so series wait in a spool beside the index. In memory are the
/// distinct label pairs, and, while it finishes, 4 bytes for each label of each series.
///
/// For one thread. After an error, or when it is let go without `finish`, the file is not an index.
public final class IndexWriter {
    private let path: String
    private let spoolPath: String
    private let files: any FileSystem
    private let spool: FileAppender
    private let pool = LabelPairPool()
    private var symbols: [ByteString] = []
    private var seriesCount = 0
    private var labelCount = 0
    private var lastLabels: LabelSet?
    private var lastChunk = BlockChunkRef(rawValue: 0)
    private var record: [UInt8] = []
    private var chunkBytes: [UInt8] = []

    public init(path: String, files: any FileSystem) throws(BlockError) {
        self.path = path
        self.files = files
        spoolPath = path + "_tmp_s"
        spool = try FileAppender(path: spoolPath, files: files)
    }

    deinit { spool.close() }

    /// Puts a string into the symbol table whether or not a series has it.
    public func add(symbol: ByteString) { symbols.append(symbol) }

    /// Adds a series. Labels must be behind those of the series before, chunks in order of time and place.
    public func add(labels: LabelSet, chunks: [ChunkMeta]) throws(BlockError) {
        if let lastLabels, lastLabels.compare(to: labels) >= 0 {
            throw BlockError(.order, "out-of-order series added with label set \(labels), last label set \(lastLabels)")
        }
        try encode(chunks)
        record.removeAll(keepingCapacity: true)
        var count = 0
        var start = 0
        for pair in labels.ranges {
            record.appendUvarint(UInt64(try pool.intern(pair, of: labels.encoded, from: start)))
            start = pair.value.upperBound
            count += 1
        }
        var head: [UInt8] = []
        head.appendUvarint(UInt64(count))
        try spool.append(head)
        record.appendUvarint(UInt64(chunkBytes.count))
        try spool.append(record)
        try spool.append(chunkBytes)
        seriesCount += 1
        labelCount += count
        lastLabels = labels
    }

    /// The chunks as they lie in the series' entry.
    private func encode(_ chunks: [ChunkMeta]) throws(BlockError) {
        chunkBytes.removeAll(keepingCapacity: true)
        chunkBytes.appendUvarint(UInt64(chunks.count))
        var previous: ChunkMeta?
        for chunk in chunks {
            if chunk.ref < lastChunk {
                throw BlockError(.order, "unsorted chunk reference: \(chunk.ref.rawValue), previous: \(lastChunk.rawValue)")
            }
            if chunk.maxTimeMs < chunk.minTimeMs {
                throw BlockError(.order, "chunk maxT \(chunk.maxTimeMs) is less than minT \(chunk.minTimeMs)")
            }
            if let previous {
                if chunk.minTimeMs <= previous.maxTimeMs {
                    throw BlockError(
                        .order, "chunk minT \(chunk.minTimeMs) is not higher than previous chunk maxT \(previous.maxTimeMs)")
                }
                chunkBytes.appendUvarint(UInt64(bitPattern: chunk.minTimeMs &- previous.maxTimeMs))
                chunkBytes.appendUvarint(UInt64(bitPattern: chunk.maxTimeMs &- chunk.minTimeMs))
                chunkBytes.appendVarint(Int64(bitPattern: chunk.ref.rawValue &- previous.ref.rawValue))
            } else {
                chunkBytes.appendVarint(chunk.minTimeMs)
                chunkBytes.appendUvarint(UInt64(bitPattern: chunk.maxTimeMs &- chunk.minTimeMs))
                chunkBytes.appendUvarint(chunk.ref.rawValue)
            }
            previous = chunk
            lastChunk = chunk.ref
        }
    }

    /// Writes the file and syncs it; its size in bytes.
    public func finish() throws(BlockError) -> Int {
        try spool.flush()
        spool.close()
        let symbols = try SortedSymbols(pool, loose: symbols)
        let output = try FileAppender(path: path, files: files)
        defer { output.close() }
        var header: [UInt8] = []
        header.append(bigEndian: IndexFormat.magic)
        header.append(2)
        try output.append(header)

        var toc = IndexTOC()
        toc.symbols = UInt64(output.position)
        try write(symbols, to: output)
        toc.series = UInt64(output.position)
        let lists = try writeSeries(symbols, to: output)
        toc.labelIndices = UInt64(output.position)
        toc.postings = UInt64(output.position)
        let offsets = try lists.write(to: output)
        toc.labelIndicesTable = UInt64(output.position)
        toc.postingsTable = UInt64(output.position)
        try writeTable(lists.order, offsets, to: output)
        try write(toc, to: output)
        if output.position > IndexFormat.maxBytes { throw tooLarge }
        try output.finish()
        try withFiles { () throws(FileError) in try files.removeFile(spoolPath) }
        return output.position
    }

    private var tooLarge: BlockError { BlockError(.limit, "\"\(path)\" exceeding max size of 64GiB") }

    private func write(_ symbols: SortedSymbols, to output: FileAppender) throws(BlockError) {
        var content = 4
        for start in symbols.starts { content += pool.field(at: Int(start)).count }
        guard let size = UInt32(exactly: content) else {
            throw BlockError(.limit, "symbol table size exceeds \(UInt32.max) bytes: \(content)")
        }
        var count: [UInt8] = []
        count.append(bigEndian: UInt32(symbols.starts.count))
        try output.append(bigEndian: size)
        try output.append(count)
        var sum = count.span.crc32c
        let bytes = pool.bytes
        for start in symbols.starts {
            let field = Array(bytes[pool.field(at: Int(start))])
            sum = checksum(field, sum)
            try output.append(field)
        }
        try output.append(bigEndian: sum)
    }

    /// Writes the series as they come from the spool; the postings they make.
    private func writeSeries(_ symbols: SortedSymbols, to output: FileAppender) throws(BlockError) -> PostingsBuilder {
        var lists = PostingsBuilder(pool, symbols, seriesCount: seriesCount, labelCount: labelCount)
        let spooled = try CheckedFile(path: spoolPath, files: files)
        var reader = try spooled.reader(0, spooled.count)
        var content: [UInt8] = []
        var prefix: [UInt8] = []
        for _ in 0..<seriesCount {
            try output.pad(to: IndexFormat.seriesAlignment)
            guard let ref = UInt32(exactly: output.position / IndexFormat.seriesAlignment) else { throw tooLarge }
            lists.startSeries(ref)
            content.removeAll(keepingCapacity: true)
            try spooled.decoding(0) { () throws(ByteReaderError) in
                let count = try reader.uvarint()
                content.appendUvarint(count)
                for _ in 0..<count {
                    let pair = Int(truncatingIfNeeded: try reader.uvarint())
                    guard pair >= 0, pair < pool.count else { throw ByteReaderError(.truncated, offset: reader.offset) }
                    content.appendUvarint(UInt64(symbols.nameSymbols[Int(pool.nameOf[pair])]))
                    content.appendUvarint(UInt64(symbols.valueSymbols[pair]))
                    lists.add(pair: pair, ref)
                }
                let chunks = try unsafe reader.uvarintBytes()
                unsafe content.append(contentsOf: chunks)
            }
            prefix.removeAll(keepingCapacity: true)
            prefix.appendUvarint(UInt64(content.count))
            let sum = content.span.crc32c
            content.append(bigEndian: sum)
            try output.append(prefix)
            try output.append(content)
        }
        return lists
    }

    /// - Parameter pairs: numbers of the pairs in order. The first of `offsets` is that of all series.
    private func writeTable(_ pairs: [UInt32], _ offsets: [UInt64], to output: FileAppender) throws(BlockError) {
        let start = output.position
        try output.append(bigEndian: 0)
        var entry: [UInt8] = []
        entry.append(bigEndian: UInt32(truncatingIfNeeded: offsets.count))
        var sum = entry.span.crc32c
        try output.append(entry)
        let bytes = pool.bytes
        for (index, offset) in offsets.enumerated() {
            entry.removeAll(keepingCapacity: true)
            entry.append(2)
            if index == 0 {
                entry.append(contentsOf: [0, 0])
            } else {
                let pair = Int(pairs[index - 1])
                entry.append(contentsOf: bytes[pool.field(at: Int(pool.names[Int(pool.nameOf[pair])]))])
                entry.append(contentsOf: bytes[pool.field(at: pool.valueStart(of: pair))])
            }
            entry.appendUvarint(offset)
            sum = checksum(entry, sum)
            try output.append(entry)
        }
        guard let size = UInt32(exactly: output.position - start - 4) else {
            throw BlockError(.limit, "postings offset table length/crc32 write error: length size exceeds 4 bytes")
        }
        var length: [UInt8] = []
        length.append(bigEndian: size)
        try output.patch(length, at: start)
        try output.append(bigEndian: sum)
    }

    private func write(_ toc: IndexTOC, to output: FileAppender) throws(BlockError) {
        var bytes: [UInt8] = []
        for field in toc.fields { bytes.append(bigEndian: field) }
        bytes.append(bigEndian: bytes.span.crc32c)
        try output.append(bytes)
    }
}

/// The checksum of `bytes` behind what has the checksum `sum`.
private func checksum(_ bytes: [UInt8], _ sum: UInt32) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe crc32c($0, initial: sum) }
}

/// The postings of an index that is being written: the series of each label pair, side by side in one array.
private struct PostingsBuilder {
    /// Numbers of the pairs, by name and value.
    let order: [UInt32]
    private var all: [UInt32] = []
    /// The lists, in that order. How long each is was counted before.
    private var refs: [UInt32]
    private var starts: [Int]
    /// Where the next series of each pair goes.
    private var next: [Int]
    private let counts: [UInt32]

    init(_ pool: LabelPairPool, _ symbols: SortedSymbols, seriesCount: Int, labelCount: Int) {
        counts = pool.counts
        var keys: [(key: UInt64, pair: UInt32)] = []
        keys.reserveCapacity(pool.count)
        for pair in 0..<pool.count {
            let name = symbols.nameSymbols[Int(pool.nameOf[pair])]
            keys.append((UInt64(name) << 32 | UInt64(symbols.valueSymbols[pair]), UInt32(pair)))
        }
        keys.sort { $0.key < $1.key }
        order = keys.map(\.pair)
        starts = [Int](repeating: 0, count: pool.count)
        var start = 0
        for pair in order {
            starts[Int(pair)] = start
            start += Int(counts[Int(pair)])
        }
        next = starts
        refs = [UInt32](repeating: 0, count: labelCount)
        all.reserveCapacity(seriesCount)
    }

    mutating func startSeries(_ ref: UInt32) { all.append(ref) }

    mutating func add(pair: Int, _ ref: UInt32) {
        refs[next[pair]] = ref
        next[pair] += 1
    }

    /// Writes the list of all series and then one for each pair; where each begins.
    func write(to output: FileAppender) throws(BlockError) -> [UInt64] {
        var offsets: [UInt64] = []
        offsets.reserveCapacity(order.count + 1)
        try output.pad(to: 4)
        offsets.append(UInt64(output.position))
        try write(all[...], to: output)
        for pair in order {
            offsets.append(UInt64(output.position))
            let start = starts[Int(pair)]
            try write(refs[start..<start + Int(counts[Int(pair)])], to: output)
        }
        return offsets
    }

    private func write(_ list: ArraySlice<UInt32>, to output: FileAppender) throws(BlockError) {
        guard let size = UInt32(exactly: 4 + list.count * 4) else {
            throw BlockError(.limit, "posting size exceeds 4 bytes: \(4 + list.count * 4)")
        }
        try output.append(bigEndian: size)
        var piece: [UInt8] = []
        piece.append(bigEndian: UInt32(list.count))
        var sum: UInt32 = 0
        for ref in list {
            piece.append(bigEndian: ref)
            if piece.count >= 1 << 16 {
                sum = checksum(piece, sum)
                try output.append(piece)
                piece.removeAll(keepingCapacity: true)
            }
        }
        sum = checksum(piece, sum)
        try output.append(piece)
        try output.append(bigEndian: sum)
    }
}
