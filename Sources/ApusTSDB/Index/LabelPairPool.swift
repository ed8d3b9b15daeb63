import ApusBytes
import ApusModel

/// The distinct label pairs of an index that is being written, each kept once and numbered from 0, with how many series
/// have it. A pair is kept as it lies in a `LabelSet`: two fields, each with its size in front.
final class LabelPairPool {
    /// Fields of all pairs, and later the strings that no series has.
    private(set) var bytes: [UInt8] = []
    private var starts: [UInt32] = []
    private(set) var counts: [UInt32] = []
    /// Number of the name of each pair, and of each name where it begins.
    private(set) var nameOf: [UInt32] = []
    private(set) var names: [UInt32] = []
    private var nameNumbers: [ByteString: UInt32] = [:]
    private var table = IndexTable()

    var count: Int { starts.count }

    /// Number of the pair that lies at `pair` of `encoded`, made when it is new. Counts the series.
    /// - Throws: when the strings together are more than an index can hold.
    func intern(_ pair: LabelRanges.Pair, of encoded: [UInt8], from start: Int) throws(BlockError) -> UInt32 {
        let field = start..<pair.value.upperBound
        let hash = hashBytes(encoded.span.extracting(field))
        let known = table.find(hash: hash) { isEqual($0, encoded, field) }
        if let known {
            counts[Int(known)] += 1
            return known
        }
        guard bytes.count + field.count <= Int(UInt32.max), starts.count < Int(UInt32.max) else {
            throw BlockError(.limit, "symbol table size exceeds \(UInt32.max) bytes")
        }
        let number = UInt32(starts.count)
        starts.append(UInt32(bytes.count))
        counts.append(1)
        let name = ByteString(encoded[pair.name])
        if let known = nameNumbers[name] {
            nameOf.append(known)
        } else {
            let new = UInt32(names.count)
            nameNumbers[name] = new
            names.append(UInt32(bytes.count))
            nameOf.append(new)
        }
        bytes.append(contentsOf: encoded[field])
        table.insert(number, hash: hash) { self.hash(of: $0) }
        return number
    }

    private func hash(of pair: UInt32) -> UInt64 {
        let bytes = bytes
        return hashBytes(bytes.span.extracting(range(of: pair)))
    }

    private func range(of pair: UInt32) -> Range<Int> {
        let next = Int(pair) + 1
        return Int(starts[Int(pair)])..<(next < starts.count ? Int(starts[next]) : bytes.count)
    }

    private func isEqual(_ pair: UInt32, _ encoded: [UInt8], _ field: Range<Int>) -> Bool {
        let mine = range(of: pair)
        let bytes = bytes
        return mine.count == field.count && equalBytes(bytes.span.extracting(mine), encoded.span.extracting(field))
    }

    /// Where the value of a pair begins, its size in front.
    func valueStart(of pair: Int) -> Int { field(at: Int(starts[pair])).upperBound }

    /// A field with its size in front, from where it begins.
    func field(at start: Int) -> Range<Int> {
        var end = start
        let bytes = bytes
        guard let length = decodeUvarint(bytes.span, at: &end) else {
            preconditionFailure("a label pair was stored without its size")
        }
        return start..<end + Int(length)
    }

    /// The content of a field.
    func content(at start: Int) -> Range<Int> {
        var content = start
        let bytes = bytes
        guard let length = decodeUvarint(bytes.span, at: &content) else {
            preconditionFailure("a label pair was stored without its size")
        }
        return content..<content + Int(length)
    }

    /// Stores a string that is no part of a pair, and says where. No pair may be added any more.
    func addLoose(_ string: ByteString) throws(BlockError) -> Int {
        guard bytes.count + string.count + 10 <= Int(UInt32.max) else {
            throw BlockError(.limit, "symbol table size exceeds \(UInt32.max) bytes")
        }
        let start = bytes.count
        bytes.appendUvarint(UInt64(string.count))
        bytes.append(contentsOf: string.bytes)
        return start
    }
}

/// The strings of a pool, sorted and numbered: the symbol table to be.
struct SortedSymbols {
    /// Where each symbol begins in the pool, its size in front, in order.
    private(set) var starts: [UInt32] = []
    /// Numbers of the names, and of the values of the pairs.
    private(set) var nameSymbols: [UInt32]
    private(set) var valueSymbols: [UInt32]

    private struct Key {
        /// The first eight bytes, so that most comparisons look no further.
        let prefix: UInt64
        let start: UInt32
        /// Index of a value, or of a name counted from the number of values.
        let owner: UInt32
    }

    /// - Parameter loose: strings that no series has and that are to be in the table all the same.
    init(_ pool: LabelPairPool, loose: [ByteString]) throws(BlockError) {
        var keys: [Key] = []
        keys.reserveCapacity(pool.count + pool.names.count + loose.count)
        for pair in 0..<pool.count { keys.append(Self.key(pool, pool.valueStart(of: pair), owner: pair)) }
        for (index, start) in pool.names.enumerated() { keys.append(Self.key(pool, Int(start), owner: pool.count + index)) }
        for string in loose { keys.append(Self.key(pool, try pool.addLoose(string), owner: Int(UInt32.max))) }
        let bytes = pool.bytes
        keys.sort { left, right in
            if left.prefix != right.prefix { return left.prefix < right.prefix }
            let (l, r) = (pool.content(at: Int(left.start)), pool.content(at: Int(right.start)))
            return compareBytes(bytes.span.extracting(l), bytes.span.extracting(r)) < 0
        }
        nameSymbols = [UInt32](repeating: 0, count: pool.names.count)
        valueSymbols = [UInt32](repeating: 0, count: pool.count)
        for key in keys {
            let isNew =
                starts.last.map {
                    !equalBytes(
                        bytes.span.extracting(pool.content(at: Int($0))), bytes.span.extracting(pool.content(at: Int(key.start))))
                } ?? true
            if isNew { starts.append(key.start) }
            let symbol = UInt32(starts.count - 1)
            let owner = Int(key.owner)
            if owner < valueSymbols.count {
                valueSymbols[owner] = symbol
            } else if owner - valueSymbols.count < nameSymbols.count {
                nameSymbols[owner - valueSymbols.count] = symbol
            }
        }
    }

    private static func key(_ pool: LabelPairPool, _ start: Int, owner: Int) -> Key {
        let content = pool.content(at: start)
        var prefix: UInt64 = 0
        for index in 0..<8 {
            prefix = prefix << 8 | (index < content.count ? UInt64(pool.bytes[content.lowerBound + index]) : 0)
        }
        return Key(prefix: prefix, start: UInt32(truncatingIfNeeded: start), owner: UInt32(truncatingIfNeeded: owner))
    }
}
