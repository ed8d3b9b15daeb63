import ApusBytes
import ApusModel
import Synchronization

/// The strings of an index, sorted: label names and values, named by number (version 2) or by offset (version 1).
///
///     ┌────────────┬───────────┬──────────────┬───────┬───┬────────┐
///     │ length u32 │ count u32 │ uvarint size │ bytes │ … │ CRC32C │
///     └────────────┴───────────┴──────────────┴───────┴───┴────────┘
///
/// A symbol is stored as a `LabelSet` stores a field. To build a label set is therefore to copy.
@safe final class IndexSymbols: @unchecked Sendable {
    // `@unchecked`: nothing changes after `init` but the cells of the cache, which are atomic.
    private let file: CheckedFile
    /// Where the symbols themselves lie.
    private let range: Range<Int>
    private let isByOffset: Bool
    let count: Int
    /// Where each 32nd symbol lies, from the first.
    private let samples: [UInt32]
    private let cache: SymbolCache

    init(_ file: CheckedFile, at offset: UInt64, version: UInt8) throws(BlockError) {
        self.file = file
        isByOffset = version == 1
        let content = try file.section(at: offset)
        var reader = try file.reader(content.lowerBound, content.upperBound)
        let start = content.lowerBound + 4
        range = min(start, content.upperBound)..<content.upperBound
        var samples: [UInt32] = []
        count = try file.decoding(content.lowerBound) { () throws(ByteReaderError) in
            let count = Int(try reader.u32())
            for index in 0..<count {
                if index % IndexFormat.sampling == 0 { samples.append(UInt32(truncatingIfNeeded: reader.offset - 4)) }
                _ = try reader.uvarintRange()
            }
            return count
        }
        self.samples = samples
        cache = SymbolCache(count: version == 1 ? 1 : count)
    }

    private static let lastID = Atomic<UInt64>(0)
    /// Of all tables that were ever opened.
    private let id = IndexSymbols.lastID.wrappingAdd(1, ordering: .relaxed).newValue
    /// By ID: the tables that this one was compared with, and whether they are the same.
    private let compared = Locked<[UInt64: Bool]>([:])
    private static let maximumCompared = 256

    /// Whether both hold the same symbols. They are compared byte by byte once.
    func isSame(as other: IndexSymbols) -> Bool {
        if self === other { return true }
        guard count == other.count, range.count == other.range.count else { return false }
        if let known = compared.withLock({ $0[other.id] }) { return known }
        let isSame = unsafe equalBytes(file.bytes(range).span, other.file.bytes(other.range).span)
        compared.withLock { compared in
            if compared.count >= Self.maximumCompared { compared.removeAll() }
            compared[other.id] = isSame
        }
        return isSame
    }

    /// A symbol with its size in front, or nil when there is none of that number. Valid as long as the file.
    @inline(__always)
    func field(_ symbol: UInt64) -> UnsafeRawBufferPointer? {
        guard let start = offset(of: symbol), start < range.upperBound else { return nil }
        // SAFETY: `start` lies in the symbols' part of the file; what follows is tested against its end.
        let first = unsafe file.base.load(fromByteOffset: start, as: UInt8.self)
        if first < 0x80 {
            let size = Int(first) &+ 1
            return size <= range.upperBound &- start ? unsafe UnsafeRawBufferPointer(start: file.base + start, count: size) : nil
        }
        return unsafe longField(start)
    }

    private func longField(_ start: Int) -> UnsafeRawBufferPointer? {
        guard var reader = try? file.reader(start, range.upperBound), let content = try? reader.uvarintRange() else { return nil }
        return unsafe UnsafeRawBufferPointer(start: file.base + start, count: content.upperBound)
    }

    /// The bytes of a symbol. Valid as long as the file.
    func content(_ symbol: UInt64) -> UnsafeBufferPointer<UInt8>? {
        guard let field = unsafe field(symbol), var reader = Optional(unsafe ByteReader(field)),
            let content = try? reader.uvarintRange()
        else { return nil }
        return unsafe UnsafeBufferPointer(rebasing: field.bindMemory(to: UInt8.self)[content])
    }

    /// Where in the file a symbol lies.
    @inline(__always)
    private func offset(of symbol: UInt64) -> Int? {
        if isByOffset {
            guard let offset = Int(exactly: symbol), range.contains(offset) else { return nil }
            return offset
        }
        guard symbol < UInt64(count) else { return nil }
        if let known = cache[symbol] { return range.lowerBound &+ Int(known) }
        return walk(to: Int(symbol))
    }

    @inline(never)
    private func walk(to symbol: Int) -> Int? {
        let (sample, steps) = symbol.quotientAndRemainder(dividingBy: IndexFormat.sampling)
        guard sample < samples.count, var reader = try? file.reader(range.lowerBound + Int(samples[sample]), range.upperBound)
        else {
            return nil
        }
        for _ in 0..<steps { guard (try? reader.uvarintRange()) != nil else { return nil } }
        let offset = Int(samples[sample]) &+ reader.offset
        cache[UInt64(symbol)] = UInt32(truncatingIfNeeded: offset)
        return range.lowerBound &+ offset
    }

    /// The number of a string, nil when it is none of the symbols. O(log n).
    func find(_ content: Span<UInt8>) -> UInt64? {
        guard !samples.isEmpty else { return nil }
        var low = 0
        var high = samples.count
        // The last sample that is not behind `content`.
        while high - low > 1 {
            let middle = (low + high) / 2
            guard let order = compare(at: Int(samples[middle]), content) else { return nil }
            if order <= 0 { low = middle } else { high = middle }
        }
        let start = range.lowerBound + Int(samples[low])
        guard var reader = try? file.reader(start, range.upperBound) else { return nil }
        for index in 0..<IndexFormat.sampling where low * IndexFormat.sampling + index < count {
            let place = start + reader.offset
            guard let found = try? reader.uvarintRange() else { return nil }
            let order = file.compare(start + found.lowerBound..<start + found.upperBound, content)
            if order == 0 { return isByOffset ? UInt64(place) : UInt64(low * IndexFormat.sampling + index) }
            if order > 0 { return nil }
        }
        return nil
    }

    private func compare(at offset: Int, _ content: Span<UInt8>) -> Int? {
        let start = range.lowerBound + offset
        guard var reader = try? file.reader(start, range.upperBound), let found = try? reader.uvarintRange() else { return nil }
        return file.compare(start + found.lowerBound..<start + found.upperBound, content)
    }

    /// All of them, in order.
    func all() throws(BlockError) -> [ByteString] {
        var reader = try file.reader(range.lowerBound, range.upperBound)
        var symbols: [ByteString] = []
        try file.decoding(range.lowerBound) { () throws(ByteReaderError) in
            for _ in 0..<count { symbols.append(try reader.uvarintByteString()) }
        }
        return symbols
    }
}

/// Where the symbols asked for last lie. Many threads read and write it without a lock.
///
/// Without it a symbol is found by walking 16 others on average. Series that follow one another share most of their symbols.
@safe private final class SymbolCache: @unchecked Sendable {
    // `@unchecked`: the cells are atomic.
    private static let maxCells = 4096
    /// Number and offset of a symbol in one word, so that no reader sees half of one and half of another. An empty cell
    /// says that symbol 0 is at offset 0, which is true.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let mask: UInt64
    private let count: Int

    init(count symbols: Int) {
        var count = 1
        while count < min(symbols, Self.maxCells) { count *= 2 }
        self.count = count
        mask = UInt64(count - 1)
        unsafe cells = .allocate(capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe cells.deinitialize(count: count)
        unsafe cells.deallocate()
    }

    subscript(symbol: UInt64) -> UInt32? {
        @inline(__always) get {
            let cell = unsafe cells[Int(truncatingIfNeeded: symbol & mask)].load(ordering: .relaxed)
            return cell >> 32 == symbol ? UInt32(truncatingIfNeeded: cell) : nil
        }
        set {
            guard let newValue else { return }
            unsafe cells[Int(truncatingIfNeeded: symbol & mask)].store(symbol << 32 | UInt64(newValue), ordering: .relaxed)
        }
    }
}
