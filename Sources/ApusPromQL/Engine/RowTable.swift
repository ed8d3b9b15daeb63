/// Rows that stay: an operand that has to be seen whole.
final class RowTable {
    struct Entry {
        let name: RowLabels
        let row: Row
    }

    let steps: Steps
    let arena: RowArena
    private(set) var entries: [Entry] = []
    private let bounds: QueryGuard
    private var held = 0

    init(steps: Steps, bounds: QueryGuard) {
        self.steps = steps
        self.bounds = bounds
        arena = RowArena(width: steps.count)
    }

    deinit { bounds.release(held) }

    /// Takes a new, empty row.
    func makeRow(_ name: RowLabels) throws(QueryError) -> Row {
        let row = arena.makeRow()
        try add(name, row)
        return row
    }

    /// Keeps a copy of `row`.
    func append(_ name: RowLabels, copying row: Row) throws(QueryError) {
        try hold(row.mayHoldHistograms ? row.weight : row.presentCount)
        entries.append(Entry(name: name, row: arena.makeCopy(of: row)))
    }

    /// Counts all steps of the row, as any of them may be filled.
    private func add(_ name: RowLabels, _ row: Row) throws(QueryError) {
        try hold(row.count)
        entries.append(Entry(name: name, row: row))
    }

    private func hold(_ samples: Int) throws(QueryError) {
        held += samples
        try bounds.hold(samples)
    }

    /// Passes each row that has a sample to `sink`.
    func forEach(_ sink: RowSink) throws(QueryError) {
        for entry in entries where !entry.row.isEmpty { try sink(entry.name, entry.row) }
    }
}

/// Takes one row of a result. The row is lent: it may be changed in place, and not kept.
typealias RowSink = (_ name: RowLabels, _ row: Row) throws(QueryError) -> Void
