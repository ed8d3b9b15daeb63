import ApusBytes
import ApusModel

/// Joins two vectors series by series for an arithmetic operator or a comparison.
///
/// Which series match is decided once, by their labels; whether a match is ambiguous is decided step by step, as a series
/// may end where another with the same match labels begins.
struct VectorJoin {
    let binary: BinaryExpression
    let matching: VectorMatching
    let left: RowTable
    let right: RowTable
    let steps: Steps
    /// Joins rows with histograms.
    let mixed: MixedOperator
    let evaluator: Evaluator
    /// What a match group is called, and what the labels of a one-to-one result are.
    private let matchFilter: LabelFilter
    private let resultFilter: LabelFilter

    init(
        binary: BinaryExpression, matching: VectorMatching, left: RowTable, right: RowTable, steps: Steps, mixed: MixedOperator,
        evaluator: Evaluator
    ) {
        self.binary = binary
        self.matching = matching
        self.left = left
        self.right = right
        self.steps = steps
        self.mixed = mixed
        self.evaluator = evaluator
        resultFilter = LabelFilter(matching.labels, keeps: matching.isOn)
        matchFilter = matching.isOn ? resultFilter : LabelFilter(matching.labels + [LabelNames.name], keeps: false)
    }

    /// `group_right`: the right side is the "many" side.
    private var isSwapped: Bool { matching.cardinality == .oneToMany }
    private var many: RowTable { isSwapped ? right : left }
    private var one: RowTable { isSwapped ? left : right }

    /// A row of the result, and the match group it came from.
    private struct Output {
        var name: RowLabels
        var group: Int
        var row: Row
        /// The steps at which there was a match, whatever came of it.
        var matched: Row
    }

    func run(_ signatures: LabelIndex, _ sink: RowSink) throws(QueryError) {
        var signatures = signatures
        let hasFill = matching.fillLeft != nil || matching.fillRight != nil
        var members: [[Int]] = []
        members.reserveCapacity(one.entries.count)
        signatures.reserveCapacity(one.entries.count)
        for (index, entry) in one.entries.enumerated() {
            let (number, new) = signatures.number(of: entry.name.labels)
            if new != nil { members.append([index]) } else { members[number].append(index) }
        }
        if !hasFill, members.isEmpty || many.entries.isEmpty { return }
        try refuseDuplicates(members)

        let arena = RowArena(width: steps.count)
        var outputs: [Output] = []
        var byLabels: [LabelSet: Int] = [:]
        outputs.reserveCapacity(many.entries.count)
        byLabels.reserveCapacity(many.entries.count)
        // One-to-one: the steps at which a group has its one result.
        var taken: [Row?] = matching.cardinality == .oneToOne ? Array(repeating: nil, count: members.count) : []
        // As Prometheus has it, the fill of the left is that of the "many" side even under `group_right`.
        let fillOne = matching.fillRight
        let fillMany = matching.fillLeft
        let scratch = arena.makeRow()
        // The steps at which the two sides of `scratch` met: a comparison that drops a sample has still matched it.
        let matched = isFilter ? arena.makeRow() : scratch

        func emit(_ name: RowLabels, group: Int) throws(QueryError) {
            if matched.isEmpty { return }
            if matching.cardinality == .oneToOne {
                while taken.count <= group { taken.append(nil) }
                if let already = taken[group] {
                    guard already.absorb(matched) else { throw .manyToOne }
                } else {
                    taken[group] = arena.makeCopy(of: matched)
                }
            }
            guard let index = byLabels[name.labels] else {
                byLabels[name.labels] = outputs.count
                let row = arena.makeCopy(of: scratch)
                outputs.append(
                    Output(name: name, group: group, row: row, matched: isFilter ? arena.makeCopy(of: matched) : row))
                return
            }
            let output = outputs[index]
            guard output.matched.absorb(matched) else {
                throw output.group == group ? .groupingNotUnique : .duplicateLabels
            }
            if isFilter { _ = output.row.absorb(scratch) }
        }

        // For `fill`: the steps at which a group of the "one" side met a sample.
        var met: [Row?] = Array(repeating: nil, count: members.count)
        for entry in many.entries {
            try evaluator.bounds.work(steps.count)
            let known = signatures.existingNumber(of: entry.name.labels)
            if known == nil, fillOne == nil { continue }
            let group = known ?? { signatures.number(of: entry.name.labels).number }()
            while members.count <= group {
                members.append([])
                met.append(nil)
            }
            if fillMany != nil {
                let seen = met[group] ?? arena.makeRow()
                met[group] = seen
                for step in 0..<seen.count where !entry.row[step].isAbsent { seen[step] = 1 }
            }
            // Where no series of the "one" side has a sample, `fill` stands in for it.
            if let fillOne {
                scratch.copy(from: entry.row)
                for member in members[group] {
                    let row = one.entries[member].row
                    for step in 0..<row.count where !row[step].isAbsent { scratch[step] = Absent.value }
                }
                join(scratch, ScalarColumn.constant(fillOne), matched)
                try emit(resultName(entry.name, nil), group: group)
            }
            for member in members[group] {
                let other = one.entries[member]
                scratch.copy(from: entry.row)
                join(scratch, other.row, matched)
                try emit(resultName(entry.name, other.name), group: group)
            }
        }
        if let fillMany {
            for (group, indices) in members.enumerated() {
                for member in indices {
                    let other = one.entries[member]
                    scratch.fill(fillMany)
                    for step in 0..<scratch.count where other.row[step].isAbsent { scratch[step] = Absent.value }
                    if let seen = met[group] {
                        for step in 0..<seen.count where !seen[step].isAbsent { scratch[step] = Absent.value }
                    }
                    join(scratch, other.row, matched)
                    let labels = RowLabels(labels: matchLabels(other.name.labels), dropsName: other.name.dropsName)
                    try emit(resultName(labels, other.name), group: group)
                }
            }
        }
        for output in outputs { try sink(output.name, output.row) }
    }

    private var isFilter: Bool { binary.op.isComparison && !binary.returnsBool }

    /// `target op other`, with `target` from the "many" side. What a comparison keeps is the left operand's value.
    ///
    /// - Parameter matched: for a filter, becomes the steps at which both sides have a sample.
    private func join(_ target: Row, _ other: some StepValues, _ matched: Row) {
        if isFilter {
            for step in 0..<target.count {
                matched[step] = target[step].isAbsent || other.value(step).isAbsent ? Absent.value : 1
            }
        }
        if target.mayHoldHistograms || other.mayHoldHistograms || binary.op.isTrim {
            mixed.combine(target, with: other, isSwapped: isSwapped, matched: isFilter ? matched : nil)
            guard isFilter, isSwapped else { return }
            for step in 0..<target.count where !target[step].isAbsent {
                if let left = other.sample(step) { target.setSample(left, at: step) }
            }
            return
        }
        combine(target, binary.op, with: other, isSwapped: isSwapped, returnsBool: binary.returnsBool)
        guard isFilter, isSwapped else { return }
        for step in 0..<target.count where !target[step].isAbsent { target[step] = other.value(step) }
    }

    private func matchLabels(_ labels: LabelSet) -> LabelSet { matchFilter.apply(to: labels) }

    /// What the result of two series is called; `other`, of the "one" side, may be missing under `fill`.
    private func resultName(_ name: RowLabels, _ other: RowLabels?) -> RowLabels {
        var result = name
        if binary.op.changesMetric {
            result.labels = result.labels.withoutReserved
            result.dropsName = false
        }
        if matching.cardinality == .oneToOne {
            result.labels = resultFilter.apply(to: result.labels)
        }
        if !matching.include.isEmpty {
            result.labels = result.labels.setting(matching.include.map { ($0, other?.labels[$0]) })
        }
        // After the labels of the other side, which may bring its name: that goes, too.
        if binary.returnsBool { result = evaluator.dropName(result) }
        return result
    }

    /// On the "one" side a match group must have one series at each step, or the other side none.
    private func refuseDuplicates(_ members: [[Int]]) throws(QueryError) {
        guard members.contains(where: { $0.count > 1 }) else { return }
        let anyMany = RowArena(width: steps.count).makeRow()
        for entry in many.entries {
            for step in 0..<steps.count where !entry.row[step].isAbsent { anyMany[step] = 1 }
        }
        for indices in members where indices.count > 1 {
            for step in 0..<steps.count where !anyMany[step].isAbsent {
                var earlier: Int?
                for index in indices where !one.entries[index].row[step].isAbsent {
                    guard let first = earlier else {
                        earlier = index
                        continue
                    }
                    throw duplicateError(one.entries[index].name.labels, one.entries[first].name.labels)
                }
            }
        }
    }

    private func duplicateError(_ a: LabelSet, _ b: LabelSet) -> QueryError {
        .execution(
            "found duplicate series for the match group \(matchLabels(a).quotedDescription) on the "
                + "\(isSwapped ? "left" : "right") hand-side of the operation: [\(min(a, b).quotedDescription), "
                + "\(max(a, b).quotedDescription)];many-to-many matching not allowed: matching labels must be unique on one side")
    }
}

extension QueryError {
    static let manyToOne = QueryError.execution(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
    static let groupingNotUnique = QueryError.execution(
        "multiple matches for labels: grouping labels must ensure unique matches")
}
