import ApusBytes
import ApusMetrics
import ApusModel

/// Series by label and dimensions as they were handed over, so that making a metric again costs one look-up.
///
/// A look-up takes no lock and counts no reference but that of the metric it returns: it hashes the strings, finds an entry
/// in the table (`HandlerTable`) and compares them, which for the same literals is comparing addresses, all of it inside a
/// `ReadSection`. Changes are made under a lock.
final class HandlerCache: Sendable {
    private struct State {
        var count = 0
        /// Where each metric is from and its entries, which live at least as long as they can be found.
        var owners: [ObjectIdentifier: Owner] = [:]
    }
    private struct Owner {
        let family: FamilyTable.Family
        var entries: [HandlerEntry] = []
    }
    /// In how many orders of dimensions, or spellings of their names, one series is remembered.
    private static let maximumOrders = 64

    private let seed = UInt64.random(in: .min ... .max)
    private let limit: Int
    private let table = PublishedTable()
    private let state = Locked(State())
    private let retirement = Retirement()

    init(limit: Int) { self.limit = max(1, limit) }

    func hash(_ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> UInt64 {
        var hash = Self.hash(label, seed: seed &+ UInt64(kind.rawValue))
        for (name, value) in dimensions { hash = Self.hash(value, seed: Self.hash(name, seed: hash)) }
        return hash
    }

    func find(_ hash: UInt64, _ kind: MetricKind, _ label: String, _ dimensions: [(String, String)]) -> Instrument? {
        guard let section = ReadSection.begin() else {
            return state.withLock { _ in table.find(hash, kind, label, dimensions) }
        }
        let metric = table.find(hash, kind, label, dimensions)
        section.end()
        return metric
    }

    func insert(
        _ metric: Instrument, of family: FamilyTable.Family, _ hash: UInt64, _ kind: MetricKind, _ label: String,
        _ dimensions: [(String, String)]
    ) {
        let replaced = state.withLock { state -> HandlerTable? in
            var owner = state.owners[ObjectIdentifier(metric)] ?? Owner(family: family)
            defer { state.owners[ObjectIdentifier(metric)] = owner }
            // The orders of a few dimensions; more of them take the long way.
            guard owner.entries.count < Self.maximumOrders, state.count < limit,
                table.find(hash, kind, label, dimensions) == nil
            else { return nil }
            let entry = HandlerEntry(hash, kind, label, dimensions, metric)
            owner.entries.append(entry)
            state.count += 1
            return table.insert(entry)
        }
        if let replaced { retirement.retire([replaced]) }
    }

    /// Forgets a metric. Returns the family that it is a series of.
    func remove(_ metric: Instrument) -> FamilyTable.Family? {
        let owner = state.withLock { state -> Owner? in
            guard let owner = state.owners.removeValue(forKey: ObjectIdentifier(metric)) else { return nil }
            for entry in owner.entries { table.remove(entry) }
            state.count -= owner.entries.count
            return owner
        }
        guard let owner else { return nil }
        retirement.retire(owner.entries)
        return owner.family
    }

    private static func hash(_ text: String, seed: UInt64) -> UInt64 {
        // Native strings give their bytes without a copy; a bridged one, which Linux has not, is copied.
        if let hash = unsafe text.utf8.withContiguousStorageIfAvailable({
            // SAFETY: the pointer is valid for `count` bytes during the closure.
            unsafe hashBytes($0.baseAddress, count: $0.count, seed: seed)
        }) {
            return hash
        }
        return hashBytes(Array(text.utf8).span, seed: seed)
    }
}
