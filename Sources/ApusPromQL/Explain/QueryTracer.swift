import ApusBytes
import ApusModel
import ApusStorage

/// Counts what passes through each node of one run, and whose time it is. There is none unless somebody asked for an explanation.
///
/// Rows are pushed, so that a node's time is cut into pieces by the work of those above it:
///
///     rate    ▇▇▇▇     ▇▇▇▇     ▇▇
///     sum         ▇▇▇▇     ▇▇▇▇   ▇▇▇
///
/// `current` is the node whose piece runs; each change of it is a look at the clock.
final class QueryTracer {
    struct Record {
        var evaluations = 0
        var series: Int64 = 0
        var samples: Int64 = 0
        /// Of a selector: what the storage gave.
        var selectedSeries: Int64 = 0
        var decodedSamples: Int64 = 0
        var staleMarkers: Int64 = 0
        var ownNs: UInt64 = 0
        /// Of an operand of a join: what its series are called, the first of them.
        var labels: [LabelSet] = []
    }

    /// Label sets of an operand of a join that are kept to compare.
    static let maxLabels = 10_000

    private(set) var records: [Record]
    private(set) var current: NodeID?
    private let isJoined: [Bool]
    private let time: any TimeSource
    private var lastNs: UInt64

    init(_ expression: Expression, time: any TimeSource) {
        records = Array(repeating: Record(), count: expression.nodes.count)
        var isJoined = Array(repeating: false, count: expression.nodes.count)
        for node in expression.nodes {
            guard case .binary(let binary) = node.kind, binary.matching != nil else { continue }
            isJoined[binary.left.index] = true
            isJoined[binary.right.index] = true
        }
        self.isJoined = isJoined
        self.time = time
        lastNs = time.monotonicNs()
    }

    private func turn(to id: NodeID?) {
        let now = time.monotonicNs()
        if let current { records[current.index].ownNs &+= now &- lastNs }
        lastNs = now
        current = id
    }

    /// Begins an evaluation of a node.
    /// - Returns: whose time it was, for `leave`.
    func enter(_ id: NodeID) -> NodeID? {
        let parent = current
        turn(to: id)
        records[id.index].evaluations += 1
        return parent
    }

    func leave(to parent: NodeID?) { turn(to: parent) }

    /// A row goes from a node up to its parent, whose time it is from now on until `resume`.
    func pass(_ id: NodeID, _ name: RowLabels, samples: Int, to parent: NodeID?) {
        if samples > 0 {
            records[id.index].series += 1
            records[id.index].samples += Int64(samples)
            if isJoined[id.index], records[id.index].labels.count < Self.maxLabels { records[id.index].labels.append(name.labels) }
        }
        turn(to: parent)
    }

    func resume(_ id: NodeID) { turn(to: id) }

    /// A selector was given this many series.
    func selected(_ id: NodeID, _ series: Int) { records[id.index].selectedSeries += Int64(series) }

    /// The samples of one series were read.
    func decoded(_ id: NodeID, _ columns: borrowing SampleColumns) {
        records[id.index].decodedSamples += Int64(columns.count)
        for index in 0..<columns.count where StaleNaN.isStale(columns.value(at: index)) { records[id.index].staleMarkers += 1 }
    }
}

extension Evaluator {
    /// Evaluates a node that yields an instant vector and passes each of its series to `sink`.
    // `dynamic`, so that the optimiser does not see through the call: otherwise it makes a copy of every operator for every
    // closure that another operator passes down, and of those again, and a release build does not end.
    dynamic func vector(_ id: NodeID, _ steps: Steps, _ sink: RowSink) throws(QueryError) {
        guard let tracer, tracer.current != id else { return try evaluate(id, steps, sink) }
        let parent = tracer.enter(id)
        try evaluate(id, steps) { (name, row) throws(QueryError) in
            tracer.pass(id, name, samples: row.presentCount, to: parent)
            try sink(name, row)
            tracer.resume(id)
        }
        tracer.leave(to: parent)
    }

    /// Passes the samples of each series of a range selector or a subquery to `body`: those of all windows together.
    dynamic func forEachRangeSeries(
        _ id: NodeID, _ steps: Steps, function: String, _ body: (RangeSeries) throws(QueryError) -> Void
    ) throws(QueryError) {
        guard let tracer else { return try evaluateRange(id, steps, function: function, body) }
        let inner = expression.unwrapped(id)
        let parent = tracer.enter(inner)
        try evaluateRange(inner, steps, function: function) { (series) throws(QueryError) in
            tracer.pass(inner, series.name, samples: series.samples.count, to: parent)
            try body(series)
            tracer.resume(inner)
        }
        tracer.leave(to: parent)
    }
}
