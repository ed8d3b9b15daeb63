import ApusBytes
import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The label sets of the head's series: symbols, pairs of them with their postings, and a run of pair numbers a series.
///
///     run: │ length, u32 │ pair, u32 │ …          in order of name
///     pair: name symbol, value symbol, postings   symbol: bytes
///
/// Nothing in it is removed but the runs of collected series. When most pairs are of those, the head makes a new store of
/// what is left and drops this one, whose readers keep it until they are done: see `HeadState+Rebuild`.
///
/// Under the head's lock, but for `run`, `labelSet` and `+Select`: what a reader learnt of under the lock neither moves
/// nor changes.
@safe final class LabelStore: @unchecked Sendable {
    // `@unchecked`: see above.
    let symbols: SymbolTable
    let index: LabelIndex
    let runs = ReservedArray<UInt32>(maximum: (1 << 32) - 2)
    /// First free run of a length, each holding the index of the next behind its length; by length.
    private var freeRuns: [UInt32: UInt32] = [:]
    private let seed: UInt64

    /// The pairs of the label set asked for last, and of the one before it. Sets come in the order of a target's page:
    /// most pairs are those that the set before had at the same place, and a comparison finds them without a hash.
    private(set) var pairs: [UInt32] = []
    private var lastPairs: [UInt32] = []

    init(slab: SizeClassSlab, seed: UInt64) {
        self.seed = seed
        symbols = SymbolTable(seed: seed)
        index = LabelIndex(slab: slab, seed: seed)
        pairs.reserveCapacity(64)
        lastPairs.reserveCapacity(64)
    }

    // MARK: From labels to pairs

    enum Resolution { case known, unknown, full }

    /// Sets `pairs` to those of a label set, given as `LabelSet.encoded`.
    /// - Parameter interning: makes symbols and pairs that are not known. Otherwise the first such ends the search, and
    ///   nothing is changed: a series that is refused must not leave its symbols behind.
    func resolve(_ encoded: UnsafeBufferPointer<UInt8>, interning: Bool) -> Resolution {
        pairs.removeAll(keepingCapacity: true)
        var offset = 0
        var position = 0
        while offset < encoded.count {
            var name: UInt32?
            if position < lastPairs.count {
                let last = lastPairs[position]
                let nameField = unsafe symbols.field(self.name(of: last))
                if unsafe isField(nameField, encoded, at: offset) {
                    let valueField = unsafe symbols.field(value(of: last))
                    if unsafe isField(valueField, encoded, at: offset &+ nameField.count) {
                        pairs.append(last)
                        offset = offset &+ nameField.count &+ valueField.count
                        position &+= 1
                        continue
                    }
                    name = self.name(of: last)
                    offset = offset &+ nameField.count
                }
            }
            if name == nil {
                guard let field = unsafe field(encoded, &offset) else { break }
                name = unsafe interning ? symbols.intern(field) : symbols.find(field)
                if name == nil { return interning ? .full : .unknown }
            }
            guard let name, let field = unsafe field(encoded, &offset) else { break }
            guard let value = unsafe interning ? symbols.intern(field) : symbols.find(field),
                let pair = interning ? index.intern(name: name, value: value) : index.find(name: name, value: value)
            else { return interning ? .full : .unknown }
            pairs.append(pair)
            position &+= 1
        }
        swap(&pairs, &lastPairs)
        pairs.removeAll(keepingCapacity: true)
        pairs.append(contentsOf: lastPairs)
        return .known
    }

    /// Whether `encoded` has this stored field, length and bytes, at `offset`.
    @inline(__always)
    private func isField(_ field: UnsafeRawBufferPointer, _ encoded: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        guard let known = field.baseAddress, let given = encoded.baseAddress, field.count <= encoded.count &- offset else { return false }
        // SAFETY: checked just above.
        return unsafe memcmp(known, given + offset, field.count) == 0
    }

    /// The content of the field at `offset`, which moves behind it; nil where the bytes are no label set.
    private func field(_ encoded: UnsafeBufferPointer<UInt8>, _ offset: inout Int) -> UnsafeBufferPointer<UInt8>? {
        var length: UInt64 = 0
        var shift: UInt64 = 0
        while offset < encoded.count && shift < 35 {
            let byte = unsafe encoded[offset]
            offset &+= 1
            length |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 {
                guard length <= UInt64(encoded.count &- offset) else { return nil }
                let start = offset
                offset &+= Int(length)
                return unsafe UnsafeBufferPointer(rebasing: encoded[start..<offset])
            }
            shift &+= 7
        }
        return nil
    }

    // MARK: Runs

    /// The pair numbers of a run. Also without the lock, by readers whose epoch holds the series.
    @inline(__always)
    func run(at offset: UInt32) -> UnsafeBufferPointer<UInt32> {
        // Not against `count`, which a writer may be changing.
        precondition(Int(offset) < runs.maximum, "unknown label run")
        // SAFETY: offsets come from series only, and are those of complete runs; runs do not move.
        let start = unsafe runs.base + Int(offset)
        return unsafe UnsafeBufferPointer(start: start + 1, count: Int(start.pointee))
    }

    func hash(_ run: UnsafeBufferPointer<UInt32>) -> UInt64 {
        let bytes = unsafe UnsafeRawPointer(run.baseAddress)?.assumingMemoryBound(to: UInt8.self)
        return unsafe hashBytes(bytes, count: run.count &* 4, seed: seed)
    }

    /// Writes a run; nil when there is no room.
    func allocateRun(_ pairs: [UInt32]) -> UInt32? {
        let length = UInt32(pairs.count)
        let offset: UInt32
        if length > 0, let free = freeRuns[length] {
            offset = free
            let next = runs[Int(free) + 1]
            freeRuns[length] = next == .max ? nil : next
        } else {
            guard let start = runs.extend(by: pairs.count + 1) else { return nil }
            offset = UInt32(start)
        }
        // SAFETY: the run has room for its length and `pairs.count` numbers.
        let start = unsafe runs.base + Int(offset)
        unsafe start.pointee = length
        for position in 0..<pairs.count { unsafe start[1 &+ position] = pairs[position] }
        return offset
    }

    func freeRun(_ offset: UInt32) {
        let length = runs[Int(offset)]
        if length == 0 { return }
        runs[Int(offset) + 1] = freeRuns[length] ?? .max
        freeRuns[length] = offset
    }

    /// Builds a label set from symbols, in one allocation. Also without the lock, as `run`.
    func labelSet(at offset: UInt32) -> LabelSet {
        let run = unsafe run(at: offset)
        var size = 0
        for unsafe pair in unsafe run {
            size &+= unsafe symbols.field(name(of: pair)).count &+ symbols.field(value(of: pair)).count
        }
        let encoded = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            guard let base = UnsafeMutableRawPointer(buffer.baseAddress) else { return }
            var offset = 0
            for unsafe pair in unsafe run {
                for symbol in [name(of: pair), value(of: pair)] {
                    let field = unsafe symbols.field(symbol)
                    guard let source = field.baseAddress else { continue }
                    unsafe (base + offset).copyMemory(from: source, byteCount: field.count)
                    offset &+= field.count
                }
            }
            count = offset
        }
        return LabelSet(alreadyEncoded: encoded)
    }

    // SAFETY: runs and the table hold numbers of known pairs, whose symbols never change.
    @inline(__always) func value(of pair: UInt32) -> UInt32 { unsafe index.pairs.base[Int(pair)].value }
    @inline(__always) func name(of pair: UInt32) -> UInt32 { unsafe index.pairs.base[Int(pair)].name }
}
