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
    let evaluator: Evaluator

    /// `group_right`: the right side is the "many" side.
    private var isSwapped: Bool { matching.cardinality == .oneToMany }
    private var many: RowTable { isSwapped ? right : left }
    private var one: RowTable { isSwapped ? left : right }

    /// A row of the result, and the match group it came from.
    private struct Output {
        var name: RowLabels
        var group: Int
        var row: Row
    }

    func run(_ signatures: LabelIndex, _ sink: RowSink) throws(QueryError) {
        var signatures = signatures
        let hasFill = matching.fillLeft != nil || matching.fillRight != nil
        var members: [[Int]] = []
        for (index, entry) in one.entries.enumerated() {
            let (number, new) = signatures.number(of: entry.name.labels)
            if new != nil { members.append([]) }
            members[number].append(index)
        }
        if !hasFill, members.isEmpty || many.entries.isEmpty { return }
        try refuseDuplicates(members)

        let arena = RowArena(width: steps.count)
        var outputs: [Output] = []
        var byLabels: [LabelSet: [Int]] = [:]
        // One-to-one: the steps at which a group has its one result.
        var taken: [Int: Row] = [:]
        let fillOne = isSwapped ? matching.fillLeft : matching.fillRight
        let fillMany = isSwapped ? matching.fillRight : matching.fillLeft

        func emit(_ name: RowLabels, _ row: Row, group: Int) throws(QueryError) {
            if row.isEmpty { return }
            if matching.cardinality == .oneToOne {
                if let already = taken[group] {
                    for step in 0..<row.count where !row[step].isAbsent {
                        if !already[step].isAbsent { throw .manyToOne }
                        already[step] = 1
                    }
                } else {
                    taken[group] = arena.makeCopy(of: row)
                }
            }
            for index in byLabels[name.labels] ?? [] {
                let target = outputs[index].row
                var overlaps = false
                for step in 0..<row.count where !row[step].isAbsent && !target[step].isAbsent { overlaps = true }
                if overlaps { throw outputs[index].group == group ? .groupingNotUnique : .duplicateLabels }
                for step in 0..<row.count where !row[step].isAbsent { target[step] = row[step] }
                return
            }
            byLabels[name.labels, default: []].append(outputs.count)
            outputs.append(Output(name: name, group: group, row: arena.makeCopy(of: row)))
        }

        let scratch = arena.makeRow()
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
                combine(
                    scratch, binary.op, with: ScalarColumn.constant(fillOne), isSwapped: isSwapped,
                    returnsBool: binary.returnsBool)
                try emit(resultName(entry.name, nil), scratch, group: group)
            }
            for member in members[group] {
                let other = one.entries[member]
                scratch.copy(from: entry.row)
                join(scratch, other.row)
                try emit(resultName(entry.name, other.name), scratch, group: group)
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
                    join(scratch, other.row)
                    let labels = RowLabels(labels: matchLabels(other.name.labels), dropsName: other.name.dropsName)
                    try emit(resultName(labels, other.name), scratch, group: group)
                }
            }
        }
        for output in outputs { try sink(output.name, output.row) }
    }

    /// `target op other`, with `target` from the "many" side. What a comparison keeps is the left operand's value.
    private func join(_ target: Row, _ other: Row) {
        let isFilter = binary.op.isComparison && !binary.returnsBool
        guard isFilter, isSwapped else {
            return combine(target, binary.op, with: other, isSwapped: isSwapped, returnsBool: binary.returnsBool)
        }
        combine(target, binary.op, with: other, isSwapped: true, returnsBool: false)
        for step in 0..<target.count where !target[step].isAbsent { target[step] = other[step] }
    }

    private func matchLabels(_ labels: LabelSet) -> LabelSet {
        matching.isOn
            ? labels.filtered(matching.labels, keep: true)
            : labels.filtered(matching.labels + [LabelNames.name], keep: false)
    }

    /// What the result of two series is called; `other`, of the "one" side, may be missing under `fill`.
    private func resultName(_ name: RowLabels, _ other: RowLabels?) -> RowLabels {
        var result = name
        if binary.op.changesMetric || (binary.returnsBool && !evaluator.delaysNameRemoval) {
            result.labels = result.labels.withoutReserved
            result.dropsName = false
        } else if binary.returnsBool {
            result.dropsName = true
        }
        if matching.cardinality == .oneToOne {
            result.labels = result.labels.filtered(matching.labels, keep: matching.isOn)
        }
        if !matching.include.isEmpty {
            result.labels = result.labels.setting(matching.include.map { ($0, other?.labels[$0]) })
        }
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

    private func duplicateError(_ labels: LabelSet, _ earlier: LabelSet) -> QueryError {
        .execution(
            "found duplicate series for the match group \(matchLabels(labels).quotedDescription) on the "
                + "\(isSwapped ? "left" : "right") hand-side of the operation: [\(labels.quotedDescription), "
                + "\(earlier.quotedDescription)];many-to-many matching not allowed: matching labels must be unique on one side")
    }
}

extension QueryError {
    static let manyToOne = QueryError.execution(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
    static let groupingNotUnique = QueryError.execution(
        "multiple matches for labels: grouping labels must ensure unique matches")
}
