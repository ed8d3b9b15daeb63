import ApusBytes
import ApusModel
import ApusStorage

/// Runs one query: start at `vector`.
///
/// Rows are pushed: a node hands each of its series to the `sink` of its parent, which changes it in place, folds it into
/// something smaller, or passes it on. A chain of functions and aggregations so holds one row at a time. Where an operand
/// has to be seen whole, a `RowTable` collects it.
///
/// Used by one thread. Depth of recursion is that of the query's brackets; chains of operators are walked in a loop.
final class Evaluator {
    let expression: Expression
    let plan: QueryPlan
    let options: EngineOptions
    let lookbackMs: Int64
    let querier: (any Querier)?
    /// Has threads that may help; `nil` for an evaluation on one thread.
    let executor: QueryExecutor?
    let bounds: QueryGuard
    let annotations: Annotations
    let limit: Int
    /// Nil unless the query is to be explained.
    let tracer: QueryTracer?

    private(set) var seriesSelected = 0
    let neededLabels: NeededLabels
    private var namelessLabels = NamelessLabels()
    /// The metric that was last found to be named like a counter.
    var knownCounter = ByteString()

    init(
        _ expression: Expression, plan: QueryPlan, options: EngineOptions, lookbackMs: Int64, limit: Int,
        querier: (any Querier)?, executor: QueryExecutor?, bounds: QueryGuard, tracer: QueryTracer? = nil
    ) {
        self.expression = expression
        self.plan = plan
        self.options = options
        self.lookbackMs = lookbackMs
        self.limit = limit
        self.querier = querier
        self.executor = executor
        self.bounds = bounds
        self.tracer = tracer
        annotations = Annotations(query: expression.query)
        neededLabels = NeededLabels(expression, plan, delaysNameRemoval: options.enableDelayedNameRemoval)
    }

    var delaysNameRemoval: Bool { options.enableDelayedNameRemoval }

    func countSelected(_ series: Int) { seriesSelected += series }

    /// What `vector` does, untold: call that.
    // `dynamic` as `vector` is, and for the same reason.
    dynamic func evaluate(_ id: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        try bounds.check()
        if steps.count > 1, plan.isInvariant[id.index] {
            let wide = RowArena(width: steps.count).makeRow()
            try vector(id, steps.first, counting: bounds.scope.invariant(steps.count)) { (name, row) throws(QueryError) in
                if row.mayHoldHistograms { wide.fill(fromFirstOf: row) } else { wide.fill(row[0]) }
                try sink(name, wide)
            }
            return
        }
        switch expression[id].kind {
        case .paren(let operand): try vector(operand, steps, sink)
        case .unary(let isNegative, let operand):
            if !isNegative { return try vector(operand, steps, sink) }
            try unnamed(operand, steps, keepsHistograms: true, sink) { (row) throws(QueryError) in
                if row.mayHoldHistograms { row.negateMixed() } else { row.map { -$0 } }
            }
        case .vectorSelector(let selector):
            try instantSelector(id, selector, steps, wants: .value, sink)
        case .call(let call): try self.call(id, call, steps, sink)
        case .aggregate(let aggregation): try aggregate(id, aggregation, steps, sink)
        case .binary: try binary(id, steps, sink)
        case .number, .string, .matrixSelector, .subquery:
            throw .execution("unexpected \(expression[id].type.documentedName) where an instant vector is needed")
        }
    }

    /// Collects a whole operand.
    func table(_ id: NodeID, _ steps: Steps) throws(QueryError) -> RowTable {
        let table = RowTable(steps: steps, bounds: bounds)
        try vector(id, steps) { (name, row) throws(QueryError) in
            if !row.isEmpty { try table.append(name, copying: row) }
        }
        return table
    }

    /// Evaluates a string: it is the same at every step.
    func text(_ id: NodeID) throws(QueryError) -> ByteString {
        switch expression[expression.unwrapped(id)].kind {
        case .string(let value): return value
        default: throw .execution("unexpected \(expression[id].type.documentedName) where a string is needed")
        }
    }

    /// The name of a result that is no longer its operand's metric.
    func dropName(_ name: RowLabels) -> RowLabels {
        delaysNameRemoval ? RowLabels(labels: name.labels, dropsName: true) : RowLabels(labels: namelessLabels[name.labels])
    }

    /// Changes each row of an operand in place and drops names.
    /// - Parameter keepsHistograms: whether `change` looks after histograms; else it sees floats only.
    func unnamed(
        _ operand: NodeID, _ steps: Steps, keepsHistograms: Bool = false, _ sink: RowSink,
        _ change: (Row) throws(QueryError) -> Void
    ) throws(QueryError) {
        let merged = mergedRows(unless: plan.isDistinctWithoutName[operand.index], steps)
        try vector(operand, steps) { (name, row) throws(QueryError) in
            try bounds.work(row.count)
            if !keepsHistograms, row.mayHoldHistograms { row.dropHistograms() }
            try change(row)
            try pass(dropName(name), row, merged, sink)
        }
        try merged?.table.forEach(sink)
    }

    /// What joins rows that end up with the same labels; `nil` when they cannot, and may pass straight through.
    func mergedRows(unless isDistinct: Bool, _ steps: Steps) -> MergedRows? {
        isDistinct || delaysNameRemoval ? nil : MergedRows(steps: steps, bounds: bounds)
    }

    /// Hands a row on, or keeps it to be joined with others. Two samples with the same labels at one step are an error.
    func pass(_ name: RowLabels, _ row: Row, _ merged: MergedRows?, _ sink: RowSink) throws(QueryError) {
        guard let merged else { return try sink(name, row) }
        guard try merged.add(name, row) else { throw .duplicateLabels }
    }
}

/// Rows joined by their labels.
final class MergedRows {
    let table: RowTable
    private var indices: [LabelSet: Int] = [:]

    init(steps: Steps, bounds: QueryGuard) { table = RowTable(steps: steps, bounds: bounds) }

    /// - Returns: false when a row with these labels has a sample at one of the same steps.
    func add(_ name: RowLabels, _ row: Row) throws(QueryError) -> Bool {
        guard let index = indices[name.labels] else {
            if row.isEmpty { return true }
            indices[name.labels] = table.entries.count
            try table.append(name, copying: row)
            return true
        }
        return table.entries[index].row.absorb(row)
    }
}
