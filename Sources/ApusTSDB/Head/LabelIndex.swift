import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One name–value pair: its symbols, and its postings, the slots of the series that carry it in growing order.
///
/// Slots only grow, so a new series goes to the end and the list is sorted by construction. Most pairs of many values
/// have one or two series: those lie in the pair itself.
struct LabelPair: BitwiseCopyable {
    var name: UInt32
    var value: UInt32
    /// Slots in the list.
    var count: UInt32
    /// Slots that the list's cell holds; 0 when the list is inline.
    var capacity: UInt32
    /// Address of the cell, or the two inline slots.
    var storage: UInt

    static let inlineCount = 2
}

/// All label pairs, numbered from 0; postings by pair, pairs by name. A series' label set is a run of pair numbers.
///
/// Under the head's lock, but for `names` of pairs already known (`LabelPair.name` and `value` never change).
/// Pairs whose last series was collected stay, with an empty list, like their symbols.
@safe final class LabelIndex: @unchecked Sendable {
    // `@unchecked`: see above.
    struct Name {
        let symbol: UInt32
        /// All pairs of this name, in order of arrival, those without series included.
        var pairs: [UInt32] = []
    }

    let pairs = ReservedArray<LabelPair>(maximum: 1 << 28)
    var names: [Name] = []
    var nameOfSymbol: [UInt32: Int] = [:]
    var table = IndexTable()
    let slab: SizeClassSlab
    private let seed: UInt64
    var postingsBytes = 0

    init(slab: SizeClassSlab, seed: UInt64) {
        self.slab = slab
        self.seed = seed
    }

    deinit { freePostings() }

    /// Frees the cells of all lists, which must not be used afterwards. A store that readers still keep loses its lists
    /// under the head's lock, since that also guards the slab.
    func freePostings() { freePostings(0..<pairs.count) }

    func freePostings(_ range: Range<Int>) {
        for index in range {
            let pair = pairs[index]
            if pair.count == 0 { continue }
            if pair.capacity > 0, let cell = unsafe UnsafeMutableRawPointer(bitPattern: pair.storage) {
                unsafe slab.free(cell, capacity: Int(pair.capacity) * 4)
                postingsBytes -= Int(pair.capacity) * 4
            }
            // Name and value are left alone: readers look at them without the lock.
            // SAFETY: `index` is below the count of pairs.
            unsafe pairs.base[index].count = 0
            unsafe pairs.base[index].capacity = 0
            usedPairs -= 1
        }
    }

    var pairCount: Int { pairs.count }
    /// Pairs that have a series.
    var usedPairs = 0
    /// Bytes of the pairs, their table and the lists by name; not of the postings.
    var sizeBytes: Int { pairs.sizeBytes + table.sizeBytes + names.reduce(0) { $0 + $1.pairs.capacity * 4 + 32 } }

    private func hash(_ name: UInt32, _ value: UInt32) -> UInt64 {
        let product = ((UInt64(name) &<< 32 | UInt64(value)) ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }

    func find(name: UInt32, value: UInt32) -> UInt32? {
        table.find(hash: hash(name, value)) { index in
            // SAFETY: the table holds numbers of known pairs.
            unsafe pairs.base[Int(index)].name == name && pairs.base[Int(index)].value == value
        }
    }

    /// The number of a pair, made when new; nil when there is no room.
    func intern(name: UInt32, value: UInt32) -> UInt32? {
        if let known = find(name: name, value: value) { return known }
        guard let index = pairs.extend(by: 1) else { return nil }
        pairs[index] = LabelPair(name: name, value: value, count: 0, capacity: 0, storage: 0)
        let pair = UInt32(index)
        table.insert(pair, hash: hash(name, value)) { [pairs] index in
            let known = pairs[Int(index)]
            return hash(known.name, known.value)
        }
        list(pair, name: name)
        return pair
    }

    /// Adds a pair to those of its name.
    func list(_ pair: UInt32, name: UInt32) {
        if let entry = nameOfSymbol[name] {
            names[entry].pairs.append(pair)
        } else {
            nameOfSymbol[name] = names.count
            names.append(Name(symbol: name, pairs: [pair]))
        }
    }

    /// The pairs of a name, those without series included.
    func pairs(ofName symbol: UInt32) -> [UInt32] { nameOfSymbol[symbol].map { names[$0].pairs } ?? [] }

    /// Appends a slot, larger than all in the list; or else call `sortPostings` before the list is used.
    func addPosting(_ slot: UInt32, to pair: UInt32) {
        // SAFETY: `pair` was interned. The list's cell holds `capacity` slots and `count` is below it when written.
        let entry = unsafe pairs.base + Int(pair)
        let count = unsafe Int(entry.pointee.count)
        let capacity = unsafe entry.pointee.capacity == 0 ? LabelPair.inlineCount : Int(entry.pointee.capacity)
        if count == 0 { usedPairs += 1 }
        if count == capacity { unsafe grow(entry) }
        if unsafe entry.pointee.capacity == 0 {
            unsafe entry.pointee.storage |= UInt(slot) &<< UInt(32 * count)
        } else {
            unsafe UnsafeMutablePointer<UInt32>(bitPattern: entry.pointee.storage).unsafelyUnwrapped[count] = slot
        }
        unsafe entry.pointee.count &+= 1
    }

    /// Moves a full list into a larger cell.
    private func grow(_ entry: UnsafeMutablePointer<LabelPair>) {
        let old = unsafe entry.pointee
        let wanted = Int(old.count) + 1
        // A quarter more beyond the size classes: the long lists are few, and their slack is what would be felt.
        let bytes = SizeClassSlab.capacity(atLeast: wanted > 8000 ? wanted * 5 : wanted * 4)
        let cell = unsafe slab.allocate(capacity: bytes)
        postingsBytes += bytes
        let memory = unsafe cell.bindMemory(to: UInt32.self, capacity: bytes / 4)
        unsafe withPostings(of: old) { slots in
            if let source = slots.baseAddress { unsafe memory.update(from: source, count: slots.count) }
        }
        if old.capacity > 0, let oldCell = unsafe UnsafeMutableRawPointer(bitPattern: old.storage) {
            unsafe slab.free(oldCell, capacity: Int(old.capacity) * 4)
            postingsBytes -= Int(old.capacity) * 4
        }
        unsafe entry.pointee.storage = UInt(bitPattern: cell)
        unsafe entry.pointee.capacity = UInt32(bytes / 4)
    }

    private func store(_ slots: ArraySlice<UInt32>, wanted: Int, in entry: UnsafeMutablePointer<LabelPair>) {
        let old = unsafe entry.pointee
        if old.capacity > 0, let cell = unsafe UnsafeMutableRawPointer(bitPattern: old.storage) {
            unsafe slab.free(cell, capacity: Int(old.capacity) * 4)
            postingsBytes -= Int(old.capacity) * 4
        }
        if slots.isEmpty && old.count > 0 { usedPairs -= 1 }
        unsafe entry.pointee.count = UInt32(slots.count)
        if wanted <= LabelPair.inlineCount {
            unsafe entry.pointee.capacity = 0
            unsafe entry.pointee.storage = 0
            for (index, slot) in slots.enumerated() { unsafe entry.pointee.storage |= UInt(slot) &<< UInt(32 * index) }
            return
        }
        // A quarter more beyond the size classes: the long lists are few, and their slack is what would be felt.
        let bytes = SizeClassSlab.capacity(atLeast: wanted > 8000 ? wanted * 5 : wanted * 4)
        let cell = unsafe slab.allocate(capacity: bytes)
        postingsBytes += bytes
        let memory = unsafe cell.bindMemory(to: UInt32.self, capacity: bytes / 4)
        unsafe slots.withUnsafeBufferPointer { buffer in
            if let source = buffer.baseAddress { unsafe memory.update(from: source, count: buffer.count) }
        }
        unsafe entry.pointee.storage = UInt(bitPattern: cell)
        unsafe entry.pointee.capacity = UInt32(bytes / 4)
    }

    /// Keeps the slots of a list for which `isKept` holds.
    func filterPostings(of pair: UInt32, isKept: (UInt32) -> Bool) {
        var kept: [UInt32] = []
        kept.reserveCapacity(Int(pairs[Int(pair)].count))
        unsafe withPostings(of: pairs[Int(pair)]) { slots in
            for index in 0..<slots.count where unsafe isKept(slots[index]) { unsafe kept.append(slots[index]) }
        }
        let entry = unsafe pairs.base + Int(pair)
        if unsafe kept.count != Int(entry.pointee.count) { unsafe store(kept[...], wanted: kept.count, in: entry) }
    }

    /// Sorts a list whose slots were not added in order.
    func sortPostings(of pair: UInt32) {
        var slots = unsafe withPostings(of: pairs[Int(pair)]) { unsafe Array($0) }
        slots.sort()
        unsafe store(slots[...], wanted: slots.count, in: pairs.base + Int(pair))
    }

    /// Lends the list. The body must not change the index.
    @inline(__always)
    func withPostings<R>(of pair: LabelPair, _ body: (UnsafeBufferPointer<UInt32>) -> R) -> R {
        if pair.capacity == 0 {
            var inline = (UInt32(truncatingIfNeeded: pair.storage), UInt32(truncatingIfNeeded: pair.storage &>> 32))
            // SAFETY: the tuple lies in memory as two slots, and lives for the call.
            return unsafe withUnsafeBytes(of: &inline) { bytes in
                unsafe body(UnsafeBufferPointer(start: bytes.baseAddress?.assumingMemoryBound(to: UInt32.self), count: Int(pair.count)))
            }
        }
        // SAFETY: a list that is not inline has a cell of `capacity` ≥ `count` slots.
        return unsafe body(UnsafeBufferPointer(start: UnsafePointer<UInt32>(bitPattern: pair.storage), count: Int(pair.count)))
    }
}
