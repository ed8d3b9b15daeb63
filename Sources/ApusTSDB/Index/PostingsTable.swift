import ApusBytes

/// Where the postings of each label pair lie.
///
///     ┌────────────┬───────────┬────────┬──────────────┬──────┬──────────────┬───────┬────────────────┬───┬────────┐
///     │ length u32 │ count u32 │ 2, u8  │ uvarint size │ name │ uvarint size │ value │ uvarint offset │ … │ CRC32C │
///     └────────────┴───────────┴────────┴──────────────┴──────┴──────────────┴───────┴────────────────┴───┴────────┘
///
/// The first pair, `"" = ""`, has all series. Version 2 sorts by name and value, so all names and each 32nd value are
/// remembered; version 1 does not, and each entry is.
struct PostingsTable: Sendable {
    struct Name: Sendable {
        /// In the file.
        let name: Range<Int>
        /// Its remembered values, in `samples`.
        let samples: Range<Int>
        let valueCount: Int
    }
    struct Entry {
        /// In the file.
        let name: Range<Int>
        let value: Range<Int>
        let postingsOffset: UInt64
        /// Of the entry and of the one behind it, from the first.
        let offset: Int
        let end: Int
    }

    private let file: CheckedFile
    private let range: Range<Int>
    /// Sorted.
    let names: [Name]
    /// Where the remembered entries lie, from the first.
    private let samples: [UInt32]
    /// Each how many-th entry is remembered.
    private let step: Int

    init(_ file: CheckedFile, at offset: UInt64, version: UInt8) throws(BlockError) {
        self.file = file
        let content = try file.section(at: offset)
        guard content.count >= 4 else { throw .corrupt(file.path, content.lowerBound, "invalid size") }
        range = content.lowerBound + 4..<content.upperBound
        var head = try file.reader(content.lowerBound, content.upperBound)
        let count = Int(try file.decoding(content.lowerBound) { () throws(ByteReaderError) in try head.u32() })

        var builder = Builder(file)
        var entries: [(entry: Entry, order: Int)] = []
        var next = 0
        var index = 0
        while index < count, next < range.count {
            let entry = try Self.entry(file, range, at: next)
            next = entry.end
            index += 1
            if version != 1, entries.isEmpty, builder.add(entry, every: IndexFormat.sampling) { continue }
            // Not sorted: begin again, and remember all.
            if entries.isEmpty {
                next = 0
                index = 0
                while entries.isEmpty, index < count, next < range.count {
                    let first = try Self.entry(file, range, at: next)
                    next = first.end
                    index += 1
                    entries.append((first, 0))
                }
                continue
            }
            entries.append((entry, entries.count))
        }
        if !entries.isEmpty {
            entries.sort { left, right in
                let (l, r) = (left.entry, right.entry)
                let byName = unsafe compareBytes(file.bytes(l.name).span, file.bytes(r.name).span)
                if byName != 0 { return byName < 0 }
                let byValue = unsafe compareBytes(file.bytes(l.value).span, file.bytes(r.value).span)
                return byValue != 0 ? byValue < 0 : left.order < right.order
            }
            builder = Builder(file)
            for (entry, _) in entries { _ = builder.add(entry, every: 1) }
        }
        builder.finish()
        names = builder.names
        samples = builder.samples
        step = entries.isEmpty ? IndexFormat.sampling : 1
    }

    private struct Builder {
        let file: CheckedFile
        var names: [Name] = []
        var samples: [UInt32] = []
        private var last: Entry?
        private var firstSample = 0
        private var valueCount = 0

        init(_ file: CheckedFile) { self.file = file }

        /// False, without adding it, when the entry is not behind the one before.
        mutating func add(_ entry: Entry, every step: Int) -> Bool {
            if let last {
                let byName = unsafe compareBytes(file.bytes(last.name).span, file.bytes(entry.name).span)
                if byName > 0 { return false }
                if byName < 0 {
                    finish()
                } else if unsafe compareBytes(file.bytes(last.value).span, file.bytes(entry.value).span) >= 0 {
                    // Of two entries for one pair, which only an unsorted table can have, the first counts.
                    return false
                }
            }
            if valueCount % step == 0 { samples.append(UInt32(truncatingIfNeeded: entry.offset)) }
            valueCount += 1
            last = entry
            return true
        }

        mutating func finish() {
            guard let last else { return }
            names.append(Name(name: last.name, samples: firstSample..<samples.count, valueCount: valueCount))
            self.last = nil
            firstSample = samples.count
            valueCount = 0
        }
    }

    private static func entry(_ file: CheckedFile, _ range: Range<Int>, at offset: Int) throws(BlockError) -> Entry {
        let start = range.lowerBound + offset
        var reader = try file.reader(start, range.upperBound)
        let (keys, name, value, postings) = try file.decoding(start) { () throws(ByteReaderError) in
            (try reader.uvarint(), try reader.uvarintRange(), try reader.uvarintRange(), try reader.uvarint())
        }
        if keys != 2 { throw .corrupt(file.path, start, "unexpected number of keys for postings offset table \(keys)") }
        return Entry(
            name: start + name.lowerBound..<start + name.upperBound, value: start + value.lowerBound..<start + value.upperBound,
            postingsOffset: postings, offset: offset, end: offset + reader.offset)
    }

    /// O(log n).
    func find(name: Span<UInt8>) -> Name? {
        var low = 0
        var high = names.count
        while low < high {
            let middle = (low + high) / 2
            let order = file.compare(names[middle].name, name)
            if order == 0 { return names[middle] }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// The entries of a name in order of value, from the n-th remembered one on.
    func entries(of name: Name, fromSample first: Int = 0) -> Entries { Entries(table: self, name: name, first: first) }

    struct Entries {
        private let table: PostingsTable
        private let samples: Range<Int>
        private var position = 0
        private var left: Int

        init(table: PostingsTable, name: Name, first: Int) {
            self.table = table
            samples = name.samples.lowerBound + first..<name.samples.upperBound
            left = max(0, name.valueCount - first * table.step)
            if !samples.isEmpty { position = Int(table.samples[samples.lowerBound]) }
        }

        mutating func next() throws(BlockError) -> Entry? {
            if left == 0 { return nil }
            let entry = try PostingsTable.entry(table.file, table.range, at: position)
            left -= 1
            position = entry.end
            if table.step == 1, left > 0 { position = Int(table.samples[samples.upperBound - left]) }
            return entry
        }
    }

    /// Where the postings of a pair begin, nil when no series has it. O(log n).
    func postingsOffset(_ name: Name, _ value: Span<UInt8>) throws(BlockError) -> UInt64? {
        var low = 0
        var high = name.samples.count
        // The last remembered value that is not behind `value`.
        while high - low > 1 {
            let middle = (low + high) / 2
            let entry = try Self.entry(file, range, at: Int(samples[name.samples.lowerBound + middle]))
            if file.compare(entry.value, value) <= 0 { low = middle } else { high = middle }
        }
        var entries = entries(of: name, fromSample: low)
        for _ in 0..<step {
            guard let entry = try entries.next() else { return nil }
            let order = file.compare(entry.value, value)
            if order == 0 { return entry.postingsOffset }
            if order > 0 { return nil }
        }
        return nil
    }
}
