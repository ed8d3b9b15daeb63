import ApusBytes
import ApusModel
import ApusStorage

/// Which labels of a selector's series a query looks at.
///
///     sum by (job) (rate(x[5m]))
///       │             └ __name__, job: the name for annotations
///       └ job
///
/// An aggregation by few labels looks at those alone, and so does what lies below it, as far as each row stays a row of
/// its own. Where rows might be told apart, joined or shown by their labels, all count.
struct NeededLabels {
    /// By index of node; `nil` for all.
    private var names: [[ByteString]?]

    /// Lists longer than this are not worth it.
    private static let maximumNames = 16

    init(_ expression: Expression, _ plan: QueryPlan, delaysNameRemoval: Bool) {
        names = Array(repeating: nil, count: expression.nodes.count)
        // A name that goes at the end of the query is told from one that stays by the row.
        if delaysNameRemoval { return }
        // From the root down: parents come after their children.
        for index in expression.nodes.indices.reversed() {
            let needed = names[index]
            switch expression.nodes[index].kind {
            case .paren(let operand): names[operand.index] = needed
            case .matrixSelector(let matrix): names[matrix.selector.index] = needed
            case .subquery(let subquery): names[subquery.expression.index] = needed
            case .unary(_, let operand): if plan.isDistinctWithoutName[operand.index] { names[operand.index] = needed }
            case .binary(let binary):
                guard let needed else { break }
                let leftIsScalar = expression[binary.left].type == .scalar
                guard leftIsScalar || expression[binary.right].type == .scalar else { break }
                let operand = leftIsScalar ? binary.right : binary.left
                if plan.isDistinctWithoutName[operand.index] { names[operand.index] = needed }
            case .call(let call):
                guard let operand = Self.operand(of: call, expression) else { break }
                if call.function.name == .absent || call.function.name == .absentOverTime {
                    names[operand.index] = LabelNames.reserved
                } else if let needed, plan.isDistinctWithoutName[operand.index] {
                    names[operand.index] = needed + LabelNames.reserved.filter { !needed.contains($0) }
                }
            case .aggregate(let aggregation): names[aggregation.operand.index] = Self.names(for: aggregation)
            case .number, .string, .vectorSelector: break
            }
        }
    }

    subscript(id: NodeID) -> [ByteString]? { names[id.index] }

    private static func names(for aggregation: Aggregation) -> [ByteString]? {
        if aggregation.isWithout || aggregation.grouping.count > maximumNames { return nil }
        switch aggregation.op {
        case .sum, .avg, .count, .group, .min, .max, .stddev, .stdvar, .quantile, .countValues: return aggregation.grouping
        case .topk, .bottomk, .limitk, .limitRatio: return nil
        }
    }

    /// The one vector of a function that gives each of its series one of its own.
    private static func operand(of call: Call, _ expression: Expression) -> NodeID? {
        let name = call.function.name
        switch name {
        case .absent, .absentOverTime, .clamp, .clampMin, .clampMax, .round, .timestamp, .predictLinear, .quantileOverTime,
            .doubleExponentialSmoothing:
            break
        default:
            guard WindowFunctions.table[name] != nil || SampleFunctions.table[name] != nil || SampleFunctions.calendar[name] != nil
            else { return nil }
        }
        return call.arguments.first {
            let type = expression[$0].type
            return type == .rangeVector || type == .instantVector
        }
    }
}

/// Gives the series of a selector their labels, cut to those that the query looks at.
struct SeriesNames {
    private let set: any SeriesSet
    private let reader: (any LabelReader)?

    init(_ set: any SeriesSet, needed: [ByteString]?) {
        self.set = set
        reader = needed.map { set.labelReader(keeping: $0) }
    }

    subscript(index: Int) -> RowLabels { RowLabels(labels: reader?.labels(at: index) ?? set.labels(at: index)) }
}

/// Label sets without the name, remembered for the label sets that came last: cut label sets are few, and shared.
struct NamelessLabels {
    private var slots: [(labels: LabelSet, nameless: LabelSet)?] = Array(repeating: nil, count: slotCount)
    private static let slotCount = 64

    subscript(labels: LabelSet) -> LabelSet {
        mutating get {
            let address = labels.address
            let slot = Int(truncatingIfNeeded: (address >> 4 ^ address >> 10) & UInt(Self.slotCount - 1))
            // Kept alive here, so the same address is the same array.
            if let known = slots[slot], known.labels.address == address { return known.nameless }
            let nameless = labels.withoutReserved
            slots[slot] = (labels, nameless)
            return nameless
        }
    }
}

extension LabelSet {
    /// Of the bytes; equal addresses of living label sets are equal label sets.
    fileprivate var address: UInt {
        unsafe encoded.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
}
