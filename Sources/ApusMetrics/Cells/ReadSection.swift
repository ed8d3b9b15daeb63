import ApusModel

/// A critical section (`ThreadRecord.enter`) for other modules of this package, which find objects without a lock in tables
/// of their own: whatever was found lives until `end`, if who takes it out of the table gives it to a `Retirement`.
@safe
package struct ReadSection: ~Copyable {
    // Records are never freed.
    private let record: ThreadRecord.Pointer

    /// Nil for one thread of more than have a record of their own; it takes the table's lock instead.
    package static func begin() -> ReadSection? {
        guard let record = unsafe ThreadRecord.current ?? CellStore.shared.ownRecord() else { return nil }
        unsafe ThreadRecord.enter(record)
        return unsafe ReadSection(record: record)
    }

    package consuming func end() { unsafe ThreadRecord.leave(record) }
}

/// Keeps what was taken out of a table for as long as somebody may still look at it.
package final class Retirement: Sendable {
    private struct Retired {
        var waitingFor: [CellStore.Stay]
        let objects: [AnyObject & Sendable]
    }
    private let retired = Locked<[Retired]>([])

    package init() {}

    /// Takes over objects that nobody can find any more. Frees those of earlier calls that no section is left for.
    package func retire(_ objects: [AnyObject & Sendable]) {
        let fresh = Retired(waitingFor: CellStore.shared.inside(), objects: objects)
        let free = retired.withLock { retired -> [Retired] in
            retired.append(fresh)
            for index in retired.indices { retired[index].waitingFor.removeAll { !$0.isLasting } }
            let free = retired.filter { $0.waitingFor.isEmpty }
            retired.removeAll { $0.waitingFor.isEmpty }
            return free
        }
        // Outside of the lock: what the objects do when they are freed is theirs.
        _ = consume free
    }

    package var count: Int { retired.withLock { $0.count } }
}
