import ApusMetrics
import Synchronization

/// A metric under one label and one order of dimensions.
final class HandlerEntry: Sendable {
    let hash: UInt64
    private let kind: MetricKind
    private let label: String
    private let dimensions: [(String, String)]
    let metric: Instrument

    init(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)], _ metric: Instrument) {
        self.hash = hash
        self.kind = kind
        self.label = label
        self.dimensions = dimensions
        self.metric = metric
    }

    func matches(_ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Bool {
        guard self.kind == kind, self.dimensions.count == dimensions.count, self.label == label else { return false }
        for index in dimensions.indices
        where self.dimensions[index].1 != dimensions[index].1 || self.dimensions[index].0 != dimensions[index].0 {
            return false
        }
        return true
    }
}

/// Open addressing over entries by their hash. Somebody else keeps the entries alive.
///
/// Readers take no lock: a place is free (0), or holds the address of an entry, or of nothing any more (1). One at a time
/// may change it.
@safe
final class HandlerTable: @unchecked Sendable {
    // `@unchecked`: places are atomic; `used` is the changer's.
    private let mask: Int
    private let places: UnsafeMutablePointer<Atomic<UInt>>
    /// Places that are not free, removed ones included.
    private(set) var used = 0

    /// `count` is a power of two.
    init(places count: Int) {
        mask = count - 1
        unsafe places = .allocate(capacity: count)
        for index in 0..<count { unsafe (places + index).initialize(to: Atomic(0)) }
    }

    deinit { unsafe places.deallocate() }

    /// At most half of the places are taken, so that searching ends.
    var isFull: Bool { (used + 1) * 2 > mask + 1 }

    @inline(__always)
    func find(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Instrument? {
        var index = Int(truncatingIfNeeded: hash) & mask
        while true {
            // Sequentially consistent: either this sees that an entry is gone, or who frees it sees this reader.
            let address = unsafe places[index].load(ordering: .sequentiallyConsistent)
            if address == 0 { return nil }
            // SAFETY: what is not 0 or 1 is the address of an entry, which lives while somebody is inside a section.
            if address > 1, let pointer = unsafe UnsafeRawPointer(bitPattern: address),
                let metric = unsafe Unmanaged<HandlerEntry>.fromOpaque(pointer)._withUnsafeGuaranteedRef({
                    $0.hash == hash && $0.matches(kind, label, dimensions) ? $0.metric : nil
                })
            {
                return metric
            }
            index = (index &+ 1) & mask
        }
    }

    func insert(_ entry: HandlerEntry) {
        var index = Int(truncatingIfNeeded: entry.hash) & mask
        while unsafe places[index].load(ordering: .relaxed) != 0 { index = (index &+ 1) & mask }
        unsafe places[index].store(address(entry), ordering: .releasing)
        used += 1
    }

    func remove(_ entry: HandlerEntry) {
        var index = Int(truncatingIfNeeded: entry.hash) & mask
        while true {
            let address = unsafe places[index].load(ordering: .relaxed)
            if address == 0 { return }
            if address == self.address(entry) { return unsafe places[index].store(1, ordering: .sequentiallyConsistent) }
            index = (index &+ 1) & mask
        }
    }

    /// The same entries in a table of the right size.
    func rebuilt() -> HandlerTable {
        var entries: [HandlerEntry] = []
        for index in 0...mask {
            let address = unsafe places[index].load(ordering: .relaxed)
            if address > 1, let pointer = unsafe UnsafeRawPointer(bitPattern: address) {
                // SAFETY: the address of an entry that was not removed, which its owner keeps.
                entries.append(unsafe Unmanaged<HandlerEntry>.fromOpaque(pointer).takeUnretainedValue())
            }
        }
        var count = 8
        while count < (entries.count + 1) * 4 { count *= 2 }
        let fresh = HandlerTable(places: count)
        for entry in entries { fresh.insert(entry) }
        return fresh
    }

    private func address(_ entry: HandlerEntry) -> UInt { unsafe UInt(bitPattern: Unmanaged.passUnretained(entry).toOpaque()) }
}

/// The table that is current, for readers inside a `ReadSection`; changed by one at a time.
@safe
final class PublishedTable: Sendable {
    private let current: Atomic<UInt>

    init() { current = Atomic(Self.retained(HandlerTable(places: 8))) }

    deinit { unsafe Self.reference(current.load(ordering: .relaxed))?.release() }

    @inline(__always)
    func find(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Instrument? {
        // SAFETY: the current table is retained; one that was replaced lives while somebody is inside a section.
        unsafe Self.reference(current.load(ordering: .sequentiallyConsistent))?._withUnsafeGuaranteedRef {
            $0.find(hash, kind, label, dimensions)
        }
    }

    /// Returns the table that was replaced, if it was full.
    func insert(_ entry: HandlerEntry) -> HandlerTable? {
        guard let table = unsafe Self.reference(current.load(ordering: .relaxed)) else { return nil }
        let old = unsafe table.takeUnretainedValue()
        guard old.isFull else {
            old.insert(entry)
            return nil
        }
        let fresh = old.rebuilt()
        fresh.insert(entry)
        current.store(Self.retained(fresh), ordering: .sequentiallyConsistent)
        return unsafe table.takeRetainedValue()
    }

    func remove(_ entry: HandlerEntry) {
        unsafe Self.reference(current.load(ordering: .relaxed))?.takeUnretainedValue().remove(entry)
    }

    private static func retained(_ table: HandlerTable) -> UInt {
        unsafe UInt(bitPattern: Unmanaged.passRetained(table).toOpaque())
    }
    private static func reference(_ address: UInt) -> Unmanaged<HandlerTable>? {
        // SAFETY: only addresses of tables are stored.
        unsafe UnsafeRawPointer(bitPattern: address).map { unsafe Unmanaged.fromOpaque($0) }
    }
}
