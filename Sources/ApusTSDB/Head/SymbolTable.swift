import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Label names and values, each kept once, as bytes in an arena, and numbered from 0.
///
/// A symbol is stored as a `LabelSet` stores a field: its length as a uvarint, then its bytes. To write a label set is
/// therefore to copy. Symbols are not removed: those of collected series stay until the store is built anew.
///
/// Under the head's lock, but for `field` and `span`: a symbol never moves, and who got its number under the lock may
/// read it without.
@safe final class SymbolTable: @unchecked Sendable {
    // `@unchecked`: see above.
    let bytes = ReservedArray<UInt8>(maximum: (1 << 32) - 1)
    let offsets = ReservedArray<UInt32>(maximum: 1 << 28)
    var table = IndexTable()
    private let seed: UInt64

    init(seed: UInt64) { self.seed = seed }

    var count: Int { offsets.count }
    var sizeBytes: Int { bytes.sizeBytes + offsets.sizeBytes + table.sizeBytes }

    /// The stored form of a symbol, length first.
    func field(_ symbol: UInt32) -> UnsafeRawBufferPointer {
        let (start, prefix, length) = locate(symbol)
        return unsafe UnsafeRawBufferPointer(start: bytes.base + start, count: prefix + length)
    }

    private func locate(_ symbol: UInt32) -> (start: Int, prefix: Int, length: Int) {
        // Not against `count`, which a writer may be changing.
        precondition(Int(symbol) < offsets.maximum, "unknown symbol")
        // SAFETY: symbols come from pairs and from `find` only; a known symbol's offset is that of a complete field.
        let start = Int(unsafe offsets.base[Int(symbol)])
        var length = 0
        var shift = 0
        var prefix = 0
        while true {
            let byte = unsafe bytes.base[start &+ prefix]
            length |= Int(byte & 0x7F) &<< shift
            prefix &+= 1
            if byte < 0x80 { return (start, prefix, length) }
            shift &+= 7
        }
    }

    /// The bytes of a symbol. Valid as long as the table.
    func content(_ symbol: UInt32) -> UnsafeBufferPointer<UInt8> {
        let (start, prefix, length) = locate(symbol)
        return unsafe UnsafeBufferPointer(start: bytes.base + start + prefix, count: length)
    }

    func byteString(_ symbol: UInt32) -> ByteString { unsafe ByteString(Array(content(symbol))) }
    func length(_ symbol: UInt32) -> Int { locate(symbol).length }

    /// Negative, zero or positive, in byte order.
    func compare(_ left: UInt32, _ right: UInt32) -> Int {
        if left == right { return 0 }
        let (l, r) = unsafe (content(left), content(right))
        let common = min(l.count, r.count)
        if common > 0, let a = l.baseAddress, let b = r.baseAddress {
            let order = unsafe memcmp(a, b, common)
            if order != 0 { return Int(order) }
        }
        return l.count - r.count
    }

    private func isEqual(_ symbol: UInt32, _ other: UnsafeBufferPointer<UInt8>) -> Bool {
        let mine = unsafe content(symbol)
        guard mine.count == other.count else { return false }
        guard let a = mine.baseAddress, let b = other.baseAddress else { return true }
        return unsafe memcmp(a, b, mine.count) == 0
    }

    private func hash(_ content: UnsafeBufferPointer<UInt8>) -> UInt64 {
        unsafe hashBytes(content.baseAddress, count: content.count, seed: seed)
    }

    func find(_ content: UnsafeBufferPointer<UInt8>) -> UInt32? {
        unsafe table.find(hash: hash(content)) { unsafe isEqual($0, content) }
    }

    func find(_ content: Span<UInt8>) -> UInt32? {
        // SAFETY: the buffer is used during the closure only.
        unsafe content.withUnsafeBufferPointer { unsafe find($0) }
    }

    /// The number of a symbol, made when it is new; nil when the arena is full.
    func intern(_ content: UnsafeBufferPointer<UInt8>) -> UInt32? {
        let hash = unsafe hash(content)
        if let known = table.find(hash: hash, where: { unsafe isEqual($0, content) }) { return known }
        var prefixCount = 1
        var rest = content.count &>> 7
        while rest > 0 {
            prefixCount &+= 1
            rest &>>= 7
        }
        guard let start = bytes.extend(by: prefixCount + content.count), let index = offsets.extend(by: 1) else { return nil }
        // SAFETY: `extend` made this room.
        rest = content.count
        for offset in 0..<prefixCount {
            let more: UInt8 = offset &+ 1 < prefixCount ? 0x80 : 0
            unsafe bytes.base[start + offset] = UInt8(truncatingIfNeeded: rest & 0x7F) | more
            rest &>>= 7
        }
        if let source = content.baseAddress { unsafe (bytes.base + start + prefixCount).update(from: source, count: content.count) }
        unsafe offsets.base[index] = UInt32(start)
        let symbol = UInt32(index)
        table.insert(symbol, hash: hash) { unsafe self.hash(self.content($0)) }
        return symbol
    }
}
