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
/// A reader may still stand in a table that was replaced, or at a series that was removed. Readers therefore sign in and
/// out of one of eight counters, by thread; what was taken out of the table is freed once each counter was seen at zero
/// afterwards. Nobody waits: what can't be freed yet is tried again at the next change or scrape.
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

    /// Taken out of the table at some time; `waitingFor` has a bit for each reader counter not yet seen at zero since.
    @safe private struct Retired {
        var waitingFor: UInt8 = .max
        var table: UnsafeMutablePointer<Table>?
        var children: [Owned] = []
    }

    /// A series and the memory its slot's key points to.
    @safe private struct Owned {
        let child: Instrument
        let key: UnsafeMutablePointer<UInt8>
    }

    private struct State {
        var count = 0
        /// Places that are not free, removed ones included.
        var usedPlaces = 0
        var owned: [ObjectIdentifier: Owned] = [:]
        var sorted: [Instrument]?
        var retired: [Retired] = []
    }

    private static let stripeCount = 8
    private static let stripeCells = 8
    private static let removedHash: UInt64 = 1

    private let current: Atomic<UnsafeMutablePointer<Table>>
    /// Readers inside, `stripeCount` counters a cache line apart.
    private let readers: UnsafeMutablePointer<Atomic<Int>>
    private let seed = UInt64.random(in: .min ... .max)
    private let state = Locked(State())

    init() {
        unsafe current = Atomic(Self.makeTable(places: 8))
        unsafe readers = .allocate(capacity: Self.stripeCount * Self.stripeCells)
        for index in 0..<(Self.stripeCount * Self.stripeCells) { unsafe (readers + index).initialize(to: Atomic(0)) }
    }

    deinit {
        // Nobody looks anything up in an object that is being freed.
        state.withLock { state in
            for owned in state.owned.values { unsafe owned.key.deallocate() }
            for retired in state.retired {
                for owned in retired.children { unsafe owned.key.deallocate() }
                if let table = unsafe retired.table { unsafe Self.free(table) }
            }
        }
        unsafe Self.free(current.load(ordering: .relaxed))
        unsafe readers.deallocate()
    }

    // MARK: Reading

    /// The series with this key, or nil.
    func find(_ key: UnsafePointer<UInt8>, count: Int) -> Instrument? {
        let hash = unsafe Self.usable(hashBytes(key, count: count, seed: seed))
        // Sequentially consistent on both sides: either this reader sees the new table, or who frees sees this reader.
        // SAFETY: the stripe is below `stripeCount`.
        let stripe = unsafe readers + Self.stripe
        unsafe stripe.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { unsafe stripe.pointee.wrappingSubtract(1, ordering: .releasing) }
        return unsafe Self.find(key, count: count, hash: hash, in: current.load(ordering: .sequentiallyConsistent))
    }

    @inline(__always)
    private static func find(
        _ key: UnsafePointer<UInt8>?, count: Int, hash: UInt64, in pointer: UnsafeMutablePointer<Table>
    ) -> Instrument? {
        let table = unsafe pointer.pointee
        var place = unsafe Int(truncatingIfNeeded: hash) & table.mask
        // Ends: at least half of the places are free. SAFETY: `place` is masked, a slot is complete when its hash shows,
        // and `key` is nil only when `count` is 0.
        while true {
            let found = unsafe table.hashes[place].load(ordering: .acquiring)
            if found == hash {
                let slot = unsafe table.slots[place]
                if unsafe slot.keyCount == count, unsafe count == 0 || memcmp(slot.key, key.unsafelyUnwrapped, count) == 0 {
                    return unsafe slot.child.takeUnretainedValue()
                }
            } else if found == 0 {
                return nil
            }
            place = unsafe (place &+ 1) & table.mask
        }
    }

    private static var stripe: Int {
        #if canImport(Glibc) || canImport(Musl)
            // Thread descriptors are pages apart.
            return Int(truncatingIfNeeded: pthread_self() >> 12) & (stripeCount - 1) &* stripeCells
        #else
            return unsafe Int(bitPattern: pthread_self()) >> 12 & (stripeCount - 1) &* stripeCells
        #endif
    }

    /// 0 and 1 mean something else in a table.
    private static func usable(_ hash: UInt64) -> UInt64 { hash | 2 }

    // MARK: Changing

    /// The series with this key, made by `make` if there is none and fewer than `limit`; nil at the limit.
    func findOrInsert(_ key: [UInt8], limit: Int, make: () -> Instrument) -> Instrument? {
        let hash = Self.usable(hashBytes(key.span, seed: seed))
        return state.withLock { state -> Instrument? in
            let present = unsafe key.withUnsafeBufferPointer { bytes in
                unsafe Self.find(bytes.baseAddress, count: bytes.count, hash: hash, in: current.load(ordering: .relaxed))
            }
            if let present { return present }
            guard state.count < limit else { return nil }
            let places = unsafe current.load(ordering: .relaxed).pointee.mask + 1
            if (state.usedPlaces + 1) * 2 > places { rebuild(&state, places: max(8, Self.places(for: state.count + 1))) }

            let child = make()
            let keyCopy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(key.count, 1))
            for index in key.indices { unsafe (keyCopy + index).initialize(to: key[index]) }
            state.owned[ObjectIdentifier(child)] = unsafe Owned(child: child, key: keyCopy)
            state.count += 1
            state.usedPlaces += 1
            state.sorted = nil
            unsafe Self.insert(
                Slot(key: keyCopy, keyCount: key.count, child: .passUnretained(child)), hash: hash,
                into: current.load(ordering: .relaxed))
            reclaim(&state)
            return child
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
                let slot = unsafe table.slots[place]
                if found == hash, unsafe Self.equal(slot, key) {
                    unsafe table.hashes[place].store(Self.removedHash, ordering: .sequentiallyConsistent)
                    let identifier = unsafe ObjectIdentifier(slot.child.takeUnretainedValue())
                    if let owned = state.owned.removeValue(forKey: identifier) {
                        var retired = Retired()
                        retired.children = [owned]
                        state.retired.append(retired)
                    }
                    state.count -= 1
                    state.sorted = nil
                    reclaim(&state)
                    return true
                }
                place = unsafe (place &+ 1) & table.mask
            }
        }
    }

    func removeAll() {
        state.withLock { state in
            let old = unsafe current.exchange(Self.makeTable(places: 8), ordering: .sequentiallyConsistent)
            var retired = Retired()
            unsafe retired.table = old
            retired.children = Array(state.owned.values)
            state.retired.append(retired)
            state.owned = [:]
            state.count = 0
            state.usedPlaces = 0
            state.sorted = nil
            reclaim(&state)
        }
    }

    /// All series in the order of their keys' values, the same at every scrape.
    func all(sortedBy areInOrder: (Instrument, Instrument) -> Bool) -> [Instrument] {
        state.withLock { state in
            reclaim(&state)
            if let sorted = state.sorted { return sorted }
            let sorted = state.owned.values.map(\.child).sorted(by: areInOrder)
            state.sorted = sorted
            return sorted
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

    private static func equal(_ slot: Slot, _ key: [UInt8]) -> Bool {
        unsafe slot.keyCount == key.count && equalBytes(key.span, UnsafeBufferPointer(start: slot.key, count: key.count).span)
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
        var retired = Retired()
        unsafe retired.table = old
        state.retired.append(retired)
    }

    /// Frees what no reader can hold any more. Readers are inside for nanoseconds, so one look is nearly always enough.
    private func reclaim(_ state: inout State) {
        guard !state.retired.isEmpty else { return }
        var busy: UInt8 = 0
        for stripe in 0..<Self.stripeCount
        where unsafe (readers + stripe * Self.stripeCells).pointee.load(ordering: .sequentiallyConsistent) != 0 {
            busy |= 1 << UInt8(stripe)
        }
        for index in state.retired.indices { state.retired[index].waitingFor &= busy }
        for retired in state.retired where retired.waitingFor == 0 {
            if let table = unsafe retired.table { unsafe Self.free(table) }
            for owned in retired.children { unsafe owned.key.deallocate() }
        }
        state.retired.removeAll { $0.waitingFor == 0 }
    }
}
