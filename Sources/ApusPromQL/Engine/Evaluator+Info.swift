import ApusBytes
import ApusModel
import ApusStorage

/// `info(v, {…})`: each series of `v` gets the labels of the info series of its target.
///
///     v               requests{job="a", instance="b", code="200"}                       5
///     info series     target_info{job="a", instance="b", version="1.2", region="x"}     1
///     result          requests{job="a", instance="b", code="200", version="1.2", region="x"}  5
///
/// Both are joined by the labels that tell what an info series is of, `instance` and `job`; its others are data. Of two
/// info series of one metric and target the one with the newer sample counts, so that a change of data, which begins a
/// new series, is no conflict.
extension Evaluator {
    private static let identifyingLabels: [ByteString] = ["instance", "job"]
    private static let defaultInfoMetric: ByteString = "target_info"

    /// What the second argument of `info` asks for.
    private struct InfoSelector {
        /// Which metrics are info series.
        var names: [Matcher]
        /// What their data labels must be. Where there are any, no others are copied.
        var data: [Matcher]

        func isInfo(_ labels: LabelSet) -> Bool {
            let name = labels[LabelNames.name] ?? ByteString()
            return names.allSatisfy { $0.matches(name.bytes.span) }
        }

        func copies(_ label: ByteString) -> Bool {
            label != LabelNames.name && (data.isEmpty || data.contains { $0.name == label })
        }

        /// Whether a series without info series is to be left out.
        var isRequired: Bool { data.contains { !$0.matchesEmpty } }
    }

    private func infoSelector(_ call: Call) throws(QueryError) -> InfoSelector {
        var result = InfoSelector(names: [], data: [])
        if call.arguments.count > 1, case .vectorSelector(let selector) = expression[call.arguments[1]].kind {
            for matcher in selector.matchers {
                if matcher.name == LabelNames.name { result.names.append(matcher) } else { result.data.append(matcher) }
            }
        }
        if result.names.isEmpty {
            result.names = [Matcher(LabelNames.name, equals: Self.defaultInfoMetric)]
        } else if !result.names.contains(where: { $0.kind == .equal || $0.kind == .regex }) {
            // What is excluded says nothing of what an info metric is; their names do.
            result.names.insert(try infoMatcher(LabelNames.name, ".+_info"), at: 0)
        }
        return result
    }

    private func infoMatcher(_ label: ByteString, _ pattern: ByteString) throws(QueryError) -> Matcher {
        do { return try Matcher(label, .regex, pattern) } catch {
            throw .execution("info() cannot look up the series of so many targets: \(error)")
        }
    }

    /// An info series, and when its samples were taken.
    private struct InfoSeries {
        let labels: LabelSet
        /// At each step the time of the sample in seconds.
        let times: Row
    }

    func info(_ id: NodeID, _ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let selector = try infoSelector(call)
        let base = try table(call.arguments[0], steps)
        let arena = RowArena(width: steps.count)
        let series = try infoSeries(id, selector, base, steps, arena)

        // By metric and target, in order of metrics.
        var groups: [LabelSet: [Int]] = [:]
        var metrics: [ByteString] = []
        for (index, one) in series.enumerated() {
            groups[target(of: one.labels, metric: one.labels[LabelNames.name]), default: []].append(index)
            let metric = one.labels[LabelNames.name] ?? ByteString()
            if !metrics.contains(metric) { metrics.append(metric) }
        }
        metrics.sort()
        var newest: [LabelSet: [Int]] = [:]
        for (key, members) in groups { newest[key] = try newestSeries(members, series, steps) }

        let merged = MergedRows(steps: steps, bounds: bounds)
        let part = arena.makeRow()
        for entry in base.entries {
            try bounds.work(steps.count)
            if selector.isInfo(entry.name.labels) {
                guard try merged.add(entry.name, entry.row) else { throw .duplicateLabels }
                continue
            }
            let choices = metrics.compactMap { newest[target(of: entry.name.labels, metric: $0)] }
            for (chosen, covered) in stepsByChoice(choices, entry.row) {
                if chosen.isEmpty, selector.isRequired { continue }
                part.copy(from: entry.row)
                for step in 0..<part.count where !covered[step] { part[step] = Absent.value }
                var name = entry.name
                name.labels = try enriched(name.labels, with: chosen.map { series[$0].labels }, selector)
                guard try merged.add(name, part) else { throw .duplicateLabels }
            }
        }
        try merged.table.forEach(sink)
    }

    /// The labels that an info series shares with the series it informs of, and its metric.
    private func target(of labels: LabelSet, metric: ByteString?) -> LabelSet {
        labels.filtered(Self.identifyingLabels, keep: true).setting([(LabelNames.name, metric)])
    }

    /// Reads the info series of all targets that occur in `base`.
    private func infoSeries(
        _ id: NodeID, _ selector: InfoSelector, _ base: RowTable, _ steps: Steps, _ arena: RowArena
    ) throws(QueryError) -> [InfoSeries] {
        var matchers = selector.names + selector.data
        var isIdentified = false
        for label in Self.identifyingLabels {
            var values: Set<ByteString> = []
            for entry in base.entries where !selector.isInfo(entry.name.labels) {
                if let value = entry.name.labels[label] { values.insert(value) }
            }
            if values.isEmpty { continue }
            isIdentified = true
            let pattern = values.sorted().map { quotedPattern($0.bytes) }.joined(separator: [UInt8(ascii: "|")])
            matchers.append(try infoMatcher(label, ByteString(Array(pattern))))
        }
        guard isIdentified else { return [] }

        let references = infoReferences(id, steps)
        let (minTimeMs, maxTimeMs) = (
            QueryPlan.clamped(references.firstMs - lookbackMs + 1), QueryPlan.clamped(references.lastMs)
        )
        let probe = VectorSelector(name: ByteString(), matchers: matchers)
        let set = try select(probe, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, rangeMs: 0, function: "info", steps)
        let scratch = ColumnScratch()
        var result: [InfoSeries] = []
        for index in 0..<set.count {
            try decode(set, index, minTimeMs, maxTimeMs, into: scratch)
            if scratch.columns.count == 0 { continue }
            if scratch.columns.hasHistograms { throw .execution("info sample should be float") }
            let times = arena.makeRow()
            let found = withExtendedLifetime(scratch) {
                selectInstant(
                    into: times, from: Samples(scratch), at: references, lookbackMs: lookbackMs, wantsTimestamps: true)
            }
            if found == 0 { continue }
            bounds.touch(found)
            bounds.read(found)
            if bounds.steps != nil { countSteps(times) }
            result.append(InfoSeries(labels: set.labels(at: index), times: times))
        }
        return result
    }

    /// The moments at which info series are looked up: those of the first selector in `v`.
    private func infoReferences(_ id: NodeID, _ steps: Steps) -> References {
        let placement = plan.placements[id.index]
        return References(steps: steps, atMs: placement.atMs, offsetMs: placement.offsetMs)
    }

    /// At each step the series of a metric and target whose sample is the newest; −1 where none has one.
    private func newestSeries(_ members: [Int], _ series: [InfoSeries], _ steps: Steps) throws(QueryError) -> [Int] {
        var result = [Int](repeating: -1, count: steps.count)
        for step in 0..<steps.count {
            for member in members where !series[member].times[step].isAbsent {
                let best = result[step]
                let time = series[member].times[step]
                if best < 0 || series[best].times[step] < time {
                    result[step] = member
                } else if series[best].times[step] == time {
                    func text(_ index: Int) -> String {
                        let milliseconds = Int64(exactly: (series[index].times[step] * 1_000).rounded()) ?? 0
                        return "\(series[index].labels.quotedDescription) @ \(milliseconds)"
                    }
                    throw .execution("found duplicate series for info metric: existing \(text(best)), new \(text(member))")
                }
            }
        }
        return result
    }

    /// Sorts the steps at which a row has a sample by the info series chosen there.
    private func stepsByChoice(_ choices: [[Int]], _ row: Row) -> [(chosen: [Int], covered: [Bool])] {
        var result: [(chosen: [Int], covered: [Bool])] = []
        var indices: [[Int]: Int] = [:]
        for step in 0..<row.count where !row[step].isAbsent {
            let chosen = choices.compactMap { $0[step] < 0 ? nil : $0[step] }
            let index = indices[chosen] ?? result.count
            if index == result.count {
                indices[chosen] = index
                result.append((chosen, [Bool](repeating: false, count: row.count)))
            }
            result[index].covered[step] = true
        }
        return result
    }

    private func enriched(_ labels: LabelSet, with infos: [LabelSet], _ selector: InfoSelector) throws(QueryError) -> LabelSet {
        var added: [ByteString: ByteString] = [:]
        for info in infos {
            for label in info where selector.copies(label.name) && labels[label.name] == nil {
                if let other = added[label.name], other != label.value {
                    throw .execution("conflicting label: \(label.name)")
                }
                added[label.name] = label.value
            }
        }
        return labels.setting(added.map { ($0.key, $0.value) })
    }
}

/// A pattern that matches a text and nothing else.
private func quotedPattern(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    for byte in text {
        if "\\.+*?()|[]{}^$".utf8.contains(byte) { result.append(UInt8(ascii: "\\")) }
        result.append(byte)
    }
    return result
}
