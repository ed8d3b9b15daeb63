import ApusBytes
import ApusModel
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The series of a family by their label values: found without a lock, made and removed under one.
///
/// Open addressing, with at least twice as many places as series; when it fills up a bigger copy takes its place by one
/// store of a pointer.
///
///     table ──▶ place │ hash         0 = free, 1 = removed, else the key's hash, stored last and with release
///                     │ key          its bytes live in the series
///                     │ cells        of a counter, if to update it is to add to them and nothing else
///                     │ the series
///
/// A reader may still stand in a table that was replaced, or at a series that was removed. Readers look things up inside
/// a critical section (`ThreadRecord.enter`); what was taken out of the table is freed once every thread that was inside
/// then has left. Nobody waits: what can't be freed yet is tried again at the next change or scrape.
@safe
final class ChildTable: @unchecked Sendable {
    // `@unchecked`: readers follow only `current`, published with release; everything else is under `state`.

    /// 32 bytes: two in a cache line.
    @unsafe struct Place: ~Copyable {
        let hash = Atomic<UInt64>(0)
        // Nobody looks at these before the hash is there.
        var key: UnsafePointer<UInt8>?
        var keyCount: Int32 = 0
        /// The number of the cell for whole amounts; negative for what is not counted so simply.
        var cells: Int32 = -1
        var child: Unmanaged<Instrument>?
    }

    @unsafe struct Table {
        let mask: Int
        let places: UnsafeMutablePointer<Place>
    }

    /// Taken out of the table at some time, when those threads were inside a critical section.
    @safe private struct Retired {
        var waitingFor: [CellStore.Stay]
        var table: UnsafeMutablePointer<Table>?
        var children: [Instrument] = []
    }

    private struct State {
        var count = 0
        /// Places that are not free, removed ones included.
        var usedPlaces = 0
        var children: [ObjectIdentifier: Instrument] = [:]
        /// Changes whenever the set of series does.
        var version: UInt64 = 0
        var sorted: [Instrument]?
        var retired: [Retired] = []
    }

    private static let removedHash: UInt64 = 1
    /// Where a key without bytes is said to be.
    private let emptyKey = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)

    private let current: Atomic<UnsafeMutablePointer<Table>>
    /// What the hash of a key begins with.
    let seed = UInt64.random(in: .min ... .max)
    private let state = Locked(State())

    init() {
        unsafe current = Atomic(Self.makeTable(places: 8))
    }

    deinit {
        // Nobody looks anything up in an object that is being freed.
        state.withLock { state in
            for retired in state.retired { if let table = unsafe retired.table { unsafe Self.free(table) } }
        }
        unsafe Self.free(current.load(ordering: .relaxed))
        unsafe emptyKey.deallocate()
    }

    // MARK: Reading

    /// The series with this key, or nil.
    @inline(__always)
    func find(_ key: SeriesKey) -> Instrument? {
        guard let record = unsafe ThreadRecord.current else { return unsafe findSlowly(key) }
        unsafe ThreadRecord.enter(record)
        let child = unsafe lookUp(key)?.pointee.child?.takeUnretainedValue()
        unsafe ThreadRecord.leave(record)
        return child
    }

    @inline(never)
    private func findSlowly(_ key: SeriesKey) -> Instrument? {
        unsafe CellStore.withRecord { record in
            unsafe ThreadRecord.enter(record)
            let child = unsafe lookUp(key)?.pointee.child?.takeUnretainedValue()
            unsafe ThreadRecord.leave(record)
            return child
        }
    }

    /// The place of the series with this key, or nil, for who stands inside a critical section: place and series live until
    /// the end of that.
    @inline(__always)
    func lookUp(_ key: SeriesKey) -> UnsafeMutablePointer<Place>? {
        // Sequentially consistent: either this reader sees the new table, or who frees sees this reader.
        unsafe Self.find(key, in: current.load(ordering: .sequentiallyConsistent))
    }

    @inline(__always)
    private static func find(_ key: SeriesKey, in pointer: UnsafeMutablePointer<Table>) -> UnsafeMutablePointer<Place>? {
        let table = unsafe pointer.pointee
        let hash = unsafe usable(key.hash)
        var index = unsafe Int(truncatingIfNeeded: hash) & table.mask
        // Ends: at least half of the places are free. SAFETY: `index` is masked, and a place is complete when its hash shows.
        while true {
            let place = unsafe table.places + index
            let found = unsafe place.pointee.hash.load(ordering: .acquiring)
            if found == hash {
                if unsafe Int(place.pointee.keyCount) == key.count, let known = unsafe place.pointee.key,
                    unsafe isEqual(known, key.start, count: key.count)
                {
                    return unsafe place
                }
            } else if found == 0 {
                return nil
            }
            index = unsafe (index &+ 1) & table.mask
        }
    }

    /// Keys are short: no call of memcmp.
    @inline(__always)
    private static func isEqual(_ left: UnsafePointer<UInt8>, _ right: UnsafePointer<UInt8>, count: Int) -> Bool {
        let left = unsafe UnsafeRawPointer(left)
        let right = unsafe UnsafeRawPointer(right)
        var offset = 0
        // SAFETY: every load ends at or before `count`.
        while offset &+ 8 <= count {
            let a = unsafe left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let b = unsafe right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            if a != b { return false }
            offset &+= 8
        }
        if offset == count { return true }
        if count >= 8 {
            let a = unsafe left.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            let b = unsafe right.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            return a == b
        }
        // A key that is not empty has four bytes of a length at least.
        if count >= 4 {
            let a = unsafe left.loadUnaligned(as: UInt32.self)
            let b = unsafe right.loadUnaligned(as: UInt32.self)
            let c = unsafe left.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            let d = unsafe right.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self)
            return a == b && c == d
        }
        return unsafe memcmp(left, right, count) == 0
    }

    /// 0 and 1 mean something else in a table.
    @inline(__always)
    private static func usable(_ hash: UInt64) -> UInt64 { hash | 2 }

    // MARK: Changing

    /// The series with this key, made by `make` if there is none and fewer than `limit`; nil at the limit.
    func findOrInsert(_ key: [UInt8], limit: Int, make: () -> Instrument) -> Instrument? {
        let hash = LabelHash.hash(key, seed: seed)
        return state.withLock { state -> Instrument? in
            if let place = unsafe place(of: key, hash) { return unsafe place.pointee.child?.takeUnretainedValue() }
            guard state.count < limit else { return nil }
            let places = unsafe current.load(ordering: .relaxed).pointee.mask + 1
            if (state.usedPlaces + 1) * 2 > places { rebuild(&state, places: max(8, Self.places(for: state.count + 1))) }

            let child = make()
            state.children[ObjectIdentifier(child)] = child
            state.count += 1
            state.usedPlaces += 1
            state.sorted = nil
            state.version &+= 1
            unsafe Self.insert(child, hash: Self.usable(hash), into: current.load(ordering: .relaxed))
            reclaim(&state)
            return child
        }
    }

    /// Removes the series for which `shouldGo` says so, called once for each; returns how many. O(n).
    func remove(where shouldGo: (Instrument) -> Bool) -> Int {
        state.withLock { state in
            var gone: [Instrument] = []
            let table = unsafe current.load(ordering: .relaxed).pointee
            for index in unsafe 0...table.mask {
                let place = unsafe table.places + index
                guard unsafe place.pointee.hash.load(ordering: .relaxed) > Self.removedHash,
                    let child = unsafe place.pointee.child?.takeUnretainedValue(), shouldGo(child)
                else { continue }
                unsafe place.pointee.hash.store(Self.removedHash, ordering: .sequentiallyConsistent)
                gone.append(child)
            }
            forget(gone, &state)
            return gone.count
        }
    }

    /// Whether there was a series with this key.
    func remove(_ key: [UInt8]) -> Bool {
        let hash = LabelHash.hash(key, seed: seed)
        return state.withLock { state in
            guard let place = unsafe place(of: key, hash), let child = unsafe place.pointee.child?.takeUnretainedValue() else {
                return false
            }
            unsafe place.pointee.hash.store(Self.removedHash, ordering: .sequentiallyConsistent)
            forget([child], &state)
            return true
        }
    }

    /// For who holds the lock.
    private func place(of key: [UInt8], _ hash: UInt64) -> UnsafeMutablePointer<Place>? {
        unsafe key.withUnsafeBufferPointer { bytes in
            // SAFETY: where there are no bytes none is read, and any address will do.
            let start = unsafe bytes.baseAddress ?? UnsafePointer(emptyKey)
            return unsafe Self.find(SeriesKey(start: start, count: bytes.count, hash: hash), in: current.load(ordering: .relaxed))
        }
    }

    /// Lets go of series that are no longer in the table.
    private func forget(_ gone: [Instrument], _ state: inout State) {
        if gone.isEmpty { return }
        for child in gone { state.children[ObjectIdentifier(child)] = nil }
        unsafe state.retired.append(Retired(waitingFor: CellStore.shared.inside(), children: gone))
        state.count -= gone.count
        state.sorted = nil
        state.version &+= 1
        reclaim(&state)
    }

    func removeAll() {
        state.withLock { state in
            let old = unsafe current.exchange(Self.makeTable(places: 8), ordering: .sequentiallyConsistent)
            state.retired.append(
                unsafe Retired(waitingFor: CellStore.shared.inside(), table: old, children: Array(state.children.values)))
            state.children = [:]
            state.count = 0
            state.usedPlaces = 0
            state.sorted = nil
            state.version &+= 1
            reclaim(&state)
        }
    }

    /// All series in the order of their label values, the same at every scrape, and the version of their set.
    func all(sortedBy areInOrder: ([ByteString], [ByteString]) -> Bool) -> (children: [Instrument], version: UInt64) {
        state.withLock { state in
            reclaim(&state)
            if let sorted = state.sorted { return (sorted, state.version) }
            let keyed = state.children.values.map { ($0, decodeLabelKey($0.key)) }
            let sorted = keyed.sorted { areInOrder($0.1, $1.1) }.map(\.0)
            state.sorted = sorted
            return (sorted, state.version)
        }
    }

    var count: Int { state.withLock { $0.count } }
    /// Removed series and replaced tables that a reader may still hold.
    var retiredCount: Int { state.withLock { $0.retired.count } }

    // MARK: Tables

    private static func places(for count: Int) -> Int {
        var places = 8
        // A quarter full after growing, half full before the next time.
        while places < count * 4 { places *= 2 }
        return places
    }

    private static func makeTable(places: Int) -> UnsafeMutablePointer<Table> {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: unsafe places * MemoryLayout<Place>.stride, alignment: 64)
        let start = unsafe memory.bindMemory(to: Place.self, capacity: places)
        for index in 0..<places { unsafe (start + index).initialize(to: Place()) }
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        unsafe table.initialize(to: Table(mask: places - 1, places: start))
        return unsafe table
    }

    private static func free(_ table: UnsafeMutablePointer<Table>) {
        unsafe table.pointee.places.deallocate()
        unsafe table.deallocate()
    }

    private static func insert(_ child: Instrument, hash: UInt64, into pointer: UnsafeMutablePointer<Table>) {
        let table = unsafe pointer.pointee
        var index = unsafe Int(truncatingIfNeeded: hash) & table.mask
        // A removed place is not used again before the next table: a reader may be looking at it.
        while unsafe table.places[index].hash.load(ordering: .relaxed) != 0 { index = unsafe (index &+ 1) & table.mask }
        let place = unsafe table.places + index
        // The key lies in the series, which lives at least as long as its place can be seen.
        unsafe place.pointee.key = unsafe UnsafePointer(child.keyStart)
        unsafe place.pointee.keyCount = Int32(clamping: child.keyCount)
        unsafe place.pointee.cells = child.simpleCell
        unsafe place.pointee.child = unsafe .passUnretained(child)
        unsafe place.pointee.hash.store(hash, ordering: .releasing)
    }

    private func rebuild(_ state: inout State, places: Int) {
        let old = unsafe current.load(ordering: .relaxed)
        let new = unsafe Self.makeTable(places: places)
        for index in unsafe 0...old.pointee.mask {
            let place = unsafe old.pointee.places + index
            let hash = unsafe place.pointee.hash.load(ordering: .relaxed)
            if hash > Self.removedHash, let child = unsafe place.pointee.child?.takeUnretainedValue() {
                unsafe Self.insert(child, hash: hash, into: new)
            }
        }
        state.usedPlaces = state.count
        unsafe current.store(new, ordering: .sequentiallyConsistent)
        state.retired.append(unsafe Retired(waitingFor: CellStore.shared.inside(), table: old))
    }

    /// Frees what no reader can hold any more. Readers are inside for nanoseconds, so one look is nearly always enough.
    private func reclaim(_ state: inout State) {
        guard !state.retired.isEmpty else { return }
        for index in state.retired.indices { state.retired[index].waitingFor.removeAll { !$0.isLasting } }
        for retired in state.retired where retired.waitingFor.isEmpty {
            if let table = unsafe retired.table { unsafe Self.free(table) }
        }
        state.retired.removeAll { $0.waitingFor.isEmpty }
    }
}
