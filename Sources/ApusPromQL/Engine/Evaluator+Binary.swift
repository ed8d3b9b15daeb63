import ApusBytes
import ApusModel

extension Evaluator {
    /// Chains longer than this are walked in a loop, with each result kept whole, so that `x+x+…` cannot exhaust the stack.
    private static let maxStreamedChain = 64

    /// Evaluates an operator of which at least one operand is a vector.
    func binary(_ id: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        var chain: [BinaryExpression] = []
        var ranges: [Range<Int>] = []
        var current = id
        while case .binary(let binary) = expression[current].kind, chain.count <= Self.maxStreamedChain {
            chain.append(binary)
            ranges.append(expression[current].range)
            current = expression.unwrapped(binary.left)
        }
        if chain.count <= Self.maxStreamedChain {
            return try binary(chain[0], range: ranges[0], leftTable: nil, steps, sink)
        }
        while case .binary(let binary) = expression[current].kind {
            chain.append(binary)
            ranges.append(expression[current].range)
            current = expression.unwrapped(binary.left)
        }
        // The lowest part of the chain whose left operand is a vector; below it all is scalar.
        while let last = chain.last, expression[last.left].type == .scalar, expression[last.right].type == .scalar {
            chain.removeLast()
        }
        var left: RowTable?
        for (position, binary) in chain.enumerated().reversed() {
            if position == 0 { return try self.binary(binary, range: ranges[0], leftTable: left, steps, sink) }
            let result = RowTable(steps: steps, bounds: bounds)
            try self.binary(binary, range: ranges[position], leftTable: left, steps) { (name, row) throws(QueryError) in
                if !row.isEmpty { try result.append(name, copying: row) }
            }
            left = result
        }
    }

    /// - Parameter range: of the operation in the query.
    /// - Parameter leftTable: the left operand if it was evaluated already.
    private func binary(
        _ binary: BinaryExpression, range: Range<Int>, leftTable: RowTable?, _ steps: Steps, _ sink: RowSink
    ) throws(QueryError) {
        let mixed = MixedOperator(op: binary.op, returnsBool: binary.returnsBool, annotations: annotations, range: range)
        let leftIsScalar = expression[binary.left].type == .scalar
        if leftIsScalar || expression[binary.right].type == .scalar {
            let other = try scalar(leftIsScalar ? binary.left : binary.right, steps)
            let operand = leftIsScalar ? binary.right : binary.left
            let drops = binary.op.changesMetric || binary.returnsBool
            let merged = mergedRows(unless: !drops || plan.isDistinctWithoutName[operand.index], steps)
            try self.operand(operand, leftIsScalar ? nil : leftTable, steps) { (name, row) throws(QueryError) in
                try bounds.work(row.count)
                if row.mayHoldHistograms || binary.op.isTrim {
                    mixed.combine(row, with: other, isSwapped: leftIsScalar)
                } else {
                    combine(row, binary.op, with: other, isSwapped: leftIsScalar, returnsBool: binary.returnsBool)
                }
                try pass(drops ? dropName(name) : name, row, merged, sink)
            }
            try merged?.table.forEach(sink)
            return
        }
        let matching = binary.matching ?? VectorMatching()
        let signatures =
            matching.isOn
            ? LabelIndex(matching.labels, keeps: true)
            : LabelIndex(matching.labels + [LabelNames.name], keeps: false)
        if binary.op.isSetOperator {
            try setOperator(binary, leftTable, signatures, steps, sink)
        } else {
            var leftRows: RowTable
            if let leftTable { leftRows = leftTable } else { leftRows = try table(binary.left, steps) }
            let rightRows = try table(binary.right, steps)
            let join = VectorJoin(
                binary: binary, matching: matching, left: leftRows, right: rightRows, steps: steps, mixed: mixed, evaluator: self)
            try join.run(signatures, sink)
        }
    }

    /// Passes the rows of an operand, which may have been evaluated already.
    private func operand(_ id: NodeID, _ table: RowTable?, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        if let table { try table.forEach(sink) } else { try vector(id, steps, sink) }
    }

    // MARK: and, or, unless

    /// For each match group, the steps at which it has a sample.
    private struct GroupPresence {
        var signatures: LabelIndex
        var rows: [Row] = []
        let arena: RowArena

        mutating func add(_ labels: LabelSet, _ row: Row) {
            let (number, new) = signatures.number(of: labels)
            if new != nil { rows.append(arena.makeRow()) }
            let presence = rows[number]
            for step in 0..<row.count where !row[step].isAbsent { presence[step] = 1 }
        }

        func row(of labels: LabelSet) -> Row? { signatures.existingNumber(of: labels).map { rows[$0] } }
    }

    private func setOperator(
        _ binary: BinaryExpression, _ leftTable: RowTable?, _ signatures: LabelIndex, _ steps: Steps, _ sink: RowSink
    ) throws(QueryError) {
        var presence = GroupPresence(signatures: signatures, arena: RowArena(width: steps.count))
        if binary.op == .or {
            // A series may come from the left at some steps and from the right at others.
            let merged = MergedRows(steps: steps, bounds: bounds)
            try operand(binary.left, leftTable, steps) { (name, row) throws(QueryError) in
                presence.add(name.labels, row)
                guard try merged.add(name, row) else { throw .duplicateLabels }
            }
            try vector(binary.right, steps) { (name, row) throws(QueryError) in
                if let present = presence.row(of: name.labels) {
                    for step in 0..<row.count where !present[step].isAbsent { row[step] = Absent.value }
                }
                guard try merged.add(name, row) else { throw .duplicateLabels }
            }
            return try merged.table.forEach(sink)
        }
        try vector(binary.right, steps) { (name, row) throws(QueryError) in presence.add(name.labels, row) }
        let keepsMatched = binary.op == .and
        try operand(binary.left, leftTable, steps) { (name, row) throws(QueryError) in
            if let present = presence.row(of: name.labels) {
                for step in 0..<row.count where present[step].isAbsent == keepsMatched { row[step] = Absent.value }
            } else if keepsMatched {
                return
            }
            if !row.isEmpty { try sink(name, row) }
        }
    }
}
