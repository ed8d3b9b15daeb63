import ApusBytes
import ApusModel

extension Evaluator {
    func aggregate(_ id: NodeID, _ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        switch aggregation.op {
        case .sum: try fold(aggregation, steps, sink) { SumFold($0) }
        case .avg: try fold(aggregation, steps, sink) { MeanFold($0) }
        case .count: try fold(aggregation, steps, sink) { CountFold($0, isGroup: false) }
        case .group: try fold(aggregation, steps, sink) { CountFold($0, isGroup: true) }
        case .min: try fold(aggregation, steps, sink) { ExtremeFold($0, isMaximum: false) }
        case .max: try fold(aggregation, steps, sink) { ExtremeFold($0, isMaximum: true) }
        case .stddev: try fold(aggregation, steps, sink) { VarianceFold($0, takesRoot: true) }
        case .stdvar: try fold(aggregation, steps, sink) { VarianceFold($0, takesRoot: false) }
        case .quantile: try quantileAggregate(aggregation, steps, sink)
        case .countValues: try countValues(aggregation, steps, sink)
        case .topk, .bottomk: try extremes(id, aggregation, steps, sink)
        case .limitk: try limit(aggregation, steps, sink)
        case .limitRatio: try limitRatio(aggregation, steps, sink)
        }
    }

    /// The groups of an aggregation, numbered as they come.
    private func grouping(_ aggregation: Aggregation) -> LabelIndex {
        if aggregation.isWithout { return LabelIndex(aggregation.grouping + LabelNames.reserved, keeps: false) }
        return LabelIndex(aggregation.grouping, keeps: true)
    }

    /// Folds each row into its group's as it comes. Memory is groups × steps.
    private func fold(
        _ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink, _ makeFold: (RowArena) -> any Fold
    ) throws(QueryError) {
        var groups = grouping(aggregation)
        var names: [RowLabels] = []
        var folds: [any Fold] = []
        let arena = RowArena(width: steps.count)
        var mixed: [Int: HistogramFold] = [:]
        var held = 0
        defer { bounds.release(held) }
        try vector(aggregation.operand, steps) { (name, row) throws(QueryError) in
            let (number, labels) = groups.number(of: name.labels)
            if let labels {
                names.append(RowLabels(labels: labels, dropsName: name.dropsName))
                let fold = makeFold(arena)
                folds.append(fold)
                held += fold.stateRows * steps.count
                try bounds.hold(fold.stateRows * steps.count)
            }
            try bounds.work(row.count)
            if row.mayHoldHistograms || !mixed.isEmpty {
                held += try prepare(row, name, number, aggregation, folds[number], &mixed)
            }
            folds[number].add(row)
        }
        for (number, name) in names.enumerated() {
            let row = folds[number].finish()
            mixed[number]?.finish(into: row)
            if !row.isEmpty { try sink(name, row) }
        }
    }

    /// An operand seen whole, its rows sorted into groups.
    private struct Grouped {
        let table: RowTable
        var names: [RowLabels] = []
        /// Indices of rows, by group.
        var members: [[Int]] = []
    }

    /// - Parameter ignoredAt: where to say that histograms are passed over; `nil` to keep them.
    private func grouped(
        _ aggregation: Aggregation, _ steps: Steps, histogramsIgnoredAt ignoredAt: Range<Int>?
    ) throws(QueryError) -> Grouped {
        var groups = grouping(aggregation)
        var result = Grouped(table: try operandTable(aggregation, steps, histogramsIgnoredAt: ignoredAt))
        for (index, entry) in result.table.entries.enumerated() {
            let (number, labels) = groups.number(of: entry.name.labels)
            if let labels {
                result.names.append(RowLabels(labels: labels, dropsName: entry.name.dropsName))
                result.members.append([])
            }
            result.members[number].append(index)
        }
        return result
    }

    private func parameter(_ aggregation: Aggregation, _ steps: Steps) throws(QueryError) -> (ScalarColumn, Range<Int>) {
        guard let parameter = aggregation.parameter else {
            throw .execution("aggregation \(aggregation.op.rawValue) needs a parameter")
        }
        return (try scalar(parameter, steps), expression[parameter].range)
    }

    private func quantileAggregate(_ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let (phi, position) = try parameter(aggregation, steps)
        if let bad = phi.first(where: { $0.isNaN || $0 < 0 || $0 > 1 }) {
            annotations.warnInvalidQuantile(bad, at: position)
        }
        let grouped = try grouped(
            aggregation, steps, histogramsIgnoredAt: expression[aggregation.operand].range)
        let row = RowArena(width: steps.count).makeRow()
        var values: [Double] = []
        for (name, members) in zip(grouped.names, grouped.members) {
            for step in 0..<steps.count {
                values.removeAll(keepingCapacity: true)
                for member in members {
                    let value = grouped.table.entries[member].row[step]
                    if !value.isAbsent { values.append(value) }
                }
                row[step] = values.isEmpty ? Absent.value : quantile(phi[step], of: &values)
            }
            try bounds.work(steps.count * members.count)
            try sink(name, row)
        }
    }

    /// `count_values("label", v)`: one series for each value that occurs in a group.
    private func countValues(_ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        guard let parameter = aggregation.parameter else { return }
        let label = try text(parameter)
        guard label.isValidLabelName else { throw .execution("invalid label name \(quoted(label.bytes))") }
        var names = aggregation.grouping
        if !aggregation.isWithout { names.append(label) }
        var groups =
            aggregation.isWithout
            ? LabelIndex(names + LabelNames.reserved, keeps: false) : LabelIndex(names, keeps: true)
        let result = RowTable(steps: steps, bounds: bounds)
        try vector(aggregation.operand, steps) { (name, row) throws(QueryError) in
            // A series mostly repeats few values: resolve labels once for each.
            var numbers: [UInt64: Int] = [:]
            for step in 0..<row.count where !row[step].isAbsent {
                let value = row[step]
                let isHistogram = value.isHistogramMark
                let key = value.isNaN ? Double.nan.bitPattern : value.bitPattern
                var number = isHistogram ? nil : numbers[key]
                if number == nil {
                    let text = isHistogram ? row.histogram(step)?.description ?? "" : NumberText.fixed(value)
                    let labels = name.labels.setting([(label, ByteString(text))])
                    let (found, new) = groups.number(of: labels)
                    if let new { _ = try result.makeRow(RowLabels(labels: new, dropsName: name.dropsName)) }
                    if !isHistogram { numbers[key] = found }
                    number = found
                }
                guard let number else { continue }
                let counts = result.entries[number].row
                counts[step] = counts[step].isAbsent ? 1 : counts[step] + 1
            }
            try bounds.work(row.count)
        }
        try result.forEach(sink)
    }

    // MARK: Picking series

    /// The parameter k of `topk` and its like: whole numbers of series.
    private func pickCount(_ aggregation: Aggregation, _ steps: Steps) throws(QueryError) -> ScalarColumn? {
        let (column, _) = try parameter(aggregation, steps)
        // Checked in Prometheus's order: nothing to pick is no error, even where another step holds NaN.
        if !column.contains(where: { !($0 < 1) && !$0.isNaN }), !column.contains(where: \.isNaN) { return nil }
        if column.contains(where: \.isNaN) { throw .execution("Parameter value is NaN") }
        if let low = column.first(where: { $0 <= -0x1p63 }) {
            throw .execution("Scalar value \(NumberText.general(low)) underflows int64")
        }
        if let high = column.first(where: { $0 >= 0x1p63 }) {
            throw .execution("Scalar value \(NumberText.general(high)) overflows int64")
        }
        return column
    }

    /// An operand of which nothing is picked may still be wrong.
    private func evaluateForErrors(_ aggregation: Aggregation, _ steps: Steps) throws(QueryError) {
        try vector(aggregation.operand, steps) { (_, _) throws(QueryError) in }
    }

    private func count(_ value: Double, atMost limit: Int) -> Int {
        value < 1 ? 0 : min(Int(exactly: value.rounded(.down)) ?? limit, limit)
    }

    private func extremes(_ id: NodeID, _ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        guard let counts = try pickCount(aggregation, steps) else { return try evaluateForErrors(aggregation, steps) }
        let isTop = aggregation.op == .topk
        let grouped = try grouped(aggregation, steps, histogramsIgnoredAt: expression[id].range)
        let table = grouped.table
        // One picked row a member; what was not picked at a step is blanked.
        for members in grouped.members {
            var order: [Int] = []
            var isPicked = [Bool](repeating: false, count: members.count)
            let rows = members.map { table.entries[$0].row }
            var picked = PickedValues(isTop: isTop)
            for step in 0..<steps.count {
                let count = count(counts[step], atMost: members.count)
                picked.removeAll()
                for (position, row) in rows.enumerated() where !row[step].isAbsent {
                    picked.offer(row[step], position, atMost: count)
                }
                for pick in picked.picks { isPicked[pick.position] = true }
                for (position, row) in rows.enumerated() where !isPicked[position] { row[step] = Absent.value }
                for pick in picked.picks { isPicked[pick.position] = false }
                if steps.count == 1 {
                    picked.sort()
                    order = picked.picks.map { members[$0.position] }
                }
            }
            try bounds.work(steps.count * members.count)
            // At a single moment the picked come in order of value.
            for member in steps.count == 1 ? order : members where !table.entries[member].row.isEmpty {
                try sink(table.entries[member].name, table.entries[member].row)
            }
        }
    }

    private func limit(_ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        guard let counts = try pickCount(aggregation, steps) else { return try evaluateForErrors(aggregation, steps) }
        let grouped = try grouped(aggregation, steps, histogramsIgnoredAt: nil)
        for members in grouped.members {
            for step in 0..<steps.count {
                var left = count(counts[step], atMost: members.count)
                for member in members {
                    let row = grouped.table.entries[member].row
                    if row[step].isAbsent { continue }
                    if left > 0 { left -= 1 } else { row[step] = Absent.value }
                }
            }
            for member in members where !grouped.table.entries[member].row.isEmpty {
                try sink(grouped.table.entries[member].name, grouped.table.entries[member].row)
            }
        }
    }

    /// `limit_ratio(r, v)`: a share of the series, the same ones each time, as the hash of their labels decides. A
    /// negative ratio picks the complement of the positive one.
    private func limitRatio(_ aggregation: Aggregation, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let (ratios, position) = try parameter(aggregation, steps)
        if !ratios.contains(where: { $0 != 0 }) { return try evaluateForErrors(aggregation, steps) }
        if ratios.contains(where: \.isNaN) { throw .execution("Ratio value is NaN") }
        if let high = ratios.first(where: { $0 > 1 }) { annotations.warnInvalidRatio(high, cappedTo: 1, at: position) }
        if let low = ratios.first(where: { $0 < -1 }) { annotations.warnInvalidRatio(low, cappedTo: -1, at: position) }
        try vector(aggregation.operand, steps) { (name, row) throws(QueryError) in
            let place = Double(seriesHash(name.labels)) / 0x1p64
            for step in 0..<row.count where !row[step].isAbsent {
                let ratio = min(max(ratios[step], -1), 1)
                let isPicked = ratio >= 0 ? place < ratio : place >= 1 + ratio
                if !isPicked { row[step] = Absent.value }
            }
            if !row.isEmpty { try sink(name, row) }
        }
    }
}
