import ApusBytes
import ApusModel
import ApusStorage

/// One query from its text to its result.
struct QueryRun {
    let request: QueryRequest
    let engine: EngineOptions
    let time: any TimeSource
    let executor: QueryExecutor?
    let activity: QueryActivity
    /// What it may take before it is given up and begun again elsewhere; nil for all it needs.
    var quick: QuickBudget?

    private var query: ByteString { request.query }
    private var steps: Steps { request.steps }
    private var isInstant: Bool { request.isInstant }
    private var options: QueryOptions { request.options }

    /// - Parameter statistics: filled as far as the query gets.
    func execute(_ statistics: inout QueryStatistics) throws(QueryError) -> QueryResult {
        let clock = Stopwatch(time: time, observer: engine.observer)
        statistics.queueSeconds = clock.observe(.queueTime, since: activity.queuedNs)
        let (timeoutNs, isTooLong) = UInt64(request.timeoutMs(engine)).multipliedReportingOverflow(by: 1_000_000)
        let (deadlineNs, isTooLate) = activity.queuedNs.addingReportingOverflow(timeoutNs)
        let bounds = QueryGuard(
            time: time, deadlineNs: isTooLong || isTooLate ? .max : deadlineNs, cancellation: activity.cancellation,
            maxSamples: engine.maxSamples, memory: engine.memory, activity: activity, quick: quick,
            stepCount: engine.enablePerStepStatistics && options.countsSteps && steps.count <= engine.maxSamples ? steps.count : nil)
        defer { bounds.report(to: &statistics) }
        if time.monotonicNs() > bounds.deadlineNs { throw .timedOutInQueue }

        var startedNs = time.monotonicNs()
        let expression: Expression
        do { expression = try parseExpression(query, options: engine.parser) } catch { throw .parse(error) }
        if !isInstant, expression.type != .scalar, expression.type != .instantVector {
            throw .parse(
                ParseError(
                    message: "invalid expression type \"\(expression.type.documentedName)\" for range query, must be Scalar or "
                        + "instant Vector", range: 0..<query.count))
        }
        guard steps.count <= engine.maxSamples else { throw .tooManySamples }
        let lookbackMs = options.lookbackDeltaMs.flatMap { $0 > 0 ? $0 : nil } ?? engine.lookbackDeltaMs
        let plan = try QueryPlan(expression, steps: steps, options: engine, lookbackMs: lookbackMs)
        var querier: (any Querier)?
        if let range = plan.timeRange {
            do { querier = try request.storage.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound) } catch {
                throw .storage(error.description)
            }
        }
        defer { querier?.close() }
        let tracer = options.explains ? QueryTracer(expression, time: time) : nil
        let evaluator = Evaluator(
            expression, plan: plan, options: engine, lookbackMs: lookbackMs, limit: options.limit, querier: querier,
            executor: executor, bounds: bounds, tracer: tracer)
        statistics.prepareSeconds = clock.observe(.prepareTime, since: startedNs)

        startedNs = time.monotonicNs()
        var value: QueryValue
        do { value = try evaluator.result(isInstant: isInstant) } catch {
            statistics.innerEvalSeconds = clock.observe(.innerEval, since: startedNs)
            throw error
        }
        statistics.innerEvalSeconds = clock.observe(.innerEval, since: startedNs)

        startedNs = time.monotonicNs()
        if case .matrix(var series) = value {
            series.sort { $0.labels < $1.labels }
            value = .matrix(series)
        }
        statistics.resultSortSeconds = clock.observe(.resultSort, since: startedNs)
        statistics.seriesSelected = Int64(evaluator.seriesSelected)
        bounds.report(to: &statistics)
        let (warnings, infos) = evaluator.annotations.rendered()
        var result = QueryResult(value: value, warnings: warnings, infos: infos, statistics: statistics)
        if let tracer {
            result.explanation = QueryExplainer(evaluator, tracer, storage: request.storage).explanation()
        }
        return result
    }
}

private struct Stopwatch {
    let time: any TimeSource
    let observer: (any QueryObserver)?

    func observe(_ slice: QuerySlice, since startNs: UInt64) -> Double {
        let seconds = Double(time.monotonicNs() &- startNs) / 1e9
        observer?.observe(slice: slice, seconds: seconds)
        return seconds
    }
}

extension Evaluator {
    /// The value of the whole query.
    func result(isInstant: Bool) throws(QueryError) -> QueryValue {
        let root = expression.root
        let steps = plan.steps
        switch expression.type {
        case .string: return .string(timestampMs: steps.startMs, try text(root))
        case .scalar:
            let column = try scalar(root, steps)
            if isInstant { return .scalar(timestampMs: steps.startMs, value: column[0]) }
            try bounds.hold(steps.count)
            return .matrix([
                MatrixSeries(
                    labels: .empty, timestampsMs: (0..<steps.count).map { steps.timestampMs($0) },
                    values: (0..<steps.count).map { column[$0] })
            ])
        case .instantVector: return isInstant ? .vector(try finalVector(root)) : .matrix(try finalMatrix(root, steps))
        case .rangeVector: return .matrix(try rangeVector(root, steps))
        case .none: throw .execution("the query yields nothing")
        }
    }

    private func finalVector(_ root: NodeID) throws(QueryError) -> [VectorSample] {
        let steps = plan.steps
        var result: [VectorSample] = []
        var seen: Set<LabelSet> = []
        try vector(root, steps) { (name, row) throws(QueryError) in
            if row[0].isAbsent { return }
            let labels = name.dropsName ? name.labels.withoutReserved : name.labels
            guard seen.insert(labels).inserted else { throw .duplicateLabels }
            guard row[0].isHistogramMark else {
                try bounds.hold(1)
                result.append(VectorSample(labels: labels, timestampMs: steps.startMs, value: row[0]))
                return
            }
            guard let histogram = row.histogram(0) else { return }
            try bounds.hold(histogram.sampleWeight)
            result.append(VectorSample(labels: labels, timestampMs: steps.startMs, value: 0, histogram: histogram))
        }
        return result
    }

    private func finalMatrix(_ root: NodeID, _ steps: Steps) throws(QueryError) -> [MatrixSeries] {
        var result: [MatrixSeries] = []
        var indices: [LabelSet: Int] = [:]
        var everyStep: [Int64] = []
        func add(_ series: MatrixSeries) throws(QueryError) {
            if let index = indices[series.labels] {
                guard let merged = result[index].merged(with: series) else { throw .duplicateLabels }
                result[index] = merged
            } else {
                indices[series.labels] = result.count
                result.append(series)
            }
        }
        try vector(root, steps) { (name, row) throws(QueryError) in
            let labels = name.dropsName ? name.labels.withoutReserved : name.labels
            let count = row.presentCount
            if count == 0 { return }
            if row.mayHoldHistograms {
                try bounds.hold(row.weight)
                try add(MatrixSeries(labels: labels, mixed: row, steps))
                return
            }
            try bounds.hold(count)
            var series = MatrixSeries(labels: labels, timestampsMs: [], values: [])
            if count == row.count {
                // Series with a sample at every step share one array of times.
                if everyStep.isEmpty { everyStep = (0..<steps.count).map { steps.timestampMs($0) } }
                series.timestampsMs = everyStep
                series.values = row.copied
            } else {
                series.timestampsMs.reserveCapacity(count)
                series.values.reserveCapacity(count)
                for step in 0..<row.count where !row[step].isAbsent {
                    series.timestampsMs.append(steps.timestampMs(step))
                    series.values.append(row[step])
                }
            }
            try add(series)
        }
        return result
    }

    /// The samples of a range selector or subquery as they are: an instant query may ask for them.
    private func rangeVector(_ root: NodeID, _ steps: Steps) throws(QueryError) -> [MatrixSeries] {
        var result: [MatrixSeries] = []
        var seen: Set<LabelSet> = []
        var isSubquery = false
        if case .subquery = expression[expression.unwrapped(root)].kind { isSubquery = true }
        bounds.scope.isWholeSubquery = isSubquery
        try forEachRangeSeries(root, steps, function: "") { (series) throws(QueryError) in
            let labels = series.name.dropsName ? series.name.labels.withoutReserved : series.name.labels
            var copy = MatrixSeries(labels: labels, timestampsMs: [], values: [])
            let extent = extent(ofRange: root)
            if let mixed = series.mixed {
                copy = MatrixSeries(labels: labels, mixed: mixed)
            } else if extent != .plain {
                for point in extendedPoints(series, extent) {
                    copy.timestampsMs.append(point.timestampMs)
                    copy.values.append(point.value)
                }
                if copy.values.isEmpty { return }
            } else {
                for index in 0..<series.samples.count {
                    copy.timestampsMs.append(series.samples.timestampMs(index))
                    copy.values.append(series.samples.value(index))
                }
            }
            let weight = series.mixed?.weight ?? copy.values.count
            if !isSubquery { bounds.touch(weight) }
            try bounds.hold(weight)
            guard seen.insert(labels).inserted else { throw .duplicateLabels }
            result.append(copy)
        }
        return result
    }
}

extension MatrixSeries {
    /// A row of which some samples are histograms.
    fileprivate init(labels: LabelSet, mixed row: Row, _ steps: Steps) {
        self.init(labels: labels, timestampsMs: [], values: [])
        for step in 0..<row.count where !row[step].isAbsent {
            let timestampMs = steps.timestampMs(step)
            if !row[step].isHistogramMark {
                timestampsMs.append(timestampMs)
                values.append(row[step])
            } else if let histogram = row.histogram(step) {
                histogramTimestampsMs.append(timestampMs)
                histograms.append(histogram)
            }
        }
    }

    /// Samples as they are, of which some are histograms.
    fileprivate init(labels: LabelSet, mixed scratch: ColumnScratch) {
        self.init(labels: labels, timestampsMs: [], values: [])
        for index in 0..<scratch.columns.count {
            let timestampMs = scratch.columns.timestampMs(at: index)
            if let histogram = FloatHistogram(scratch.columns, at: index) {
                histogramTimestampsMs.append(timestampMs)
                histograms.append(histogram)
            } else {
                timestampsMs.append(timestampMs)
                values.append(scratch.columns.value(at: index))
            }
        }
    }

    /// Both in order of time; `nil` when they share a moment.
    fileprivate func merged(with other: MatrixSeries) -> MatrixSeries? {
        guard histograms.isEmpty, other.histograms.isEmpty else { return mergedMixed(with: other) }
        return mergedFloats(with: other)
    }

    private func mergedMixed(with other: MatrixSeries) -> MatrixSeries? {
        let own = Set(timestampsMs + histogramTimestampsMs)
        guard own.isDisjoint(with: other.timestampsMs), own.isDisjoint(with: other.histogramTimestampsMs),
            var result = mergedFloats(with: other)
        else { return nil }
        let all = zip(histogramTimestampsMs + other.histogramTimestampsMs, histograms + other.histograms)
        let sorted = all.sorted { $0.0 < $1.0 }
        result.histogramTimestampsMs = sorted.map(\.0)
        result.histograms = sorted.map(\.1)
        return result
    }

    private func mergedFloats(with other: MatrixSeries) -> MatrixSeries? {
        var result = MatrixSeries(labels: labels, timestampsMs: [], values: [])
        var (a, b) = (0, 0)
        while a < values.count || b < other.values.count {
            let takesOwn = b == other.values.count || (a < values.count && timestampsMs[a] < other.timestampsMs[b])
            if a < values.count, b < other.values.count, timestampsMs[a] == other.timestampsMs[b] { return nil }
            result.timestampsMs.append(takesOwn ? timestampsMs[a] : other.timestampsMs[b])
            result.values.append(takesOwn ? values[a] : other.values[b])
            if takesOwn { a += 1 } else { b += 1 }
        }
        return result
    }
}
