import ApusBytes
import ApusModel
import ApusStorage

/// Turns what a tracer counted into an explanation.
struct QueryExplainer {
    let evaluator: Evaluator
    let tracer: QueryTracer
    let storage: any Queryable

    init(_ evaluator: Evaluator, _ tracer: QueryTracer, storage: any Queryable) {
        self.evaluator = evaluator
        self.tracer = tracer
        self.storage = storage
    }

    private var expression: Expression { evaluator.expression }

    func explanation() -> QueryExplanation {
        let totals = totalSeconds()
        var result = QueryExplanation(nodes: [])
        // The operand pushed last comes first.
        var open: [(id: NodeID, depth: Int)] = [(expression.root, 0)]
        while let (id, depth) = open.popLast() {
            if result.nodes.count == QueryExplanation.maxNodes {
                result.isTruncated = true
                break
            }
            result.nodes.append(node(id, depth: depth, totalSeconds: totals[id.index]))
            for child in operands(of: id).reversed() { open.append((child, depth + 1)) }
        }
        return result
    }

    /// A range selector is shown as one node, not as a range around a selector.
    private func operands(of id: NodeID) -> [NodeID] {
        if case .matrixSelector = expression[id].kind { return [] }
        return expression.children(of: id)
    }

    /// Children stand before their parents, so one pass adds all up.
    private func totalSeconds() -> [Double] {
        var totals = tracer.records.map { Double($0.ownNs) / 1e9 }
        for index in expression.nodes.indices {
            for child in operands(of: NodeID(index)) { totals[index] += totals[child.index] }
        }
        return totals
    }

    private func node(_ id: NodeID, depth: Int, totalSeconds: Double) -> ExplainedNode {
        let record = tracer.records[id.index]
        let (kind, operation) = describe(id)
        var node = ExplainedNode(
            depth: depth, kind: kind, operation: operation, range: expression[id].range, type: expression[id].type)
        node.evaluations = record.evaluations
        node.series = record.series
        node.samples = record.samples
        node.selfSeconds = Double(record.ownNs) / 1e9
        node.totalSeconds = totalSeconds
        switch expression[id].kind {
        case .vectorSelector, .matrixSelector:
            node.seriesIn = record.selectedSeries
            node.samplesIn = record.decodedSamples
        default:
            for child in operands(of: id) {
                node.seriesIn += tracer.records[child.index].series
                node.samplesIn += tracer.records[child.index].samples
            }
        }
        if record.evaluations > 0 { node.reasons = reasons(id, record, node) }
        return node
    }

    private func describe(_ id: NodeID) -> (kind: String, operation: String) {
        switch expression[id].kind {
        case .number: ("numberLiteral", expression.text(of: id))
        case .string: ("stringLiteral", expression.text(of: id))
        case .vectorSelector: ("vectorSelector", oneLine(expression.text(of: id)))
        case .matrixSelector: ("matrixSelector", oneLine(expression.text(of: id)))
        case .subquery(let subquery): ("subquery", Printer.suffix(of: subquery))
        case .call(let call): ("call", call.function.name.rawValue)
        case .aggregate(let aggregation):
            ("aggregation", Printer.head(of: aggregation).trimmingSuffix { $0 == " " })
        case .binary(let binary): ("binaryExpr", Printer.operatorText(binary))
        case .unary(let isNegative, _): ("unaryExpr", isNegative ? "-" : "+")
        case .paren: ("parenExpr", "( )")
        }
    }

    // MARK: Why

    private func reasons(_ id: NodeID, _ record: QueryTracer.Record, _ node: ExplainedNode) -> [String] {
        let isEmpty = record.samples == 0
        switch expression[id].kind {
        case .vectorSelector(let selector):
            guard isEmpty else { return [] }
            return SelectorDoctor(self, id, selector, rangeMs: nil).reasons()
        case .matrixSelector(let matrix):
            guard isEmpty, case .vectorSelector(let selector) = expression[matrix.selector].kind else { return [] }
            return SelectorDoctor(self, id, selector, rangeMs: evaluator.plan.placements[id.index].rangeMs).reasons()
        case .binary(let binary):
            if let matching = binary.matching { return JoinDoctor(self, binary, matching, isEmpty: isEmpty).reasons() }
            guard isEmpty else { return [] }
            if node.samplesIn == 0 { return [Self.noOperand] }
            return ["`\(binary.op.rawValue)` holds for none of the \(counted(node.samplesIn, "sample"))"]
        case .call(let call): return isEmpty ? callReasons(call, node) : []
        case .aggregate(let aggregation):
            guard isEmpty else { return [] }
            let wasAsked = tracer.records[aggregation.operand.index].evaluations > 0
            if aggregation.parameter == nil || (wasAsked && node.samplesIn == 0) { return [Self.noOperand] }
            return ["`\(aggregation.op.rawValue)` was asked for no element: its parameter is below 1"]
        case .subquery:
            guard isEmpty else { return [] }
            return node.samplesIn == 0 ? [Self.noOperand] : ["no step of the subquery lies in its range"]
        case .paren, .unary: return isEmpty ? [Self.noOperand] : []
        case .number, .string: return []
        }
    }

    static let noOperand = "its operand is empty"

    private func callReasons(_ call: Call, _ node: ExplainedNode) -> [String] {
        let name = call.function.name
        if name == .absent || name == .absentOverTime {
            return ["its operand has samples at every step, so nothing is absent"]
        }
        if let range = call.arguments.first(where: { expression[$0].type == .rangeVector }), node.samplesIn > 0 {
            return rangeReasons(name, expression.unwrapped(range), node)
        }
        if node.samplesIn == 0 { return [Self.noOperand] }
        switch name {
        case .histogramQuantile, .histogramFraction, .histogramQuantiles:
            return [
                "none of the \(counted(node.seriesIn, "series")) has a label `le` with a number, and none is a native histogram"
            ]
        case .histogramAvg, .histogramCount, .histogramSum, .histogramStddev, .histogramStdvar:
            return ["`\(name.rawValue)` looks at native histograms only, and its operand has none"]
        case .clamp: return ["the lower bound is above the upper one"]
        default: return []
        }
    }

    /// Functions that say nothing of a window with one sample.
    private static let needsTwo: Set<FunctionName> = [
        .rate, .increase, .delta, .irate, .idelta, .deriv, .predictLinear, .doubleExponentialSmoothing,
    ]

    private func rangeReasons(_ name: FunctionName, _ id: NodeID, _ node: ExplainedNode) -> [String] {
        guard Self.needsTwo.contains(name) else { return ["`\(name.rawValue)` has no result for any of the windows"] }
        let rangeMs = evaluator.plan.placements[id.index].rangeMs
        var interval: Int64?
        switch expression[id].kind {
        case .matrixSelector(let matrix):
            if case .vectorSelector(let selector) = expression[matrix.selector].kind {
                interval = SelectorDoctor(self, id, selector, rangeMs: rangeMs).intervalMs()
            }
        case .subquery: interval = evaluator.plan.placements[id.index].stepMs
        default: break
        }
        var text = "no window of \(formatDuration(rangeMs)) holds two samples, which `\(name.rawValue)` needs"
        if let interval {
            text += ": they are about \(formatDuration(rounded(interval))) apart"
            if rangeMs < 2 * interval {
                text +=
                    ", and the range is shorter than two intervals; ask for [\(formatDuration(rounded(4 * interval)))], or [\(formatDuration(rounded(2 * interval)))] at least"
            }
        }
        return [text]
    }
}

/// `1 series`, `2 samples`.
func counted(_ number: some BinaryInteger, _ noun: String) -> String {
    number == 1 || noun == "series" ? "\(number) \(noun)" : "\(number) \(noun)s"
}

/// Milliseconds of jitter are of no interest in an interval of seconds.
func rounded(_ milliseconds: Int64) -> Int64 {
    milliseconds < 2_000 ? milliseconds : (milliseconds + 500) / 1_000 * 1_000
}

/// White space in runs, line ends too, becomes one blank.
private func oneLine(_ text: String) -> String { text.split(whereSeparator: \.isWhitespace).joined(separator: " ") }

extension String {
    fileprivate func trimmingSuffix(_ isCut: (Character) -> Bool) -> String {
        var text = self[...]
        while let last = text.last, isCut(last) { text.removeLast() }
        return String(text)
    }
}
