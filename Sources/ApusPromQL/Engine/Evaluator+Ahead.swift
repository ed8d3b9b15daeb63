import ApusBytes
import ApusModel
import ApusStorage

/// Some series of a set that was selected already.
struct SelectedSeries {
    let set: any SeriesSet
    let indices: Range<Int>
}

extension Evaluator {
    /// What computes the rows of a select on several threads; `nil` when there is too little to compute.
    func rowsAhead(
        _ set: any SeriesSet, _ steps: Steps, minTimeMs: Int64, maxTimeMs: Int64, _ job: (QueryGuard.Limits) -> any SeriesJob
    ) -> RowsAhead? {
        guard let executor, tracer == nil, bounds.steps == nil, executor.threadCount > 1, set.count > 1 else { return nil }
        // Samples every 15 seconds are a guess; it decides nothing but who does the work.
        let samples = Int(truncatingIfNeeded: min((maxTimeMs &- minTimeMs) / 15_000, 1 << 20))
        let unitsOfSeries = RowsAhead.seriesUnits &+ steps.count &+ samples
        guard set.count >= RowsAhead.worthwhileUnits / unitsOfSeries else { return nil }
        return RowsAhead(count: set.count, width: steps.count, job: job(bounds.limits), executor: executor)
    }
}

extension Evaluator {
    /// What computes a range function over a selector on several threads; `nil` when one is to do it.
    func windowsAhead(
        _ id: NodeID, _ kernel: any WindowKernel, _ steps: Steps, function: String
    ) throws(QueryError) -> (set: any SeriesSet, ahead: RowsAhead?)? {
        let id = expression.unwrapped(id)
        guard executor != nil, extent(ofRange: id) == .plain, case .matrixSelector(let matrix) = expression[id].kind,
            case .vectorSelector(let selector) = expression[matrix.selector].kind
        else { return nil }
        let placement = plan.placements[id.index]
        let references = References(steps: steps, atMs: placement.atMs, offsetMs: placement.offsetMs)
        let minTimeMs = QueryPlan.clamped(references.firstMs - placement.rangeMs + 1)
        let maxTimeMs = QueryPlan.clamped(references.lastMs)
        let set = try select(
            selector, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, rangeMs: placement.rangeMs, function: function, steps)
        let ahead = rowsAhead(set, steps, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs) { limits in
            WindowJob(
                set: set, needed: neededLabels[matrix.selector], references: references, rangeMs: placement.rangeMs,
                minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, kernel: kernel, bounds: limits)
        }
        return (set, ahead)
    }
}

/// A range function over the windows of each series.
struct WindowJob: SeriesJob {
    let set: any SeriesSet
    let needed: [ByteString]?
    let references: References
    let rangeMs: Int64
    let minTimeMs: Int64
    let maxTimeMs: Int64
    let kernel: any WindowKernel
    let bounds: QueryGuard.Limits

    func makeWorker() -> any SeriesWorker { WindowWorker(self) }
}

private final class WindowWorker: SeriesWorker {
    private let job: WindowJob
    private let names: SeriesNames
    private let bounds: QueryGuard
    private let scratch = ColumnScratch()
    private let cleaned = ColumnScratch()
    private var kernel: any WindowKernel

    init(_ job: WindowJob) {
        self.job = job
        names = SeriesNames(job.set, needed: job.needed)
        bounds = QueryGuard(job.bounds)
        kernel = job.kernel
    }

    func compute(_ index: Int, into row: Row) throws(QueryError) -> SeriesOutcome {
        var outcome = SeriesOutcome()
        try decodeSeries(job.set, index, job.minTimeMs, job.maxTimeMs, into: scratch, bounds)
        if scratch.columns.count == 0 { return outcome }
        if scratch.columns.hasHistograms {
            outcome.kind = .unusual
            return outcome
        }
        var given = scratch
        let samples = Samples(scratch)
        if samples.hasMarkers {
            samples.copyWithoutMarkers(into: &cleaned.columns)
            given = cleaned
        }
        outcome.heldSamples = given.columns.count
        outcome.readSamples = job.references.coveredCount(of: given.columns, rangeMs: job.rangeMs)
        if given.columns.count == 0 { return outcome }
        outcome.touchedSamples = try kernel.fill(
            row, from: Samples(given), at: job.references, rangeMs: job.rangeMs, poll: bounds)
        try bounds.work(row.count)
        if row.isEmpty { return outcome }
        outcome.kind = .row
        outcome.name = names[index]
        return outcome
    }
}

/// The newest sample of each series at each step.
struct InstantJob: SeriesJob {
    let set: any SeriesSet
    let needed: [ByteString]?
    let references: References
    let lookbackMs: Int64
    let minTimeMs: Int64
    let maxTimeMs: Int64
    let bounds: QueryGuard.Limits

    func makeWorker() -> any SeriesWorker { InstantWorker(self) }
}

private final class InstantWorker: SeriesWorker {
    private let job: InstantJob
    private let names: SeriesNames
    private let bounds: QueryGuard
    private let scratch = ColumnScratch()

    init(_ job: InstantJob) {
        self.job = job
        names = SeriesNames(job.set, needed: job.needed)
        bounds = QueryGuard(job.bounds)
    }

    func compute(_ index: Int, into row: Row) throws(QueryError) -> SeriesOutcome {
        var outcome = SeriesOutcome()
        try decodeSeries(job.set, index, job.minTimeMs, job.maxTimeMs, into: scratch, bounds)
        if scratch.columns.count == 0 { return outcome }
        if scratch.columns.hasHistograms {
            outcome.kind = .unusual
            return outcome
        }
        let found = withExtendedLifetime(scratch) {
            selectInstant(
                into: row, from: Samples(scratch), at: job.references, lookbackMs: job.lookbackMs, wantsTimestamps: false)
        }
        if found == 0 { return outcome }
        outcome.kind = .row
        outcome.name = names[index]
        outcome.heldSamples = found
        outcome.readSamples = found
        outcome.touchedSamples = found
        return outcome
    }
}

/// Fills `scratch` with the samples of a series.
func decodeSeries(
    _ set: any SeriesSet, _ index: Int, _ minTimeMs: Int64, _ maxTimeMs: Int64, into scratch: ColumnScratch, _ bounds: QueryGuard
) throws(QueryError) {
    scratch.columns.removeAll()
    do {
        try set.decode(index, minTimeMs: minTimeMs, maxTimeMs: maxTimeMs, into: &scratch.columns)
    } catch { throw .storage(error.description) }
    try bounds.work(scratch.columns.count + 16)
}
