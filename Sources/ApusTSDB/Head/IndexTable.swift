import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A hash table of 32-bit indices into some other storage, which holds the keys: 5 bytes an entry, open addressing.
///
/// Beside each index lies a byte of its hash, so a probe reads keys only when that byte agrees.
@safe struct IndexTable: ~Copyable {
    private static let empty: UInt8 = 0
    private static let removed: UInt8 = 1

    private var tags: UnsafeMutablePointer<UInt8>
    private var entries: UnsafeMutablePointer<UInt32>
    private var capacity: Int
    private(set) var count = 0
    private var removedCount = 0

    init() { self.init(count: 0) }

    /// With room for `count` entries.
    init(count: Int) {
        capacity = 64
        while capacity * 3 < (count + 1) * 4 { capacity *= 2 }
        unsafe (tags, entries) = Self.allocate(capacity)
    }

    deinit {
        unsafe free(tags)
        unsafe free(entries)
    }

    private static func allocate(_ capacity: Int) -> (UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<UInt32>) {
        // calloc, because the pages of a large and still empty table need not exist.
        guard let tags = unsafe calloc(capacity, 1), let entries = unsafe calloc(capacity, 4) else {
            preconditionFailure("the system has no memory left")
        }
        return unsafe (
            tags.bindMemory(to: UInt8.self, capacity: capacity), entries.bindMemory(to: UInt32.self, capacity: capacity)
        )
    }

    var sizeBytes: Int { capacity * 5 }

    @inline(__always)
    private static func tag(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash &>> 56) | 2 }

    /// The index whose key has `hash` and for which `isEqual` holds.
    @inline(__always)
    borrowing func find(hash: UInt64, where isEqual: (UInt32) -> Bool) -> UInt32? {
        let mask = capacity &- 1
        let tag = Self.tag(hash)
        var slot = Int(truncatingIfNeeded: hash) & mask
        // SAFETY: `slot` stays below `capacity`. The loop ends because a quarter of the slots is empty.
        while true {
            let found = unsafe tags[slot]
            if found == tag {
                let index = unsafe entries[slot]
                if isEqual(index) { return index }
            } else if found == Self.empty {
                return nil
            }
            slot = (slot &+ 1) & mask
        }
    }

    /// Adds an index whose key is not in the table. `hashOf` gives the hash of any index in the table, for growth.
    mutating func insert(_ index: UInt32, hash: UInt64, hashOf: (UInt32) -> UInt64) {
        if isFull {
            rehash(count &* 2 >= capacity ? capacity * 2 : capacity, hashOf)
        }
        place(index, hash)
        count &+= 1
    }

    /// Whether the next `insert` will move all entries to another table. Who can list them in the order of their keys in
    /// memory fills a new table faster than that.
    var isFull: Bool { (count &+ removedCount &+ 1) &* 4 > capacity &* 3 }

    private mutating func place(_ index: UInt32, _ hash: UInt64) {
        let mask = capacity &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while unsafe tags[slot] > Self.removed { slot = (slot &+ 1) & mask }
        if unsafe tags[slot] == Self.removed { removedCount &-= 1 }
        unsafe tags[slot] = Self.tag(hash)
        unsafe entries[slot] = index
    }

    mutating func remove(_ index: UInt32, hash: UInt64) {
        let mask = capacity &- 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while unsafe tags[slot] != Self.empty {
            if unsafe tags[slot] > Self.removed && entries[slot] == index {
                unsafe tags[slot] = Self.removed
                removedCount &+= 1
                count &-= 1
                return
            }
            slot = (slot &+ 1) & mask
        }
        preconditionFailure("removed an index that the table does not hold")
    }

    private mutating func rehash(_ newCapacity: Int, _ hashOf: (UInt32) -> UInt64) {
        let (oldTags, oldEntries, oldCapacity) = unsafe (tags, entries, capacity)
        unsafe (tags, entries) = Self.allocate(newCapacity)
        capacity = newCapacity
        removedCount = 0
        for slot in 0..<oldCapacity where unsafe oldTags[slot] > Self.removed {
            let index = unsafe oldEntries[slot]
            place(index, hashOf(index))
        }
        unsafe free(oldTags)
        unsafe free(oldEntries)
    }

    // MARK: Snapshot

    borrowing func save(to writer: SnapshotWriter) throws(FileError) {
        try writer.count(capacity)
        try writer.count(count)
        try writer.count(removedCount)
        // SAFETY: both have `capacity` elements.
        try unsafe writer.raw(UnsafeRawBufferPointer(start: tags, count: capacity))
        try unsafe writer.raw(UnsafeRawBufferPointer(start: entries, count: capacity * 4))
    }

    /// - Parameter limit: every index is below it.
    init(_ reader: inout SnapshotReader, limit: Int) throws(SnapshotError) {
        let size = try reader.value(UInt64.self)
        let known = try reader.value(UInt64.self)
        let removed = try reader.value(UInt64.self)
        guard size >= 64, size <= 1 << 40, size & (size - 1) == 0, known <= size, removed <= size, (known + removed) * 4 <= size * 3 else {
            throw HeadState.damaged("tables")
        }
        let savedTags = try unsafe reader.raw(Int(size))
        let savedEntries = try unsafe reader.raw(Int(size) * 4)
        var used = 0
        var empty = 0
        for slot in 0..<Int(size) {
            // SAFETY: both were read with `size` elements.
            let tag = unsafe savedTags[slot]
            if tag == Self.empty { empty += 1 }
            if tag <= Self.removed { continue }
            used += 1
            if unsafe Int(savedEntries.loadUnaligned(fromByteOffset: slot &* 4, as: UInt32.self)) >= limit { throw HeadState.damaged("tables") }
        }
        // A search ends at an empty place.
        guard used == Int(known), empty > 0 else { throw HeadState.damaged("tables") }
        self.init(count: 0)
        unsafe free(tags)
        unsafe free(entries)
        capacity = Int(size)
        unsafe (tags, entries) = Self.allocate(capacity)
        count = used
        removedCount = Int(removed)
        if let source = savedTags.baseAddress { unsafe UnsafeMutableRawPointer(tags).copyMemory(from: source, byteCount: capacity) }
        if let source = savedEntries.baseAddress { unsafe UnsafeMutableRawPointer(entries).copyMemory(from: source, byteCount: capacity * 4) }
    }
}
