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
/// Open addressing over two parallel arrays, hashes and slots. A table has at least twice as many places as series;
/// when it fills up a bigger copy takes its place by one store of a pointer.
///
///     table ──▶ ┌ hashes: 0 = free, 1 = removed, else the key's hash, stored last and with release
///               └ slots:  key bytes (they live in the series), the series
///
/// A reader may still stand in a table that was replaced, or at a series that was removed. Readers look things up inside
/// a critical section (`ThreadRecord.enter`); what was taken out of the table is freed once every thread that was inside
/// then has left. Nobody waits: what can't be freed yet is tried again at the next change or scrape.
@safe
final class ChildTable: @unchecked Sendable {
    // `@unchecked`: readers follow only `current`, published with release; everything else is under `state`.

    @unsafe struct Slot {
        let key: UnsafePointer<UInt8>
        let keyCount: Int
        let child: Unmanaged<Instrument>
    }

    /// One allocation of hashes and one of slots.
    @unsafe struct Table {
        let mask: Int
        let hashes: UnsafeMutablePointer<Atomic<UInt64>>
        let slots: UnsafeMutablePointer<Slot>
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

    private let current: Atomic<UnsafeMutablePointer<Table>>
    private let seed = UInt64.random(in: .min ... .max)
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
    }

    // MARK: Reading

    /// The series with this key, or nil.
    @inline(__always)
    func find(_ key: UnsafePointer<UInt8>, count: Int) -> Instrument? {
        guard let record = unsafe ThreadRecord.current else { return unsafe findSlowly(key, count) }
        unsafe ThreadRecord.enter(record)
        let child = unsafe lookUp(key, count: count)?.takeUnretainedValue()
        unsafe ThreadRecord.leave(record)
        return child
    }

    @inline(never)
    private func findSlowly(_ key: UnsafePointer<UInt8>, _ count: Int) -> Instrument? {
        unsafe CellStore.withRecord { record in
            unsafe ThreadRecord.enter(record)
            let child = unsafe lookUp(key, count: count)?.takeUnretainedValue()
            unsafe ThreadRecord.leave(record)
            return child
        }
    }

    /// The series with this key, or nil, for who stands inside a critical section: it lives until the end of that.
    @inline(__always)
    func lookUp(_ key: UnsafePointer<UInt8>, count: Int) -> Unmanaged<Instrument>? {
        let hash = unsafe Self.usable(hashBytes(key, count: count, seed: seed))
        // Sequentially consistent: either this reader sees the new table, or who frees sees this reader.
        return unsafe Self.find(key, count: count, hash: hash, in: current.load(ordering: .sequentiallyConsistent))
    }

    @inline(__always)
    private static func find(
        _ key: UnsafePointer<UInt8>?, count: Int, hash: UInt64, in pointer: UnsafeMutablePointer<Table>
    ) -> Unmanaged<Instrument>? {
        let table = unsafe pointer.pointee
        var place = unsafe Int(truncatingIfNeeded: hash) & table.mask
        // Ends: at least half of the places are free. SAFETY: `place` is masked, a slot is complete when its hash shows,
        // and `key` is nil only when `count` is 0.
        while true {
            let found = unsafe table.hashes[place].load(ordering: .acquiring)
            if found == hash {
                let slot = unsafe table.slots[place]
                if unsafe slot.keyCount == count, unsafe count == 0 || memcmp(slot.key, key.unsafelyUnwrapped, count) == 0 {
                    return unsafe slot.child
                }
            } else if found == 0 {
                return nil
            }
            place = unsafe (place &+ 1) & table.mask
        }
    }

    /// 0 and 1 mean something else in a table.
    private static func usable(_ hash: UInt64) -> UInt64 { hash | 2 }

    // MARK: Changing

    /// The series with this key, made by `make` if there is none and fewer than `limit`; nil at the limit.
    func findOrInsert(_ key: [UInt8], limit: Int, make: () -> Instrument) -> Instrument? {
        let hash = Self.usable(hashBytes(key.span, seed: seed))
        return state.withLock { state -> Instrument? in
            let present = unsafe key.withUnsafeBufferPointer { bytes in
                unsafe Self.find(bytes.baseAddress, count: bytes.count, hash: hash, in: current.load(ordering: .relaxed))?
                    .takeUnretainedValue()
            }
            if let present { return present }
            guard state.count < limit else { return nil }
            let places = unsafe current.load(ordering: .relaxed).pointee.mask + 1
            if (state.usedPlaces + 1) * 2 > places { rebuild(&state, places: max(8, Self.places(for: state.count + 1))) }

            let child = make()
            state.children[ObjectIdentifier(child)] = child
            state.count += 1
            state.usedPlaces += 1
            state.sorted = nil
            state.version &+= 1
            // The key lies in the series, which lives at least as long as its slot can be seen.
            unsafe Self.insert(
                Slot(key: child.keyStart, keyCount: child.keyCount, child: .passUnretained(child)), hash: hash,
                into: current.load(ordering: .relaxed))
            reclaim(&state)
            return child
        }
    }

    /// Removes the series for which `shouldGo` says so, called once for each; returns how many. O(n).
    func remove(where shouldGo: (Instrument) -> Bool) -> Int {
        state.withLock { state in
            var gone: [Instrument] = []
            let table = unsafe current.load(ordering: .relaxed).pointee
            for place in unsafe 0...table.mask {
                guard unsafe table.hashes[place].load(ordering: .relaxed) > Self.removedHash else { continue }
                let child = unsafe table.slots[place].child.takeUnretainedValue()
                guard shouldGo(child) else { continue }
                unsafe table.hashes[place].store(Self.removedHash, ordering: .sequentiallyConsistent)
                gone.append(child)
            }
            forget(gone, &state)
            return gone.count
        }
    }

    /// Whether there was a series with this key.
    func remove(_ key: [UInt8]) -> Bool {
        let hash = Self.usable(hashBytes(key.span, seed: seed))
        return state.withLock { state in
            let table = unsafe current.load(ordering: .relaxed).pointee
            var place = unsafe Int(truncatingIfNeeded: hash) & table.mask
            while true {
                let found = unsafe table.hashes[place].load(ordering: .relaxed)
                if found == 0 { return false }
                if found == hash, case let child = unsafe table.slots[place].child.takeUnretainedValue(), child.hasKey(key) {
                    unsafe table.hashes[place].store(Self.removedHash, ordering: .sequentiallyConsistent)
                    forget([child], &state)
                    return true
                }
                place = unsafe (place &+ 1) & table.mask
            }
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
        let hashes = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: places)
        for index in 0..<places { unsafe (hashes + index).initialize(to: Atomic(0)) }
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        unsafe table.initialize(to: Table(mask: places - 1, hashes: hashes, slots: .allocate(capacity: places)))
        return unsafe table
    }

    private static func free(_ table: UnsafeMutablePointer<Table>) {
        unsafe table.pointee.hashes.deallocate()
        unsafe table.pointee.slots.deallocate()
        unsafe table.deallocate()
    }

    private static func insert(_ slot: Slot, hash: UInt64, into pointer: UnsafeMutablePointer<Table>) {
        let table = unsafe pointer.pointee
        var place = unsafe Int(truncatingIfNeeded: hash) & table.mask
        // A removed place is not used again before the next table: a reader may be looking at its slot.
        while unsafe table.hashes[place].load(ordering: .relaxed) != 0 { place = unsafe (place &+ 1) & table.mask }
        unsafe (table.slots + place).initialize(to: slot)
        unsafe table.hashes[place].store(hash, ordering: .releasing)
    }

    private func rebuild(_ state: inout State, places: Int) {
        let old = unsafe current.load(ordering: .relaxed)
        let new = unsafe Self.makeTable(places: places)
        for place in unsafe 0...old.pointee.mask {
            let hash = unsafe old.pointee.hashes[place].load(ordering: .relaxed)
            if hash > Self.removedHash { unsafe Self.insert(old.pointee.slots[place], hash: hash, into: new) }
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
