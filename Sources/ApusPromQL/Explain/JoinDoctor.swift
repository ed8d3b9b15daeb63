import ApusBytes
import ApusModel

/// Finds out which labels kept the two sides of an operator from meeting.
struct JoinDoctor {
    private let binary: BinaryExpression
    private let matching: VectorMatching
    private let isEmpty: Bool
    private let left: QueryTracer.Record
    private let right: QueryTracer.Record

    /// Values of a label that a reason lists for each side.
    private static let maxValues = 3
    private static let maxReasons = 4

    init(_ explainer: QueryExplainer, _ binary: BinaryExpression, _ matching: VectorMatching, isEmpty: Bool) {
        self.binary = binary
        self.matching = matching
        self.isEmpty = isEmpty
        left = explainer.tracer.records[binary.left.index]
        right = explainer.tracer.records[binary.right.index]
    }

    func reasons() -> [String] {
        if binary.op == .or { return isEmpty ? ["both operands are empty"] : [] }
        if left.samples == 0 && right.samples == 0 { return isEmpty ? ["both operands are empty"] : [] }
        if left.samples == 0 { return isEmpty ? ["its left operand is empty"] : [] }
        if right.samples == 0 { return isEmpty ? ["its right operand is empty"] : [] }
        var signatures =
            matching.isOn
            ? LabelIndex(matching.labels, keeps: true) : LabelIndex(matching.labels + [LabelNames.name], keeps: false)
        var onRight: Set<Int> = []
        for labels in right.labels { onRight.insert(signatures.number(of: labels).number) }
        var onLeft: Set<Int> = []
        var unmatched: [LabelSet] = []
        for labels in left.labels {
            let number = signatures.number(of: labels).number
            onLeft.insert(number)
            if !onRight.contains(number) { unmatched.append(labels) }
        }
        if binary.op == .unless {
            return isEmpty && unmatched.isEmpty ? ["every series on the left has a partner on the right"] : []
        }
        let alone = right.labels.filter { !onLeft.contains(signatures.number(of: $0).number) }
        if unmatched.isEmpty && alone.isEmpty {
            return isEmpty ? [isComparison ? "`\(binary.op.rawValue)` holds for none of the pairs" : "the partners have no step in common"] : []
        }
        var counts: [String] = []
        if !unmatched.isEmpty { counts.append("\(unmatched.count) of \(left.labels.count) series on the left") }
        if !alone.isEmpty, binary.op != .and || isEmpty { counts.append("\(alone.count) of \(right.labels.count) on the right") }
        if counts.isEmpty { return [] }
        if !isEmpty {
            // What an arithmetic operator or `and` leaves out is often meant to be; one line is enough.
            return ["\(counts.joined(separator: " and ")) found no partner"]
        }
        let head = "\(counts.joined(separator: " and ")) found no partner"
        return [head] + labelReasons(unmatched, alone.isEmpty ? right.labels : alone)
    }

    private var isComparison: Bool { binary.op.isComparison && !binary.returnsBool }

    /// Which of the labels that must agree do not.
    private func labelReasons(_ left: [LabelSet], _ right: [LabelSet]) -> [String] {
        let (onLeft, onRight) = (values(left), values(right))
        let names = Set(onLeft.keys).union(onRight.keys).sorted()
        var reasons: [String] = []
        for name in names where counts(name) {
            let (l, r) = (onLeft[name] ?? [], onRight[name] ?? [])
            if !l.isDisjoint(with: r) { continue }
            if r.isEmpty {
                reasons.append("the label \(name) is only on the left (\(sample(l)))\(advice(name))")
            } else if l.isEmpty {
                reasons.append("the label \(name) is only on the right (\(sample(r)))\(advice(name))")
            } else {
                reasons.append("the label \(name) has no value on both sides: left \(sample(l)), right \(sample(r))\(advice(name))")
            }
        }
        if reasons.count > Self.maxReasons {
            let more = reasons.count - Self.maxReasons
            return reasons.prefix(Self.maxReasons) + ["and \(counted(more, "further label"))"]
        }
        if reasons.isEmpty, !names.isEmpty {
            reasons.append("each label agrees somewhere, but no two series agree in all that must")
        }
        return reasons
    }

    /// Whether the operator looks at this label.
    private func counts(_ name: ByteString) -> Bool {
        matching.isOn ? matching.labels.contains(name) : name != LabelNames.name && !matching.labels.contains(name)
    }

    private func advice(_ name: ByteString) -> String {
        matching.isOn ? "" : ": leave it out with `ignoring (\(name))`, or name what must agree with `on (…)`"
    }

    private func values(_ sets: [LabelSet]) -> [ByteString: Set<ByteString>] {
        var result: [ByteString: Set<ByteString>] = [:]
        for labels in sets {
            for label in labels { result[label.name, default: []].insert(label.value) }
        }
        return result
    }

    private func sample(_ values: Set<ByteString>) -> String {
        let shown = values.sorted().prefix(Self.maxValues).map { quoted($0.bytes) }.joined(separator: ", ")
        return values.count > Self.maxValues ? "\(shown), …" : shown
    }
}
