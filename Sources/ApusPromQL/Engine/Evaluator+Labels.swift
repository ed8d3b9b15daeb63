import ApusBytes
import ApusModel
import ApusRegex

extension Evaluator {
    /// `label_replace(v, dst, replacement, src, regex)`
    func labelReplace(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let destination = try text(call.arguments[1])
        let replacement = try text(call.arguments[2])
        let source = try text(call.arguments[3])
        let pattern = try text(call.arguments[4])
        let regex: AnchoredRegex
        do { regex = try AnchoredRegex(pattern) } catch {
            throw .execution("invalid regular expression in label_replace(): \(pattern)")
        }
        guard destination.isValidLabelName else {
            throw .execution("invalid destination label name in label_replace(): \(destination)")
        }
        try relabel(call.arguments[0], steps, destination, sink) { labels in
            let value = labels[source] ?? ByteString()
            return regex.expand(template: replacement, in: value.bytes.span)
        }
    }

    /// `label_join(v, dst, separator, src…)`
    func labelJoin(_ call: Call, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        let destination = try text(call.arguments[1])
        let separator = try text(call.arguments[2])
        var sources: [ByteString] = []
        for argument in call.arguments.dropFirst(3) {
            let source = try text(argument)
            guard source.isValidLabelName else {
                throw .execution("invalid source label name in label_join(): \(source)")
            }
            sources.append(source)
        }
        guard destination.isValidLabelName else {
            throw .execution("invalid destination label name in label_join(): \(destination)")
        }
        try relabel(call.arguments[0], steps, destination, sink) { labels in
            var joined: [UInt8] = []
            for (index, source) in sources.enumerated() {
                if index > 0 { joined += separator.bytes }
                joined += labels[source]?.bytes ?? []
            }
            return ByteString(joined)
        }
    }

    /// Sets one label of each series; `nil` from `value` leaves a series as it is.
    private func relabel(
        _ operand: NodeID, _ steps: Steps, _ destination: ByteString, _ sink: RowSink, _ value: (LabelSet) -> ByteString?
    ) throws(QueryError) {
        // Series that never have a sample at the same step may end up as one.
        let merged = MergedRows(steps: steps, bounds: bounds)
        try vector(operand, steps) { (name, row) throws(QueryError) in
            var name = name
            if let value = value(name.labels) {
                name.labels = name.labels.setting([(destination, value)])
                // A name that is set on purpose stays.
                if destination == LabelNames.name { name.dropsName = false }
            }
            guard try merged.add(name, row) else { throw .duplicateLabels }
        }
        try merged.table.forEach(sink)
    }
}
