import ApusBytes
import ApusStorage

/// What is known of each node of a query before any sample is read: durations resolved, times bounded, parts that do
/// not change from step to step found.
struct QueryPlan {
    /// A selector's or subquery's place in time, in ms.
    struct Placement {
        var rangeMs: Int64 = 0
        var offsetMs: Int64 = 0
        var atMs: Int64?
        /// Of a subquery.
        var stepMs: Int64 = 0
        /// Of a selector, and of `info`, which reads info series where the first selector of its vector does: samples in `[minTimeMs, maxTimeMs]` matter.
        var minTimeMs: Int64 = 0
        var maxTimeMs: Int64 = 0
    }

    /// The steps of the whole query.
    let steps: Steps
    /// By index of node; meaningful for selectors and subqueries.
    private(set) var placements: [Placement]
    /// By index of node: whether the value is the same at every step.
    private(set) var isInvariant: [Bool]
    /// By index of node: whether its series stay distinct when they lose their names.
    private(set) var isDistinctWithoutName: [Bool]
    /// By index of node: whether it is a selector of histograms of which only count and sum matter.
    let readsTotals: [Bool]
    /// What all selectors need together; `nil` when there is none.
    private(set) var timeRange: ClosedRange<Int64>?

    /// No time of a query goes beyond these, so that sums of times do not overflow.
    static let timeLimitMs: Int64 = 1 << 60

    init(_ expression: Expression, steps: Steps, options: EngineOptions, lookbackMs: Int64) throws(QueryError) {
        self.steps = steps
        placements = Array(repeating: Placement(), count: expression.nodes.count)
        isInvariant = Array(repeating: false, count: expression.nodes.count)
        isDistinctWithoutName = Array(repeating: true, count: expression.nodes.count)
        readsTotals = Self.selectorsOfTotals(expression)
        try resolveDurations(expression, options)
        findInvariants(expression)
        findDistinct(expression)
        boundTimes(expression, lookbackMs: lookbackMs)
    }

    private mutating func resolveDurations(_ expression: Expression, _ options: EngineOptions) throws(QueryError) {
        let (stepMs, rangeMs) = (steps.count > 1 ? steps.stepMs : 0, steps.endMs - steps.startMs)
        func milliseconds(_ duration: DurationValue) throws(QueryError) -> Int64 {
            do {
                let value = try duration.milliseconds(stepMs: stepMs, rangeMs: rangeMs)
                return min(max(value, -Self.timeLimitMs), Self.timeLimitMs)
            } catch { throw .parse(error) }
        }
        func timestamp(_ at: AtModifier?) -> Int64? {
            switch at {
            case nil: nil
            case .timestampMs(let value): min(max(value, -Self.timeLimitMs), Self.timeLimitMs)
            case .start: steps.startMs
            case .end: steps.endMs
            }
        }
        for (index, node) in expression.nodes.enumerated() {
            switch node.kind {
            case .vectorSelector(let selector):
                placements[index].offsetMs = try milliseconds(selector.offset)
                placements[index].atMs = timestamp(selector.at)
            case .matrixSelector(let matrix):
                // The selector below stands before this node, so it is resolved already.
                placements[index] = placements[matrix.selector.index]
                placements[index].rangeMs = try milliseconds(matrix.range)
            case .call(let call) where call.function.name == .info:
                guard let vector = call.arguments.first, let first = firstSelector(below: vector, expression) else { break }
                placements[index].offsetMs = placements[first.index].offsetMs
                placements[index].atMs = placements[first.index].atMs
            case .subquery(let subquery):
                placements[index].offsetMs = try milliseconds(subquery.offset)
                placements[index].atMs = timestamp(subquery.at)
                placements[index].rangeMs = try milliseconds(subquery.range)
                var step = options.defaultSubqueryStepMs
                if let given = subquery.step { step = try milliseconds(given) }
                placements[index].stepMs = max(1, step > 0 ? step : options.defaultSubqueryStepMs)
            default: break
            }
        }
    }

    /// The vector selector that is written first.
    private func firstSelector(below id: NodeID, _ expression: Expression) -> NodeID? {
        var open = [id]
        while let next = open.popLast() {
            if case .vectorSelector = expression[next].kind { return next }
            open += expression.children(of: next).reversed()
        }
        return nil
    }

    /// Functions whose value depends on the step even where their argument does not.
    private static let stepDependent: Set<FunctionName> = [
        .daysInMonth, .dayOfMonth, .dayOfWeek, .dayOfYear, .hour, .minute, .month, .year, .predictLinear, .time, .timestamp,
    ]

    private mutating func findInvariants(_ expression: Expression) {
        for (index, node) in expression.nodes.enumerated() {
            let id = NodeID(index)
            switch node.kind {
            case .number, .string: isInvariant[index] = true
            case .vectorSelector(let selector): isInvariant[index] = selector.at != nil
            case .matrixSelector(let matrix): isInvariant[index] = isInvariant[matrix.selector.index]
            case .subquery(let subquery): isInvariant[index] = subquery.at != nil
            case .call(let call):
                isInvariant[index] =
                    !Self.stepDependent.contains(call.function.name) && call.arguments.allSatisfy { isInvariant[$0.index] }
            case .aggregate, .binary, .unary, .paren:
                var isSame = true
                expression.forEachChild(of: id) { isSame = isSame && isInvariant[$0.index] }
                isInvariant[index] = isSame
            }
        }
    }

    private mutating func findDistinct(_ expression: Expression) {
        for (index, node) in expression.nodes.enumerated() {
            switch node.kind {
            case .vectorSelector(let selector):
                isDistinctWithoutName[index] = selector.matchers.contains {
                    $0.kind == .equal && $0.name == LabelNames.name && !$0.value.isEmpty
                }
            case .matrixSelector(let matrix): isDistinctWithoutName[index] = isDistinctWithoutName[matrix.selector.index]
            case .subquery(let subquery): isDistinctWithoutName[index] = isDistinctWithoutName[subquery.expression.index]
            case .paren(let operand): isDistinctWithoutName[index] = isDistinctWithoutName[operand.index]
            case .call(let call):
                switch call.function.name {
                case .labelReplace, .labelJoin: isDistinctWithoutName[index] = false
                case .lastOverTime, .firstOverTime, .sort, .sortDesc, .sortByLabel, .sortByLabelDesc, .info:
                    isDistinctWithoutName[index] = call.arguments.first.map { isDistinctWithoutName[$0.index] } ?? true
                default: break
                }
            case .aggregate(let aggregation):
                switch aggregation.op {
                case .topk, .bottomk, .limitk, .limitRatio:
                    isDistinctWithoutName[index] = isDistinctWithoutName[aggregation.operand.index]
                default:
                    isDistinctWithoutName[index] =
                        aggregation.isWithout || !aggregation.grouping.contains(LabelNames.name)
                        || isDistinctWithoutName[aggregation.operand.index]
                }
            case .binary(let binary):
                if binary.op.isComparison || binary.op.isSetOperator { isDistinctWithoutName[index] = false }
            case .number, .string, .unary: break
            }
        }
    }

    /// Walks from the root down: parents come after their children in the array.
    private mutating func boundTimes(_ expression: Expression, lookbackMs: Int64) {
        var spans = [ClosedRange<Int64>?](repeating: nil, count: expression.nodes.count)
        spans[expression.root.index] = steps.startMs...max(steps.startMs, steps.endMs)
        for index in expression.nodes.indices.reversed() {
            guard let span = spans[index] else { continue }
            let placement = placements[index]
            let referenced: ClosedRange<Int64> = placement.atMs.map { $0...$0 } ?? span
            let first = Self.clamped(referenced.lowerBound - placement.offsetMs)
            let last = Self.clamped(referenced.upperBound - placement.offsetMs)
            switch expression.nodes[index].kind {
            case .vectorSelector(let selector):
                let reachMs = selector.extent == .smoothed ? lookbackMs : 0
                bound(index, Self.clamped(first - lookbackMs + 1), Self.clamped(last + reachMs))
            case .matrixSelector(let matrix):
                var extent = RangeExtent.plain
                if case .vectorSelector(let selector) = expression[matrix.selector].kind { extent = selector.extent }
                let reach = extent.reach(lookbackMs: lookbackMs)
                // Left-open: a sample at the very start of the range is not in it.
                bound(
                    index, Self.clamped(first - placement.rangeMs - reach.beforeMs + 1),
                    Self.clamped(last + reach.afterMs))
            case .subquery(let subquery):
                spans[subquery.expression.index] = Self.clamped(first - placement.rangeMs)...last
            default:
                if case .call(let call) = expression.nodes[index].kind, call.function.name == .info {
                    bound(index, Self.clamped(first - lookbackMs + 1), last)
                }
                expression.forEachChild(of: NodeID(index)) { spans[$0.index] = span }
            }
        }
    }

    private mutating func bound(_ index: Int, _ minTimeMs: Int64, _ maxTimeMs: Int64) {
        let maxTimeMs = max(minTimeMs, maxTimeMs)
        placements[index].minTimeMs = minTimeMs
        placements[index].maxTimeMs = maxTimeMs
        if let range = timeRange {
            timeRange = min(range.lowerBound, minTimeMs)...max(range.upperBound, maxTimeMs)
        } else {
            timeRange = minTimeMs...maxTimeMs
        }
    }

    static func clamped(_ timestampMs: Int64) -> Int64 { min(max(timestampMs, -timeLimitMs), timeLimitMs) }
}
